"""``tempo notebook``: which notebook it finds and what it makes of NAME=VALUE."""

import pytest

from tempo_lib.cli.app import run
from tempo_lib.reproduce import notebooks
from tests.test_cli_app import assert_one_error_line


@pytest.fixture
def started(monkeypatch, repo_root):
    """What would have run, instead of running it."""
    calls = []
    monkeypatch.setenv("TEMPO_HOME", str(repo_root))

    def run_notebook(path, parameters, out_dir, timeout=None):
        calls.append((path.name, parameters, out_dir, timeout))
        return out_dir / path.name

    monkeypatch.setattr(notebooks, "run_notebook", run_notebook)
    return calls


def test_values_get_the_types_that_the_notebook_declares(started, capsys, tmp_path):
    arguments = ["notebook", "01", "--to", str(tmp_path), "--timeout", "60"]
    given = ["-p", "question=2024", "-p", "budget=128", "-p", "second_question=a = b"]
    assert run([*arguments, *given]) == 0
    values = {"question": "2024", "budget": 128, "second_question": "a = b"}
    assert started == [("01_ask_a_video.ipynb", values, tmp_path, 60)]
    assert str(tmp_path / "01_ask_a_video.ipynb") in capsys.readouterr().out
    assert run(["notebook", "table2c", "-p", "suites=[mini-mlvu, mini-lvbench]"]) == 0
    assert started[-1][1] == {"suites": ["mini-mlvu", "mini-lvbench"]}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nonsense"], "no notebook or result is called 'nonsense'"),
        (["../README.md"], "no notebook or result is called"),
        (["01", "-p", "budget=2.5"], "budget must be int, got 2.5 (float)"),
        (["01", "-p", "budget=["], "-p 'budget=[': "),
        (["01", "-p", "bugdet=3"], "has no parameter 'bugdet'; it knows preset, video"),
        (["01", "-p", "budget"], "expected NAME=VALUE"),
        (["01", "-p", "budget=3", "-p", "budget=4"], "-p budget is given twice"),
        (["table2c", "-p", "suites=mini-mlvu"], "suites must be list, got 'mini-mlvu' (str)"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(started, capsys, arguments, word):
    assert run(["notebook", *arguments]) == 2
    assert_one_error_line(capsys, word)
    assert started == []


def test_a_failing_cell_is_exit_code_1(started, capsys, monkeypatch):
    def fails(*_, **__):
        raise notebooks.NotebookError("01_ask_a_video.ipynb failed in cell 3 of 12")

    monkeypatch.setattr(notebooks, "run_notebook", fails)
    assert run(["notebook", "01"]) == 1
    assert "failed in cell 3" in capsys.readouterr().err
