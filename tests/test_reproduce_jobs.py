"""Jobs of the workflow: records of every variant, predictions for files, one line of bad input."""

import json

import pytest

from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.evaluation.benchmark import benchmark_names, load_benchmark
from tempo_lib.reproduce import jobs


def test_questions_about_files_are_answered_and_scored(tmp_path, tiny_tempo, monkeypatch, capsys):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    tiny_tempo.save_pretrained(tmp_path / "checkpoint")
    monkeypatch.setattr(jobs, "find_checkpoint", lambda _: tmp_path / "checkpoint")
    jobs.predictions("tiny", tmp_path / "predictions.json")
    rows = json.loads((tmp_path / "predictions.json").read_text())
    suite = load_benchmark("tiny", benchmark_names("tiny")[0], num_questions=jobs.NUM_PREDICTIONS)
    questions = [question for video in suite.videos for question in video.questions]
    assert [row["question"] for row in rows] == [question.text for question in questions]
    for row, question in zip(rows, questions, strict=True):
        assert row["correct"] == suite.score(question, row["text"])
    assert f"of {len(rows)} correct" in capsys.readouterr().out


def test_a_missing_checkpoint_is_one_line(monkeypatch, capsys):
    def missing(_):
        raise CheckpointError("no checkpoint stage3 of the tiny preset")

    monkeypatch.setattr(jobs, "find_checkpoint", missing)
    with pytest.raises(SystemExit, match="2"):
        jobs.main(["predictions", "tiny"])
    assert capsys.readouterr().err == "error: no checkpoint stage3 of the tiny preset\n"


def test_records_hold_every_variant_of_tables_and_claims(monkeypatch, capsys):
    from tempo_lib.analysis import evaluations
    from tempo_lib.evaluation import ordered, runner
    from tempo_lib.evaluation.variants import NEW_QUESTIONS, VARIANTS
    from tempo_lib.statistics.claims import variants_of_claims

    seen = {}
    monkeypatch.setattr(evaluations, "load_models", lambda *_: {0: "the model"})
    monkeypatch.setattr(
        evaluations,
        "missing_part",
        lambda row, _: "scores of the reranker" if row.score_source == "reranker" else None,
    )
    suite = type("Suite", (), {"num_questions": 7})()
    monkeypatch.setattr(
        jobs, "load_benchmark", lambda _, name, **__: seen.update(suite=name) or suite
    )
    monkeypatch.setattr(
        runner, "evaluate_records", lambda model, suite, rows, **_: seen.update(rows=rows)
    )
    monkeypatch.setattr(ordered, "bound_to_order", lambda model, rows: (rows, {}))
    jobs.records("tiny", "mini-longvideobench")
    wanted = {row.name for row in VARIANTS.values() if row.paper_row is not None}
    wanted |= {f"{name}-matched" for name in wanted if f"{name}-matched" in VARIANTS}
    wanted |= set(variants_of_claims())
    wanted |= {name for pair in NEW_QUESTIONS for name in pair}
    wanted |= {ordered.ATA_ORDERED, ordered.FIXED_ORDERED}
    wanted |= {"stage0", "stage1"}  # the later stages are rows of Table 2 A
    missing = {"prior-reranker", "prior-reranker-matched"}
    names = [row.name for row in seen["rows"]]
    assert set(names) == wanted - missing
    assert len(names) == len(set(names))
    assert seen["suite"] == "mini-longvideobench"
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"mini-longvideobench: 7 questions, {len(names)} variants"
    assert {line.split()[2] for line in printed[1:]} == missing


def test_points_of_figure_3_are_of_the_suites_that_it_draws():
    from tempo_lib.statistics.claims import Scaling, variants_of_claims

    grid = Scaling()
    points = {f"ata-f{frames}-b{budget}" for frames in grid.frames for budget in grid.budgets}
    for suite, drawn in (("mini-lvbench", points), ("mini-videomme", points), ("mini-mlvu", set())):
        names = {row.name for row in jobs.rows_of_results("tiny", suite)}
        assert names & points - set(variants_of_claims()) == drawn - set(variants_of_claims())


def test_the_papers_scale_has_the_points_of_its_own_figure_3():
    names = {row.name for row in jobs.rows_of_results("6b", "lvbench")}
    assert {f"ata-f{frames}-b" for frames in (128, 2048)} <= {
        n.rpartition("b")[0] + "b" for n in names
    }
    assert not any("f2048" in row.name for row in jobs.rows_of_results("tiny", "mini-lvbench"))
