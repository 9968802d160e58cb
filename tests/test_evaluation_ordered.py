"""Heads of a learned order: the same tokens, other positions, and records of their own."""

import json

import pytest
import torch

from tempo_lib.allocation.policies import Limits, PolicyOptions, token_counts
from tempo_lib.allocation.reduction import reduce_memories
from tempo_lib.evaluation import ordered
from tempo_lib.evaluation.jobs import policy_options
from tempo_lib.evaluation.records import code_facts, model_facts, weights_digest
from tempo_lib.evaluation.variants import get_variant
from tempo_lib.fingerprint import code_files
from tempo_lib.model.compressor import Cut, SegmentMemories

ORDER = [3, 0, 2, 1]


def test_a_head_holds_the_first_of_the_order_in_the_positions_own_order():
    memories_NKd = torch.arange(8.0).reshape(2, 4, 1)
    moved = ordered.first_of_order(memories_NKd, [2, 3], ORDER)
    kept = reduce_memories(moved, [2, 3])
    assert [each.flatten().tolist() for each in kept] == [[0.0, 3.0], [4.0, 6.0, 7.0]]
    whole = ordered.first_of_order(memories_NKd, [4, 4], ORDER)
    assert torch.equal(whole, memories_NKd)
    assert ordered.first_of_order(memories_NKd, [0, 0], ORDER).shape == (2, 4, 1)


def test_an_order_names_every_position_once():
    with pytest.raises(ValueError, match="each of the 4 positions once, got"):
        ordered.first_of_order(torch.zeros(1, 4, 1), [1], [0, 1, 1, 2])


def test_ordered_variants_use_the_tokens_of_those_they_are_compared_with():
    logits_N, limits = torch.tensor([-3.0, 2.0, 0.5]), Limits(40, 1, 32)
    for name, plain in ((ordered.ATA_ORDERED, "ata"), (ordered.FIXED_ORDERED, "head-fixed")):
        counts = [
            token_counts(row.allocation, logits_N, limits, policy_options(row), torch.Generator())
            for row in (get_variant(name), get_variant(plain))
        ]
        assert torch.equal(*counts)
        assert get_variant(name).beyond_paper
    share = PolicyOptions(use_all=True)
    all_of = token_counts("fixed", logits_N, limits, share, torch.Generator())
    same = token_counts(ordered.FIXED_ORDERED, logits_N, limits, share, torch.Generator())
    assert torch.equal(all_of, same)


def test_a_model_with_an_order_shares_weights_and_reads_other_heads(tiny_tempo):
    capacity, width = tiny_tempo.config.num_memory_tokens, tiny_tempo.projector.in_features
    order = list(reversed(range(capacity)))
    turned = ordered.with_order(tiny_tempo, order)
    generator = torch.Generator().manual_seed(0)
    memories_NKd = torch.randn(2, capacity, width, generator=generator)
    zeros_N = torch.zeros(2)
    memories = SegmentMemories(memories_NKd, zeros_N, torch.tensor([0.0, 4.0]), zeros_N)
    counts_N = torch.tensor([3, 5])
    with torch.no_grad():
        head = turned.prompt_embeds(Cut(memories, counts_N), "Who?", 4)
        tail = tiny_tempo.prompt_embeds(Cut(memories, counts_N, "tail"), "Who?", 4)
        first = tiny_tempo.prompt_embeds(Cut(memories, counts_N), "Who?", 4)
    assert torch.equal(head, tail)
    assert not torch.equal(head, first)
    assert turned.compressor is tiny_tempo.compressor
    assert "memory_order" not in tiny_tempo.state_dict()


def test_records_tell_orders_apart_and_those_without_one_stay(tiny_tempo):
    before = model_facts(tiny_tempo)
    turned = model_facts(ordered.with_order(tiny_tempo, range(32)))
    other = model_facts(ordered.with_order(tiny_tempo, [1, 0, *range(2, 32)]))
    assert model_facts(tiny_tempo) == before
    assert len({before["weights"], turned["weights"], other["weights"]}) == 3
    file = ordered.__file__
    assert not any(str(each) == file for each in code_files("tempo_lib.evaluation.runner"))
    assert code_facts()["code"] != code_facts("tempo_lib.evaluation.ordered")["code"]


def test_variants_are_bound_to_the_order_that_is_kept(tiny_tempo, tmp_path):
    rows = [get_variant("ata"), get_variant(ordered.ATA_ORDERED)]
    with pytest.raises(ValueError, match="no order of memory positions for these weights at"):
        ordered.bound_to_order(tiny_tempo, rows, tmp_path)
    assert ordered.bound_to_order(tiny_tempo, rows[:1], tmp_path) == (rows[:1], {})
    path = ordered.order_file(tiny_tempo, tmp_path)
    path.parent.mkdir(parents=True)
    order = list(range(1, 32)) + [0]
    kept = {"order": order, "weights": weights_digest(tiny_tempo)}
    path.write_text(json.dumps(kept))
    bound, models = ordered.bound_to_order(tiny_tempo, rows, tmp_path)
    assert [row.checkpoint for row in bound] == [None, ordered.ORDERED]
    assert models[ordered.ORDERED].memory_order.tolist() == order
    path.write_text(json.dumps({**kept, "weights": "of another model"}))
    with pytest.raises(ValueError, match="learn it with"):
        ordered.read_order(tiny_tempo, tmp_path)
