"""Accuracy with intervals clustered by video, and paired tests, on plain arrays.

Questions about one video are right or wrong together, so every interval and test takes the video
as the unit; videos of several suites are strata, drawn and flipped suite by suite. scipy and
statsmodels hold the distributions, the clustering is ours. Shape suffixes: Q questions, V videos,
R draws, N segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm, t
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
NUM_DRAWS = 10_000  # of bootstraps and of sign flips
MOST_EXACT_FLIPS = 14  # up to 2**14 sign patterns are counted instead of drawn


@dataclass(frozen=True)
class Accuracy:
    """Share of right answers among ``n``, with its 95 % interval."""

    n: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Mean of the first minus that of the second over ``n`` questions; of accuracies in -1..1.

    ``p_value``: that the mean is the number it was tested against (``against``, else 0).
    """

    n: int
    difference: float
    low: float
    high: float
    p_value: float


def accuracy(
    correct_Q: Sequence[bool], video_Q: Sequence[str], stratum_Q: Sequence[str] | None = None
) -> Accuracy:
    """Share of right answers with a Wilson interval on the effective number of questions.

    The share is a ratio estimate over V videos of unequal size (Cochran, Sampling Techniques,
    3rd ed., sec. 9A.1), stratified (sec. 5A.1) where ``stratum_Q`` names suites; its variance
    gives the effective number of questions, at most Q, and Student's t with one degree less per
    stratum than videos the width (Korn and Graubard 1998; Dean and Pagano 2015).
    All right or all wrong: the variance is 0, and V counts as that number. A stratum of one
    video says nothing of others: 0 to 1. ValueError without questions.
    """
    videos = _by_video(np.asarray(correct_Q, dtype=float), video_Q, stratum_Q)
    n, num_videos = int(videos.size_V.sum()), len(videos.size_V)
    share = float(videos.value_V.sum() / n)
    if min(map(len, videos.strata)) == 1:
        return Accuracy(n, share, 0.0, 1.0)
    effective = float(num_videos)
    if 0.0 < share < 1.0:
        variance = videos.variance() / n**2
        effective = min(float(n), share * (1 - share) / variance) if variance else float(n)
    # statsmodels takes the quantile of a normal: the level at which that is Student's
    level = 2 * norm.sf(t.ppf((1 + CONFIDENCE) / 2, num_videos - len(videos.strata)))
    low, high = proportion_confint(share * effective, effective, alpha=level, method="wilson")
    # the interval holds the share by theory; rounding may miss it at 0 and 1
    return Accuracy(n, share, max(0.0, min(share, low)), min(1.0, max(share, high)))


def mean_of_groups(
    correct_Q: Sequence[bool], video_Q: Sequence[str], group_Q: Sequence[str]
) -> Accuracy:
    """Unweighted mean of the groups' shares of right answers (MLVU's M-Avg), clustered by video.

    Each share is linearised like a ratio estimate (Cochran, sec. 6.3 and 9A.1), so a video that
    has questions of several groups counts once; Student's t with V - 1 degrees, cut at 0 and 1.
    """
    right_Q, group = np.asarray(correct_Q, dtype=float), np.asarray(group_Q, dtype=str)
    names, place_Q = np.unique(group, return_inverse=True)
    size_G = np.bincount(place_Q).astype(float)
    share_G = np.bincount(place_Q, weights=right_Q) / size_G
    residual_Q = (right_Q - share_G[place_Q]) / size_G[place_Q] / len(names)
    residual_V = _by_video(residual_Q, video_Q).value_V
    share, num_videos = float(share_G.mean()), len(residual_V)
    if num_videos == 1:
        return Accuracy(len(right_Q), share, 0.0, 1.0)
    if not residual_V.any():  # every group all right or all wrong: no spread to go by
        pooled = accuracy(correct_Q, video_Q)
        low, high = min(share, pooled.low), max(share, pooled.high)
        return Accuracy(len(right_Q), share, low, high)
    error = (num_videos / (num_videos - 1) * float((residual_V**2).sum())) ** 0.5
    width = float(t.ppf((1 + CONFIDENCE) / 2, num_videos - 1)) * error
    return Accuracy(len(right_Q), share, max(0.0, share - width), min(1.0, share + width))


def paired_difference(
    first_Q: Sequence[float],
    second_Q: Sequence[float],
    video_Q: Sequence[str],
    seed: int,
    stratum_Q: Sequence[str] | None = None,
    against: float = 0.0,
) -> Difference:
    """Compare two variants on the same questions in the same order.

    ``stratum_Q``: the suite of every question; a suite counts by its share of the questions.
    Interval: percentile bootstrap over the videos of each stratum (Davison and Hinkley 1997, sec.
    3.2 and 3.8). p: two-sided sign-flip permutation test over videos that the mean difference is
    ``against``, counted exactly for up to 14 videos that differ, else drawn and never 0 (Phipson
    and Smyth 2010); what a suite differs from the mean of all is removed first, as suites are not
    what chance drew. ValueError for unequal numbers.
    """
    if len(first_Q) != len(second_Q):
        raise ValueError(f"paired answers differ in number: {len(first_Q)} and {len(second_Q)}")
    gain_Q = np.asarray(first_Q, dtype=float) - np.asarray(second_Q, dtype=float)
    videos = _by_video(gain_Q, video_Q, stratum_Q)
    total = videos.size_V.sum()
    difference = float(videos.value_V.sum() / total)
    mean_R = np.zeros(NUM_DRAWS)
    for place, chosen in enumerate(videos.strata):
        gain_V, size_V = videos.value_V[chosen], videos.size_V[chosen]
        weight_RV, _ = video_draws(seed + place, len(chosen))
        mean_R += (weight_RV @ gain_V) / (weight_RV @ size_V) * (size_V.sum() / total)
    low, high = np.quantile(mean_R, [ALPHA / 2, 1 - ALPHA / 2])
    excess_V = videos.centred(difference) - against * videos.size_V
    _, sign_RV = video_draws(seed, len(excess_V))
    p_value = _sign_flip_p(excess_V, sign_RV, (difference - against) * total)
    return Difference(len(gain_Q), difference, float(low), float(high), p_value)


def mean_interval(
    value_Q: Sequence[float],
    video_Q: Sequence[str],
    seed: int,
    stratum_Q: Sequence[str] | None = None,
    against: float = 0.0,
) -> Difference:
    """Mean over questions with its bootstrap interval; p that it is ``against``."""
    none = np.zeros(len(value_Q)).tolist()
    return paired_difference(value_Q, none, video_Q, seed, stratum_Q, against)


@lru_cache(maxsize=12)  # a table compares dozens of pairs on the same videos of a few suites
def video_draws(seed: int, num_videos: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each bootstrap draws each video, and the signs of flips: both (R, V), read only."""
    rng = np.random.default_rng(seed)
    weight_RV = rng.multinomial(num_videos, np.full(num_videos, 1 / num_videos), size=NUM_DRAWS)
    sign_RV = rng.integers(0, 2, (NUM_DRAWS, num_videos)) * 2 - 1
    draws = weight_RV.astype(float), sign_RV.astype(float)  # matrix products of integers are slow
    for draw_RV in draws:
        draw_RV.flags.writeable = False
    return draws


def equivalence_p(measured: Difference, margin: float, num_videos: int) -> float:
    """p of two one-sided tests (Schuirmann 1987) that the difference is not within ``margin``."""
    return _one_sided_p(measured, margin - abs(measured.difference), margin, num_videos)


def non_inferiority_p(measured: Difference, margin: float, num_videos: int) -> float:
    """p of one one-sided test that the first is worse than the second by ``margin`` or more."""
    return _one_sided_p(measured, margin + measured.difference, margin, num_videos)


def _one_sided_p(measured: Difference, gap: float, margin: float, num_videos: int) -> float:
    """p that a difference which lies ``gap`` inside a bound really lies on it, or outside.

    Student's t over the videos, with the standard error that the width of the bootstrap interval
    implies; never below 1 / (1 + NUM_DRAWS). Where no video differs there is no error to go by,
    and p is the chance of that: a difference of ``margin`` needs at least that share of videos.
    """
    error = (measured.high - measured.low) / (2 * norm.ppf((1 + CONFIDENCE) / 2))
    smallest = 1 / (1 + NUM_DRAWS)
    if error == 0:
        return max(smallest, (1 - margin) ** num_videos) if gap > 0 else 1.0
    return max(smallest, float(t.sf(gap / error, max(1, num_videos - 1))))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm 1979): one error in 20 families, not 20 tests."""
    if len(p_values) < 2:  # statsmodels runs the garbage collector, half a second with a model
        return list(p_values)
    return multipletests(p_values, method="holm")[1].tolist()


def skewness(counts: Sequence[int]) -> float:
    """Third standardised moment of tokens per segment; 0 where all segments have the same.

    scipy.stats.skew gives the same number, but takes 0.5 ms: half a minute for a claims table.
    """
    gap_N = np.asarray(counts, dtype=float) - np.mean(counts)
    spread = float((gap_N**2).mean())
    return float((gap_N**3).mean() / spread**1.5) if spread > 0 else 0.0


@dataclass(frozen=True)
class _Videos:
    """Sum of the values and number of questions per video (V,), and the places of each suite."""

    value_V: np.ndarray
    size_V: np.ndarray
    strata: list[np.ndarray]

    def residual(self) -> np.ndarray:
        """What each video's sum differs from the mean of its stratum (V,)."""
        residual_V = self.value_V.copy()
        for chosen in self.strata:
            mean = self.value_V[chosen].sum() / self.size_V[chosen].sum()
            residual_V[chosen] -= mean * self.size_V[chosen]
        return residual_V

    def variance(self) -> float:
        """Of the sum of all values, when the videos of each stratum are drawn again."""
        residual_V = self.residual()
        parts = [len(v) / (len(v) - 1) * (residual_V[v] ** 2).sum() for v in self.strata]
        return float(sum(parts))

    def centred(self, mean: float) -> np.ndarray:
        """The sums as if every stratum had the same ``mean``; of a single stratum as they are.

        A stratum's own mean takes one degree of freedom from its residuals, which are widened by
        it; a stratum of one video keeps its sum.
        """
        if len(self.strata) == 1:
            return self.value_V
        residual_V, shifted_V = self.residual(), self.value_V.copy()
        for v in self.strata:
            if len(v) > 1:
                widened = (len(v) / (len(v) - 1)) ** 0.5
                shifted_V[v] = mean * self.size_V[v] + residual_V[v] * widened
        return shifted_V


def _by_video(
    value_Q: np.ndarray, video_Q: Sequence[str], stratum_Q: Sequence[str] | None = None
) -> _Videos:
    """Values gathered by video; ValueError for another number of videos, or of strata."""
    given = [video_Q] if stratum_Q is None else [video_Q, stratum_Q]
    if any(len(names) != len(value_Q) for names in given) or not len(value_Q):
        sizes = " and ".join(str(len(names)) for names in (value_Q, *given))
        raise ValueError(f"need one video and one suite per question, got {sizes}")
    _, first_V, place_Q = np.unique(
        np.asarray(video_Q, dtype=str), return_index=True, return_inverse=True
    )
    sums_V, size_V = np.bincount(place_Q, weights=value_Q), np.bincount(place_Q).astype(float)
    names_V = np.zeros(len(first_V)) if stratum_Q is None else np.asarray(stratum_Q)[first_V]
    strata = [np.flatnonzero(names_V == name) for name in np.unique(names_V)]
    return _Videos(sums_V, size_V, strata)


def _sign_flip_p(gain_V: np.ndarray, sign_RV: np.ndarray, total: float) -> float:
    """Share of sign patterns whose sum is at least as far from 0 as the ``total`` observed."""
    differs_V = abs(gain_V) > 1e-12  # a flip does not change the others
    num_videos = int(differs_V.sum())
    observed = abs(total) - 1e-9  # guards rounding
    if num_videos <= MOST_EXACT_FLIPS:
        pattern_RV = np.arange(2**num_videos)[:, None] >> np.arange(num_videos) & 1
        return float((abs((2 * pattern_RV - 1) @ gain_V[differs_V]) >= observed).mean())
    as_far = int((abs(sign_RV @ gain_V) >= observed).sum())
    return (1 + as_far) / (1 + NUM_DRAWS)
