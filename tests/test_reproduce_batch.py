"""``tempo reproduce``: its plan, its options, and what the user sees of a failure."""

import fcntl
import os
import subprocess
import sys

import pytest
from batch_samples import write_notebook, write_project

from tempo_lib.checkpoints import folders as checkpoint_folders
from tempo_lib.cli.app import run
from tempo_lib.config import load_preset
from tempo_lib.reproduce import batch as module
from tempo_lib.reproduce.workflow import Workflow

RUN_SMALL = """
import json, sys
from tempo_lib.reproduce.notebooks import run_notebook
run_notebook(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with two small notebooks, taken for the project."""
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return write_project(tmp_path)


def test_a_plan_says_what_was_measured_and_what_was_not():
    steps = [module.Step("a", "do it", 30.0), module.Step("b", "do b", None)]
    assert module.plan_text(steps).splitlines() == [
        "1. a: do it (30 s)",
        "2. b: do b (not measured yet)",
        "2 jobs; 30 s of one core, and 1 not measured yet",
    ]
    long = [module.Step("a", "do a", 600.0), module.Step("b", "do b", 9000.0)]
    assert module.plan_text(long).splitlines()[-1].endswith("2.7 h of one core")
    assert module.plan_text(long, 2).endswith("2.7 h of one core, at best 80 min on 2")
    both = [module.Step("a", "do a", 600.0, threads=2)]
    assert module.plan_text(both, 2).endswith("20 min of one core, at best 10 min on 2")
    assert module.plan_text([]) == "everything is up to date"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "table9"], "error: no notebook or result is called 'table9'; known, with"),
        (["--executor", "moon"], "error: no executor 'moon' here: pip install snakemake-executor"),
        (["--cores", "0"], "error: --cores must be 1 or more, got 0"),
        (["--report", "page.pdf"], "error: --report page.pdf: the page is HTML"),
        (["--preset", "huge"], "error: unknown preset 'huge'"),
    ],
)
def test_bad_input_is_one_line_before_any_work(capsys, project, arguments, message):
    assert run(["reproduce", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert len(err.splitlines()) == 1
    assert [path.name for path in project.iterdir()] == ["notebooks"]


def test_the_papers_scale_is_planned_and_lists_what_is_missing(capsys, project):
    assert run(["reproduce", "--preset", "6b"]) == 2
    out, err = capsys.readouterr()
    *plan, line = err.splitlines()
    assert out == "" and line.startswith("error: preset 6b cannot run here; missing: ")
    for name in ("Vision-CAIR/Tempo-6B", "Qwen/Qwen3-VL-2B-Instruct", "17 GB"):
        assert name in line
    for title in ("LongVideoBench (val)", "MLVU (dev)", "Video-MME", "LVBench"):
        assert f"benchmark {title} (into data/" in line
    assert any(text.startswith("all: 2878 videos, 7761 questions") for text in plan)
    assert [path.name for path in project.iterdir()] == ["notebooks"]


def test_a_rehearsal_without_its_parts_names_the_command_that_makes_them(capsys, project):
    assert run(["reproduce", "--preset", "6b-rehearsal"]) == 2
    assert "`tempo data rehearsal` makes it" in capsys.readouterr().err
    assert run(["reproduce", "--preset", "6b", "--from-scratch"]) == 2
    assert "makes the miniature, not preset 6b" in capsys.readouterr().err


def test_without_a_checkpoint_the_run_ends_in_one_line(capsys, project, monkeypatch):
    monkeypatch.setattr(checkpoint_folders.resources, "files", lambda _: project)
    assert run(["reproduce", "--only", "01"]) == 2
    assert "no checkpoint stage3" in capsys.readouterr().err.splitlines()[-1]


def test_a_second_run_at_the_same_time_is_refused(capsys, project, monkeypatch):
    monkeypatch.setattr(module, "plan", lambda _: [])
    folder = project / "runs" / "tiny" / "reproduce"
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run(["reproduce", "--only", "01"]) == 2
    assert "another run is at work" in capsys.readouterr().err


def log_of(flow, job, text, log_time, measured_time=None):
    """A job's log, last written at a time, and its measurement where it ended."""
    for path, when in ((flow.log(job), log_time), (flow.benchmark(job), measured_time)):
        if when is not None:
            (flow.root / path).parent.mkdir(parents=True, exist_ok=True)
            (flow.root / path).write_text(text)
            os.utime(flow.root / path, (when, when))


def test_a_failed_job_is_one_whose_log_no_measurement_follows(project, capsys):
    flow = Workflow(preset=load_preset("tiny"), root=project)
    log_of(flow, "older", "Traceback", 100)
    log_of(flow, "good", "fine", 210, 211)
    assert module.report_failures(flow, started=200) == 1
    assert "Snakemake's message is above" in capsys.readouterr().err
    log_of(flow, "missing", "loading\nerror: no checkpoint stage3", 210)
    assert module.report_failures(flow, started=200) == 2
    assert capsys.readouterr().err == "\nmissing failed:\nloading\nerror: no checkpoint stage3\n"
    log_of(flow, "again", "KeyError: 'weights'", 210, 150)
    assert module.report_failures(flow, started=200) == 1
    assert [path.stem for path in module.failed_logs(flow, 200)] == ["again", "missing"]


def test_files_dated_after_the_clock_are_said_before_the_plan(capsys, project, monkeypatch):
    flow = Workflow(preset=load_preset("tiny"), root=project, only="01_first")
    marker, notebook = project / flow.marker("01_first"), project / "notebooks/01_first.ipynb"
    marker.parent.mkdir(parents=True)
    marker.touch()
    for path, when in ((marker, 1000.0), (notebook, 900.0)):
        os.utime(path, (when, when))
    assert flow.marker("01_first") not in module.dated_ahead(flow, now=1000.0)
    assert flow.marker("01_first") in module.dated_ahead(flow, now=950.0)
    assert "notebooks/01_first.ipynb" not in module.dated_ahead(flow, now=950.0)
    monkeypatch.setattr(module, "plan", lambda _: [])
    monkeypatch.setattr(module.time, "time", lambda: 950.0)
    module.reproduce(module.Batch(flow=flow, cores=1), dry_run=True)
    assert "are dated after this machine's clock" in capsys.readouterr().err


def test_the_cluster_gets_the_same_workflow(project):
    flow = Workflow(preset=load_preset("tiny"), root=project, only="01_first")
    here = module.snakemake_command(module.Batch(flow=flow, cores=2))
    there = module.snakemake_command(module.Batch(flow=flow, cores=2, executor="slurm"))
    assert [word for word in here if word not in there] == ["--cores"]
    assert [word for word in there if word not in here] == ["--executor", "slurm", "--jobs"]
    assert "only=01_first" in here


def test_a_failing_notebook_is_shown_at_the_end_with_its_cell(capfd, project):
    code = ("num = 1", "assert num == 2, 'it is not two'")
    write_notebook(project, "02_bad", *code, tables=["bad"])
    published = project / "figures" / "tiny" / "bad.csv"
    published.parent.mkdir(parents=True)
    published.write_text("of an earlier run")
    assert run(["reproduce", "--only", "02_bad"]) == 1
    end = capfd.readouterr().err.split("\n02_bad failed:\n")[-1]
    assert "in cell 3 of 3" in end
    assert "it is not two" in end
    copy = project / "runs" / "tiny" / "reproduce" / "notebooks" / "02_bad.ipynb"
    assert "it is not two" in copy.read_text()
    assert published.read_text() == "of an earlier run"


def test_two_fresh_processes_make_the_same_bits(repo_root, tmp_path, monkeypatch):
    """A figure from a drawn video to a table, nothing kept in between."""
    notebook = repo_root / "notebooks" / "01_ask_a_video.ipynb"
    tables = []
    for name in ("one", "two"):
        home = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("TEMPO_HOME", str(home))
        arguments = [str(notebook), '{"num_frames": 96}', str(home / "executed")]
        subprocess.run([sys.executable, "-c", RUN_SMALL, *arguments], check=True, cwd=repo_root)
        tables.append((home / "runs" / "tiny" / "ask_a_video" / "ask_a_video.csv").read_bytes())
    assert tables[0] == tables[1]
    assert len(tables[0].splitlines()) == 1 + 2 * 96 // 8  # two questions, 8 frames a segment
