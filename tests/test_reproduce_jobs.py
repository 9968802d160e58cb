"""What jobs leave behind: a receipt, or the reason why there is none."""

import json

import pytest
from batch_samples import write_notebook, write_project

from tempo_lib.cli.common import InputError
from tempo_lib.config import load_preset
from tempo_lib.reproduce import jobs as workflow_jobs
from tempo_lib.reproduce.workflow import Workflow


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return Workflow(preset=load_preset("tiny"), root=tmp_path)


def test_a_notebook_that_ran_leaves_a_receipt_and_its_result(flow):
    write_project(flow.root)
    assert workflow_jobs.main(["notebook", "--name", "10_tablex_long"]) == 0
    receipt = json.loads((flow.root / flow.receipt("10_tablex_long")).read_text())
    assert receipt["parameters"] == {"preset": "tiny"}
    assert receipt["published"] == ["figures/tiny/tablex.json"]
    assert (flow.root / "figures" / "tiny" / "tablex.csv").read_text() == "value\n1\n"
    assert (flow.root / receipt["executed_copy"]).is_file()


@pytest.mark.parametrize(
    ("error", "code"), [(InputError("no such suite"), 2), (KeyError("weights"), 1)]
)
def test_a_failed_job_leaves_the_reason_until_it_runs_again(flow, monkeypatch, error, code):
    def fail(*_):
        raise error

    monkeypatch.setitem(workflow_jobs.JOBS, "clips", fail)
    assert workflow_jobs.main(["clips"]) == code
    failure = json.loads(flow.failure("clips").read_text())
    assert (failure["job"], failure["code"]) == ("clips", code)
    assert str(error) in failure["reason"]
    assert ("Traceback" in failure["reason"]) == (code == 1)
    assert not (flow.root / flow.receipt("clips")).exists()
    monkeypatch.setitem(workflow_jobs.JOBS, "clips", lambda *_: {"asked": 0})
    assert workflow_jobs.main(["clips"]) == 0
    assert not flow.failure("clips").exists()


def test_a_failing_notebook_names_its_cell(flow, capsys):
    write_notebook(flow.root, "01_bad", "num = 1", "assert num == 2, 'it is not two'")
    assert workflow_jobs.main(["notebook", "--name", "01_bad"]) == 1
    assert "in cell 3 of 3" in capsys.readouterr().err
    assert "it is not two" in json.loads(flow.failure("01_bad").read_text())["reason"]


def test_the_clips_are_asked_and_judged(flow, tiny_tempo, monkeypatch):
    folder = flow.root / "checkpoint"
    tiny_tempo.save_pretrained(folder)
    monkeypatch.setattr(workflow_jobs, "find_checkpoint", lambda _: folder)
    facts = workflow_jobs.ask_clips(flow, "")
    records = json.loads((flow.folder / "asks.json").read_text())
    assert facts == {"asked": len(records), "right": sum(r["correct"] for r in records)}
    assert len({record["clip"] for record in records}) == 3
    assert all((flow.folder / "clips" / record["clip"]).is_file() for record in records)
    assert all(record["correct"] in (True, False) for record in records)


def test_records_hold_every_variant_of_tables_and_claims(flow, monkeypatch):
    from tempo_lib.analysis import evaluations
    from tempo_lib.evaluation import benchmark, runner
    from tempo_lib.evaluation.variants import VARIANTS
    from tempo_lib.statistics.claims import Scaling, variants_of_claims

    asked = {}
    monkeypatch.setattr(evaluations, "load_models", lambda *_: {0: "the model"})
    monkeypatch.setattr(
        evaluations,
        "missing_part",
        lambda row, _: "scores of the reranker" if row.score_source == "reranker" else None,
    )
    suite = type("Suite", (), {"num_questions": 7, "data_hash": "abc"})()
    monkeypatch.setattr(
        benchmark, "load_benchmark", lambda _, name, **__: asked.update(suite=name) or suite
    )
    monkeypatch.setattr(
        runner, "evaluate_records", lambda model, suite, rows, progress: asked.update(rows=rows)
    )
    facts = workflow_jobs.make_records(flow, "mini-longvideobench")
    wanted = {row.name for row in VARIANTS.values() if row.paper_row is not None}
    wanted |= {f"{name}-matched" for name in wanted if f"{name}-matched" in VARIANTS}
    wanted |= set(variants_of_claims())
    grid = Scaling()
    wanted |= {f"ata-f{frames}-b{budget}" for frames in grid.frames for budget in grid.budgets}
    wanted |= {"stage0", "stage1"}  # the later stages are rows of Table 2 A
    missing = {"prior-reranker", "prior-reranker-matched"}
    names = [row.name for row in asked["rows"]]
    assert set(names) == wanted - missing and facts["variants"] == names
    assert len(names) == len(set(names))
    assert set(facts["left_out"]) == missing
    assert (asked["suite"], facts["questions"]) == ("mini-longvideobench", 7)
