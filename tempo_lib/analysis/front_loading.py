"""One number for semantic front-loading: how much more the head of a segment's memories holds.

Head and tail slices of equal size answer the same questions. With H and T the areas under their
accuracy over k, the index is (H - T) / (H + T): 1 when tails answer nothing, 0 when it does not
matter which end is kept, -1 when heads answer nothing. What guessing gives is in both areas and
moves the index towards 0, so an index is never too large for that reason.

Every experiment of the lesson ends in a ``Difference``; ``findings`` judges them together.

Shape suffixes: Q questions, V videos, k sizes of a slice, R draws.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.statistics.intervals import (
    ALPHA,
    CONFIDENCE,
    Difference,
    holm,
    paired_difference,
    video_draws,
)
from tempo_lib.statistics.summaries import ALL, QUESTION, clusters
from tempo_lib.statistics.verdicts import NOT_SHOWN, REVERSED, SHOWN

if TYPE_CHECKING:
    import pandas as pd

HEAD, TAIL = "head", "tail"
FEW_ANSWERS = 0.05  # below this accuracy at both ends, an index rests on a few lucky answers


@dataclass(frozen=True)
class FrontLoading:
    """The index with its 95 % interval; ``head`` and ``tail`` are mean accuracies over k.

    ``index`` and its bounds are NaN where neither end answers anything.
    """

    n: int
    num_videos: int
    head: float
    tail: float
    index: float
    low: float
    high: float


def front_loading_index(answers: "pd.DataFrame", seed: int) -> FrontLoading:
    """The index of the rows of ``slices.slice_answers``; those of other schemes are ignored.

    Areas are trapezoids over k, so sizes need not be evenly spaced. Interval: percentile
    bootstrap over videos; a single video says nothing about others, so it gives -1..1.
    ValueError unless head and tail have the same questions at the same two or more k.
    """
    head_Q, tail_Q, video_Q = _areas(answers, HEAD, TAIL)
    names, place_Q = np.unique(video_Q, return_inverse=True)
    head_V, tail_V = (np.bincount(place_Q, weights=area) for area in (head_Q, tail_Q))
    index = float(_index(head_V.sum(), tail_V.sum()))
    low, high = -1.0, 1.0
    if np.isnan(index):
        low = high = np.nan
    elif len(names) > 1:
        weight_RV, _ = video_draws(seed, len(names))
        rest = (1 - CONFIDENCE) / 2
        drawn_R = _index(weight_RV @ head_V, weight_RV @ tail_V)
        low, high = np.nanquantile(drawn_R, [rest, 1 - rest])
    mean = (float(head_Q.mean()), float(tail_Q.mean()))
    return FrontLoading(len(head_Q), len(names), *mean, index, float(low), float(high))


def front_loading_table(
    answers: "pd.DataFrame", seed: int, by: str | None = "kind"
) -> "pd.DataFrame":
    """One row for "all" and for every value of column ``by``: the fields of ``FrontLoading``."""
    import pandas as pd

    column = "kind" if by is None else by
    groups = [(ALL, answers)]
    groups += [] if by is None else list(answers.groupby(by, sort=True))
    rows = [{column: value, **vars(front_loading_index(part, seed))} for value, part in groups]
    return pd.DataFrame(rows)


def area_difference(
    answers: "pd.DataFrame", seed: int, first: str = HEAD, second: str = TAIL
) -> Difference:
    """Area under ``first`` minus that under ``second``: accuracies averaged over k, paired.

    ValueError unless both schemes have the same questions at the same two or more k.
    """
    first_Q, second_Q, video_Q = _areas(answers, first, second)
    return paired_difference(first_Q.tolist(), second_Q.tolist(), video_Q.tolist(), seed)


def index_by(answers: "pd.DataFrame", column: str, seed: int) -> "pd.DataFrame":
    """One row per value of ``column`` (checkpoint, step), in the order of the frame: that column
    and the fields of ``FrontLoading``. Each value has the same questions."""
    import pandas as pd

    parts = answers.groupby(column, sort=False)
    rows = [{column: value, **vars(front_loading_index(part, seed))} for value, part in parts]
    return pd.DataFrame(rows)


def lead_by_step(answers: "pd.DataFrame", seed: int) -> dict[str, Difference]:
    """``"base to stage0"`` and so on: the change of head area minus tail area, paired.

    ValueError where a checkpoint has other questions than the one before it.
    """
    leads = {}
    for name, part in answers.groupby("checkpoint", sort=False):
        head_Q, tail_Q, video_Q = _areas(part, HEAD, TAIL)
        leads[name] = (head_Q - tail_Q, video_Q)
    steps = {}
    for (before, (lead_Q, video_Q)), (after, (later_Q, same_Q)) in pairwise(leads.items()):
        if not np.array_equal(video_Q, same_Q):
            raise ValueError(f"{before} and {after} do not have the same questions")
        change = paired_difference(later_Q.tolist(), lead_Q.tolist(), video_Q.tolist(), seed)
        steps[f"{before} to {after}"] = change
    return steps


def findings(found: Sequence[tuple[str, str, Difference]]) -> "pd.DataFrame":
    """Columns topic, statement, n, effect, low, high, p, p_holm, verdict of (topic, statement,
    measured).

    Each statement is that its effect is above 0: shown or reversed where p, corrected for the
    number of statements (Holm), is below 0.05, else not shown.
    """
    import pandas as pd

    corrected = holm([measured.p_value for _, _, measured in found])
    rows = []
    for (topic, statement, measured), p_holm in zip(found, corrected, strict=True):
        facts = asdict(measured)
        facts["effect"], facts["p"] = facts.pop("difference"), facts.pop("p_value")
        sign = SHOWN if measured.difference > 0 else REVERSED
        verdict = sign if p_holm < ALPHA else NOT_SHOWN
        what = {"topic": topic, "statement": statement}
        rows.append({**what, **facts, "p_holm": p_holm, "verdict": verdict})
    columns = ["topic", "statement", "n", "effect", "low", "high", "p", "p_holm", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _areas(
    answers: "pd.DataFrame", first: str, second: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Areas of every question under two schemes, in 0..1 (Q,) each, and its video."""
    keys = [name for name in QUESTION if name in answers]
    grids = []
    for scheme in (first, second):
        part = answers[answers["scheme"] == scheme]
        if part.empty:
            known = ", ".join(map(str, answers["scheme"].unique()))
            raise ValueError(f"no answers of scheme {scheme!r}; the frame holds {known}")
        named = part.assign(cluster=clusters(part)).set_index([*keys, "cluster", "k"])["correct"]
        grids.append(named.astype(float).unstack("k").sort_index(axis=0).sort_index(axis=1))
    first_Qk, second_Qk = grids
    if not first_Qk.index.equals(second_Qk.index) or not first_Qk.columns.equals(second_Qk.columns):
        raise ValueError(f"{first} and {second} do not have the same questions at the same k")
    if first_Qk.isna().any(axis=None) or second_Qk.isna().any(axis=None):
        raise ValueError("a question lacks some of the k; measure all of them at every k")
    k = first_Qk.columns.to_numpy(dtype=float)
    if len(k) < 2:
        raise ValueError(
            f"an area needs at least 2 values of k, got {len(k)}; measure more of them"
        )
    video_Q = first_Qk.index.get_level_values("cluster").to_numpy()
    width = k[-1] - k[0]
    first_Q, second_Q = (np.trapezoid(grid.to_numpy(), k, axis=1) / width for grid in grids)
    return first_Q, second_Q, video_Q


def _index(head: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """(head - tail) / (head + tail), NaN where both are 0."""
    total = np.asarray(head + tail, dtype=float)
    return np.divide(head - tail, total, out=np.full_like(total, np.nan), where=total > 0)
