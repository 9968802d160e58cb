"""Accuracy, intervals and tests on numbers that can be checked by hand."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.weightstats import ttost_paired

from tempo_lib.statistics.intervals import (
    Difference,
    accuracy,
    equivalence_p,
    holm,
    mean_interval,
    mean_of_groups,
    non_inferiority_p,
    paired_difference,
    skewness,
)


def test_accuracy_is_the_share_of_right_answers():
    measured = accuracy([True, False, True, True], ["a", "b", "c", "d"])
    assert (measured.n, measured.accuracy) == (4, 0.75)
    assert 0 <= measured.low < 0.75 < measured.high <= 1


def test_questions_of_their_own_videos_give_the_wilson_interval_of_student():
    # 50 of 100: the variance of single answers is n/(n-1) times larger, t is 1.984
    measured = accuracy([True, False] * 50, [str(i) for i in range(100)])
    spread = 1.984**2 / 99
    half = np.sqrt(spread / 4 + spread**2 / 4) / (1 + spread)
    assert measured.low == pytest.approx(0.5 - half, abs=1e-4)
    assert measured.high == pytest.approx(0.5 + half, abs=1e-4)


def test_copies_of_each_question_do_not_narrow_the_interval():
    single = accuracy([True, False] * 20, [str(i) for i in range(40)])
    copied = accuracy(np.repeat([True, False] * 20, 5), np.repeat(np.arange(40), 5))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))
    apart = accuracy(np.repeat([True, False] * 20, 5), np.arange(200))
    assert apart.high - apart.low < 0.5 * (copied.high - copied.low)


def test_all_right_still_leaves_doubt_and_counts_videos_not_questions():
    few = accuracy([True] * 10, list("aabbccddee"))
    assert few.high == 1.0
    assert few.low == pytest.approx(5 / (5 + 2.776**2), abs=1e-3)  # Wilson, n = 5 videos
    assert accuracy([True] * 10, list("abcdefghij")).low > few.low


def test_one_video_says_nothing_about_others():
    measured = accuracy([True, False], ["a", "a"])
    assert (measured.low, measured.high) == (0.0, 1.0)


def test_no_questions_are_refused():
    with pytest.raises(ValueError, match="got 0 and 0"):
        accuracy([], [])


@pytest.mark.parametrize("num_videos", [8, 30])
def test_intervals_hold_the_truth_in_95_of_100_worlds_of_alike_questions(num_videos):
    rng = np.random.default_rng(0)
    hits, worlds = 0, 1000
    videos = np.repeat(np.arange(num_videos), 5)
    for _ in range(worlds):
        ability_V = rng.beta(3.0, 2.0, num_videos)  # mean 0.6, differs from video to video
        correct_Q = rng.random(len(videos)) < np.repeat(ability_V, 5)
        measured = accuracy(correct_Q, videos)
        hits += measured.low <= 0.6 <= measured.high
    assert 0.93 <= hits / worlds <= 0.985


def test_few_videos_widen_the_interval_by_student_and_not_by_the_normal():
    # three videos of one right and one wrong answer each: no variance between them, so n = 6
    measured = accuracy([True, False] * 3, list("aabbcc"))
    spread = stats.t.ppf(0.975, 2) ** 2 / 6
    half = np.sqrt(spread / 4 + spread**2 / 4) / (1 + spread)
    assert (measured.low, measured.high) == pytest.approx((0.5 - half, 0.5 + half))


def test_five_videos_that_all_gain_have_an_exact_p_of_2_in_32():
    first, second = [True] * 5, [False] * 5
    measured = paired_difference(first, second, list("abcde"), seed=0)
    assert (measured.difference, measured.low, measured.high) == (1.0, 1.0, 1.0)
    assert measured.p_value == 2 / 32


def test_two_questions_of_one_video_are_one_vote():
    first, second = [True] * 10, [False] * 10
    assert paired_difference(first, second, list("aabbccddee"), seed=0).p_value == 2 / 32


def test_equal_answers_differ_by_nothing():
    measured = paired_difference([True, False], [True, False], ["a", "b"], seed=0)
    assert (measured.difference, measured.low, measured.high, measured.p_value) == (0, 0, 0, 1)


def test_a_difference_is_signed_and_symmetric():
    rng = np.random.default_rng(1)
    first, second = rng.random(200) < 0.7, rng.random(200) < 0.5
    videos = np.repeat(np.arange(40), 5)
    there = paired_difference(first, second, videos, seed=3)
    back = paired_difference(second, first, videos, seed=3)
    assert there.difference == pytest.approx(-back.difference)
    assert there.low == pytest.approx(-back.high)
    assert there.low < there.difference < there.high
    assert there.p_value == back.p_value < 0.01  # drawn, so not 0
    assert there.p_value >= 1 / 10_001


def test_draws_depend_on_the_seed_alone():
    rng = np.random.default_rng(1)
    first, second = rng.random(100) < 0.6, rng.random(100) < 0.5
    runs = [paired_difference(first, second, np.arange(100), seed) for seed in (5, 5, 6)]
    assert runs[0] == runs[1] != runs[2]


def test_unequal_numbers_of_answers_are_refused():
    with pytest.raises(ValueError, match="2 and 1"):
        paired_difference([True, False], [True], ["a", "b"], seed=0)


def test_holm_multiplies_the_smallest_most_and_never_turns_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_permutation_test_of_scipy_gives_the_same_p():
    rng = np.random.default_rng(2)
    first, second = rng.random(12) < 0.9, rng.random(12) < 0.4

    def total(one, two):
        return np.sum(one - two)

    exact = stats.permutation_test(
        (first.astype(float), second.astype(float)),
        total,
        permutation_type="samples",
        n_resamples=np.inf,
    )
    measured = paired_difference(first, second, np.arange(12), seed=0)
    assert measured.p_value == pytest.approx(exact.pvalue)


def test_a_bootstrap_of_scipy_gives_nearly_the_same_interval():
    rng = np.random.default_rng(3)
    values = rng.random(60)
    measured = mean_interval(values, np.arange(60), seed=0)
    drawn = stats.bootstrap((values,), np.mean, method="percentile", rng=rng).confidence_interval
    assert measured.difference == pytest.approx(values.mean())
    assert (measured.low, measured.high) == pytest.approx((drawn.low, drawn.high), abs=0.005)


@pytest.mark.parametrize("counts", [[2, 2, 2, 16], [16, 16, 16, 2], [1, 5, 6, 9, 16], [1, 1, 1, 2]])
def test_skewness_is_that_of_scipy(counts):
    assert skewness(counts) == pytest.approx(stats.skew(counts))
    assert skewness([4, 4, 4]) == 0.0


def test_p_of_two_one_sided_tests_follows_the_distance_to_the_margin():
    # standard error 0.01: two of them from 0 to the margin, none from the margin itself
    width = 2 * 1.959964 * 0.01
    at_zero = Difference(400, 0.0, -width / 2, width / 2, 1.0)
    assert equivalence_p(at_zero, 0.02, 400) == pytest.approx(stats.t.sf(2, 399), abs=1e-6)
    at_margin = Difference(400, -0.02, -0.02 - width / 2, -0.02 + width / 2, 0.01)
    assert equivalence_p(at_margin, 0.02, 400) == pytest.approx(0.5)


def test_a_mean_of_groups_has_the_error_of_its_groups_means():
    # 8 videos of one question in each of two groups: half right, and a quarter
    right = [True, False] * 4 + [True, False, False, False] * 2
    measured = mean_of_groups(right, np.arange(16), ["a"] * 8 + ["b"] * 8)
    variance = 16 / 15 * (0.5 * 0.5 + 0.25 * 0.75) / 8 / 4
    width = stats.t.ppf(0.975, 15) * variance**0.5
    ends = (0.375 - width, 0.375 + width)
    assert (measured.accuracy, measured.low, measured.high) == pytest.approx((0.375, *ends))
    alone = mean_of_groups([True, False], ["u", "u"], ["a", "b"])
    assert (alone.n, alone.accuracy, alone.low, alone.high) == (2, 0.5, 0.0, 1.0)


def test_a_p_of_equivalence_is_never_below_that_of_the_draws():
    sure = Difference(400, 0.0, -0.0001, 0.0001, 1.0)
    assert equivalence_p(sure, 0.02, 400) == 1 / 10_001
    assert non_inferiority_p(sure, 0.02, 400) == 1 / 10_001
    assert equivalence_p(Difference(4, 0.0, 0.0, 0.0, 1.0), 0.02, 10**6) == 1 / 10_001


def test_no_difference_on_few_videos_proves_little():
    none = Difference(12, 0.0, 0.0, 0.0, 1.0)
    assert equivalence_p(none, 0.03, 3) == pytest.approx(0.97**3)
    assert equivalence_p(none, 0.03, 10_000) < 0.001


def paired_scores(shift, num=60):
    """Scores of two variants on one question of each of ``num`` videos, of unequal difficulty."""
    rng = np.random.default_rng(4)
    easy = rng.normal(0.6, 0.3, num)
    return easy + rng.normal(shift, 0.1, num), easy + rng.normal(0.0, 0.1, num)


@pytest.mark.parametrize("shift", [-0.05, -0.02, 0.0, 0.03])
def test_equivalence_and_non_inferiority_are_those_of_statsmodels_and_scipy(shift):
    first, second = paired_scores(shift)
    measured = paired_difference(first, second, np.arange(60), seed=0)
    p_value = ttost_paired(first, second, -0.05, 0.05)[0]
    assert equivalence_p(measured, 0.05, 60) == pytest.approx(p_value, abs=0.02)
    worse = stats.ttest_1samp(first - second, -0.05, alternative="greater").pvalue
    assert non_inferiority_p(measured, 0.05, 60) == pytest.approx(worse, abs=0.02)


def test_a_large_gain_is_not_inferior_and_not_equivalent():
    gain = Difference(400, 0.2, 0.19, 0.21, 0.0)
    assert non_inferiority_p(gain, 0.03, 400) < 0.001 < 0.999 < equivalence_p(gain, 0.03, 400)


def test_a_number_to_exceed_is_tested_itself_and_not_zero():
    rng = np.random.default_rng(5)
    values = rng.normal(0.14, 0.2, 60)
    for number in (0.0, 0.1, 0.14, 0.2):
        measured = mean_interval(values, np.arange(60), seed=0, against=number)
        expected = stats.ttest_1samp(values, number).pvalue
        assert measured.p_value == pytest.approx(expected, abs=0.02)
        assert (measured.low, measured.high) == pytest.approx(
            stats.t.interval(0.95, 59, values.mean(), stats.sem(values)), abs=0.01
        )


# -- suites as strata -----------------------------------------------------------------------


def suites_of(effects, num_videos, rng, spread=0.3):
    """Gains of one question per video, the suite of each, and its name."""
    suite = np.repeat([f"s{i}" for i in range(len(effects))], num_videos)
    gain = rng.normal(np.repeat(effects, num_videos), spread)
    return gain, suite, np.arange(len(gain))


def test_suites_are_drawn_apart_as_scipy_draws_samples():
    rng = np.random.default_rng(6)
    gain, suite, video = suites_of((0.4, -0.3, 0.1), 25, rng)
    measured = mean_interval(gain, video, 0, suite)
    parts = [gain[suite == name] for name in np.unique(suite)]

    def mean(*samples, axis):
        return sum(sample.mean(axis=axis) for sample in samples) / 3

    drawn = stats.bootstrap(parts, mean, method="percentile", rng=rng).confidence_interval
    assert measured.difference == pytest.approx(gain.mean())
    assert (measured.low, measured.high) == pytest.approx((drawn.low, drawn.high), abs=0.006)
    pooled = mean_interval(gain, video, 0)
    assert pooled.high - pooled.low > 1.2 * (measured.high - measured.low)


def test_a_suite_counts_by_its_questions():
    gain = [1.0] * 10 + [0.0] * 30
    suite = ["a"] * 10 + ["b"] * 30
    measured = mean_interval(gain, np.arange(40), 0, suite)
    assert (measured.difference, measured.low, measured.high) == (0.25, 0.25, 0.25)


def test_flips_within_suites_give_the_p_of_a_regression_on_suites():
    rng = np.random.default_rng(7)
    gain, suite, video = suites_of((0.5, -0.1, -0.15, 0.15), 30, rng)
    columns = (suite[:, None] == np.unique(suite)).astype(float)
    regression = OLS(gain, columns).fit().t_test(np.full(4, 0.25))
    measured = mean_interval(gain, video, 0, suite)
    assert measured.p_value == pytest.approx(float(regression.pvalue), abs=0.02)
    assert mean_interval(gain, video, 0).p_value > 1.5 * measured.p_value  # unaware of suites


@pytest.mark.parametrize("effects", [(0.0, 0.0), (0.4, -0.4), (0.4, -0.3, -0.1)])
def test_5_of_100_worlds_without_an_effect_over_suites_are_called_one(effects):
    rng = np.random.default_rng(8)
    worlds = [suites_of(effects, 12, rng) for _ in range(400)]
    found = [mean_interval(gain, video, 0, suite) for gain, suite, video in worlds]
    assert 0.025 <= np.mean([each.p_value < 0.05 for each in found]) <= 0.08
    inside = np.mean([each.low <= 0 <= each.high for each in found])
    assert 0.90 <= inside <= 0.975  # a percentile bootstrap of 24 videos is a little narrow


def test_one_suite_is_no_stratum_and_a_suite_of_one_video_keeps_its_sum():
    rng = np.random.default_rng(9)
    gain = rng.normal(0.1, 0.2, 20)
    alone = mean_interval(gain, np.arange(20), 0, ["a"] * 20)
    assert alone == mean_interval(gain, np.arange(20), 0)
    lonely = mean_interval([0.0, 0.0, 1.0], ["u", "v", "w"], 0, ["a", "a", "b"])
    assert lonely.p_value == 0.75  # signs of 1/3, 1/3 and 1 whose sum is at least 1


def test_an_accuracy_over_suites_counts_their_videos_apart():
    right = [True] * 40 + [False] * 40
    video, suite = np.repeat(np.arange(40), 2), ["a"] * 40 + ["b"] * 40
    apart, pooled = accuracy(right, video, suite), accuracy(right, video)
    assert apart.accuracy == pooled.accuracy == 0.5
    assert apart.high - apart.low < 0.8 * (pooled.high - pooled.low)
    assert accuracy([True, False, True], ["u", "v", "w"], ["a", "a", "b"]).low == 0.0
    with pytest.raises(ValueError, match="got 2 and 2 and 1"):
        accuracy([True, False], ["u", "v"], ["a"])
