"""Claims of the paper against records: effect, correction and verdict on worlds made by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from planted_answers import answers
from pydantic import ValidationError

from tempo_lib.allocation import baselines
from tempo_lib.allocation.policies import Limits, PolicyOptions
from tempo_lib.config import load_preset
from tempo_lib.evaluation.variants import get_variant
from tempo_lib.registry import load_plugins
from tempo_lib.statistics import claims
from tempo_lib.statistics.claim_schema import ALONE, AS_PAPER, TOKEN_MATCHED, Claim, computation
from tempo_lib.statistics.claims import (
    Scaling,
    claims_table,
    findings,
    load_claims,
    sentences,
    variants_of_claims,
)
from tempo_lib.statistics.summaries import pool_seeds
from tempo_lib.statistics.verdicts import (
    NOT_MEASURED,
    NOT_SHOWN,
    NOT_TESTABLE,
    REVERSED,
    SHOWN,
)

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
    names = [f"c{i}" for i in range(20)]
    others = [Claim(name=name, statement="", source="", pair=("b", name)) for name in names]
    copies = [frame[frame["variant"] == "b"].assign(variant=name) for name in names]
    frame = pd.concat([frame, *copies])
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


def test_a_claim_about_a_suite_is_judged_on_the_benchmark_that_it_stands_for():
    claim = Claim(name="x", statement="x", source="Fig. 3", pair=("a", "b"), suite="mini-lvbench")
    frame = pd.concat([records("mlvu", a=0.9, b=0.5), records("lvbench", a=0.5, b=0.9)])
    row = findings(frame, [claim]).set_index("family").loc["all"]
    assert (row["verdict"], row["n"]) == (REVERSED, NUM_VIDEOS * EACH)


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


POINT = Scaling().name
# A world in which the paper is right: accuracies by name, so a claim with its sides swapped fails.
AS_THE_PAPER = {
    "ata": 0.8,
    "no-ata": 0.6,
    "without-stage3": 0.2,
    "uniform": 0.4,
    "random-drop": 0.4,
    "adversarial": 0.1,
    "top-k": 0.5,
    "head-fixed": 0.6,
    "tail-fixed": 0.2,
    "tail-dynamic": 0.4,
    "merge": 0.5,
    "prior-tempo-std": 0.5,
    "prior-base-route": 0.8,
    "prior-base-std": 0.4,
    "prior-reranker": 0.5,
    "prune": 0.5,
    "ata-b4K": 0.8,
    POINT("ata-f{most}-b8K"): 0.8,
    POINT("ata-f{most}-b2K"): 0.2,
    POINT("ata-f{most}-b12K"): 0.8,
    POINT("ata-f{few}-b2K"): 0.3,
    POINT("ata-f{few}-b12K"): 0.3,
    "query-blank": 0.2,
    "no-timestamps": 0.4,
}
EQUAL = {"base", "coincide", "less-is-more"}  # identical answers, which no turn reverses


def planted(claim, is_right):
    """Records of the world above, or with right and wrong answers exchanged.

    A share of the videos is answered rightly, the same ones under every variant.
    """
    share = AS_THE_PAPER | ({claim.pair[0]: 0.95} if claim.family == "beyond" else {})
    parts = []
    for place, name in enumerate(claim.pair):
        right = np.repeat(np.arange(200) % 20 < 20 * share[name], EACH)
        frame = records(claim.suite or "s", 200, **{name.replace("-", "_"): 0.0})
        shape = 2.0 + place if is_right else -2.0 - place
        facts = {"skewness": shape, "unused": 0.5 if is_right else 0.01, "budget_bound": True}
        parts.append(frame.assign(correct=right == is_right, **facts))
    return pd.concat(parts, ignore_index=True)


def fair(claim):
    """The claim without the reason for which the miniature as it stands cannot test it."""
    return claim.model_copy(update={"validity": claim.validity.model_copy(update={"void": ""})})


@pytest.mark.parametrize("claim", load_claims(), ids=lambda claim: claim.name)
def test_every_claim_has_its_direction(claim):
    claim = fair(claim)
    row = findings(planted(claim, True), [claim]).iloc[0]
    assert row["verdict"] == SHOWN, row["why"]
    turned = findings(planted(claim, False), [claim])["verdict"].iloc[0]
    assert turned == (SHOWN if claim.name in EQUAL else REVERSED)


@pytest.mark.parametrize("name", sorted(EQUAL))
def test_equal_and_no_worse_are_reversed_by_a_loss(name):
    (claim,) = [fair(claim) for claim in load_claims() if claim.name == name]
    frame = planted(claim, True)
    is_first = frame["variant"] == claim.pair[0]
    frame.loc[is_first, "correct"] &= frame.loc[is_first, "video"].str.endswith("1")
    assert findings(frame, [claim])["verdict"].iloc[0] == REVERSED
    gain = frame.assign(
        variant=frame["variant"].map(dict(zip(claim.pair, claim.pair[::-1], strict=True)))
    )
    expected = SHOWN if claim.expects == "no worse" else REVERSED
    assert findings(gain, [claim])["verdict"].iloc[0] == expected


def test_the_papers_own_effect_is_that_of_the_pair_and_has_the_sign_of_the_claim():
    with_numbers = [claim for claim in load_claims("paper") if claim.published]
    assert len(with_numbers) == 16
    for claim in with_numbers:
        effect, printed = claim.published.effect(), claim.published
        if printed.key == "variant":
            assert (printed.first, printed.second) == claim.pair
        is_met = {"ahead": effect > claim.by, "alike": abs(effect) < claim.margin}
        assert is_met.get(claim.expects, effect > -claim.margin), claim.name
    effects = {claim.name: claim.published.effect() for claim in with_numbers}
    # (65.1 + 75.2 + 67.7 + 52.3 - 50.7 - 59.3 - 52.4 - 36.9) / 4
    assert effects["adversarial"] == pytest.approx(0.1525)
    wrong = with_numbers[0].published.model_copy(update={"first": "nobody"})
    with pytest.raises(ValueError, match="lacks nobody"):
        wrong.effect()


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
    assert row_of(table, "less-is-more")["expects"] == "no worse"


def test_several_suites_are_families_of_their_own_and_one_is_not():
    both = answers(("mini-mlvu", "mini-lvbench"), ata=0.9, uniform=0.5)
    found = claims_table(both)
    assert set(found["family"]) == {"all", "mini-mlvu", "mini-lvbench"}
    assert row_of(found, "uniform", family="mini-mlvu")["n"] == 120
    missing = claims.open_claims(found)
    assert len(missing) == len(set(missing))
    assert not any(line.endswith("needs ata and uniform") for line in missing)
    assert row_of(found, "merge")["also"] == "merge (token-matched)"
    assert any("not measured, needs ata and merge" in line for line in sentences(found))
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


# -- suites, computations, validity, trainings ----------------------------------------------


def test_suites_on_different_sides_leave_no_pooled_number():
    frame = pd.concat([records("one", a=0.9, b=0.5), records("two", a=0.3, b=0.5)])
    found = findings(frame, [AHEAD]).set_index("family")
    assert found.index.tolist() == ["one", "two", "all"]  # suites lead
    pooled = found.loc["all"]
    assert pooled[["effect", "low", "high", "p", "p_holm"]].isna().all()
    assert (pooled["verdict"], pooled["seeds_verdict"]) == (NOT_SHOWN, "")
    expected = found.loc[["one", "two"], "effect"].to_dict()
    assert pooled["by_suite"] == pytest.approx(expected)
    assert found.loc["one", "verdict"] == SHOWN and found.loc["two", "verdict"] == REVERSED
    (line,) = sentences(found.reset_index())
    assert line.startswith("a beats b. as the paper: suites differ (one +") and "two -" in line
    agreed = pd.concat([records("one", a=0.9, b=0.5), records("two", a=0.7, b=0.5)])
    assert verdict(agreed, AHEAD)["verdict"] == SHOWN


def test_a_pooled_effect_takes_suites_as_strata():
    frame = pd.concat([records("one", a=1.0, b=0.0), records("two", a=1.0, b=1.0)])
    row = verdict(frame, AHEAD)
    assert (row["effect"], row["low"], row["high"]) == (0.5, 0.5, 0.5)


def test_more_than_x_is_tested_against_x():
    more = Claim(name="x", statement="x", source="2B", pair=("a", "b"), by=0.3)
    row, plain = verdict(records(a=0.9, b=0.6), more), verdict(records(a=0.9, b=0.6), AHEAD)
    assert row["p"] > 0.05 > plain["p"]
    assert (row["effect"], row["low"]) == (plain["effect"], plain["low"])
    surely_less = verdict(records(a=0.65, b=0.6), more)
    assert surely_less["p_holm"] < 0.05 and surely_less["verdict"] == NOT_SHOWN
    assert verdict(records(a=0.3, b=0.6), more)["verdict"] == REVERSED


def test_no_worse_is_shown_by_equal_and_better_and_reversed_by_a_loss():
    claim = ALIKE.model_copy(update={"expects": "no worse"})
    assert verdict(records(num_videos=200, a=1.0, b=1.0), claim)["verdict"] == SHOWN
    assert verdict(records(a=0.9, b=0.5), claim)["verdict"] == SHOWN
    assert verdict(records(a=0.5, b=0.9), claim)["verdict"] == REVERSED
    assert verdict(records(a=0.7, b=0.7), claim)["verdict"] == NOT_SHOWN


def test_a_gain_and_no_difference_are_on_one_side_of_no_worse_and_not_of_alike():
    frame = pd.concat(
        [records("gain", 200, a=0.9, b=0.5), records("none", 200, a=1.0, b=1.0)], ignore_index=True
    )
    claim = ALIKE.model_copy(update={"expects": "no worse"})
    assert verdict(frame, claim)["verdict"] == SHOWN
    assert np.isnan(verdict(frame, ALIKE)["effect"])


def test_a_variant_that_a_constant_answer_equals_leaves_no_room():
    load_plugins(load_preset("tiny").plugins)
    facts = {"form": "open", "kind": "needle", "question": "Which?", "answer": "The red star 12."}
    frame = records("mini-mlvu", ata=0.9, uniform=0.5).assign(**facts, start=np.nan, stop=np.nan)
    assert verdict(frame, needing("room for an effect"))["why"] == "near the baseline"
    several = frame.assign(answer=[f"The red star {10 + i % 50}." for i in range(len(frame))])
    assert verdict(several, needing("room for an effect"))["why"] == ""


def test_one_computation_is_one_row():
    shares = {"ata": 0.9, "no_ata_matched": 0.5, "head_fixed_matched": 0.5, "merge": 0.5}
    frame = records(**shares).assign(budget_bound=True)
    pairs = {"even": ("ata", "no-ata"), "fixed": ("ata", "head-fixed"), "merge": ("ata", "merge")}
    facts = {"statement": "", "source": "2C", "token_matched": True}
    found = findings(frame, [Claim(name=k, pair=pair, **facts) for k, pair in pairs.items()])
    rows = found[(found["family"] == "all") & (found["n"] > 0)].set_index("claim")
    assert rows["compared"].to_dict() == {"even": TOKEN_MATCHED, "merge": AS_PAPER}
    assert rows["also"].to_dict() == {
        "even": ["fixed (token-matched)"],
        "merge": ["merge (token-matched)"],
    }
    assert rows.loc["merge", "p_holm"] == rows.loc["merge", "p"]  # a family of one test


def test_keeping_all_and_a_fixed_count_really_share_equal_tokens_alike():
    assert computation("no-ata-matched") == computation("head-fixed-matched")
    assert computation("no-ata") != computation("head-fixed")
    assert computation("tail-fixed-matched") != computation("head-fixed-matched")
    generator = torch.Generator().manual_seed(0)
    for budget in (3, 20, 45, 200):
        logits_N = torch.randn(13, generator=generator)
        options = PolicyOptions(use_all=True)
        full, fixed = (
            policy(logits_N, Limits(budget, 1, 8), options, generator)
            for policy in (baselines.uniform, baselines.fixed)  # full is uniform beyond a budget
        )
        assert full.tolist() == fixed.tolist()


def needing(*checks):
    validity = {"checks": checks, "says": "why"}
    return Claim(name="x", statement="x", source="2B", pair=("ata", "uniform"), validity=validity)


@pytest.mark.parametrize(
    ("check", "facts", "why"),
    [
        ("budget binds", {}, "records lack budget_bound"),
        ("budget binds", {"budget_bound": True}, ""),
        ("budget binds", {"budget_bound": [True, False] * 200}, "budget binds for 50 %"),
        ("budget binds", {"budget_bound": None}, "records lack budget_bound"),
        ("tokens differ", {"tokens_used": 60}, "same tokens for 100 %"),
        ("tokens differ", {"tokens_used": range(400)}, ""),
        ("tokens differ", {"tokens_used": 60, "skewness": range(400)}, ""),
        ("room for an effect", {"correct": True}, "control at 100 %"),
        ("room for an effect", {"correct": False}, "near the baseline"),
        ("room for an effect", {}, ""),
    ],
)
def test_a_claim_that_records_cannot_decide_is_not_testable_and_no_test(check, facts, why):
    frame = records(ata=0.9, uniform=0.5).assign(tokens_used=60).assign(**facts)
    other = Claim(name="other", statement="", source="", pair=("uniform", "ata"))
    rows = findings(frame, [needing(check), other]).query("family == 'all'").set_index("claim")
    assert rows.loc["x", "why"] == why
    assert (rows.loc["x", "verdict"] == NOT_TESTABLE) == bool(why)
    tests = 1 if why else 2
    p, p_holm = rows.loc["other", ["p", "p_holm"]]
    assert p_holm == pytest.approx(min(1.0, tests * p))
    if why:
        assert np.isnan(rows.loc["x", "p_holm"]) and rows.loc["x", "n"] == 200
        assert f"not testable here ({why})" in sentences(rows.reset_index())[0]


def test_what_keeps_every_token_needs_no_budget_and_equal_tokens_are_equal_by_rule():
    frame = records(no_ata=0.9, without_stage3=0.5).assign(tokens_used=60)
    pair = {"pair": ("no-ata", "without-stage3")}
    assert verdict(frame, needing("budget binds").model_copy(update=pair))["why"] == ""
    matched = records(ata=0.9, uniform_matched=0.5).assign(tokens_used=60)
    claim = needing("tokens differ").model_copy(update={"token_matched": True})
    row = findings(matched, [claim]).query("compared == 'token-matched'").iloc[0]
    assert (row["why"], row["verdict"]) == ("", SHOWN)


def test_a_reason_beforehand_comes_first():
    void = needing("budget binds").validity.model_copy(update={"void": "labels decide"})
    claim = AHEAD.model_copy(update={"validity": void})
    row = verdict(records(a=0.9, b=0.5), claim)
    assert (row["why"], row["verdict"]) == ("labels decide", NOT_TESTABLE)
    assert row["seeds_verdict"] == ""


def trainings(effects):
    """Records of several trainings, with the given effects of a over b."""
    frames = {}
    for seed, effect in enumerate(effects):
        frame = records(a=0.0, b=0.0)
        is_first = frame["variant"] == "a"
        share = np.arange(NUM_VIDEOS * EACH) < round((0.5 + effect) * NUM_VIDEOS * EACH)
        half = np.arange(NUM_VIDEOS * EACH) < NUM_VIDEOS * EACH // 2
        frames[seed] = frame.assign(correct=np.where(is_first, np.tile(share, 2), np.tile(half, 2)))
    return pool_seeds(frames)


def test_trainings_are_the_unit_once_there_are_five():
    one = verdict(trainings([0.2]), AHEAD)
    assert one["seeds_verdict"] == "one training: no statement" and np.isnan(one["next_low"])
    few = verdict(trainings([0.2, 0.1, 0.15]), AHEAD)
    assert few["seeds_verdict"] == "3 trainings: too few of 5"
    agreed = verdict(trainings([0.2, 0.1, 0.15, 0.3, 0.05]), AHEAD)
    assert (agreed["seeds_verdict"], agreed["num_seeds"], agreed["with_sign"]) == (SHOWN, 5, 5)
    assert agreed["next_low"] < 0.05 and agreed["next_high"] > 0.3
    # heads or tails by training: the pooled videos are sure, the trainings are not
    mixed = verdict(trainings([0.5, -0.1, 0.5, -0.2, 0.4]), AHEAD)
    assert (mixed["verdict"], mixed["seeds_verdict"], mixed["with_sign"]) == (SHOWN, NOT_SHOWN, 3)
    lost = verdict(trainings([-0.2, -0.1, -0.15, -0.3, -0.05]), AHEAD)
    assert (lost["seeds_verdict"], lost["with_sign"]) == (REVERSED, 0)
    alike = verdict(trainings([0.01, 0.0, -0.01, 0.01, 0.0]), ALIKE)
    assert (alike["seeds_verdict"], alike["with_sign"]) == (SHOWN, 5)
    assert verdict(trainings([0.1, 0.12, 0.09, 0.1, 0.11]), ALIKE)["seeds_verdict"] == REVERSED
    worse = ALIKE.model_copy(update={"expects": "no worse"})
    assert verdict(trainings([0.1, 0.2, 0.0, 0.1, 0.2]), worse)["seeds_verdict"] == SHOWN
    more = Claim(name="x", statement="x", source="2B", pair=("a", "b"), by=0.3)
    assert verdict(trainings([0.2, 0.1, 0.15, 0.3, 0.05]), more)["seeds_verdict"] == NOT_SHOWN


def test_the_effect_of_a_training_averages_as_the_benchmark_does():
    load_plugins(load_preset("6b").plugins)
    frame = records("mlvu", a=1.0, b=0.0)
    few = frame["video"].isin([f"v{i}" for i in range(4)])
    frame = frame.assign(kind=np.where(few, "count", "plot"))
    frame.loc[few & (frame["variant"] == "a"), "correct"] = False
    row = verdict(pool_seeds({3: frame}), AHEAD)
    assert row["seeds"] == {3: pytest.approx(0.5)}
    assert row["by_suite"] == {"mlvu": pytest.approx(0.5)}
    assert row["effect"] == pytest.approx(0.5)  # of two tasks, one right throughout
