"""The workflow itself: which jobs it has, and that only what changed runs again."""

import os
import re
import subprocess
import time

import pytest
from batch_samples import SAVE, SETUP, write_notebook, write_project

from tempo_lib.cli.app import run
from tempo_lib.config import load_preset
from tempo_lib.miniature.world.corpus_specs import SUITE_SECONDS
from tempo_lib.reproduce.batch import Batch, snakemake_command
from tempo_lib.reproduce.workflow import BASES, RERANKER, Workflow

JOB = re.compile(r"^(\S+) +1$", re.MULTILINE)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return write_project(tmp_path)


def jobs_to_run(root, **options):
    """Names of the jobs that a dry run would start."""
    flow = Workflow(preset=load_preset("tiny"), root=root, **options)
    command = snakemake_command(Batch(flow=flow, cores=2), dry_run=True)
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(JOB.findall(done.stdout + done.stderr))


def test_from_scratch_reaches_from_base_models_to_the_gallery(project):
    text = 'suite: str = "mini-mlvu"  # which'
    write_notebook(project, "20_suite", 'start_run("suite")', parameters=text)
    assert jobs_to_run(project, from_scratch=True) == {
        *("base_decoder", "base_compressor", "reranker", "stage0", "stage1", "stage2", "stage3"),
        *("corpus-0", "corpus-1", "corpus-2", "corpus-3", "suite-mini-mlvu", "records-mini-mlvu"),
        "clips",
        *("01_first", "10_tablex_long", "20_suite", "gallery", "all"),
    }


def test_every_job_of_a_loop_is_told_its_own_name_and_threads(project):
    text = 'suites: list = ["mini-mlvu"]  # which'
    write_notebook(project, "20_suites", 'start_run("suites")', parameters=text)
    flow = Workflow(preset=load_preset("tiny"), root=project, from_scratch=True)
    command = snakemake_command(Batch(flow=flow, cores=2), dry_run=True)
    quiet = command.index("--quiet")
    command[quiet : quiet + 3] = ["--printshellcmds"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    shell = done.stdout + done.stderr
    names = re.findall(r"--name (\S+)", shell)
    assert sorted(names) == sorted(
        [*2 * ["0", "1", "2", "3"], *2 * list(SUITE_SECONDS), *BASES, RERANKER]
        + ["01_first", "10_tablex_long", "20_suites"]
    )
    threads = re.findall(r"OMP_NUM_THREADS=(\d+) MKL_NUM_THREADS=(\d+) .* stage --name (\d)", shell)
    assert sorted((stage, *count) for *count, stage in threads) == [
        ("0", "1", "1"),
        *((stage, "2", "2") for stage in "123"),
    ]


def test_only_the_notebook_that_changed_runs_again(project):
    flow = Workflow(preset=load_preset("tiny"), root=project)
    results = [file for book in flow.notebooks for file in flow.published(book)]
    receipts = [flow.receipt(name) for name in ("clips", "01_first", "10_tablex_long")]
    for name in (*results, *receipts, flow.receipt("gallery")):  # as if all had run
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("{}")
    assert jobs_to_run(project) == set()
    later = time.time() + 60
    os.utime(project / "notebooks" / "10_tablex_long.ipynb", (later, later))
    assert jobs_to_run(project) == {"10_tablex_long", "gallery", "all"}


def test_one_result_is_made_once_measured_and_made_again_when_its_notebook_changes(project):
    assert run(["reproduce", "--only", "tablex"]) == 0
    table = project / "figures" / "tiny" / "tablex.csv"
    assert table.read_text() == "value\n1\n"
    assert not (project / "figures" / "tiny" / "first.csv").exists()
    times = (project / "figures" / "tiny" / "reproduce.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in times] == ["job", "10_tablex_long"]
    os.utime(project / "notebooks" / "10_tablex_long.ipynb")  # as a checkout does: same content
    assert jobs_to_run(project, only="10_tablex_long") == set()
    write_notebook(project, "10_tablex_long", SETUP, SAVE.format(name="tablex", value=2))
    assert run(["reproduce", "--only", "tablex", "--report", str(project / "page.html")]) == 0
    assert table.read_text() == "value\n2\n"
    assert "tablex" in (project / "page.html").read_text()
