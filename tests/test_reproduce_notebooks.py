"""The strict runner: refuses before a kernel starts, and tells exactly what failed."""

import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_rules import lint

from tempo_lib.reproduce import notebooks
from tempo_lib.reproduce.notebooks import NotebookError, execute_in_place, main, run_notebook

PARAMETERS = """\
preset: str = "tiny"  # tiny or 6b
seed: int = 0  # seeds everything
rate: float = 0.5  # a share
full: bool = False  # the whole suite
budgets: list = [1.0, 0.5]  # shares
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    monkeypatch.delenv("TEMPO_PUBLISH", raising=False)
    (tmp_path / "notebooks").mkdir()
    return tmp_path


@pytest.fixture
def no_kernel(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a kernel was about to start")

    monkeypatch.setattr(notebooks.papermill, "execute_notebook", refuse)


def write(home, *sources, parameters=PARAMETERS):
    """Write a notebook: title, parameters, then one code cell each; return its path."""
    tagged = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell("# Title"), tagged, *map(new_code_cell, sources)]
    path = home / "notebooks" / "fig0.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def text_of(path):
    outputs = [o for c in nbformat.read(path, as_version=4).cells for o in c.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sead": 1}, "no parameter 'sead'; it knows preset, seed, rate, full, budgets"),
        ({"seed": 1.0}, r"seed must be int, got 1.0 \(float\)"),
        ({"seed": True}, "seed must be int, got True"),
        ({"seed": "1"}, "seed must be int"),
        ({"full": 1}, "full must be bool"),
        ({"rate": "0.5"}, "rate must be float"),
        ({"budgets": 0.5}, "budgets must be list"),
        ({"preset": None}, "preset must be str"),
    ],
)
def test_wrong_parameters_are_refused_before_a_kernel_starts(home, no_kernel, parameters, message):
    with pytest.raises(ValueError, match=message):
        run_notebook(write(home), parameters, home / "runs")


def test_a_parameter_that_papermill_cannot_see_is_refused(home, no_kernel):
    path = write(home, parameters='rule: str = "k=4"  # two equal signs')
    with pytest.raises(ValueError, match="no parameter 'rule'"):
        run_notebook(path, {"rule": "k=8"}, home / "runs")


def test_a_notebook_without_a_parameters_cell_is_refused(home, no_kernel):
    path = home / "notebooks" / "plain.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), path)
    with pytest.raises(ValueError, match="found 0"):
        run_notebook(path, {}, home / "runs")


def test_the_executed_copy_never_replaces_its_source(home, no_kernel):
    path = write(home)
    with pytest.raises(ValueError, match="would replace its source"):
        run_notebook(path, {}, path.parent)
    link = home / "link"
    link.mkdir()
    (link / path.name).hardlink_to(path)
    with pytest.raises(ValueError, match="would replace its source"):
        run_notebook(path, {}, link)


def test_a_missing_notebook_is_named(home, no_kernel):
    with pytest.raises(ValueError, match=r"no such notebook: .*absent\.ipynb"):
        run_notebook(home / "absent.ipynb", {}, home / "runs")


def test_a_run_gets_its_parameters_its_folder_and_leave_to_publish(home):
    source = (
        "import os, pathlib\n"
        "print(seed, rate, budgets, pathlib.Path.cwd().name, os.environ['TEMPO_PUBLISH'])"
    )
    path = write(home, source)
    before = path.read_bytes()
    copy = run_notebook(path, {"seed": 7, "rate": 1}, home / "runs", publish=True)
    assert copy == (home / "runs" / "fig0.ipynb").resolve()
    assert text_of(copy) == "7 1 [1.0, 0.5] notebooks 1\n"
    assert path.read_bytes() == before


def test_a_failed_notebook_keeps_its_copy_and_names_the_cell(home):
    path = write(home, "print('so far')", "x = {}\nx[seed]", "print('never')")
    with pytest.raises(NotebookError) as failure:
        run_notebook(path, {"seed": 7}, home / "runs")
    message = str(failure.value)
    assert "fig0.ipynb failed in cell 4 of 5:" in message
    assert "x = {}\nx[seed]" in message
    assert "\nKeyError: 7\n" in message
    assert text_of(home / "runs" / "fig0.ipynb") == "so far\n"


def test_a_cell_that_does_not_end_is_stopped_and_named(home):
    path = write(home, "import time\ntime.sleep(60)")
    with pytest.raises(NotebookError, match="cell 3 of 3") as failure:
        run_notebook(path, {}, home / "runs", timeout=1)
    assert "no end within 1 seconds" in str(failure.value)


def test_a_cell_that_kills_its_kernel_is_named(home):
    path = write(home, "import os\nos._exit(9)", "print('never')")
    with pytest.raises(NotebookError, match="cell 3 of 4") as failure:
        run_notebook(path, {}, home / "runs")
    assert "the kernel died" in str(failure.value)


def test_executing_in_place_leaves_outputs_a_hash_and_no_trace_of_the_machine(home):
    path = write(home, "print(seed)")
    nb = nbformat.read(path, as_version=4)
    nb.metadata["tempo"] = {"results": ["fig0"], "code_sha256": "old"}
    nbformat.write(nb, path)
    execute_in_place(path)
    first = path.read_bytes()
    nb = nbformat.reads(first.decode(), as_version=4)
    assert nb.metadata.tempo.results == ["fig0"]
    assert text_of(path) == "0\n"
    assert str(home) not in first.decode()
    assert "papermill" not in first.decode()
    assert nb.metadata.tempo.code_sha256
    assert not any("older than the code" in p or "not executed" in p for p in lint(path))
    nb.cells[2].source = "print(seed + 1)"
    nbformat.write(nb, path)
    assert any("older than the code" in problem for problem in lint(path))


def test_a_failure_in_place_leaves_the_source_alone(home):
    path = write(home, "1 / 0")
    before = path.read_bytes()
    with pytest.raises(NotebookError, match="ZeroDivisionError"):
        execute_in_place(path)
    assert path.read_bytes() == before
    assert (home / "runs" / "notebooks" / "fig0.ipynb").is_file()


def test_the_command_tells_bad_input_from_a_failing_notebook(home, capsys):
    assert main([]) == 0  # no notebook yet
    assert main([str(home / "absent.ipynb")]) == 2
    assert capsys.readouterr().err.startswith("error: no such notebook: ")
    path = write(home, "1 / 0")
    assert main([str(path), "--to", str(home), "--given", '{"sead": 1}']) == 2
    assert "no parameter 'sead'" in capsys.readouterr().err
    assert main([str(path), "--to", str(home)]) == 1
    assert "fig0.ipynb failed in cell 3 of 3" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(path), "--given", '{"seed": 1}'])
    assert "--given needs --to" in capsys.readouterr().err


def test_a_result_that_is_named_but_not_made_is_a_failure(home, capsys):
    path = write(home, "print('nothing is saved')")
    nb = nbformat.read(path, as_version=4)
    nb.metadata["tempo"] = {"tables": ["fig0"]}
    nbformat.write(nb, path)
    (home / "figures" / "tiny").mkdir(parents=True)
    old = home / "figures" / "tiny" / "fig0.csv"
    old.write_text("of an earlier run")
    os.utime(old, (1000, 1000))
    assert main([str(path), "--to", str(home), "--publish"]) == 1
    message = "fig0.ipynb did not publish fig0.csv, fig0.json, which its metadata names"
    assert message in capsys.readouterr().err


def test_a_committed_notebook_keeps_no_widget_but_the_picture_beside_it():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "a1b2"}, "image/png": "eA=="}
    output = nbformat.v4.new_output("execute_result", data=view, execution_count=1)
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    nb.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    notebooks._forget_the_machine(nb)
    assert "widgets" not in nb.metadata
    assert list(nb.cells[0].outputs[0].data) == ["image/png"]
