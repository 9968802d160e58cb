"""The area under the ROC curve of relevance scores, by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tempo_lib.evaluation.relevance import auc


def test_auc_counts_pairs_and_ties_half():
    assert auc([0.9, 0.8, 0.1], [1, 1, 0]) == 1.0
    assert auc([0.1, 0.9], [1, 0]) == 0.0
    assert auc([0.5, 0.5, 0.2, 0.9], [1, 0, 0, 0]) == 0.5  # one tie, one win, one loss
    assert auc([0.5, 0.6], [1, 1]) is None
    with pytest.raises(ValueError, match="2 scores but 1"):
        auc([0.5, 0.6], [1])


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    relevant = rng.integers(0, 2, 30)
    scores = np.round(rng.random(30), 1)  # with ties
    assert auc(scores, relevant) == pytest.approx(roc_auc_score(relevant, scores))
