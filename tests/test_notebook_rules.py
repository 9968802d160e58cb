"""Notebook rules: a good notebook passes, and each broken rule is named."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_rules import lint, read_parameters

from tempo_lib.reproduce.notebook_facts import check_value, code_sha256

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
PARAMETERS = 'preset: str = "tiny"  # tiny or 6b\nseed: int = 0  # seeds everything'
CODE = {
    "Parameters": PARAMETERS,
    "Setup": "import math",
    "Compute": "scores = [math.sqrt(seed)]\nscores",
    "Figure": "fig = str(scores)",
    "Check": 'assert scores[0] >= 0, "a square root is negative"',
    "Save": "print(fig)",
}
SECTIONS = ["Parameters", "Setup", "What we expect", "Compute", "Figure", "Check", "Save"]


def good_notebook(**changes):
    """A notebook that keeps every rule, executed by hand; ``changes`` replace a section's code."""
    code = {**CODE, **{key.capitalize(): source for key, source in changes.items()}}
    nb = new_notebook(cells=[new_markdown_cell("# Square roots are not negative")])
    for section in [*SECTIONS, "Try this"]:
        nb.cells.append(new_markdown_cell(f"## {section}\n\nProse."))
        if section in code:
            output = new_output("stream", name="stdout", text="done\n")
            nb.cells.append(new_code_cell(code[section], outputs=[output]))
    nb.cells[2].metadata["tags"] = ["parameters"]
    seal(nb)
    return nb


def seal(nb):
    """Number the cells and stamp the hash, as an execution does."""
    for count, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
    nb.metadata["tempo"] = {"results": ["roots"], "code_sha256": code_sha256(nb)}


def problems_of(nb, tmp_path):
    path = tmp_path / "a.ipynb"
    nbformat.write(nb, path)
    return lint(path)


def test_a_good_notebook_has_no_problems(tmp_path):
    assert problems_of(good_notebook(), tmp_path) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f():\n    return 1", "holds 'def'"),
        ("class A:\n    x = 1", "holds 'class'"),
        ("try:\n    x = 1\nexcept OSError:\n    x = 2", "holds 'try'"),
        ("!pip install numpy", "shell or magic line"),
        ("%pip install numpy", "shell or magic line"),
        ('open("/data/a.csv")', "absolute path '/data/a.csv'"),
        ('open(f"~/{seed}.csv")', "absolute path '~/'"),
        ('open("C:/a.csv")', "absolute path 'C:/a.csv'"),
        ("\n".join(["x = 1"] * 16), "16 lines; at most 15"),
        ("x = = 1", "is not Python"),
        ("  \n", "is empty"),
    ],
)
def test_a_code_cell_that_breaks_a_rule_is_named(source, message, tmp_path):
    (problem,) = problems_of(good_notebook(compute=source), tmp_path)
    assert problem.startswith("cell 8: ") and message in problem


def test_a_cell_for_an_exercise_may_hold_a_function(tmp_path):
    nb = good_notebook(compute="def f():\n    return None")
    nb.cells[7].metadata["tags"] = ["exercise"]
    assert problems_of(nb, tmp_path) == []


@pytest.mark.parametrize(
    "source",
    ["\n".join(["x = 1"] * 15), 'unit = "tokens / frame"', 'path = f"{preset}/a.csv"'],
)
def test_a_code_cell_at_the_edge_of_a_rule_passes(source, tmp_path):
    assert problems_of(good_notebook(compute=source), tmp_path) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed = 0  # no annotation", "name: type = value"),
        ("import os", "name: type = value"),
        ("seed: int | None = 0  # union", "has type int | None"),
        ("seed: int = 2 * 3  # derived", "plain literal"),
        ("seed: int  # no value", "plain literal"),
        ("seed: int = True  # bool is no int", "declared int, but its value is True"),
        ('seed: float = "0"  # text', "declared float"),
        ("seed: list = [[1]]  # nested", "declared list"),
        ("seed: int = 0", "trailing comment"),
        ("seed: list = [\n    1,\n]  # three lines", "on one line"),
        ('rule: str = "k=4"  # papermill cannot see it', "single '='"),
        ("seed: int = 0  # as in seed=0", "single '='"),
        ("seed: int =", "not Python"),
    ],
)
def test_a_parameters_cell_that_papermill_could_misread_is_refused(line, message):
    _, (problem,) = read_parameters(line)
    assert message in problem


def test_a_parameters_cell_is_read_with_types_and_defaults():
    declared, problems = read_parameters(PARAMETERS + "\nrate: float = 1  # an int will do")
    assert problems == []
    assert declared == {"preset": ["str", "tiny"], "seed": ["int", 0], "rate": ["float", 1]}


@pytest.mark.parametrize(
    ("type_name", "value", "fits"),
    [
        ("int", 1, True),
        ("int", 1.0, False),
        ("int", True, False),
        ("float", 1, True),
        ("float", False, False),
        ("bool", True, True),
        ("bool", 1, False),
        ("str", "a", True),
        ("str", None, False),
        ("list", [1, "a"], True),
        ("list", (1, 2), False),
        ("list", [None], False),
    ],
)
def test_a_value_fits_its_declared_type_or_not(type_name, value, fits):
    if fits:
        check_value("x", type_name, value)
    else:
        with pytest.raises(ValueError, match=f"x must be {type_name}, got "):
            check_value("x", type_name, value)


def test_two_tagged_cells_are_refused(tmp_path):
    nb = good_notebook()
    nb.cells[4].metadata["tags"] = ["parameters"]
    assert any("found 2" in problem for problem in problems_of(nb, tmp_path))


def test_more_code_than_prose_is_refused(tmp_path):
    nb = good_notebook()
    nb.cells[8:8] = [new_code_cell("x = 1") for _ in range(3)]
    seal(nb)
    assert problems_of(nb, tmp_path) == ["more prose cells than code cells, please: 9 to 9"]


def test_sections_out_of_order_are_refused(tmp_path):
    nb = good_notebook()
    nb.cells[1].source, nb.cells[3].source = nb.cells[3].source, nb.cells[1].source
    (problem,) = problems_of(nb, tmp_path)
    assert "found Setup, Parameters, What we expect" in problem


def test_a_missing_title_is_refused(tmp_path):
    nb = good_notebook()
    nb.cells[0].source = "Square roots"
    assert "the first cell must be the title" in problems_of(nb, tmp_path)[0]


def test_code_before_the_results_are_predicted_is_refused(tmp_path):
    nb = good_notebook()
    nb.cells.insert(6, new_code_cell("1 + 1"))
    seal(nb)
    assert "section 'What we expect' is prose" in problems_of(nb, tmp_path)[0]


def test_a_check_without_assert_is_refused(tmp_path):
    assert "asserts nothing" in problems_of(good_notebook(check="print(scores)"), tmp_path)[0]


def test_outputs_older_than_the_code_are_refused(tmp_path):
    nb = good_notebook()
    nb.cells[-2].source = "print(fig, fig)"
    assert problems_of(nb, tmp_path) == ["outputs are older than the code: run `make notebooks`"]


def test_an_unexecuted_notebook_is_refused(tmp_path):
    nb = good_notebook()
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = None, []
    assert "not executed once from top to bottom" in problems_of(nb, tmp_path)[0]


def test_stripped_outputs_are_refused(tmp_path):
    nb = good_notebook()
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    assert "holds no output" in problems_of(nb, tmp_path)[0]


def test_an_error_output_is_refused(tmp_path):
    nb = good_notebook()
    nb.cells[4].outputs = [new_output("error", ename="KeyError", evalue="'x'", traceback=[])]
    assert problems_of(nb, tmp_path) == ["cell 5: holds the error KeyError: 'x'"]


def test_an_output_that_names_a_folder_of_this_machine_is_refused(tmp_path):
    nb = good_notebook()
    nb.cells[4].outputs[0].text = f"{sys.prefix}/lib/a.py: UserWarning"
    assert problems_of(nb, tmp_path) == ["cell 5: its output names a folder of this machine"]


def test_a_file_that_is_no_notebook_is_one_problem(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text("{}")
    (problem,) = lint(path)
    assert problem.startswith("not a readable notebook")


def test_metadata_that_the_batch_run_cannot_use_is_named(tmp_path):
    nb = good_notebook()
    nb.metadata["tempo"] |= {"results": [], "inputs": ["measurements/absent*"]}
    problems = problems_of(nb, tmp_path)
    assert "names no result" in problems[0]
    assert "no file data_manifests/measurements/absent*" in problems[1]
    nb.metadata["tempo"]["resluts"] = ["a"]
    assert "resluts" in problems_of(nb, tmp_path)[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_keeps_every_rule(path):
    assert lint(path) == []
