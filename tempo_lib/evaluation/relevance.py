"""How well relevance scores tell segments that hold the evidence from others."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata


def auc(scores: Sequence[float] | np.ndarray, relevant: Sequence[int]) -> float | None:
    """Probability that a relevant segment has a higher score than another one, ties count half.

    None unless there are segments of both kinds. ValueError for unequal numbers.
    """
    score_N, relevant_N = np.asarray(scores, dtype=float), np.asarray(relevant, dtype=bool)
    if score_N.shape != relevant_N.shape:
        raise ValueError(f"{score_N.size} scores but {relevant_N.size} relevance labels")
    num_relevant = int(relevant_N.sum())
    num_pairs = num_relevant * (len(score_N) - num_relevant)
    if not num_pairs:
        return None
    # Mann and Whitney's U by ranks: exact, where scikit-learn's area under the curve rounds
    above = rankdata(score_N)[relevant_N].sum() - num_relevant * (num_relevant + 1) / 2
    return float(above / num_pairs)
