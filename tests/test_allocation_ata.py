"""Adaptive Token Allocation: invariants, recorded release behaviour, errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tempo_lib.allocation.ata import allocate, top_up
from tempo_lib.allocation.policies import Limits
from tempo_lib.parity.records import load_table

# Tenths tie, neighbouring floats differ by one rounding, wide ones overflow a careless range.
any_score = st.one_of(
    st.integers(0, 10).map(lambda tenth: tenth / 10),
    st.floats(0, 1, width=32),
    st.sampled_from([0.5, 0.5 + 2**-24, 0.5 + 2**-23, 0.5 + 2**-50]),
    st.floats(allow_nan=False, allow_infinity=False),
)
any_scores = st.one_of(
    st.lists(any_score, min_size=1, max_size=150),
    st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=300),
    st.tuples(any_score, st.integers(1, 200)).map(lambda pair: [pair[0]] * pair[1]),
)
any_budget = st.one_of(st.integers(0, 64), st.integers(0, 20_000))


@st.composite
def any_limits(draw):
    k_max = draw(st.one_of(st.integers(1, 200), st.integers(1, 2**31 - 1)))
    return draw(st.integers(0, min(k_max, 16))), k_max


def many(num_examples):
    return settings(max_examples=num_examples, deadline=None, derandomize=True, database=None)


def assert_monotone(scores, k_N):
    """A higher score never has fewer tokens; of equal scores the earlier has as many or more."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    counts = k_N[order]
    assert (counts[:-1] >= counts[1:]).all(), (scores, k_N.tolist())


def release_counts(row):
    limit = row["n_tokens"] if row["max_tokens"] is None else row["max_tokens"]
    k_max = min(row["n_tokens"], limit)
    scores_N = torch.tensor(row["scores"], dtype=torch.float32)
    return allocate(scores_N, row["budget"], k_min=row["min_tokens"], k_max=k_max)


def assert_equals_release(rows):
    """Equal but where it exceeds the budget or gives nothing: there, one token to the best."""
    num_equal = num_strict = 0
    for row in rows:
        k_N = release_counts(row)
        if not 0 < sum(row["alloc"]) <= row["budget"]:
            assert len(row["scores"]) > row["budget"]
            assert int(k_N.sum()) == row["budget"]
            assert set(k_N.tolist()) == {0, 1}
            assert_monotone(row["scores"], k_N)
            num_strict += 1
        elif row["tie_dependent"]:
            assert sorted(k_N.tolist()) == sorted(row["alloc"]), row
            num_equal += 1
        else:
            assert k_N.tolist() == row["alloc"], row
            num_equal += 1
    return num_equal, num_strict


def test_allocate_equals_the_release_on_every_recorded_row(golden_dir):
    rows = load_table(golden_dir, "allocation")
    branches = {"ideal", "ideal_insufficient", "scaled", "scaled_insufficient", "flat"}
    assert {row["branch"] for row in rows} == branches | {"scaled_N_gt_budget"}
    assert assert_equals_release(rows) == (652, 87)


@many(500)
@given(any_scores, any_budget, any_limits())
def test_allocate_never_exceeds_the_budget_and_follows_the_scores(scores, budget, limits):
    k_min, k_max = limits
    k_N = allocate(scores, budget, k_min, k_max)
    assert k_N.shape == (len(scores),)
    assert k_N.dtype == torch.int64
    assert int(k_N.sum()) <= budget
    assert int(k_N.min()) >= 0
    assert int(k_N.max()) <= k_max
    if len(scores) * k_min <= budget:
        assert int(k_N.min()) >= k_min
    assert_monotone(scores, k_N)
    assert torch.equal(k_N, allocate(scores, budget, k_min, k_max))


@many(400)
@given(st.lists(st.integers(0, 1023), min_size=1, max_size=80), st.integers(1, 4000), any_limits())
def test_allocate_gives_tokens_whenever_there_is_one_to_give(numerators, budget, limits):
    scores = [n / 1024 for n in numerators]
    k_N = allocate(scores, budget, *limits)
    best = min(i for i, s in enumerate(scores) if s == max(scores))
    assert int(k_N[best]) >= 1


@many(400)
@given(
    st.lists(st.integers(0, 1023), min_size=1, max_size=80),
    st.integers(-6, 6).map(lambda power: 2.0**power),
    st.integers(-4096, 4096),
    any_budget,
    any_limits(),
)
def test_allocate_ignores_affine_changes_of_the_scores(numerators, a, b, budget, limits):
    scores = [n / 1024 for n in numerators]
    moved = [a * s + b for s in scores]  # exact in float64, often not in float32
    assert torch.equal(allocate(scores, budget, *limits), allocate(moved, budget, *limits))


@many(300)
@given(st.lists(st.integers(0, 64), min_size=2, max_size=60), st.integers(0, 16))
def test_allocate_returns_the_ideal_untouched_when_it_fits(numerators, k_min):
    low, high = min(numerators), max(numerators)
    if low == high:
        high = numerators[0] = low + 1
    k_max = k_min + 64
    ideal = [k_min + 64 * (n - low) // (high - low) for n in numerators]
    # Eq. 3 in integers; 64 * x / y is floored alike in float32 unless it rounds up to an integer,
    # which needs a quotient within 2**-18 of one: impossible with denominators up to 64.
    k_N = allocate([n / 64 for n in numerators], sum(ideal), k_min, k_max)
    assert k_N.tolist() == ideal


@many(300)
@given(st.lists(st.integers(0, 1023), min_size=2, max_size=80), st.integers(0, 8), st.data())
def test_allocate_uses_the_whole_budget_when_the_ideal_does_not_fit(numerators, k_min, data):
    numerators[0], numerators[1] = 0, 1023
    scores = [n / 1024 for n in numerators]
    ideal_sum = int(allocate(scores, 10**6, k_min, 128).sum())
    budget = data.draw(st.integers(len(scores) * k_min, ideal_sum - 1))
    assert int(allocate(scores, budget, k_min, 128).sum()) == budget


def test_allocate_follows_equations_3_and_4_by_hand():
    scores = [0.0, 0.25, 1.0, 0.75]
    # Eq. 3 with k in 4..128: 4 + floor(124 * s) = 4, 35, 128, 97, in all 264.
    assert allocate(scores, 264).tolist() == [4, 35, 128, 97]
    # One less: residual 263 - 16 = 247, shares 0, 30.875, 123.5, 92.625; remainder 2 to the best.
    assert allocate(scores, 263).tolist() == [4, 34, 128, 97]


def test_allocate_serves_equal_scores_earlier_segment_first():
    assert allocate([0.0, 1.0, 1.0, 1.0], 11, k_min=1, k_max=16).tolist() == [1, 4, 3, 3]


def test_allocate_gives_flat_scores_equal_shares():
    assert allocate([0.3] * 5, 64).tolist() == [12] * 5
    assert allocate([0.3], 8192).tolist() == [128]


def test_allocate_gives_one_token_to_the_highest_scores_when_segments_outnumber_tokens():
    assert allocate([0.1, 0.9, 0.9, 0.5], 2).tolist() == [0, 1, 1, 0]
    assert allocate([0.1, 0.9, 0.9, 0.5], 1).tolist() == [0, 1, 0, 0]
    assert allocate([0.5] * 4, 3).tolist() == [1, 1, 1, 0]
    assert allocate([0.5] * 4, 3, k_min=0).tolist() == [1, 1, 1, 0]
    assert allocate([0.1, 0.9], 0).tolist() == [0, 0]


def test_allocate_lowers_the_anchor_when_it_does_not_fit():
    # 3 segments x 4 > 10: the anchor becomes 10 // 3 = 3 and the token left goes to the best.
    assert allocate([0.2, 0.1, 0.9], 10).tolist() == [3, 3, 4]


def test_allocate_with_k_min_zero_prunes():
    assert allocate([0.0, 0.5, 1.0], 8192, k_min=0).tolist() == [0, 64, 128]
    assert allocate([0.0, 0.0, 0.0, 1.0], 3, k_min=0).tolist() == [0, 0, 0, 3]


def test_allocate_stays_in_budget_where_float32_weights_sum_to_more_than_one():
    generator = torch.Generator().manual_seed(0)
    num_trimmed = 0
    for _ in range(40):
        scores_N = torch.rand(200, generator=generator)
        budget = 2**31
        k_N = allocate(scores_N, budget, k_min=0, k_max=2**31 - 1)
        assert int(k_N.sum()) <= budget
        assert_monotone(scores_N.tolist(), k_N)
        unit_N = (scores_N - scores_N.min()) / (scores_N.max() - scores_N.min())
        num_trimmed += int((budget * (unit_N / unit_N.sum())).floor().long().sum()) > budget
    assert num_trimmed > 0  # the plain formula does overshoot here


def test_allocate_keeps_its_bounds_at_the_ends_of_the_number_range():
    largest = torch.finfo(torch.float64).max
    assert allocate([-largest, 0.0, largest], 8192).tolist() == [4, 66, 128]
    k_max = 2**31 - 1  # rounds up to 2**31 in float32
    assert allocate([0.0, 1.0], 2**40, 0, k_max).tolist() == [0, k_max]
    assert int(allocate([1.0, 1.0, 0.0], 2 * k_max - 1, 0, k_max).max()) == k_max


def test_allocate_sees_no_contrast_in_a_range_below_the_releases_threshold():
    assert allocate([0.5, 0.5 + 5e-9], 100).tolist() == [50, 50]
    assert allocate([0.5, 0.5 + 2e-8], 132).tolist() == [4, 128]


def test_allocate_floors_in_float32_as_the_release_does():
    # 60 * (0.27 - 0.07) / (0.87 - 0.07) = 15 and its like are integers: the rounding decides.
    num_differing = 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        scores_N = torch.randint(0, 101, (40,), generator=generator).float() / 100
        low, high = scores_N.min(), scores_N.max()
        expected_N = 4 + (60 * ((scores_N - low) / (high - low))).floor().long()
        assert torch.equal(allocate(scores_N, 8192, 4, 64), expected_N)
        exact_N = scores_N.double()
        exact_N = (exact_N - exact_N.min()) / (exact_N.max() - exact_N.min())
        num_differing += not torch.equal(4 + (60 * exact_N.float()).floor().long(), expected_N)
    assert num_differing > 0  # or this test would show nothing


def test_allocate_accepts_tensors_arrays_and_lists_alike():
    values = [0.1, 0.7, 0.3, 0.9]
    expected = allocate(torch.tensor(values), 100)
    gradient = torch.tensor(values, requires_grad=True)
    readonly = np.array(values, dtype=np.float32)
    readonly.setflags(write=False)
    for scores in (gradient, readonly, readonly.tolist(), tuple(readonly.tolist())):
        assert torch.equal(allocate(scores, np.int64(100)), expected)
    half = torch.tensor(values, dtype=torch.bfloat16)
    assert torch.equal(allocate(half, 100), allocate(half.float(), 100))
    assert not allocate(gradient, 100).requires_grad


@pytest.mark.parametrize(
    ("scores", "match"),
    [
        ([], "scores must be 1-D with at least 1 segment"),
        (0.5, "scores must be 1-D"),
        ([[0.5, 0.1]], r"got shape \(1, 2\)"),
        ([0.1, float("nan")], "scores must be finite, got nan at segment 1"),
        ([float("inf"), 0.1], "scores must be finite, got inf at segment 0"),
        (["a", "b"], "scores must be numbers"),
        ([0.1, None], "scores must be numbers"),
        (torch.tensor([1j, 2.0]), "scores must be real"),
    ],
)
def test_allocate_names_bad_scores(scores, match):
    with pytest.raises(ValueError, match=match):
        allocate(scores, 100)


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        ({"budget": -1}, "budget must be an integer of at least 0, got -1"),
        ({"budget": 100.0}, "budget must be an integer of at least 0, got 100.0"),
        ({"budget": "100"}, "budget must be an integer"),
        ({"budget": True}, "budget must be an integer of at least 0, got True"),
        ({"budget": 9, "k_min": -1}, "k_min must be an integer of at least 0, got -1"),
        ({"budget": 9, "k_min": 5, "k_max": 4}, "k_min=5 and k_max=4"),
        ({"budget": 9, "k_min": 0, "k_max": 0}, "k_max must be an integer of at least 1"),
        ({"budget": 9, "k_max": 2**31}, "k_max must be at most"),
    ],
)
def test_allocate_names_bad_limits(limits, match):
    with pytest.raises(ValueError, match=match):
        allocate([0.1, 0.9], **limits)


def test_topping_up_follows_eq_4_and_leaves_only_the_least_relevant_behind():
    counts_N = torch.tensor([2, 2, 2])
    # 9 left, weights 0 1/3 2/3 of a sum of 1: 0 3 6
    values_N = torch.tensor([0.0, 0.5, 1.0])
    assert top_up(counts_N, values_N, Limits(15, 2, 16)).tolist() == [2, 5, 8]
    assert top_up(counts_N, values_N, Limits(99, 2, 16)).tolist() == [2, 16, 16]
    assert top_up(counts_N, torch.ones(3), Limits(8, 2, 16)).tolist() == [3, 3, 2]
    assert counts_N.tolist() == [2, 2, 2]
