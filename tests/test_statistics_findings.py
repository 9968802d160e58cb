"""Claims of the paper against records: effect, correction and verdict on worlds made by hand."""

import numpy as np
import pandas as pd
import pytest

from tempo_lib.evaluation.variants import get_variant
from tempo_lib.statistics.claims import Claim, Scaling, beyond_claims, paper_claims
from tempo_lib.statistics.findings import (
    AS_PAPER,
    NOT_MEASURED,
    NOT_SHOWN,
    REVERSED,
    SHOWN,
    TOKEN_MATCHED,
    alike_p,
    as_markdown,
    findings,
)
from tempo_lib.statistics.intervals import Difference
from tempo_lib.statistics.summaries import pool_seeds

NUM_VIDEOS, EACH = 40, 5
AHEAD = Claim(name="ahead", says="a beats b", source="2B", first="a", second="b")
ALIKE = Claim(name="alike", says="a equals b", source="2D", first="a", second="b", expects="alike")


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
    small = Claim(name="x", says="x", source="2B", first="a", second="b", by=0.5)
    row = verdict(records(a=0.9, b=0.6), small)
    assert row["p_holm"] < 0.05
    assert row["verdict"] == NOT_SHOWN


def test_alike_is_shown_by_a_narrow_interval_and_never_by_few_answers():
    assert verdict(records(num_videos=200, a=1.0, b=1.0), ALIKE)["verdict"] == SHOWN
    assert verdict(records(num_videos=40, a=1.0, b=1.0), ALIKE)["verdict"] == NOT_SHOWN
    assert verdict(records(a=0.7, b=0.7), ALIKE)["verdict"] == NOT_SHOWN  # too wide to tell
    assert verdict(records(a=0.9, b=0.4), ALIKE)["verdict"] == REVERSED


def test_p_of_two_one_sided_tests_follows_the_distance_to_the_margin():
    # standard error 0.01: two of them from 0 to the margin, none from the margin itself
    width = 2 * 1.959964 * 0.01
    at_zero = Difference(400, 0.0, -width / 2, width / 2, 1.0)
    assert alike_p(at_zero, 0.02, 400) == pytest.approx(0.02275, abs=1e-4)
    at_margin = Difference(400, -0.02, -0.02 - width / 2, -0.02 + width / 2, 0.01)
    assert alike_p(at_margin, 0.02, 400) == pytest.approx(0.5)


def test_no_difference_on_few_videos_proves_little():
    none = Difference(12, 0.0, 0.0, 0.0, 1.0)
    assert alike_p(none, 0.03, 3) == pytest.approx(0.97**3)
    assert alike_p(none, 0.03, 10_000) < 0.001


def test_many_claims_make_each_harder_to_show():
    frame = records(a=0.62, b=0.5)
    alone = verdict(frame, AHEAD)
    others = [Claim(name=f"c{i}", says="", source="", first="b", second="b2") for i in range(20)]
    frame = pd.concat([frame, frame[frame["variant"] == "b"].assign(variant="b2")])
    among = findings(frame, [AHEAD, *others])
    among = among[(among["claim"] == "ahead") & (among["family"] == "all")].iloc[0]
    assert among["p"] == alone["p"] == alone["p_holm"]
    assert among["p_holm"] == pytest.approx(min(1.0, 21 * among["p"]))


def test_missing_variants_are_said_and_not_counted_as_tests():
    lonely = Claim(name="lonely", says="c beats d", source="2E", first="c", second="d")
    table = findings(records(a=0.9, b=0.5), [AHEAD, lonely])
    assert set(table.loc[table["claim"] == "lonely", "verdict"]) == {NOT_MEASURED}
    ahead = table[table["claim"] == "ahead"].iloc[0]
    assert ahead["p_holm"] == ahead["p"]
    assert "not measured" in as_markdown(table)


def test_each_claim_is_judged_as_the_paper_does_and_token_matched():
    claim = Claim(name="x", says="x", source="2B", first="a", second="b", twins=("a", "b-matched"))
    table = findings(records(a=0.7, b=0.4, b_matched=0.98), [claim, AHEAD])
    rows = table[(table["claim"] == "x") & (table["family"] == "all")].set_index("compared")
    assert rows["verdict"].to_dict() == {AS_PAPER: SHOWN, TOKEN_MATCHED: REVERSED}
    assert rows.loc[TOKEN_MATCHED, "second"] == "b-matched"
    assert set(table.loc[table["claim"] == "ahead", "compared"]) == {AS_PAPER}  # no twins


def test_a_claim_about_one_suite_is_judged_there_alone():
    frame = pd.concat([records(a=0.9, b=0.5), records("mini-lvbench", a=0.5, b=0.9)])
    claim = Claim(name="x", says="x", source="Fig. 3", first="a", second="b", suite="mini-lvbench")
    table = findings(frame, [claim, AHEAD]).set_index(["family", "claim"]).sort_index()
    assert table.loc[("all", "x"), "verdict"] == REVERSED
    assert table.loc[("all", "ahead"), "n"] == 2 * NUM_VIDEOS * EACH
    assert table.loc[("s", "ahead"), "verdict"] == SHOWN
    assert ("s", "x") not in table.index


def test_a_pair_is_compared_on_the_suites_that_both_were_asked():
    frame = pd.concat([records(a=0.9, b=0.5), records("other", a=0.9)])
    assert verdict(frame, AHEAD)["n"] == NUM_VIDEOS * EACH


def test_each_model_seed_shows_its_own_effect():
    frame = records(a=1.0, b=0.0)
    turned = frame.assign(correct=~frame["correct"])
    row = verdict(pool_seeds({0: frame, 5: turned}), AHEAD)
    assert row["seeds"] == {0: 1.0, 5: -1.0}
    assert row["effect"] == 0.0


def test_the_markdown_table_has_a_row_a_finding():
    text = as_markdown(findings(records(a=0.9, b=0.5), [AHEAD]))
    lines = text.splitlines()
    assert len(lines) == 3
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "a beats b | 2B | as the paper | 200 | +" in lines[2]
    assert "100 : 60" in lines[2]


def test_every_claim_names_known_variants_and_its_own_twins():
    claims = [*paper_claims(Scaling()), *beyond_claims()]
    assert len({claim.name for claim in claims}) == len(claims)
    for claim in claims:
        for name in (claim.first, claim.second, *(claim.twins or ())):
            get_variant(name)
        for name in claim.twins or ():
            row = get_variant(name)
            assert row.match == "ata" or name in ("ata", "merge", "tail-dynamic")
