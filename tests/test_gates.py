"""The gate of notebook parameters, for papermill on its own too."""

import ast
import json

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from tempo_lib.gates import check_parameters, suits

PARAMETERS = """question: str = "Who?"  # a question
num_questions: int = 3  # how many
share: float = 0.5  # of them
suites: list = ["mini-mlvu"]  # which
publish: bool = False  # whether"""
START = """from tempo_lib.provenance import start_run
limit = 7
run = start_run("fig", preset="tiny", question=question, num_questions=num_questions)"""


def run_cells(*cells):
    """Run cells as a kernel does; the error of the last one, None where there is none."""
    shell = InteractiveShell()
    results = [shell.run_cell(cell, store_history=True) for cell in cells]
    assert all(result.success for result in results[:-1])
    return results[-1].error_in_exec


def injected(**values):
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    return "\n".join(["# Parameters", *lines])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"question": 2024}, "parameter question must be str, got 2024 (int)"),
        ({"num_questions": 2.5}, "parameter num_questions must be int, got 2.5 (float)"),
        ({"num_questions": True}, "parameter num_questions must be int, got True (bool)"),
        ({"suites": "mini-videomme"}, "parameter suites must be list, got 'mini-videomme' (str)"),
        ({"suites": [None]}, "parameter suites must be list, got [None] (list)"),
        (
            {"num_qestions": 3},
            "this notebook has no parameter 'num_qestions'; it knows question, num",
        ),
        ({"question": None}, "parameter question must be str, got None"),
    ],
)
def test_what_plain_papermill_injects_is_checked_by_the_first_cell(values, message):
    error = run_cells(PARAMETERS, injected(**values), START)
    assert isinstance(error, ValueError)
    assert message in str(error)


def test_good_parameters_and_own_variables_pass():
    good = {
        "question": "What?",
        "num_questions": 4,
        "share": 1,
        "suites": ["a", 2],
        "publish": True,
    }
    assert run_cells(PARAMETERS, injected(**good), START) is None
    assert run_cells(PARAMETERS, START) is None
    check_parameters({"question": 3, "__annotations__": {"question": str}})  # no notebook


def test_numbers_of_other_libraries_do_not_pass_for_pythons():
    assert suits("float", 2)
    assert not suits("int", np.int64(2))
    assert not suits("bool", 1)
    assert not suits("list", (1, 2))


def test_every_notebook_comes_through_the_gate_before_it_computes(repo_root):
    for path in sorted((repo_root / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        gate = next(place for place, source in enumerate(code) if "start_run(" in source)
        before = [one for source in code[4:gate] for one in ast.parse(source).body]
        assert all(isinstance(one, ast.Import | ast.ImportFrom) for one in before), path.name
        names = {"In": ["", code[0]], "get_ipython": None}  # as a kernel has them
        exec(code[0], names)
        check_parameters(names)
        names["In"].append(injected(num_qestions=3))
        with pytest.raises(ValueError, match="has no parameter 'num_qestions'"):
            check_parameters(names)
