"""What the batch run reads from notebooks without running them."""

import pytest
from batch_samples import write_notebook, write_project

from tempo_lib.reproduce.batch_notebooks import (
    BATCH_PARAMETERS,
    find_notebooks,
    pick_notebook,
    read_notebook,
    suites_of,
)


@pytest.mark.parametrize(
    ("code", "results"),
    [
        ('run = start_run("fig4", preset=preset)', ("fig4",)),
        ('runs = {n: start_run(n, preset=preset) for n in ("a", "b")}', ("a", "b")),
        ('names = ["x", *suites]\nruns = [start_run(f"m_{n}") for n in names]', None),
        ("print(preset)", ()),
    ],
)
def test_results_are_the_names_given_to_start_run(tmp_path, code, results):
    text = 'preset: str = "tiny"  # preset\nsuites: list = ["one"]  # which; the batch run: all'
    found = read_notebook(write_notebook(tmp_path, "01_a", code, parameters=text)).results
    whole = tuple(f"m_{name}" for name in ("x", *BATCH_PARAMETERS["suites"]))
    assert found == (whole if results is None else results)


def test_a_result_whose_name_only_a_run_knows_is_refused(tmp_path):
    path = write_notebook(tmp_path, "01_a", "run = start_run(make_name(), preset=preset)")
    with pytest.raises(ValueError, match=r"01_a\.ipynb: give start_run a plain name"):
        read_notebook(path)


def test_the_batch_run_gives_whole_suites_where_they_are_parameters(tmp_path):
    text = 'preset: str = "6b"  # preset\nnum_questions: int = 8  # 0: all\nother: int = 3  # own'
    notebook = read_notebook(write_notebook(tmp_path, "01_a", parameters=text))
    assert notebook.batch_parameters("tiny") == {"preset": "tiny", "num_questions": 0}
    for given, taken in ((60, 60), (3, 8)):  # never fewer than its own
        expected = {"preset": "tiny", "num_questions": taken}
        assert notebook.batch_parameters("tiny", given) == expected
    assert suites_of(notebook) == []


def test_a_lesson_about_a_suite_is_whole_only_where_it_is_asked_for_by_name(tmp_path):
    text = 'preset: str = "6b"  # preset\nnum_questions: int = 8  # 0: all'
    lesson = read_notebook(write_notebook(tmp_path, "41_a", parameters=text))
    assert lesson.batch_parameters("tiny") == {"preset": "tiny", "num_questions": 0}
    text += '\nsuite: str = "mini-mlvu"  # which'
    slow = read_notebook(write_notebook(tmp_path, "40_a", parameters=text))
    assert slow.batch_parameters("tiny") == {"preset": "tiny"}
    whole = {"preset": "tiny", "num_questions": 0}
    assert slow.batch_parameters("tiny", by_name=True) == whole


def test_a_notebook_about_one_suite_needs_no_other(tmp_path):
    text = 'suite: str = "mini-mlvu"  # which'
    assert suites_of(read_notebook(write_notebook(tmp_path, "a", parameters=text))) == ["mini-mlvu"]
    text = 'suites: list = ["mini-mlvu"]  # which; the batch run: all'
    notebook = read_notebook(write_notebook(tmp_path, "a", parameters=text))
    assert suites_of(notebook) == BATCH_PARAMETERS["suites"]


@pytest.mark.parametrize("name", ["10", "tablex", "10_tablex_long", "tablex_long", "tablex.ipynb"])
def test_a_notebook_is_found_by_number_name_or_result(tmp_path, name):
    assert pick_notebook(write_project(tmp_path), name).name == "10_tablex_long"


def test_an_unknown_name_lists_notebooks_with_their_results(tmp_path):
    known = r"known, with their results: 01_first \(first\); 10_tablex_long \(tablex\)"
    with pytest.raises(ValueError, match=f"no notebook or result is called 'table9'; {known}"):
        pick_notebook(write_project(tmp_path), "table9")


def test_two_notebooks_of_one_result_are_refused(tmp_path):
    write_notebook(write_project(tmp_path), "11_copy", 'start_run("first", preset=preset)')
    with pytest.raises(ValueError, match="01_first and 11_copy both make first"):
        find_notebooks(tmp_path)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.ipynb").write_text("{}")
    with pytest.raises(ValueError, match=r"01_a\.ipynb is not a readable notebook"):
        find_notebooks(tmp_path)


def test_every_committed_notebook_makes_a_result(repo_root):
    notebooks = find_notebooks(repo_root)
    assert {"claims", "table2c"} <= {name for book in notebooks for name in book.results}
    assert not [book.name for book in notebooks if not book.results]


def test_suites_are_known_by_their_names_whatever_the_parameter_is_called(tmp_path):
    text = 'panels: list = ["mini-mlvu", "mini-lvbench"]  # two\nkinds: list = ["needle"]  # one'
    notebook = read_notebook(write_notebook(tmp_path, "17_a", parameters=text))
    assert suites_of(notebook) == ["mini-mlvu", "mini-lvbench"]
    assert notebook.batch_parameters("tiny") == {}
