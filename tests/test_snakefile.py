"""The workflow itself: which jobs it has, and that only what is out of date runs again."""

import os
import re
import subprocess
import sys
import time

import pandas as pd
import pytest
from batch_samples import SAVE, SETUP, write_notebook, write_project

from tempo_lib.checkpoints.folders import BASE_MODELS, RERANKER
from tempo_lib.cli.app import run
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import benchmark_names
from tempo_lib.provenance import start_run
from tempo_lib.reproduce.batch import Batch, plan, snakemake_command
from tempo_lib.reproduce.workflow import Workflow

WHOLE = 'suites: list = ["mini-mlvu"]  # which; the batch run: all'
# One file that is no part of the package: a figure, drawn by a notebook beside it.
TOY_FIGURE = """
import seaborn
from tempo_lib.figures.style import new_figure


def bars(table):
    with new_figure(2.0, title="Squares") as figure:
        axes = figure.subplots()
        seaborn.barplot(table, x="number", y="square", ax=axes)
        figure.alt_text = "Squares of three numbers."
    return figure
"""
DRAW = """import pandas as pd
import toy_figure
from tempo_lib.provenance import start_run
table = pd.DataFrame({"number": [1, 2, 3], "square": [1, 4, 9]})
run, figure = start_run("squares", preset=preset), toy_figure.bars(table)
run.record("alt_text", figure.alt_text)
run.save(figure, table);"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return write_project(tmp_path)


def jobs_to_run(root, **options):
    """Names of the jobs that a dry run would start."""
    flow = Workflow(preset=load_preset("tiny"), root=root, **options)
    return {step.job for step in plan(Batch(flow=flow, cores=2))}


def test_from_scratch_reaches_from_base_models_to_results(project):
    write_notebook(project, "20_suite", parameters=WHOLE, suites=["mini-mlvu"], tables=["suite"])
    assert jobs_to_run(project, from_scratch=True) == {
        *("base_decoder", "base_compressor", "reranker", "stage0", "stage1", "stage2", "stage3"),
        *("corpus-0", "corpus-1", "corpus-2", "corpus-3", "records-mini-mlvu", "predictions"),
        *("01_first", "10_tablex_long", "20_suite"),
    }


def test_every_job_of_a_loop_is_given_its_own_name_and_threads(project):
    write_notebook(project, "20_suites", parameters=WHOLE, suites="all", tables=["suites"])
    flow = Workflow(preset=load_preset("tiny"), root=project, from_scratch=True)
    command = [*snakemake_command(Batch(flow=flow, cores=2)), "--dry-run", "--printshellcmds"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    shell = done.stdout + done.stderr
    stages = ["stage0", "stage1", "stage2", "stage3"]
    parts = re.findall(r"miniature\.pretrain tiny (\S+) >", shell)
    assert sorted(parts) == sorted([*BASE_MODELS, RERANKER, *stages])
    suites = re.findall(r"jobs records tiny (\S+) --num-questions 0 >", shell)
    assert sorted(suites) == sorted(benchmark_names("tiny"))
    notebooks = re.findall(r"reproduce\.notebooks notebooks/(\S+)\.ipynb .*--publish >", shell)
    assert sorted(notebooks) == ["01_first", "10_tablex_long", "20_suites"]
    assert """--given '{"preset": "tiny"}'""" in shell
    threads = re.findall(r"OMP_NUM_THREADS=(\d+) MKL_NUM_THREADS=(\d+) .* --stage (\d)", shell)
    assert sorted((stage, *count) for *count, stage in threads) == [
        ("0", "1", "1"),
        *((stage, "2", "2") for stage in "123"),
    ]


def test_records_of_a_real_benchmark_are_cut_into_parts(project):
    facts = {"suites": ["mini-mlvu"], "tables": ["suite"], "real": True}
    write_notebook(project, "20_suite", parameters=WHOLE, **facts)
    flow = Workflow(preset=load_preset("6b-rehearsal"), root=project, parts=2)
    command = [*snakemake_command(Batch(flow=flow, cores=2)), "--dry-run", "--printshellcmds"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    shell = done.stdout + done.stderr
    parts = re.findall(r"records 6b-rehearsal mlvu --part (\d) --parts 2 --num-questions 0", shell)
    assert sorted(parts) == ["0", "1"]
    assert "01_first" not in shell
    assert '"suites": ["longvideobench", "mlvu", "videomme", "lvbench"]' in shell


def test_only_what_changed_or_is_missing_runs_again(project):
    flow = Workflow(preset=load_preset("tiny"), root=project)
    for name in flow.targets:  # as if all had run
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("{}")
    for name in ("first", "tablex"):
        start_run(name, preset="tiny").save(None, pd.DataFrame({"n": [1]}), publish=True)
    assert jobs_to_run(project) == set()
    (project / "figures" / "tiny" / "first.csv").unlink()
    assert jobs_to_run(project) == {"01_first"}
    later = time.time() + 60
    os.utime(project / "notebooks" / "10_tablex_long.ipynb", (later, later))
    assert jobs_to_run(project) == {"01_first", "10_tablex_long"}


def test_one_result_is_made_once_measured_and_made_again_when_it_or_its_notebook_changes(
    project, capsys
):
    assert run(["reproduce", "--only", "tablex"]) == 0
    table = project / "figures" / "tiny" / "tablex.csv"
    assert table.read_text() == "value\n1\n"
    assert not (project / "figures" / "tiny" / "first.csv").exists()
    times = (project / "figures" / "tiny" / "reproduce.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in times] == ["job", "10_tablex_long"]
    os.utime(project / "notebooks" / "10_tablex_long.ipynb")  # as a checkout does: same content
    assert jobs_to_run(project, only="10_tablex_long") == set()
    table.write_text("value\n3\n")  # by hand: newer than all that it comes from
    assert jobs_to_run(project, only="10_tablex_long") == {"10_tablex_long"}
    assert run(["reproduce", "--only", "tablex", "--dry-run"]) == 0
    assert "note: tablex.csv: not as the provenance of tablex says" in capsys.readouterr().err
    code = (SETUP, SAVE.format(name="tablex", value=2))
    write_notebook(project, "10_tablex_long", *code, tables=["tablex"])
    assert run(["reproduce", "--only", "tablex"]) == 0
    assert table.read_text() == "value\n2\n"


def test_a_figure_from_outside_is_drawn_and_a_deleted_picture_is_drawn_again(project):
    """One file and a notebook beside it: no list names them, nothing of the package changes."""
    (project / "notebooks" / "toy_figure.py").write_text(TOY_FIGURE)
    write_notebook(project, "30_squares", DRAW, results=["squares"])
    folder, page = project / "figures" / "tiny", project / "page.html"
    assert run(["reproduce", "--only", "squares", "--report", str(page)]) == 0
    files = sorted(path.name for path in folder.glob("squares.*"))
    assert files == ["squares.csv", "squares.json", "squares.pdf", "squares.png"]
    assert (folder / "squares.csv").read_text() == "number,square\n1,1\n2,4\n3,9\n"
    assert (
        "![Squares of three numbers.](tiny/squares.png)"
        in (project / "figures" / "README.md").read_text()
    )
    html = page.read_text()
    assert "squares.png" in html
    assert re.search(r"data:image/png;[^\"]*base64,", html)
    assert 'src="http' not in html
    before = (folder / "squares.png").read_bytes()
    (folder / "squares.png").unlink()
    assert run(["reproduce", "--only", "squares"]) == 0
    assert (folder / "squares.png").read_bytes() == before


def test_plain_snakemake_lists_what_is_out_of_date(project, repo_root):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(repo_root / "Snakefile")]
    done = subprocess.run(
        [*command, "--summary"], cwd=project, capture_output=True, text=True, check=True
    )
    assert "figures/tiny/tablex.csv" in done.stdout
