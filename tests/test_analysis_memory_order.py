"""Label-free instruments on planted divergences, and the order that they give."""

import pytest
import torch

from tempo_lib.analysis import label_free, memory_order
from tempo_lib.analysis.label_free import Reading
from tempo_lib.model.compressor import SegmentMemories

K = 6


@pytest.fixture
def planted(monkeypatch):
    """Readings whose divergence counts what is missing of 4 and of a copied pair, 1 and 2."""
    eye = torch.eye(K).expand(2, -1, -1)
    memories = [SegmentMemories(sign * eye, *[torch.zeros(2)] * 3) for sign in (1.0, -1.0)]

    def divergences(model, reading, cuts):
        shown = [set((cut[0].abs().amax(0) > 0.5).nonzero()[:, 0].tolist()) for cut in cuts]
        return [2.0 * (4 not in s) + 1.0 * (not s & {1, 2}) + 0.1 * (5 not in s) for s in shown]

    for module in (label_free, memory_order):
        monkeypatch.setattr(module, "divergences", divergences)
    return [Reading(f"Q{n}", each, (1,), torch.zeros(1, 3)) for n, each in enumerate(memories)]


def test_forward_selection_takes_one_of_two_copies_and_ablation_costs_neither(planted):
    assert memory_order.learn_order(None, planted)[:3] == [4, 1, 5]
    assert memory_order.learn_order(None, planted, "ablation")[:3] == [4, 5, 0]
    assert sorted(memory_order.learn_order(None, planted)) == list(range(K))
    table = label_free.ablation_costs(None, planted).set_index("position")
    assert table["cost"].round(6).to_dict() == {4: 2.0, 5: 0.1, 0: 0.0, 1: 0.0, 2: 0.0, 3: 0.0}


def test_cuts_are_measured_with_places_shifted_and_kept(planted):
    cuts = label_free.named_cuts(K, 2, best=[4, 1, 0, 2, 3, 5])
    assert cuts == {"head": [0, 1], "tail": [4, 5], "even": [0, 2], "odd": [1, 3], "best": [1, 4]}
    table = label_free.cut_divergences(None, planted, cuts)
    assert len(table) == 2 * 5 * 2
    means = table.groupby("cut")["kl"].mean()
    assert means.round(6).to_dict() == {"head": 2.1, "tail": 1.0, "even": 2.1, "odd": 2.1} | {
        "best": 0.1
    }


def test_orders_of_all_memories_are_compared_by_name(planted, monkeypatch):
    first = lambda model, reading, cuts: [float(cut[0].argmax(-1)[0]) for cut in cuts]  # noqa: E731
    monkeypatch.setattr(label_free, "divergences", first)
    orders = {"own": range(K), "backwards": range(K - 1, -1, -1)}
    table = label_free.order_divergences(None, planted[:1], orders)
    assert table.set_index("order")["kl"].to_dict() == {"own": 0.0, "backwards": K - 1.0}


def test_an_unknown_method_and_no_questions_are_refused(planted):
    with pytest.raises(ValueError, match="unknown method 'x'; known: forward, ablation"):
        memory_order.learn_order(None, planted, "x")
    with pytest.raises(ValueError, match="from questions, and there is none"):
        memory_order.forward_order(None, [])


def test_whole_memories_diverge_by_nothing_and_fewer_by_something(tiny_tempo):
    capacity, width = tiny_tempo.config.num_memory_tokens, tiny_tempo.projector.in_features
    memories_NKd = torch.randn(2, capacity, width, generator=torch.Generator().manual_seed(1))
    zeros_N = torch.zeros(2)
    memories = SegmentMemories(memories_NKd, zeros_N, torch.tensor([0.0, 4.0]), zeros_N)
    reading = label_free.read(tiny_tempo, memories, "Which number is shown?")
    cuts = [memories_NKd, memories_NKd[:, :2], memories_NKd.flip(1)]
    whole, two, backwards = label_free.divergences(tiny_tempo, reading, cuts)
    assert whole == pytest.approx(0.0, abs=1e-5)
    assert min(two, backwards) > 1e-4
    assert reading.whole_TV.exp().sum(-1).allclose(torch.ones(len(reading.answer)), atol=1e-4)
