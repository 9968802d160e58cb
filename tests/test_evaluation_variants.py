"""The rows of Table 2 and beyond: what each keeps of the same scores, checkable by hand."""

from dataclasses import replace

import pytest
import torch

from tempo_lib.allocation.ata import allocate
from tempo_lib.allocation.policies import Limits, token_counts
from tempo_lib.evaluation.benchmark import Benchmark
from tempo_lib.evaluation.jobs import (
    effective_limits,
    frames_read,
    policy_options,
)
from tempo_lib.evaluation.variants import (
    ALREADY_MATCHED,
    VARIANTS,
    get_variant,
    matched_name,
    sweep,
    sweep_name,
)

HALVES = ("top-k", "adversarial", "random-drop", "head-fixed", "tail-fixed", "merge-fixed")
SCORES = torch.tensor([0.1, 0.9, 0.5, 0.7])
LIMITS = Limits(budget=32, k_min=2, k_max=16)
CONTROLS = sorted(name for name, row in VARIANTS.items() if row.match is not None)


def counts(name, scores=SCORES, limits=LIMITS, seed=0):
    variant = get_variant(name)
    bounds = effective_limits(variant, limits, max_segments=128)
    generator = torch.Generator().manual_seed(seed)
    options = policy_options(variant)
    logits_N = torch.logit(scores)
    return token_counts(variant.allocation, logits_N, bounds, options, generator).tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no-ata", [16, 16, 16, 16]),
        ("without-stage3", [16, 16, 16, 16]),
        ("uniform", [8, 8, 8, 8]),
        ("head-fixed", [8, 8, 8, 8]),
        ("tail-fixed", [8, 8, 8, 8]),
        ("merge-fixed", [8, 8, 8, 8]),
        ("top-k", [0, 16, 0, 16]),
        ("adversarial", [16, 0, 16, 0]),
    ],
)
def test_each_row_allocates_as_the_paper_says(name, expected):
    assert counts(name) == expected


DYNAMIC = ("ata", "tail-dynamic", "merge", "prior-tempo-std", "prior-base-route", "prior-reranker")


@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic_rows_share_the_counts_of_ata(name):
    scores = torch.logit(SCORES).sigmoid()
    assert counts(name) == allocate(scores, 32, k_min=2, k_max=16).tolist()


def test_pruning_drops_the_least_relevant_segment_where_ata_keeps_an_anchor():
    assert counts("prune")[0] == 0
    assert counts("ata")[0] == 2


def test_random_drop_keeps_half_of_the_segments_and_depends_on_the_seed_alone():
    drawn = [counts("random-drop", seed=seed) for seed in range(8)]
    assert all(sorted(row) == [0, 0, 16, 16] for row in drawn)
    assert len({tuple(row) for row in drawn}) > 1
    assert counts("random-drop", seed=3) == drawn[3]


@pytest.mark.parametrize("name", sorted(VARIANTS))
@pytest.mark.parametrize("num_segments", [1, 5, 64, 200])
def test_no_row_uses_more_than_its_budget(name, num_segments):
    scores = torch.rand(num_segments, generator=torch.Generator().manual_seed(num_segments))
    limits = Limits(budget=100, k_min=2, k_max=16)
    allowed = effective_limits(get_variant(name), limits, max_segments=256).budget
    assert sum(counts(name, scores, limits)) <= allowed


def test_only_rows_that_keep_everything_go_beyond_the_budget():
    beyond = {
        name
        for name, variant in VARIANTS.items()
        if effective_limits(variant, LIMITS, 128).budget != LIMITS.budget
    }
    whole = {"query-blank", "query-other", "memories-first", "no-timestamps"}
    assert beyond == {"no-ata", "without-stage3", *whole}
    assert effective_limits(VARIANTS["no-ata"], Limits(8192, 4, 128), 128).budget == 16384


@pytest.mark.parametrize("name", ["top-k", "adversarial", "random-drop"])
def test_half_of_the_segments_go_even_where_the_budget_could_hold_more(name):
    scores = torch.rand(8, generator=torch.Generator().manual_seed(0))
    kept = counts(name, scores, Limits(budget=8 * 16, k_min=2, k_max=16))
    assert sorted(kept) == [0] * 4 + [16] * 4
    assert sum(counts(f"{name}-matched", scores, Limits(8 * 16, 2, 16))) == 8 * 16


@pytest.mark.parametrize("num_segments", [58, 64])
def test_at_the_budget_of_table_2_half_is_half_for_every_row(num_segments):
    limits = Limits(budget=num_segments * 8, k_min=1, k_max=16)
    scores = torch.rand(num_segments, generator=torch.Generator().manual_seed(1))
    found = {name: counts(name, scores, limits) for name in VARIANTS if name in HALVES}
    for name in ("top-k", "adversarial", "random-drop"):
        assert sorted(found[name]) == sorted([0, 16] * (num_segments // 2))
    for name in ("head-fixed", "tail-fixed", "merge-fixed"):
        assert found[name] == [8] * num_segments
    assert len(set(map(tuple, found.values()))) == 4  # three ways to choose, and one count for all
    frames = num_segments * 8
    assert frames_read(VARIANTS["uniform"], limits, frames, window=8) == frames // 2
    assert counts("uniform", scores[: num_segments // 2], limits) == [16] * (num_segments // 2)
    assert sum(counts("no-ata", scores, limits)) == num_segments * 16 == 2 * limits.budget


def test_a_fixed_row_keeps_half_of_the_papers_128_tokens():
    limits = Limits(budget=8192, k_min=4, k_max=128)
    assert set(counts("head-fixed", torch.rand(128), limits)) == {64}


# -- token-matched controls -----------------------------------------------------------------------


QUESTIONS = ("query-blank", "query-other", "memories-first", "no-timestamps")


def test_every_row_but_those_with_the_counts_of_ata_has_a_control():
    for name in VARIANTS:
        control = VARIANTS[matched_name(name)] if not name.endswith("-matched") else VARIANTS[name]
        assert (control.match == "ata") == (name not in (*ALREADY_MATCHED, *QUESTIONS))
        assert control.paper_row is None or name in ALREADY_MATCHED
    for name in ALREADY_MATCHED:
        row = VARIANTS[name]
        assert (row.allocation, row.score_source, row.score_prompt) == ("ata", "tempo", "routing")


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("budget", [1, 37, 100, 163])
def test_a_control_uses_all_it_is_given(name, budget):
    scores = torch.rand(12, generator=torch.Generator().manual_seed(7))
    given = Limits(budget=budget, k_min=2, k_max=16)
    assert sum(counts(name, scores, given)) == budget


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("head-fixed-matched", [7, 7, 8, 7]),
        ("uniform-matched", [7, 7, 8, 7]),
        ("top-k-matched", [0, 16, 0, 13]),
        ("adversarial-matched", [16, 0, 13, 0]),
    ],
)
def test_a_control_keeps_the_rule_of_its_row(name, expected):
    assert counts(name, limits=Limits(budget=29, k_min=2, k_max=16)) == expected


def test_a_pruning_control_still_drops_the_least_relevant_segment():
    assert counts("prune-matched", limits=Limits(40, 2, 16))[0] == 0


# -- frames, sweeps, learned numbers -----------------------------------------------------------


def test_frames_are_capped_by_the_row_or_by_what_fits_the_budget():
    limits = Limits(budget=60, k_min=2, k_max=16)
    assert frames_read(VARIANTS["ata"], limits, 400, window=8) == 400
    assert frames_read(VARIANTS["uniform"], limits, 400, window=8) == 3 * 8  # 48 tokens
    assert frames_read(VARIANTS["uniform-matched"], limits, 400, window=8) == 4 * 8  # all 60
    assert frames_read(get_variant("ata-f256-b60"), limits, 400, window=8) == 256
    assert frames_read(get_variant("ata-f256-b60"), limits, 100, window=8) == 100


def test_a_sweep_names_its_points_and_each_name_is_a_variant():
    rows = sweep([64, 128], [192, 384])
    assert [row.name for row in rows] == [sweep_name(f, b) for f in (64, 128) for b in (192, 384)]
    assert (rows[1].max_frames, rows[1].budget) == (64, 384)
    assert effective_limits(rows[1], LIMITS, 128) == Limits(384, 2, 16)


def test_a_budget_by_name_is_the_benchmarks_own():
    benchmark = Benchmark(
        name="toy", preset="tiny", identity="", data_hash="", videos=(), budgets=(("4K", 10),)
    )
    row = get_variant("ata-f64-b4K")
    assert (row.max_frames, row.budget) == (64, "4K")
    assert effective_limits(row, LIMITS, 128, benchmark) == Limits(10, 2, 16)
    with pytest.raises(ValueError, match="toy has no budget '8K'; known: 4K"):
        effective_limits(get_variant("ata-f64-b8K"), LIMITS, 128, benchmark)


def test_curves_over_k_min_and_window_change_that_number_of_ata_alone():
    for name, changed in (("ata-k4", {"k_min": 4}), ("ata-w4", {"window": 4})):
        assert get_variant(name) == replace(VARIANTS["ata"], name=name, paper_row=None, **changed)
    assert counts("ata-k0") == counts("prune") != counts("ata-k4")
    assert min(counts("ata-k4")) == 4
    with pytest.raises(ValueError, match="unknown variant"):
        get_variant("ata-w0")


def test_every_named_row_stands_in_table_2_of_the_paper(shared_dir):
    paper = (shared_dir / "seeds" / "000_92b3ad9c4f7f1c93.txt").read_text(encoding="utf-8")
    for variant in VARIANTS.values():
        if variant.paper_row is not None:
            assert variant.paper_row.split(": ")[-1] in paper, variant.name
            assert not variant.beyond_paper


def test_policies_are_marked_as_beyond_the_paper():
    own = {name for name, row in VARIANTS.items() if row.beyond_paper and row.match is None}
    assert own == {
        *("ata-logit", "ata-smooth", "ata-logit-smooth", "ata-calibrated", "ata-two-pass"),
    }


def test_two_passes_take_scores_from_one_prompt_and_memories_from_the_other():
    row = VARIANTS["ata-two-pass"]
    assert (row.prompt, row.score_prompt) == ("standard", "routing")


def test_an_unknown_variant_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown variant 'atta'.*ata, without-stage3"):
        get_variant("atta")
