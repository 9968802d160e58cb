"""Claims of records made by hand: which are asked, what they say, and what the checks catch."""

import math

import numpy as np
import pandas as pd
import pytest
from evaluation_samples import BUDGET, brief, small_suite

from tempo_lib.checkpoints import folders as checkpoint_folders
from tempo_lib.checkpoints.loading import CheckpointError
from tempo_lib.evaluation.variants import get_variant
from tempo_lib.statistics import claims_table as claims
from tempo_lib.statistics.allocation_claims import allocation_claims, skewness, variants_of_claims

NUM_VIDEOS, EACH = 30, 4


def answers(suites=("mini-mlvu",), seeds=(0,), skew=1.0, **accuracy):
    """Records of variants (``head_fixed=0.9``) whose answers are right with the given share."""
    rng = np.random.default_rng(0)
    num = NUM_VIDEOS * EACH
    parts = [
        pd.DataFrame(
            {
                "model_seed": seed,
                "suite": suite,
                "world_seed": 0,
                "variant": name.replace("_", "-"),
                "video": np.repeat([f"v{i}" for i in range(NUM_VIDEOS)], EACH),
                "question_id": [f"q{i}" for i in range(num)],
                "kind": ["needle", "after"] * (num // 2),
                "correct": rng.random(num) < share,
                "tokens_used": 60,
                "matched_tokens": 60.0 if name.endswith("_matched") else math.nan,
                "capacity": 100,
                "skewness": skew,
            }
        )
        for seed in seeds
        for suite in suites
        for name, share in accuracy.items()
    ]
    return pd.concat(parts, ignore_index=True)


def row_of(table, claim, compared="as the paper", family="all"):
    rows = table[(table["claim"] == claim) & (table["compared"] == compared)]
    return rows[rows["family"] == family].iloc[0]


@pytest.fixture(scope="module")
def table():
    shares = {"ata": 0.9, "uniform": 0.5, "uniform_matched": 0.98, "head_fixed": 0.9}
    return claims.claims_table(answers(seeds=(0, 2), **shares))


def test_a_claim_is_judged_as_the_paper_does_and_at_equal_tokens(table):
    assert row_of(table, "uniform")["verdict"] == "shown"
    assert row_of(table, "uniform", "token-matched")["verdict"] == "reversed"
    assert row_of(table, "uniform")["n"] == 2 * NUM_VIDEOS * EACH


def test_claims_whose_variants_were_not_asked_say_so_and_count_as_no_test(table):
    assert row_of(table, "merge")["verdict"] == claims.NOT_ASKED
    assert not (claims.asked(table)["n"] == 0).any()
    assert "Head truncation beats token merging (as the paper): needs ata and merge" in (
        claims.not_asked(table)
    )
    tests = claims.asked(table)
    tests = tests[(tests["compared"] == "as the paper") & (tests["unit"] == "accuracy")]
    assert set(tests["claim"]) == {"uniform", "dynamic"}
    smallest = tests["p"].min()
    assert row_of(table, "uniform")["p_holm"] == pytest.approx(2 * smallest)


def test_each_training_seed_shows_its_effect(table):
    told = row_of(table, "uniform")["seeds"]
    assert [part.split(":")[0] for part in told.split(", ")] == ["0", "2"]
    effects = [float(part.split(":")[1]) for part in told.split(", ")]
    assert np.mean(effects) == pytest.approx(row_of(table, "uniform")["effect"], abs=1e-3)
    assert row_of(table, "merge")["seeds"] == ""


def test_every_claim_of_the_paper_and_beyond_has_its_rows(table):
    wanted = {claim.name for claim in claims.all_claims()}
    assert set(table["claim"]) == wanted | {claim.name for claim in allocation_claims()}
    assert tuple(table.columns) == claims.COLUMNS
    collapse = row_of(table, "adversarial")
    assert (collapse["expects"], collapse["needs"]) == ("ahead", 0.10)
    assert row_of(table, "less-is-more")["expects"] == "alike"


def test_several_suites_are_families_of_their_own_and_one_is_not():
    both = answers(("mini-mlvu", "mini-lvbench"), ata=0.9, uniform=0.5)
    found = claims.claims_table(both)
    assert set(found["family"]) == {"all", "mini-mlvu", "mini-lvbench"}
    assert row_of(found, "uniform", family="mini-mlvu")["n"] == NUM_VIDEOS * EACH
    alone = claims.claims_table(both[both["suite"] == "mini-mlvu"])
    assert set(alone["family"]) == {"all"}


def test_policies_beyond_the_paper_are_corrected_among_themselves():
    found = claims.claims_table(answers(ata=0.5, ata_logit=0.9, uniform=0.1))
    row = row_of(found, "ata-logit")
    assert (row["source"], row["verdict"]) == (claims.BEYOND, "shown")
    assert row["p_holm"] == row["p"]


@pytest.mark.parametrize(("skew", "verdict"), [(1.5, "shown"), (-1.5, "reversed")])
def test_allocations_are_judged_by_their_skewness_and_what_they_leave(skew, verdict):
    found = claims.claims_table(answers(skew=skew, ata=0.5))
    skewed = row_of(found, "skewed", "ATA alone")
    assert (skewed["effect"], skewed["unit"], skewed["verdict"]) == (skew, "skewness", verdict)
    unused = row_of(found, "below-capacity", "ATA alone")
    assert unused["effect"] == pytest.approx(0.4)  # 60 tokens of 100
    assert unused["verdict"] == "shown"
    assert row_of(found, "stable", "ATA alone")["verdict"] == claims.NOT_ASKED


def test_skewness_has_the_sign_of_the_longer_tail():
    assert skewness([2, 2, 2, 16]) == pytest.approx(2 / math.sqrt(3))  # by hand: 1.1547
    assert skewness([16, 16, 16, 2]) == pytest.approx(-2 / math.sqrt(3))
    assert skewness([4, 4, 4]) == 0.0


def test_accuracies_are_pooled_and_by_suite_and_kind():
    frame = answers(("mini-mlvu", "mini-lvbench"), ata=1.0, uniform=0.0)
    table = claims.accuracies(frame).set_index(["suite", "variant", "kind"])
    whole = table.loc[("all", "ata", "all")]
    assert (whole["n"], whole["accuracy"], whole["tokens"]) == (2 * NUM_VIDEOS * EACH, 1.0, 60)
    assert table.loc[("mini-mlvu", "uniform", "after"), "n"] == NUM_VIDEOS * EACH // 2
    assert table.loc[("mini-mlvu", "uniform", "after"), "accuracy"] == 0.0


def test_the_grid_reads_variants_by_kinds_in_percent():
    table = claims.accuracies(answers(ata=1.0, uniform=0.0))
    grid = claims.accuracy_grid(table)
    assert grid.index.tolist() == ["ata", "uniform"]
    assert grid.columns.tolist() == ["tokens", "all, n = 120", "needle, n = 60", "after, n = 60"]
    assert grid.loc["ata", "all, n = 120"].startswith("100.0 (")
    with pytest.raises(ValueError, match="no accuracies of suite 'mini'; the table holds all"):
        claims.accuracy_grid(table, "mini")


def test_twins_that_leave_or_take_tokens_are_found():
    frame = answers(ata=0.5, uniform_matched=0.5, ata_logit_matched=0.5)
    frame.loc[frame.index[frame["variant"] == "ata-logit-matched"][0], "tokens_used"] = 55
    unspent = claims.unspent_tokens(frame)
    assert unspent["most"].to_dict() == {"uniform-matched": 0, "ata-logit-matched": 5}
    assert unspent["spends_all"].to_dict() == {"uniform-matched": True, "ata-logit-matched": False}
    frame.loc[frame.index[frame["variant"] == "uniform-matched"][0], "tokens_used"] = 61
    assert claims.unspent_tokens(frame).loc["uniform-matched", "most_over"] == 1


def test_unequal_questions_are_seen():
    frame = answers(seeds=(0, 1), ata=0.5, uniform=0.5)
    assert claims.same_questions(frame)
    assert not claims.same_questions(frame.iloc[1:])
    assert not claims.same_questions(pd.concat([frame, frame.iloc[[0]]]))
    assert not claims.same_questions(
        frame[(frame["variant"] == "ata") | (frame["model_seed"] == 0)]
    )


def test_a_missing_seed_names_the_command_that_trains_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    command = "tempo train --from-scratch --seed 2 --work runs/tiny/train-seed2"
    with pytest.raises(CheckpointError, match=f"seed 2 .*{command} --bases runs/tiny/train`"):
        claims.seed_checkpoint("tiny", 2)
    folder = tmp_path / "runs" / "tiny" / "train-seed2" / "stage3"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text("{}")
    assert claims.seed_checkpoint("tiny", 2) == folder
    with pytest.raises(ValueError, match="model_seeds is empty"):
        claims.load_models("tiny", [])


def test_all_variants_are_those_that_claims_need_and_whose_parts_are_here(
    tiny_tempo, tmp_path, monkeypatch
):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    monkeypatch.setattr(checkpoint_folders.resources, "files", lambda _: tmp_path / "nothing")
    monkeypatch.setattr(tiny_tempo, "name_or_path", str(tmp_path / "stage3"))
    chosen, missing = claims.choose_variants(["all"], {0: tiny_tempo})
    needed = variants_of_claims(claims.all_claims())
    assert sorted([*chosen, *missing]) == sorted(needed)
    assert missing["without-stage3-matched"] == "checkpoint stage2"
    assert missing["prior-reranker"] == "scores of the reranker"
    assert {"ata", "uniform-matched", "ata-f1024-b768"} <= set(chosen)
    (tmp_path / "stage2").mkdir()
    (tmp_path / "stage2" / "config.json").write_text("{}")
    assert "without-stage3" in claims.choose_variants(["all"], {0: tiny_tempo})[0]


def test_named_variants_are_taken_as_they_are():
    assert claims.choose_variants(["top-k", "ata", "top-k"], {}) == (["top-k", "ata"], {})
    short, _ = claims.choose_variants(["short"], {})
    assert short[0] == "ata" and all(get_variant(name).checkpoint == "stage3" for name in short)
    for names in ([], ["all", "ata"], ["ata", "short"]):
        with pytest.raises(ValueError, match="variants must be names"):
            claims.choose_variants(names, {})
    with pytest.raises(ValueError, match="unknown variant 'atta'"):
        claims.choose_variants(["atta"], {})


def test_models_of_two_seeds_answer_the_same_questions(make_tiny_tempo, tmp_path):
    suite = small_suite(tmp_path)
    models = {seed: brief(make_tiny_tempo(seed)) for seed in (0, 3)}
    for model in models.values():
        model.config.budget = BUDGET
    names = ["ata", "uniform-matched"]
    frame = claims.answers_of_seeds(models, [suite], names, cache=False)
    assert len(frame) == 2 * 2 * suite.num_questions
    assert claims.same_questions(frame)
    assert (frame["tokens_used"] <= frame["capacity"]).all()
    assert (frame["capacity"] <= BUDGET).all()
    assert claims.unspent_tokens(frame)["most"].to_dict() == {"uniform-matched": 0}
    found = claims.asked(claims.claims_table(frame))
    assert row_of(found, "uniform", "token-matched")["seeds"].startswith("0: ")
