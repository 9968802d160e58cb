"""One number for semantic front-loading: how much more the head of a segment's memory tells.

Head and tail slices of equal size are asked the same questions. With H and T the areas under
their accuracy over k, the index is (H - T) / (H + T): 1 when tails answer nothing, 0 when it does
not matter which end is kept, -1 when heads answer nothing. What guessing gives is in both areas
and pulls the index towards 0, so an index is never too large for that reason.

Shape suffixes: Q questions, V videos, k sizes of a slice, R draws.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.evaluation.metrics import ALL_KINDS, ASKED, CONFIDENCE, NUM_DRAWS, clusters

if TYPE_CHECKING:
    import pandas as pd

HEAD, TAIL = "head", "tail"


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
    """The index of the rows of ``slices.slice_answers``; those of other schemes play no part.

    Areas are trapezoids over k, so sizes need not be evenly spaced. Interval: percentile
    bootstrap over videos; a single video says nothing about others, so it gives -1..1.
    ValueError unless head and tail were asked the same questions at the same two or more k.
    """
    head_Q, tail_Q, video_Q = _areas(answers)
    names, place_Q = np.unique(video_Q, return_inverse=True)
    head_V, tail_V = (np.bincount(place_Q, weights=area) for area in (head_Q, tail_Q))
    index = float(_index(head_V.sum(), tail_V.sum()))
    low, high = -1.0, 1.0
    if np.isnan(index):
        low = high = np.nan
    elif len(names) > 1:
        even_V = np.full(len(names), 1 / len(names))
        weight_RV = np.random.default_rng(seed).multinomial(len(names), even_V, size=NUM_DRAWS)
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
    groups = [(ALL_KINDS, answers)]
    groups += [] if by is None else list(answers.groupby(by, sort=True))
    rows = [{column: value, **vars(front_loading_index(part, seed))} for value, part in groups]
    return pd.DataFrame(rows)


def _areas(answers: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Head and tail area of every question, in 0..1 (Q,) each, and its video."""
    keys = [name for name in ASKED if name in answers]
    grids = []
    for scheme in (HEAD, TAIL):
        part = answers[answers["scheme"] == scheme]
        if part.empty:
            known = ", ".join(map(str, answers["scheme"].unique()))
            raise ValueError(f"no answers of scheme {scheme!r}; the frame holds {known}")
        named = part.assign(cluster=clusters(part)).set_index([*keys, "cluster", "k"])["correct"]
        grids.append(named.astype(float).unstack("k").sort_index(axis=0).sort_index(axis=1))
    head_Qk, tail_Qk = grids
    if not head_Qk.index.equals(tail_Qk.index) or not head_Qk.columns.equals(tail_Qk.columns):
        raise ValueError("head and tail were not asked the same questions at the same k")
    if head_Qk.isna().any(axis=None) or tail_Qk.isna().any(axis=None):
        raise ValueError("a question lacks some of the k; ask all of them at every k")
    k = head_Qk.columns.to_numpy(dtype=float)
    if len(k) < 2:
        raise ValueError(f"an area needs at least 2 values of k, got {len(k)}; ask more of them")
    video_Q = head_Qk.index.get_level_values("cluster").to_numpy()
    width = k[-1] - k[0]
    head_Q, tail_Q = (np.trapezoid(grid.to_numpy(), k, axis=1) / width for grid in grids)
    return head_Q, tail_Q, video_Q


def _index(head: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """(head - tail) / (head + tail), NaN where both are 0."""
    total = np.asarray(head + tail, dtype=float)
    return np.divide(head - tail, total, out=np.full_like(total, np.nan), where=total > 0)
