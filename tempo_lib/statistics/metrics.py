"""Accuracy with intervals clustered by video, paired tests and AUC, on plain arrays.

Questions about one video stand or fall together, so every interval and test treats the video
as the unit. Shape suffixes: Q questions, V videos, R draws.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from tempo_lib.miniature.world.questions import LETTERS, Question, is_correct

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95
NUM_DRAWS = 10_000  # of bootstraps and of sign flips
MOST_EXACT_FLIPS = 14  # up to 2**14 sign patterns are counted instead of drawn
ALL_KINDS = "all"
# What makes a video of pooled records one of its own, and what makes a question one.
CLUSTER = ("suite", "world_seed", "video")
ASKED = ("model_seed", "suite", "world_seed", "question_id")


@dataclass(frozen=True)
class Accuracy:
    """Share of right answers among ``n``, with its 95 % interval."""

    n: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Accuracy of the first minus that of the second on ``n`` questions, in -1..1."""

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
    All right or all wrong: the variance says nothing, and V counts as that number. One video:
    0 to 1. ValueError without questions.
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
    low, high = _wilson(share, effective, student_t(num_videos - 1))
    return Accuracy(n, share, low, high)


def paired_difference(
    first_Q: Sequence[bool], second_Q: Sequence[bool], video_Q: Sequence[str], seed: int
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
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(mean_R, [tail, 1 - tail])
    return Difference(
        n=len(gain_Q),
        difference=float(gain_V.sum() / size_V.sum()),
        low=float(low),
        high=float(high),
        p_value=_sign_flip_p(gain_V, sign_RV),
    )


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


def auc(scores: Sequence[float] | np.ndarray, relevant: Sequence[int]) -> float | None:
    """Probability that a relevant segment outscores another one, ties count half.

    None unless there are segments of both kinds.
    """
    score_N, relevant_N = np.asarray(scores, dtype=float), np.asarray(relevant, dtype=bool)
    if score_N.shape != relevant_N.shape:
        raise ValueError(f"{score_N.size} scores but {relevant_N.size} relevance labels")
    hit, miss = score_N[relevant_N], score_N[~relevant_N]
    if not len(hit) or not len(miss):
        return None
    above = hit[:, None] > miss[None, :]
    equal = hit[:, None] == miss[None, :]
    return float((above + 0.5 * equal).mean())


def floor_commonest(questions: Sequence[Question]) -> float:
    """Best accuracy of always giving the same answer to all questions of a kind and form.

    Every answer that occurs, and every letter where there are options, is tried on every question
    alike; what a model must beat.
    """
    right = 0
    for kind, is_choice in {(question.kind, bool(question.options)) for question in questions}:
        same = (q for q in questions if (q.kind, bool(q.options)) == (kind, is_choice))
        right += _right_with_one_answer(tuple(same))
    return right / len(questions)


def summary(frame: "pd.DataFrame") -> dict[str, Any]:
    """What ``tempo evaluate --out`` writes for the records of one variant.

    n, accuracy, interval, per_type and per_form (n, accuracy, interval, floor_commonest,
    relevance_auc each), tokens_per_frame (mean over questions), floor_commonest, relevance_auc,
    token_mismatch (mean of tokens the matched variant used and this one did not; None without
    one). ValueError for several variants in one frame.
    """
    names = list(frame["variant"].unique())
    if len(names) != 1:
        raise ValueError(f"a summary is of one variant, got {names or 'none'}; filter the frame")
    parts = {
        name: {str(value): _facts(part) for value, part in frame.groupby(column, sort=True)}
        for name, column in (("per_type", "kind"), ("per_form", "form"))
    }
    per_frame = float((frame["tokens_used"] / frame["num_frames"]).mean())
    unspent = (frame["matched_tokens"] - frame["tokens_used"]).dropna()
    mismatch = float(unspent.mean()) if len(unspent) else None
    return {**_facts(frame), **parts, "tokens_per_frame": per_frame, "token_mismatch": mismatch}


def accuracy_table(frame: "pd.DataFrame", by: str = "kind") -> "pd.DataFrame":
    """One row per variant and value of column ``by``, and "all": n, accuracy, low, high, floor.

    ``by``: kind, form, suite, model_seed or any other column of the records.
    """
    import pandas as pd

    rows = []
    for name, part in frame.groupby("variant", sort=False):
        groups = [(ALL_KINDS, part), *part.groupby(by, sort=True)]
        for value, group in groups:
            measured = asdict(accuracy(group["correct"].tolist(), clusters(group)))
            floor = floor_commonest(_questions(group))
            rows.append({"variant": name, by: value, **measured, "floor": floor})
    return pd.DataFrame(rows)


def pool_seeds(frames: Mapping[int, "pd.DataFrame"]) -> "pd.DataFrame":
    """The records of models of several training seeds as one frame with a column ``model_seed``.

    Intervals and tests still take the video for the unit, as all seeds answer the same videos:
    they speak of other videos under these models. How far other models would be, the seeds side
    by side show: ``accuracy_table(frame, by="model_seed")``.
    """
    import pandas as pd

    parts = [frame.assign(model_seed=seed) for seed, frame in frames.items()]
    return pd.concat(parts, ignore_index=True)


def clusters(frame: "pd.DataFrame") -> list[str]:
    """The video of every row, told apart from those of other suites and worlds."""
    columns = [name for name in CLUSTER if name in frame]
    return ["/".join(map(str, row)) for row in zip(*(frame[name] for name in columns), strict=True)]


def compare(frame: "pd.DataFrame", first: str, second: str, seed: int) -> Difference:
    """Paired difference of two variants of a frame; ValueError unless they share all questions."""
    parts = []
    for name in (first, second):
        keys = [key for key in ASKED if key in frame]
        part = frame[frame["variant"] == name].set_index(keys).sort_index()
        if part.empty:
            known = ", ".join(frame["variant"].unique())
            raise ValueError(f"no records of variant {name!r}; the frame holds {known}")
        parts.append(part)
    one, two = parts
    if list(one.index) != list(two.index):
        raise ValueError(f"{first} and {second} were not asked the same questions")
    videos = clusters(one.reset_index())
    return paired_difference(one["correct"].tolist(), two["correct"].tolist(), videos, seed)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm 1979): one error in 20 families, not in 20 tests.

    The k-th smallest of m counts m - k + 1 times, and none less than a smaller one's.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def student_t(degrees: int, confidence: float = CONFIDENCE) -> float:
    """Two-sided critical value of Student's t: 12.706 for 1 degree of freedom, 2.228 for 10.

    Exact for 1 and 2 degrees, else the expansion around the normal (Abramowitz and Stegun
    26.7.5), within 0.2 % at 3 degrees. It spares a dependency on scipy.
    """
    if degrees == 1:
        return math.tan(math.pi * confidence / 2)
    if degrees == 2:
        return confidence * math.sqrt(2 / (1 - confidence**2))
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / degrees**power for power, term in enumerate(terms))


@lru_cache(maxsize=1024)  # a table asks the same questions of every variant
def _right_with_one_answer(questions: tuple[Question, ...]) -> int:
    """Most of the questions, all of one kind and form, that one and the same answer gets right."""
    tried = {question.answer for question in questions}
    tried |= set(LETTERS) if questions[0].options else set()
    return max(sum(is_correct(question, text) for question in questions) for text in tried)


def _by_video(value_Q: np.ndarray, video_Q: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values and number of questions of each video, (V,) each."""
    if len(value_Q) != len(video_Q) or not len(value_Q):
        raise ValueError(f"need one video a question, got {len(value_Q)} and {len(video_Q)}")
    _, place_Q = np.unique(np.asarray(video_Q, dtype=str), return_inverse=True)
    return np.bincount(place_Q, weights=value_Q), np.bincount(place_Q).astype(float)


def _wilson(share: float, n: float, critical: float) -> tuple[float, float]:
    """Wilson score interval of a share of ``n`` (not necessarily whole) questions."""
    spread = critical**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    # the interval holds the share by theory; rounding may miss it at 0 and 1
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


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


def _facts(frame: "pd.DataFrame") -> dict[str, Any]:
    """n, accuracy, interval, floor and AUC of the rows of one variant."""
    measured = accuracy(frame["correct"].tolist(), clusters(frame))
    known = frame["auc"].dropna()
    return {
        "n": measured.n,
        "accuracy": measured.accuracy,
        "interval": [measured.low, measured.high],
        "floor_commonest": floor_commonest(_questions(frame)),
        "relevance_auc": float(known.mean()) if len(known) else None,
    }


def _questions(frame: "pd.DataFrame") -> list[Question]:
    """The questions as far as judging an answer needs them: of options, that there are some."""
    columns = ("kind", "form", "question", "answer", "start", "stop")
    return [
        Question(kind, text, answer, (), low, high, tuple(LETTERS) if form == "choice" else ())
        for kind, form, text, answer, low, high in zip(*(frame[c] for c in columns), strict=True)
    ]
