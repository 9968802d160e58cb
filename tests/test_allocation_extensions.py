"""Policies beyond the paper: the strict budget always, and counts that can be checked by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tempo_lib.allocation.ata import allocate
from tempo_lib.allocation.extensions import allocate_smooth, calibrated, smoothed
from tempo_lib.allocation.policies import Limits, PolicyOptions, token_counts

POLICIES = ("ata-logit", "ata-smooth", "ata-logit-smooth", "ata-calibrated")
logits = st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=60)


def counts_by(policy, logits, budget, k_min, k_max, **options):
    limits, generator = Limits(budget, k_min, k_max), torch.Generator()
    logits_N = torch.as_tensor(logits)
    return token_counts(policy, logits_N, limits, PolicyOptions(**options), generator)


@settings(max_examples=40, deadline=None)
@given(logits=logits, budget=st.integers(0, 700), k_min=st.integers(0, 16))
@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_uses_more_than_the_budget_or_k_max(policy, logits, budget, k_min):
    counts_N = counts_by(policy, torch.tensor(logits), budget, k_min=k_min, k_max=16)
    assert counts_N.dtype == torch.int64
    assert counts_N.shape == (len(logits),)
    assert int(counts_N.sum()) <= budget
    assert int(counts_N.min()) >= 0
    assert int(counts_N.max()) <= 16
    if len(logits) * k_min <= budget:
        assert int(counts_N.min()) >= k_min


def test_logit_space_tells_segments_apart_that_sigmoids_saturate():
    logits_N = torch.tensor([-6.0, 8.0, 1.0, 4.5])
    # sigmoids .002 1 .73 .99 against unit logits 0 1 .5 .75; k = 2 + floor(8 u)
    assert allocate(logits_N.sigmoid(), 40, k_min=2, k_max=10).tolist() == [2, 10, 7, 9]
    assert counts_by("ata-logit", logits_N, 40, k_min=2, k_max=10).tolist() == [2, 10, 6, 8]


def test_both_neighbours_of_a_relevant_segment_count_half_of_it():
    scores_N = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    assert smoothed(scores_N).tolist() == [0.0, 0.5, 1.0, 0.5, 0.0]
    assert allocate_smooth(scores_N, 40, k_min=2, k_max=10).tolist() == [2, 6, 10, 6, 2]


def test_a_neighbour_never_lowers_a_score_and_ends_have_one_neighbour():
    scores_N = torch.tensor([1.0, 0.9, 0.0, 0.2, 1.0])
    assert smoothed(scores_N).tolist() == pytest.approx([1.0, 0.9, 0.45, 0.5, 1.0])
    assert smoothed(torch.tensor([3.0])).tolist() == [0.0]


def test_smoothing_does_not_depend_on_the_scale_of_the_scores():
    scores_N = torch.tensor([0.1, 0.7, 0.3, 0.2])
    torch.testing.assert_close(smoothed(scores_N), smoothed(20 * scores_N - 5))
    with pytest.raises(ValueError, match=r"0\.\.1, got 2"):
        smoothed(scores_N, weight=2)


def test_logits_smoothed_are_logits_scaled_first():
    logits_N = torch.tensor([-4.0, 4.0, -4.0, -2.0])
    # unit 0 1 0 .25, smoothed .5 1 .5 .25, scaled again 1/3 1 1/3 0
    assert counts_by("ata-logit-smooth", logits_N, 40, k_min=2, k_max=11).tolist() == [5, 11, 5, 2]


def test_calibrated_contrast_uses_what_saturated_scores_would_leave():
    logits_N = torch.linspace(-6, 6, 40)
    usual = int(allocate(torch.where(logits_N > 5.9, 1.0, 0.01), 300, 2, 16).sum())
    counts_N = counts_by("ata-calibrated", logits_N, 300, k_min=2, k_max=16)
    assert usual < 100
    assert 300 - 8 <= int(counts_N.sum()) <= 300
    assert int(counts_N[-1]) == 16


def test_calibrated_contrast_keeps_k_max_where_eq_4_would_flatten():
    logits_N = torch.linspace(-1, 1, 40)
    flat_N = counts_by("ata-logit", logits_N, 120, k_min=2, k_max=16)
    sharp_N = counts_by("ata-calibrated", logits_N, 120, k_min=2, k_max=16)
    assert int(flat_N.max()) <= 5  # 40 left beside the anchors, shared by all
    assert int(sharp_N.max()) == 16
    assert int(sharp_N.sum()) <= 120


def test_the_effective_number_of_full_segments_is_what_the_budget_holds():
    # anchors 8 of 28: 20 left are 2.5 segments of 8 beyond their anchor, so sum(u^g) is near 2.5
    unit_N = calibrated(torch.tensor([0.0, 1.0, 3.0, 4.0]), 28, k_min=2, k_max=10)
    assert (unit_N[0], unit_N[3]) == (0.0, 1.0)
    assert 20 - 3 <= 8 * float(unit_N.sum()) <= 20 + 3  # each floor hides up to 1 token
    assert allocate(unit_N, 28, 2, 10).sum() in (27, 28)


def test_calibrated_is_k_max_for_all_where_the_budget_holds_it():
    assert counts_by("ata-calibrated", [0.0, 5.0, 1.0], 48, k_min=2, k_max=16).tolist() == [
        16,
        16,
        16,
    ]


def test_calibrated_keeps_the_order_of_the_logits():
    logits_N = torch.randn(50, generator=torch.Generator().manual_seed(0))
    counts_N = counts_by("ata-calibrated", logits_N, 300, k_min=2, k_max=16)
    assert (counts_N[logits_N.argsort()].diff() >= 0).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_flat_logits_share_alike(policy):
    assert counts_by(policy, [0.3] * 4, 20, k_min=2, k_max=16).tolist() == [5, 5, 5, 5]


@pytest.mark.parametrize("policy", POLICIES)
def test_no_segment_is_refused(policy):
    with pytest.raises(ValueError, match="at least 1 segment"):
        counts_by(policy, [], 20, k_min=2, k_max=16)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_matched_policy_leaves_nothing_over(policy):
    logits_N = torch.tensor([-3.0, 2.0, 0.5, 1.0])
    assert int(counts_by(policy, logits_N, 37, 2, 16, use_all=True).sum()) == 37
