"""Claims of the paper against records: effect, correction and verdict on worlds made by hand."""

import numpy as np
import pandas as pd
import pytest
from planted_answers import answers
from pydantic import ValidationError

from tempo_lib.evaluation.variants import get_variant
from tempo_lib.statistics import claims
from tempo_lib.statistics.claims import (
    ALONE,
    AS_PAPER,
    NOT_MEASURED,
    NOT_SHOWN,
    REVERSED,
    SHOWN,
    TOKEN_MATCHED,
    Claim,
    Scaling,
    claims_table,
    findings,
    load_claims,
    variants_of_claims,
)
from tempo_lib.statistics.summaries import pool_seeds

NUM_VIDEOS, EACH = 40, 5
AHEAD = Claim(name="ahead", statement="a beats b", source="2B", pair=("a", "b"))
ALIKE = Claim(name="alike", statement="a equals b", source="2D", pair=("a", "b"), expects="alike")


def records(suite="s", num_videos=NUM_VIDEOS, **accuracy):
    """Records of variants whose answers are right with the given share, drawn apart."""
    rng = np.random.default_rng(0)
    parts = []
    for name, share in accuracy.items():
        right = rng.random(num_videos * EACH) < share
        parts.append(
            pd.DataFrame(
                {
                    "variant": name.replace("_", "-"),
                    "suite": suite,
                    "world_seed": 0,
                    "video": np.repeat([f"v{i}" for i in range(num_videos)], EACH),
                    "question_id": [f"q{i}" for i in range(num_videos * EACH)],
                    "correct": right,
                    "tokens_used": 100 if name == "a" else 60,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def verdict(frame, claim):
    table = findings(frame, [claim])
    return table[table["family"] == "all"].iloc[0]


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(0.9, 0.5, SHOWN), (0.5, 0.9, REVERSED), (0.7, 0.7, NOT_SHOWN)]
)
def test_a_claim_is_shown_reversed_or_not_shown(a, b, expected):
    row = verdict(records(a=a, b=b), AHEAD)
    assert row["verdict"] == expected
    assert row["n"] == NUM_VIDEOS * EACH
    assert row["low"] <= row["effect"] <= row["high"]
    assert (row["tokens_first"], row["tokens_second"]) == (100, 60)


def test_a_collapse_needs_its_size_and_not_only_a_small_p():
    small = Claim(name="x", statement="x", source="2B", pair=("a", "b"), by=0.5)
    row = verdict(records(a=0.9, b=0.6), small)
    assert row["p_holm"] < 0.05
    assert row["verdict"] == NOT_SHOWN


def test_alike_is_shown_by_a_narrow_interval_and_never_by_few_answers():
    assert verdict(records(num_videos=200, a=1.0, b=1.0), ALIKE)["verdict"] == SHOWN
    assert verdict(records(num_videos=40, a=1.0, b=1.0), ALIKE)["verdict"] == NOT_SHOWN
    assert verdict(records(a=0.7, b=0.7), ALIKE)["verdict"] == NOT_SHOWN  # too wide to tell
    assert verdict(records(a=0.9, b=0.4), ALIKE)["verdict"] == REVERSED


def test_many_claims_make_each_harder_to_show():
    frame = records(a=0.62, b=0.5)
    alone = verdict(frame, AHEAD)
    others = [Claim(name=f"c{i}", statement="", source="", pair=("b", "b2")) for i in range(20)]
    frame = pd.concat([frame, frame[frame["variant"] == "b"].assign(variant="b2")])
    among = findings(frame, [AHEAD, *others])
    among = among[(among["claim"] == "ahead") & (among["family"] == "all")].iloc[0]
    assert among["p"] == alone["p"] == alone["p_holm"]
    assert among["p_holm"] == pytest.approx(min(1.0, 21 * among["p"]))


def test_missing_variants_are_said_and_not_counted_as_tests():
    lonely = Claim(name="lonely", statement="c beats d", source="2E", pair=("c", "d"))
    table = findings(records(a=0.9, b=0.5), [AHEAD, lonely])
    assert set(table.loc[table["claim"] == "lonely", "verdict"]) == {NOT_MEASURED}
    ahead = table[table["claim"] == "ahead"].iloc[0]
    assert ahead["p_holm"] == ahead["p"]


def test_each_claim_is_judged_as_the_paper_does_and_token_matched():
    claim = Claim(name="x", statement="x", source="2B", pair=("ata", "b"), token_matched=True)
    table = findings(records(ata=0.7, b=0.4, b_matched=0.98), [claim, AHEAD])
    rows = table[(table["claim"] == "x") & (table["family"] == "all")].set_index("compared")
    assert rows["verdict"].to_dict() == {AS_PAPER: SHOWN, TOKEN_MATCHED: REVERSED}
    assert rows.loc[TOKEN_MATCHED, "second"] == "b-matched"
    assert set(table.loc[table["claim"] == "ahead", "compared"]) == {AS_PAPER}


def test_a_claim_about_one_suite_is_judged_there_alone():
    frame = pd.concat([records(a=0.9, b=0.5), records("mini-lvbench", a=0.5, b=0.9)])
    claim = Claim(name="x", statement="x", source="Fig. 3", pair=("a", "b"), suite="mini-lvbench")
    table = findings(frame, [claim, AHEAD]).set_index(["family", "claim"]).sort_index()
    assert table.loc[("all", "x"), "verdict"] == REVERSED
    assert table.loc[("all", "ahead"), "n"] == 2 * NUM_VIDEOS * EACH
    assert table.loc[("s", "ahead"), "verdict"] == SHOWN
    assert ("s", "x") not in table.index


def test_a_pair_is_compared_on_the_suites_that_both_variants_have():
    frame = pd.concat([records(a=0.9, b=0.5), records("other", a=0.9)])
    assert verdict(frame, AHEAD)["n"] == NUM_VIDEOS * EACH


def test_each_model_seed_shows_its_own_effect():
    frame = records(a=1.0, b=0.0)
    turned = frame.assign(correct=~frame["correct"])
    row = verdict(pool_seeds({0: frame, 5: turned}), AHEAD)
    assert row["seeds"] == {0: 1.0, 5: -1.0}
    assert row["effect"] == 0.0


def test_every_claim_names_known_variants_and_their_token_matched_controls():
    everything = load_claims()
    assert len({claim.name for claim in everything}) == len(everything)
    for claim in everything:
        for name in (*claim.variants(AS_PAPER), *claim.variants(ALONE)):
            get_variant(name)
        for name in claim.variants(TOKEN_MATCHED):
            row = get_variant(name)
            assert row.match == "ata" or name in ("ata", "merge", "tail-dynamic")
    assert len(variants_of_claims()) == len(set(variants_of_claims()))


def planted(claim, leads):
    """Records that decide a claim: its first variant ahead (or alike) by far, or the other way."""
    good, bad = (0.95, 0.2) if leads else (0.2, 0.95)
    shares = (1.0, 1.0 if leads else 0.2) if claim.expects == "alike" else (good, bad)
    names = claim.pair
    frame = records(claim.suite or "s", 150, **dict(zip(names, shares, strict=False)))
    sign = 1 if leads else -1
    return frame.assign(skewness=sign * 2.0, unused=0.5 if leads else 0.01)


@pytest.mark.parametrize("claim", load_claims(), ids=lambda claim: claim.name)
def test_every_claim_has_its_direction(claim):
    assert findings(planted(claim, True), [claim])["verdict"].iloc[0] == SHOWN
    assert findings(planted(claim, False), [claim])["verdict"].iloc[0] == REVERSED


def test_claims_follow_the_points_of_the_scaling():
    other = Scaling(frames=(32, 256))
    (claim,) = [c for c in load_claims("paper", scaling=other) if c.name == "restrictive"]
    assert claim.pair == ("ata-f256-b8K", "ata-f256-b2K")
    with pytest.raises(ValidationError, match="expects"):
        Claim(name="x", statement="x", source="x", pair=("a", "b"), expects="faster")


def row_of(table, claim, compared="as the paper", family="all"):
    rows = table[(table["claim"] == claim) & (table["compared"] == compared)]
    return rows[rows["family"] == family].iloc[0]


@pytest.fixture(scope="module")
def table():
    shares = {"ata": 0.9, "uniform": 0.5, "uniform_matched": 0.98, "head_fixed": 0.9}
    return claims_table(answers(seeds=(0, 2), **shares))


def test_a_claim_is_judged_as_the_paper_does_and_at_equal_tokens(table):
    assert row_of(table, "uniform")["verdict"] == "shown"
    assert row_of(table, "uniform", "token-matched")["verdict"] == "reversed"
    assert row_of(table, "uniform")["n"] == 240


def test_claims_whose_variants_were_not_evaluated_are_named_and_count_as_no_test(table):
    assert row_of(table, "merge")["verdict"] == NOT_MEASURED
    assert not (claims.measured(table)["n"] == 0).any()
    assert "Head truncation beats token merging (as the paper): needs ata and merge" in (
        claims.open_claims(table)
    )
    tests = claims.measured(table)
    tests = tests[(tests["compared"] == "as the paper") & (tests["unit"] == "accuracy")]
    assert set(tests["claim"]) == {"uniform", "dynamic"}
    smallest = tests["p"].min()
    assert row_of(table, "uniform")["p_holm"] == pytest.approx(2 * smallest)


def test_each_training_seed_shows_its_effect(table):
    effects_text = row_of(table, "uniform")["seeds"]
    assert [part.split(":")[0] for part in effects_text.split(", ")] == ["0", "2"]
    effects = [float(part.split(":")[1]) for part in effects_text.split(", ")]
    assert np.mean(effects) == pytest.approx(row_of(table, "uniform")["effect"], abs=1e-3)
    assert row_of(table, "merge")["seeds"] == ""


def test_every_claim_of_the_paper_and_beyond_has_its_rows(table):
    assert set(table["claim"]) == {claim.name for claim in load_claims()}
    assert tuple(table.columns) == claims.COLUMNS
    collapse = row_of(table, "adversarial")
    assert (collapse["expects"], collapse["needs"]) == ("ahead", 0.10)
    assert row_of(table, "less-is-more")["expects"] == "alike"


def test_several_suites_are_families_of_their_own_and_one_is_not():
    both = answers(("mini-mlvu", "mini-lvbench"), ata=0.9, uniform=0.5)
    found = claims_table(both)
    assert set(found["family"]) == {"all", "mini-mlvu", "mini-lvbench"}
    assert row_of(found, "uniform", family="mini-mlvu")["n"] == 120
    alone = claims_table(both[both["suite"] == "mini-mlvu"])
    assert set(alone["family"]) == {"all"}


def test_policies_beyond_the_paper_are_corrected_among_themselves():
    found = claims_table(answers(ata=0.5, ata_logit=0.9, uniform=0.1))
    row = row_of(found, "ata-logit")
    assert (row["source"], row["verdict"]) == (claims.BEYOND, "shown")
    assert row["p_holm"] == row["p"]


@pytest.mark.parametrize(("skew", "verdict"), [(1.5, "shown"), (-1.5, "reversed")])
def test_allocations_are_judged_by_their_skewness_and_what_they_leave(skew, verdict):
    found = claims_table(answers(skew=skew, ata=0.5))
    skewed = row_of(found, "skewed", "ATA alone")
    assert (skewed["effect"], skewed["unit"], skewed["verdict"]) == (skew, "skewness", verdict)
    unused = row_of(found, "below-capacity", "ATA alone")
    assert unused["effect"] == pytest.approx(0.4)  # 60 tokens of 100
    assert unused["verdict"] == "shown"
    assert row_of(found, "stable", "ATA alone")["verdict"] == NOT_MEASURED
