"""What a position carries: ablated memories, and profiles of the loss without each."""

import numpy as np
import torch

from tempo_lib.analysis.position_losses import BLIND, HEAD, TAIL, WHOLE, ablations, profile


def test_every_position_is_left_out_once():
    found = ablations(4)
    assert found[WHOLE].tolist() == [True] * 4 and found[BLIND].tolist() == [False] * 4
    assert found[HEAD].tolist() == [False, False, True, True]
    assert torch.equal(found[TAIL], ~found[HEAD])
    assert [found[str(place)].sum().item() for place in range(4)] == [3] * 4


def test_a_profile_is_in_the_order_of_positions():
    losses = {WHOLE: 1.0, "10": 3.0, "2": 1.5, BLIND: 9.0}
    assert np.allclose(profile(losses), [0.5, 2.0])
