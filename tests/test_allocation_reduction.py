"""What is kept of each segment's memory: order, gradients, recorded merges, errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tempo_lib.allocation.reduction import SCHEMES, merge_tokens, reduce_memories
from tempo_lib.parity.records import load_table


def memories(num_segments=3, capacity=8, num_channels=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_segments, capacity, num_channels, generator=generator)


def assert_merges_equal(table):
    names = sorted(name[:-2] for name in table.files if name.startswith("tome") and name[-1] == "x")
    for name in names:
        tokens_Kd = torch.from_numpy(table[f"{name}_x"])
        expected_kd = torch.from_numpy(table[f"{name}_y"])
        kept_kd = merge_tokens(tokens_Kd, len(expected_kd))
        # The bound is for other float32 kernels; here the difference is zero.
        torch.testing.assert_close(kept_kd, expected_kd, atol=1e-6, rtol=0, msg=name)
    return len(names)


def assert_schemes_equal(table):
    memories_NKd = torch.from_numpy(table["strategy_x"])
    counts_N = table["strategy_alloc_budget40_min4"]
    for scheme, recorded in (("head", "head"), ("tail", "tail"), ("merge", "tome")):
        kept = torch.cat(reduce_memories(memories_NKd, counts_N, scheme))
        expected = torch.from_numpy(table[f"strategy_{recorded}"])
        torch.testing.assert_close(kept, expected, atol=1e-6, rtol=0, msg=scheme)


def test_merge_and_schemes_equal_the_release_on_every_recorded_case(golden_dir):
    table = np.load(golden_dir / "tables" / "merge_strategies.npz")
    listed = load_table(golden_dir, "merge_strategies")["tome"]
    assert assert_merges_equal(table) == len(listed)
    assert_schemes_equal(table)


def test_head_keeps_the_first_tokens_and_tail_the_last_in_order():
    memories_NKd = memories()
    counts = [0, 3, 8]
    head = reduce_memories(memories_NKd, counts, "head")
    tail = reduce_memories(memories_NKd, counts, "tail")
    assert [tuple(kept.shape) for kept in head] == [(0, 4), (3, 4), (8, 4)]
    assert [tuple(kept.shape) for kept in tail] == [(0, 4), (3, 4), (8, 4)]
    assert torch.equal(head[1], memories_NKd[1, :3])
    assert torch.equal(tail[1], memories_NKd[1, 5:])
    assert torch.equal(head[2], tail[2])


def test_head_is_the_default():
    memories_NKd = memories()
    for kept, expected in zip(
        reduce_memories(memories_NKd, [2, 2, 2]), memories_NKd[:, :2], strict=True
    ):
        assert torch.equal(kept, expected)


def test_none_keeps_everything():
    memories_NKd = memories()
    for counts in (None, [8, 8, 8], torch.tensor([8, 8, 8])):
        assert torch.equal(torch.stack(reduce_memories(memories_NKd, counts, "none")), memories_NKd)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 24), st.data())
def test_every_scheme_returns_exactly_the_counts(capacity, data):
    counts = data.draw(st.lists(st.integers(0, capacity), min_size=1, max_size=4))
    memories_NKd = memories(len(counts), capacity)
    for scheme in ("head", "tail", "merge"):
        kept = reduce_memories(memories_NKd, np.array(counts), scheme)
        assert [tuple(segment.shape) for segment in kept] == [(k, 4) for k in counts]
        full = [i for i, k in enumerate(counts) if k == capacity]
        for i in full:
            assert torch.equal(kept[i], memories_NKd[i])


def test_merge_averages_the_most_similar_pair_by_hand():
    tokens_Kd = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 3.0], [-1.0, 0.0]])
    # Even places 0 and 2 look for a partner among 1 and 3: token 2 points exactly along token 1.
    expected = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    assert torch.equal(merge_tokens(tokens_Kd, 3), expected)


def test_merge_takes_the_earlier_of_equally_good_matches():
    tokens_Kd = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert torch.equal(merge_tokens(tokens_Kd, 3), tokens_Kd[[2, 1, 3]])
    assert torch.isfinite(merge_tokens(torch.zeros(6, 2), 2)).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradients_reach_exactly_the_memories_that_are_kept(scheme):
    memories_NKd = memories().requires_grad_()
    counts = [8, 8, 8] if scheme == "none" else [0, 3, 5]
    torch.cat(reduce_memories(memories_NKd, counts, scheme)).sum().backward()
    has_gradient_NK = memories_NKd.grad.abs().sum(-1) > 0
    expected_NK = torch.zeros(3, 8, dtype=torch.bool)
    for i, k in enumerate(counts):
        kept = {"head": slice(k), "tail": slice(8 - k, 8), "merge": slice(8 if k else 0)}
        expected_NK[i, kept.get(scheme, slice(8))] = True
    assert torch.equal(has_gradient_NK, expected_NK)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_keep_the_dtype_of_the_memories(scheme):
    counts = [8, 8, 8] if scheme == "none" else [1, 4, 6]
    for kept in reduce_memories(memories().bfloat16(), counts, scheme):
        assert kept.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("counts", "scheme", "match"),
    [
        ([1, 2], "head", r"counts must be \(3,\), one per segment, got \(2,\)"),
        ([1, 9, 2], "head", r"counts must be in 0\.\.8, got 9 at segment 1"),
        ([1, 2, -1], "tail", r"counts must be in 0\.\.8, got -1 at segment 2"),
        ([1.0, 2.0, 3.0], "merge", "counts must be integers"),
        (None, "head", "scheme 'head' needs counts"),
        ([8, 8, 7], "none", "keeps all 8 tokens of every segment, got counts down to 7"),
        ([1, 2, 3], "middle", "scheme must be one of head, tail, merge, none, got 'middle'"),
    ],
)
def test_reduce_memories_names_what_does_not_match(counts, scheme, match):
    with pytest.raises(ValueError, match=match):
        reduce_memories(memories(), counts, scheme)


def test_reduce_memories_and_merge_reject_wrong_shapes():
    with pytest.raises(ValueError, match=r"memories must be \(N, K, d\), got shape \(8, 4\)"):
        reduce_memories(memories()[0], [1], "head")
    with pytest.raises(ValueError, match=r"num_kept must be in 0\.\.8, got 9"):
        merge_tokens(memories()[0], 9)
