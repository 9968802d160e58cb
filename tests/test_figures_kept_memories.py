"""The static figure of kept memories: shares of likelihood, one bar per set."""

import numpy as np
import pytest

from tempo_lib.analysis.kept_memories import Effect, Effects
from tempo_lib.figures.kept_memories import candidate_shares


def effects_of(*logs):
    rows = [
        Effect(name=f"set {n}", positions=[0], num_kept=2, text="B", log_likelihoods=list(each))
        for n, each in enumerate(logs)
    ]
    facts = {"preset": "tiny", "question": "Who?\nA me\nB you", "capacity": 4}
    return Effects(candidates=["A", "B"], seconds=[1, 2], scores=[0, 1], effects=rows, **facts)


def test_bars_share_the_likelihood_and_stand_beside_each_other():
    fig = candidate_shares(effects_of([np.log(0.1), np.log(0.3)], [-5.0, -5.0]))
    first, second = fig.axes[0].containers
    assert [bar.get_width() for bar in first] == pytest.approx([0.25, 0.5])
    assert [bar.get_x() for bar in second] == pytest.approx([0.25, 0.5])
    assert [bar.get_width() for bar in second] == pytest.approx([0.75, 0.5])


def test_the_description_names_every_set_with_its_answer():
    fig = candidate_shares(effects_of([-1.0, -2.0]))
    assert "Who?" in fig.alt_text and "set 0, 'B'" in fig.alt_text
