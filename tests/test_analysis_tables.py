"""Tables 1 and 2 from answers made by hand: rows, cells, what is absent, and the cost."""

import math

import numpy as np
import pandas as pd
import pytest
from evaluation_samples import BUDGET, brief, small_suite
from planted_answers import answers as planted

from tempo_lib.analysis import evaluations, grids, tables
from tempo_lib.config import load_preset
from tempo_lib.evaluation.published import load_published, source_lines
from tempo_lib.model.session import VideoSession
from tempo_lib.registry import load_plugins
from tempo_lib.statistics.claims import sentences
from tempo_lib.statistics.summaries import summarise

NUM_VIDEOS, EACH = 10, 4
TABLE_2 = ("table2a", "table2b", "table2c", "table2d", "table2e")
FOUR, EIGHT = "ata-b4K", "ata"


def answers(right, suites=("mini-mlvu",), seeds=(0,), tokens=60):
    """Answers of variants: name -> how many of each video's four questions are right."""
    parts = [
        pd.DataFrame(
            {
                "model_seed": seed,
                "suite": suite,
                "world_seed": 0,
                "variant": name,
                "video": np.repeat([f"v{i}" for i in range(NUM_VIDEOS)], EACH),
                "question_id": [f"q{i}" for i in range(NUM_VIDEOS * EACH)],
                "kind": "needle",
                "correct": np.tile(np.arange(EACH) < num_right, NUM_VIDEOS),
                "tokens_used": tokens,
                "budget_bound": True,
                "skewness": sum(map(ord, name)),
                "num_frames": 30,
                "budget": 70,
                "correct_words": 1.0,
                "duration": np.tile(["short", "short", "long", "long"], NUM_VIDEOS),
            }
        )
        for seed in seeds
        for suite in suites
        for name, num_right in right.items()
    ]
    return pd.concat(parts, ignore_index=True)


def cell(table, variant, benchmark="MLVU"):
    rows = table[(table["variant"] == variant) & (table["benchmark"] == benchmark)]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.mark.parametrize("name", TABLE_2)
def test_rows_are_those_of_the_paper_in_its_order_and_words(name):
    printed = [line.replace("\u2013", "-") for line in source_lines(name)]
    block = tables.get_block(name)
    assert len(printed) == len(block.rows)
    for line, (label, _) in zip(printed, block.rows, strict=True):
        assert line.startswith(label)
    assert block.rows[-1][1] == block.default == "ata"
    published = list(dict.fromkeys(load_published(name)["variant"]))
    assert published == [variant for _, variant in block.rows]


def test_an_unknown_table_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown table 'table3'; known tables: table1, table2a"):
        tables.get_block("table3")


def test_a_cell_holds_published_measured_and_the_difference_to_the_default():
    right = {"ata": 3, "top-k": 1, "top-k-matched": 4}
    found = cell(tables.paper_table(answers(right), "table2b"), "top-k")
    assert (found["published"], found["published_difference"]) == (73.9, pytest.approx(-1.3))
    assert (found["measured"], found["n"], found["tokens"]) == (25.0, 40, 60)
    assert found["low"] <= 25.0 <= found["high"]
    assert (found["difference"], found["difference_low"], found["difference_high"]) == (-50,) * 3
    assert found["p"] == 2 / 2**NUM_VIDEOS  # both signs of all ten videos alike
    assert found["tokens_per_frame"] == 2.0
    assert (found["twin"], found["twin_measured"], found["twin_difference"]) == (
        "top-k-matched",
        100.0,
        25.0,
    )


def test_a_cell_says_budget_and_share_that_it_binds_for_and_the_verdict_by_words():
    found = cell(tables.paper_table(answers({"ata": 3}), "table2b"), "ata")
    assert (found["budget"], found["binding"], found["by_words"]) == (70, 1.0, 100.0)
    assert found["measured"] == 75.0


def test_the_long_videos_of_a_suite_have_a_column_of_their_own():
    table = tables.paper_table(answers({"ata": 3, "top-k": 1}, ["mini-videomme"]), "table2b")
    whole, long = (cell(table, "ata", name) for name in ("Video-MME", "Video-MME Long"))
    assert (whole["n"], whole["measured"]) == (40, 75.0)
    assert (long["n"], long["measured"]) == (20, 50.0)  # of four, the last two; one of them right
    assert cell(table, "top-k", "Video-MME Long")["difference"] == -50.0


def test_training_seeds_are_pooled():
    parts = [answers({"ata": 1, "prune": 2}), answers({"ata": 3, "prune": 2}).assign(model_seed=1)]
    found = cell(tables.paper_table(pd.concat(parts), "table2e"), "prune")
    assert (found["n"], found["measured"], found["difference"]) == (80, 50.0, 0.0)


def test_the_default_has_no_difference_and_one_with_equal_tokens_is_its_own_control():
    table = tables.paper_table(answers({"ata": 3, "merge": 2}), "table2c")
    default, merge = cell(table, "ata"), cell(table, "merge")
    assert math.isnan(default["difference"]) and default["measured"] == 75.0
    assert merge["twin"] == "merge" and merge["twin_difference"] == merge["difference"] == -25.0


def test_what_is_not_measured_says_why():
    lacking = {"prior-reranker": "scores of the reranker"}
    table = tables.paper_table(answers({"ata": 2}), "table2d", missing=lacking)
    assert cell(table, "prior-reranker")["reason"] == "needs scores of the reranker"
    assert cell(table, "ata", "Video-MME Long")["reason"] == "mini-videomme not evaluated"
    assert cell(table, "ata", "LVBench")["reason"] == "mini-lvbench not evaluated"
    assert cell(table, "prior-base-std")["reason"] == "variant not evaluated"
    assert cell(table, "ata")["reason"] == ""
    absent = table[table["reason"] != ""]
    assert absent["measured"].isna().all() and absent["published"].notna().all()
    shown = tables.readable(table)
    assert (shown.loc[absent.index, "measured"] == "-").all()
    assert shown.loc[cell(table, "ata").name, "measured"].startswith("50.0 (")


def test_answers_without_the_default_are_refused():
    with pytest.raises(ValueError, match="table2e compares with ata; the answers hold prune"):
        tables.paper_table(answers({"prune": 2}), "table2e")


def test_table_1_has_every_published_row_and_measures_tempo_alone():
    table = tables.comparison_table(answers({EIGHT: 3, FOUR: 2}))
    published = load_published("table1")
    assert table["paper_row"].tolist() == published["model"].tolist()
    np.testing.assert_array_equal(table["published"], published["value"])
    measured = table[table["measured"].notna()]
    assert set(measured["group"]) == {"Tempo"} and set(measured["benchmark"]) == {"MLVU"}
    four = cell(table, FOUR)
    assert (four["measured"], four["difference"], four["used"]) == (50.0, -25.0, 2.8)
    assert four["twin"] == ""
    others = table[table["group"] != "Tempo"]
    assert set(others["reason"]) == {tables.PUBLISHED_ONLY}


def test_native_models_are_measured_in_their_own_rows_where_they_answered():
    right = {EIGHT: 3, FOUR: 2, "native-base": 1}
    lacking = {"native-qwen3-vl-8b": "weights of qwen3-vl-8b (hf download it)"}
    table = tables.comparison_table(answers(right), missing=lacking)
    without = tables.comparison_table(answers({EIGHT: 3, FOUR: 2}))
    natives = table["paper_row"] == "Qwen3-VL*"
    pd.testing.assert_frame_equal(table[~natives], without[~natives])
    small = cell(table, "native-base")
    assert (small["size"], small["published"], small["measured"]) == ("2B", 68.3, 25.0)
    assert (small["difference"], small["suite"], small["reason"]) == (-50.0, "mini-mlvu", "")
    large = cell(table, "native-qwen3-vl-8b")
    assert large["reason"] == "needs weights of qwen3-vl-8b (hf download it)"
    assert math.isnan(large["measured"]) and large["published"] == 78.1


def test_native_models_are_rows_of_table_1_at_the_papers_scale_alone(make_tiny_tempo):
    model = make_tiny_tempo()
    assert tables.block_variants("table1", {0: model}) == ([EIGHT, FOUR], {})
    model.config.preset = "6b-rehearsal"
    chosen, lacking = tables.block_variants("table1", {0: model})
    assert {*chosen, *lacking} == {EIGHT, FOUR, "native-base", "native-qwen3-vl-8b"}
    assert tables.block_variants("table2e", {0: model})[0] == ["ata", "prune", "prune-matched"]


def test_findings_are_the_claims_of_the_table_and_sentences_tell_them():
    right = {"ata": 4, "uniform": 1, "uniform-matched": 3, "head-fixed": 4, "tail-fixed": 1}
    frame = answers(right, ("mini-mlvu", "mini-lvbench"))
    found = tables.block_findings(frame, "table2b")
    assert set(found["claim"]) == {"uniform", "random-drop", "adversarial", "top-k"}
    assert list(dict.fromkeys(found["family"])) == ["mini-lvbench", "mini-mlvu", "all"]
    assert sentences(found)[0] == (
        "ATA beats uniform subsampling. as the paper: +75.0 points (+75.0 to +75.0), shown; "
        "token-matched: +25.0 points (+25.0 to +25.0), shown."
    )
    fronts = sentences(tables.block_findings(frame, "table2c"))
    void = "Head beats tail, fixed. as the paper: not testable here (training picks the end"
    assert sum(sentence.startswith(void) for sentence in fronts) == 1
    one = tables.block_findings(frame[frame["suite"] == "mini-mlvu"], "table2b")
    assert set(one["family"]) == {"all"}
    assert "not measured, needs ata and random-drop" in sentences(one)[1]
    budgets = tables.block_findings(answers({EIGHT: 3, FOUR: 3}), "table1")
    assert budgets["claim"].tolist() == ["less-is-more"]


def test_variants_of_a_table_come_with_their_controls_and_without_those_that_lack_a_part(
    tiny_tempo, tmp_path, monkeypatch
):
    monkeypatch.setattr(tiny_tempo, "name_or_path", str(tmp_path / "stage3"))
    models = {0: tiny_tempo}
    chosen, missing = tables.block_variants("table2a", models)
    assert chosen == ["ata", "no-ata", "no-ata-matched"]
    assert missing == dict.fromkeys(
        ("without-stage3", "without-stage3-matched"), "checkpoint stage2"
    )
    chosen, missing = tables.block_variants("table1", models)
    assert (chosen, missing) == ([EIGHT, FOUR], {})


def test_compressions_are_counted_as_the_runner_shares_them(make_tiny_tempo, tmp_path, monkeypatch):
    suite = small_suite(tmp_path)
    models = {0: brief(make_tiny_tempo(0))}
    models[0].config.budget = BUDGET
    ran = []
    compress = VideoSession.compress
    monkeypatch.setattr(
        VideoSession, "compress", lambda *given: ran.append(given) or compress(*given)
    )
    names = ["ata", "top-k", "top-k-matched", "uniform", "uniform-matched", "prior-tempo-std"]
    frame = evaluations.answers_of_seeds(models, [suite], names, cache=False)
    assert evaluations.count_compressions(frame, models) == len(ran)
    alone = frame[frame["variant"].isin(["ata", "top-k", "top-k-matched"])]
    assert evaluations.count_compressions(alone, models) == suite.num_questions


def accuracies(frame):
    return summarise(frame, ["variant"], ["suite", "kind"], {"tokens": "tokens_used"})


def test_accuracies_are_pooled_and_by_suite_and_kind():
    frame = planted(("mini-mlvu", "mini-lvbench"), ata=1.0, uniform=0.0)
    table = accuracies(frame).set_index(["suite", "variant", "kind"])
    whole = table.loc[("all", "ata", "all")]
    assert (whole["n"], whole["accuracy"], whole["tokens"]) == (240, 1.0, 60)
    assert table.loc[("mini-mlvu", "uniform", "after"), "n"] == 60
    assert table.loc[("mini-mlvu", "uniform", "after"), "accuracy"] == 0.0


def test_the_grid_reads_variants_by_kinds_in_percent():
    table = accuracies(planted(ata=1.0, uniform=0.0))
    grid = grids.accuracy_grid(table)
    assert grid.index.tolist() == ["ata", "uniform"]
    assert grid.columns.tolist() == ["tokens", "all, n = 120", "after, n = 60", "needle, n = 60"]
    assert grid.loc["ata", "all, n = 120"].startswith("100.0 (")
    with pytest.raises(ValueError, match="no accuracies of suite 'mini'; the table holds all"):
        grids.accuracy_grid(table, "mini")


def test_mlvu_is_the_mean_over_its_tasks_in_accuracy_and_difference():
    load_plugins(load_preset("6b").plugins)
    frame = answers({"ata": 4, "uniform": 3}, suites=("mlvu", "lvbench"))
    few = frame["question_id"].isin(["q3", "q7"])  # of a task of their own, uniform has both wrong
    frame.loc[few, "kind"] = "count"
    table = tables.paper_table(frame, "table2b")
    mlvu, other = (cell(table, "uniform", name) for name in ("MLVU", "LVBench"))
    assert (mlvu["suite"], other["suite"]) == ("mlvu", "lvbench")
    task = 100 * 30 / 38  # of the 38 other questions; the task of two counts as much
    assert (mlvu["measured"], other["measured"]) == (pytest.approx(task / 2), 75.0)
    assert mlvu["difference"] == pytest.approx(mlvu["measured"] - 100)
    assert other["difference"] == -25.0
