"""The rows of Table 2: what each keeps of the same scores, checkable by hand."""

import pytest
import torch

from tempo_lib.allocation import allocate
from tempo_lib.evaluation.variants import (
    VARIANTS,
    Limits,
    effective_limits,
    get_variant,
    token_counts,
)

SCORES = torch.tensor([0.1, 0.9, 0.5, 0.7])
LIMITS = Limits(budget=32, k_min=2, k_max=16)


def counts(name, scores=SCORES, limits=LIMITS, seed=0):
    variant = get_variant(name)
    bounds = effective_limits(variant, limits, max_segments=128)
    generator = torch.Generator().manual_seed(seed)
    return token_counts(variant, scores, bounds, generator).tolist()


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
def test_each_row_shares_out_as_the_paper_says(name, expected):
    assert counts(name) == expected


@pytest.mark.parametrize("name", ["ata", "tail-dynamic", "merge", "prior-tempo-std"])
def test_dynamic_rows_share_the_counts_of_ata(name):
    assert counts(name) == allocate(SCORES, 32, k_min=2, k_max=16).tolist()


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
def test_no_row_spends_more_than_its_budget(name, num_segments):
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
    assert beyond == {"no-ata", "without-stage3"}
    assert effective_limits(VARIANTS["no-ata"], Limits(8192, 4, 128), 128).budget == 16384


def test_a_fixed_row_keeps_half_of_the_papers_128_tokens():
    limits = Limits(budget=8192, k_min=4, k_max=128)
    assert set(counts("head-fixed", torch.rand(128), limits)) == {64}


def test_every_named_row_stands_in_table_2_of_the_paper(shared_dir):
    paper = (shared_dir / "seeds" / "000_92b3ad9c4f7f1c93.txt").read_text(encoding="utf-8")
    for variant in VARIANTS.values():
        if variant.paper_row is not None:
            assert variant.paper_row.split(": ")[-1] in paper, variant.name


def test_an_unknown_variant_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown variant 'atta'.*ata, without-stage3"):
        get_variant("atta")
