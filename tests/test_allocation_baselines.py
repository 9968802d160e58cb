"""The baselines of Adaptive Token Allocation (Table 2B, 2C): budgets, choices, errors."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tempo_lib.allocation.baselines import (
    allocate_adversarial,
    allocate_fixed,
    allocate_random_drop,
    allocate_top_k,
    allocate_uniform,
    fill_evenly,
    fill_in_order,
    uniform_max_frames,
)
from tempo_lib.allocation.policies import Limits, PolicyOptions, token_counts
from tempo_lib.parity.records import load_table

tenths = st.integers(0, 10).map(lambda tenth: tenth / 10)
any_scores = st.lists(st.one_of(tenths, st.floats(-1e3, 1e3)), min_size=1, max_size=150)
any_budget = st.one_of(st.integers(0, 64), st.integers(0, 20_000))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(any_scores, any_budget, st.integers(1, 200), st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_every_baseline_stays_within_the_budget(scores, budget, k_max, drop_ratio):
    num_segments = len(scores)
    generator = torch.Generator().manual_seed(7)
    baselines = [
        allocate_uniform(num_segments, budget, k_max),
        allocate_fixed(num_segments, k_max, budget),
        allocate_top_k(scores, budget, k_max, drop_ratio),
        allocate_adversarial(scores, budget, k_max, drop_ratio),
        allocate_random_drop(
            num_segments, budget, k_max, generator=generator, drop_ratio=drop_ratio
        ),
    ]
    for k_N in baselines:
        assert k_N.shape == (num_segments,)
        assert k_N.dtype == torch.int64
        assert 0 <= int(k_N.min()) <= int(k_N.max()) <= k_max
        assert int(k_N.sum()) <= budget
        assert int(k_N.sum()) > 0 or budget == 0


def test_top_k_and_adversarial_equal_the_release_at_its_drop_ratio(golden_dir):
    rows = load_table(golden_dir, "merge_strategies")["topk_compress"]
    assert len(rows) == 24
    for row in rows:
        baseline = {"topk": allocate_top_k, "lastk": allocate_adversarial}[row["strategy"]]
        full = row["n_tokens"]
        k_N = baseline(row["scores"], 10**6, k_max=full, drop_ratio=row["drop_ratio"])
        ours = sorted(s for s, k in zip(row["scores"], k_N.tolist(), strict=True) if k)
        kept = [s for s, k in zip(row["scores"], row["kept"], strict=True) if k == full]
        assert ours == sorted(kept), row  # the release breaks ties in no fixed order


def test_routing_baselines_keep_whole_segments_while_the_budget_lasts():
    scores = [0.2, 0.9, 0.9, 0.1, 0.1]
    assert allocate_top_k(scores, 300).tolist() == [0, 128, 128, 0, 0]
    assert allocate_adversarial(scores, 300).tolist() == [0, 0, 0, 128, 128]
    assert allocate_top_k(scores, 128).tolist() == [0, 128, 0, 0, 0]
    assert allocate_adversarial(scores, 128).tolist() == [0, 0, 0, 128, 0]


def test_a_budget_below_one_segment_goes_to_the_first_choice():
    assert allocate_top_k([0.1, 0.9, 0.5], 100).tolist() == [0, 100, 0]
    assert allocate_top_k([0.1, 0.9, 0.5], 0).tolist() == [0, 0, 0]


def test_the_papers_routing_keeps_half_of_128_segments_at_8k():
    scores_N = torch.linspace(0, 1, 128)
    generator = torch.Generator().manual_seed(0)
    by_drop = allocate_top_k(scores_N, 8192, drop_ratio=0.5)
    assert torch.equal(by_drop, allocate_top_k(scores_N, 8192))
    assert int((by_drop == 128).sum()) == 64
    assert int((allocate_random_drop(128, 8192, generator=generator) == 128).sum()) == 64


def test_uniform_gives_equal_counts_and_the_papers_frame_cap():
    assert allocate_uniform(128, 8192).tolist() == [64] * 128
    assert uniform_max_frames(8192) == 512
    assert allocate_uniform(512 // 8, 8192).tolist() == [128] * 64
    with pytest.raises(ValueError, match="k_max=128 tokens, got 100"):
        uniform_max_frames(100)


def test_uniform_spreads_single_tokens_when_segments_outnumber_tokens():
    assert allocate_uniform(6, 2).tolist() == [0, 1, 0, 0, 1, 0]
    assert allocate_uniform(3, 0).tolist() == [0, 0, 0]


def test_fixed_gives_every_segment_k_and_keeps_the_budget():
    assert allocate_fixed(128, 64, 8192).tolist() == [64] * 128
    assert allocate_fixed(4, 64, 100).tolist() == [25] * 4


def test_random_drop_repeats_with_the_seed_and_varies_without():
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return allocate_random_drop(40, 1024, 128, generator=generator).tolist()

    assert draw(1) == draw(1)
    assert len({tuple(draw(seed)) for seed in range(5)}) > 1


def test_random_drop_keeps_every_segment_equally_often():
    generator = torch.Generator().manual_seed(0)
    num_draws = 2000
    times_N = torch.zeros(8)
    for _ in range(num_draws):
        times_N += allocate_random_drop(8, 512, 128, generator=generator) > 0
    # p = 1/2 over 2000 draws: the standard deviation of a share is 0.011.
    assert ((times_N / num_draws - 0.5).abs() < 0.05).all()


def test_even_filling_spreads_what_does_not_divide():
    assert fill_evenly(4, 10, 16).tolist() == [2, 3, 2, 3]
    assert fill_evenly(3, 100, 16).tolist() == [16, 16, 16]
    assert fill_evenly(5, 2, 16).tolist() == [0, 1, 0, 1, 0]


def test_filling_in_order_gives_the_rest_to_the_next_segment():
    assert fill_in_order(torch.tensor([2, 0, 1]), 20, 16).tolist() == [4, 0, 16]
    assert fill_in_order(torch.tensor([1, 0]), 100, 16).tolist() == [16, 16]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: allocate_uniform(0, 9), "num_segments must be an integer of at least 1, got 0"),
        (lambda: allocate_uniform(2, -1), "budget must be an integer"),
        (lambda: allocate_fixed(2, 0, 9), "k must be an integer of at least 1, got 0"),
        (lambda: allocate_top_k([0.1], 9, drop_ratio=1.0), r"drop_ratio must be in \[0, 1\)"),
        (lambda: allocate_top_k([], 9), "at least 1 segment"),
        (
            lambda: allocate_random_drop(0, 9, generator=torch.Generator()),
            "num_segments must be an integer of at least 1, got 0",
        ),
    ],
)
def test_baselines_name_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call()


LOGITS = torch.tensor([0.1, 0.9, 0.5, 0.3])


def by_policy(name, budget, **options):
    limits, chance = Limits(budget, 0, 8), torch.Generator().manual_seed(0)
    return token_counts(name, LOGITS, limits, PolicyOptions(**options), chance).tolist()


def test_half_of_the_segments_go_even_where_the_budget_holds_them_all():
    assert by_policy("top-k", 32, drop_ratio=0.5) == [0, 8, 8, 0]
    assert by_policy("adversarial", 32, drop_ratio=0.5) == [8, 0, 0, 8]
    assert sorted(by_policy("random-drop", 32, drop_ratio=0.5)) == [0, 0, 8, 8]
    for name in ("top-k", "adversarial", "random-drop"):
        assert by_policy(name, 32) == [8, 8, 8, 8]


def test_with_the_tokens_of_another_variant_the_rest_goes_to_the_next_segment():
    assert by_policy("top-k", 12, use_all=True, drop_ratio=0.5) == [0, 8, 4, 0]
    assert by_policy("adversarial", 20, use_all=True, drop_ratio=0.5) == [8, 0, 4, 8]
    assert sorted(by_policy("random-drop", 12, use_all=True)) == [0, 0, 4, 8]


def test_a_fixed_share_is_that_of_the_capacity_and_spread_over_the_video():
    assert by_policy("fixed", 32, fixed_share=0.5) == [4, 4, 4, 4]
    assert by_policy("fixed", 7, fixed_share=0.5, use_all=True) == [2, 1, 2, 2]
