"""Numbers behind Figures A and B on allocations that can be counted by hand."""

import numpy as np
import pytest
from allocation_samples import K_MAX, peaked, planted

from tempo_lib.analysis import allocation as stats
from tempo_lib.analysis.what_if import reallocate_all, recorded
from tempo_lib.evaluation.benchmark import Benchmark


def segments_of(records, budgets=(384, 768)):
    return reallocate_all({0: records}, K_MAX, budgets)


@pytest.fixture(scope="module")
def two_suites():
    """Nine short videos with one peak each, nine long ones whose peaks no budget holds."""
    short = [peaked(10, f"s-{i}") for i in range(9)]
    long = [peaked(100, f"l-{i}", suite="mini-lvbench", budget=250) for i in range(9)]
    return [*short, *long]


def test_a_histogram_counts_every_segment_once(two_suites):
    bins = stats.distribution(segments_of(two_suites))
    short = bins[(bins["suite"] == "mini-mlvu") & (bins["budget"] == 384)]
    assert short.set_index("low")["segments"].to_dict() == {
        tokens: {2: 81, 16: 9}.get(tokens, 0) for tokens in range(17)
    }
    assert np.allclose(bins.groupby(["suite", "budget"])["share"].sum(), 1)


@pytest.mark.parametrize(("k_max", "width"), [(16, 1), (32, 1), (128, 4)])
def test_bins_are_whole_counts_and_hold_k_max(k_max, width):
    edges = stats.bin_edges(k_max)
    assert set(np.diff(edges)) == {width}
    assert edges[0] == 0 and edges[-2] <= k_max < edges[-1]


def test_peaked_scores_are_skewed_and_even_ones_are_not():
    even = [planted(np.linspace(0, 1, 31).tolist(), f"e-{i}", budget=700) for i in range(8)]
    shapes = stats.shapes(
        recorded([*even, *(peaked(40, f"p-{i}", suite="p") for i in range(8))], 16)
    )
    flat, peak = (shapes[shapes["suite"] == name].iloc[0] for name in ("mini-mlvu", "p"))
    assert abs(flat["skewness"]) < 0.2 < 2 < peak["skewness"]
    assert peak["lowest"] and peak["mode"] == 2 and peak["median"] == 2
    assert (peak["at_k_min"], peak["at_k_max"]) == (0.9, 0.1)
    assert peak["skewness_low"] <= peak["skewness"] <= peak["skewness_high"]


def test_histograms_overlap_wholly_where_the_budget_does_not_bind(two_suites):
    bound = segments_of(two_suites, [384, 768, 250])
    found = stats.overlaps(bound).set_index(["suite", "second"])["overlap"]
    assert found["mini-mlvu", "768"] == found["mini-mlvu", "250"] == pytest.approx(1)
    assert found["mini-lvbench", "768"] == pytest.approx(1)
    assert found["mini-lvbench", "250"] == pytest.approx(0.9)  # the ten peaks of 100 are lower


def test_capacity_is_what_budget_and_segments_leave(two_suites):
    asked = stats.per_question(segments_of(two_suites, [250]))
    short, long = (asked[asked["num_segments"] == n].iloc[0] for n in (10, 100))
    assert (short["tokens_used"], short["capacity"]) == (9 * 2 + 16, 160)
    assert (long["tokens_used"], long["capacity"]) == (250, 250)
    assert long["tokens_per_segment"] == long["capacity_per_segment"] == 2.5


def test_the_line_of_a_suite_is_samples_times_budget_by_segments():
    asked = stats.per_question(segments_of([peaked(10, "a"), peaked(30, "b")], [100]))
    use = stats.budget_use(asked).iloc[0]
    assert use["line"] == 2 * 100 / 40
    assert use["full"] == 0.5 and use["most"] == 1.0  # 30 segments need 60 + 42 tokens
    assert use["used"] == pytest.approx((34 / 100 + 100 / 100) / 2)
    assert use["above"] == 0.0


def test_short_videos_may_lie_above_the_line_within_their_budget():
    few = planted([0.0, 1.0, 1.0, 1.0], "few")
    use = stats.budget_use(stats.per_question(segments_of([few, peaked(100, "long")], [300])))
    assert use["above"].item() == 0.5 and use["most"].item() <= 1.0


def test_questions_about_everything_are_less_gathered():
    even = [planted([0.5, 0.6] * 20 + [0.0, 1.0], f"g-{i}", kind="global") for i in range(4)]
    needles = [peaked(40, f"n-{i}") for i in range(4)]
    found = stats.spread_by_kind(recorded([*even, *needles], K_MAX)).set_index("kind")
    assert found.loc["needle", "many"] == 0.1
    assert found.loc["needle", "fullest"] == pytest.approx(4 * 16 / (4 * 16 + 36 * 2))
    assert found.loc["global", "fullest"] < found.loc["needle", "fullest"]
    assert found["n"].to_dict() == {"global": 4, "needle": 4}


def test_claims_about_allocations_are_judged_from_scores_alone(two_suites):
    suites = [
        Benchmark(
            name=name,
            preset="tiny",
            identity="",
            data_hash="",
            videos=(),
            budgets=(("4K", 384), ("8K", 768)),
        )
        for name in ("mini-mlvu", "mini-lvbench")
    ]
    both = reallocate_all({0: two_suites}, K_MAX, ["4K", "8K"], suites=suites)
    assert set(zip(both["role"], both["budget"], strict=True)) == {("4K", 384), ("8K", 768)}
    found = stats.allocation_findings(stats.per_question(both))
    verdicts = found[found["family"] == "mini-lvbench"].set_index("claim")["verdict"]
    assert verdicts.to_dict() == dict.fromkeys(("skewed", "stable", "below-capacity"), "shown")
    alone = stats.allocation_findings(stats.per_question(both[both["role"] == "8K"]))
    pooled = found[found["family"] == "all"]  # the short videos fit the budget
    assert set(pooled["verdict"]) == {"not testable here"}
    assert "stable" not in set(alone["claim"])  # the other budget was not evaluated
