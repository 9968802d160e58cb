"""Accuracy with intervals clustered by video, and paired tests, on plain arrays.

Questions about one video are right or wrong together, so every interval and test takes the video
as the unit: scipy and statsmodels hold the distributions, the clustering is ours. Shape suffixes:
Q questions, V videos, R draws, N segments.
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
    """Mean of the first minus that of the second over ``n`` questions; of accuracies in -1..1."""

    n: int
    difference: float
    low: float
    high: float
    p_value: float


def accuracy(correct_Q: Sequence[bool], video_Q: Sequence[str]) -> Accuracy:
    """Share of right answers with a Wilson interval on the effective number of questions.

    The share is a ratio estimate over V videos of unequal size (Cochran, Sampling Techniques,
    3rd ed., sec. 9A.1); its variance gives the effective number of questions, at most Q, and
    Student's t with V - 1 degrees the width (Korn and Graubard 1998; Dean and Pagano 2015).
    All right or all wrong: the variance is 0, and V counts as that number. One video: 0 to 1.
    ValueError without questions.
    """
    right_V, size_V = _by_video(np.asarray(correct_Q, dtype=float), video_Q)
    n, num_videos = int(size_V.sum()), len(size_V)
    share = float(right_V.sum() / n)
    if num_videos == 1:
        return Accuracy(n, share, 0.0, 1.0)
    effective = float(num_videos)
    if 0.0 < share < 1.0:
        residual_V = right_V - share * size_V
        variance = num_videos / (num_videos - 1) * float((residual_V**2).sum()) / n**2
        effective = min(float(n), share * (1 - share) / variance) if variance else float(n)
    # statsmodels takes the quantile of a normal: the level at which that is Student's
    level = 2 * norm.sf(t.ppf((1 + CONFIDENCE) / 2, num_videos - 1))
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
    residual_V, _ = _by_video(residual_Q, video_Q)
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
    first_Q: Sequence[float], second_Q: Sequence[float], video_Q: Sequence[str], seed: int
) -> Difference:
    """Compare two variants on the same questions in the same order.

    Interval: percentile bootstrap over videos (Davison and Hinkley 1997, sec. 3.8). p: two-sided
    sign-flip permutation test over videos, counted exactly for up to 14 videos that differ,
    else drawn and never 0 (Phipson and Smyth 2010). ValueError for unequal numbers.
    """
    if len(first_Q) != len(second_Q):
        raise ValueError(f"paired answers differ in number: {len(first_Q)} and {len(second_Q)}")
    gain_Q = np.asarray(first_Q, dtype=float) - np.asarray(second_Q, dtype=float)
    gain_V, size_V = _by_video(gain_Q, video_Q)
    weight_RV, sign_RV = video_draws(seed, len(gain_V))
    mean_R = (weight_RV @ gain_V) / (weight_RV @ size_V)
    low, high = np.quantile(mean_R, [ALPHA / 2, 1 - ALPHA / 2])
    return Difference(
        n=len(gain_Q),
        difference=float(gain_V.sum() / size_V.sum()),
        low=float(low),
        high=float(high),
        p_value=_sign_flip_p(gain_V, sign_RV),
    )


def mean_interval(value_Q: Sequence[float], video_Q: Sequence[str], seed: int) -> Difference:
    """Mean over questions with its bootstrap interval; p that it is 0. See paired_difference."""
    return paired_difference(value_Q, np.zeros(len(value_Q)).tolist(), video_Q, seed)


@lru_cache(maxsize=4)  # a table compares dozens of pairs on the same videos
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
    """p of two one-sided tests (Schuirmann 1987) that the difference is not within ``margin``.

    Normal, with the standard error that the width of the bootstrap interval implies; never
    below 1 / (1 + NUM_DRAWS). Where no video differs there is no error to go by, and p is the
    chance of that: a difference of ``margin`` needs at least that share of videos.
    """
    gap = margin - abs(measured.difference)
    error = (measured.high - measured.low) / (2 * norm.ppf((1 + CONFIDENCE) / 2))
    smallest = 1 / (1 + NUM_DRAWS)
    if error == 0:
        return max(smallest, (1 - margin) ** num_videos) if gap > 0 else 1.0
    return max(smallest, float(norm.sf(gap / error)))


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


def _by_video(value_Q: np.ndarray, video_Q: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values and number of questions of each video, (V,) each."""
    if len(value_Q) != len(video_Q) or not len(value_Q):
        raise ValueError(f"need one video per question, got {len(value_Q)} and {len(video_Q)}")
    _, place_Q = np.unique(np.asarray(video_Q, dtype=str), return_inverse=True)
    return np.bincount(place_Q, weights=value_Q), np.bincount(place_Q).astype(float)


def _sign_flip_p(gain_V: np.ndarray, sign_RV: np.ndarray) -> float:
    """Share of sign patterns whose total is at least as far from 0 as the one observed."""
    differs_V = gain_V != 0  # a flip does not change the others
    num_videos = int(differs_V.sum())
    observed = abs(gain_V.sum()) - 1e-9  # gains are whole numbers: only guards rounding
    if num_videos <= MOST_EXACT_FLIPS:
        pattern_RV = np.arange(2**num_videos)[:, None] >> np.arange(num_videos) & 1
        return float((abs((2 * pattern_RV - 1) @ gain_V[differs_V]) >= observed).mean())
    as_far = int((abs(sign_RV @ gain_V) >= observed).sum())
    return (1 + as_far) / (1 + NUM_DRAWS)
