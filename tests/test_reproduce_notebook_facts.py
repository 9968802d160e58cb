"""What the batch run reads from notebooks without running them."""

import pytest
from batch_samples import write_notebook, write_project

from tempo_lib.evaluation.benchmark import benchmark_names
from tempo_lib.reproduce.notebook_facts import find_notebooks, pick_notebook, read_notebook


def test_results_stand_in_the_metadata(tmp_path):
    path = write_notebook(tmp_path, "01_a", results=["fig4"], tables=["t"], suites=["mini-mlvu"])
    notebook = read_notebook(path)
    assert notebook.made == ("fig4", "t")
    assert notebook.facts.suites == ("mini-mlvu",)
    assert notebook.parameters == {"preset": ("str", "tiny")}


@pytest.mark.parametrize(
    ("facts", "message"),
    [({"resluts": ["a"]}, "resluts"), ({"results": "a"}, "results"), ({"slow": "no!"}, "slow")],
)
def test_metadata_that_says_something_else_is_refused(tmp_path, facts, message):
    path = write_notebook(tmp_path, "01_a", **facts)
    with pytest.raises(ValueError, match=rf"01_a\.ipynb is not a readable notebook: .*\n{message}"):
        read_notebook(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed = 0  # no annotation", "seed has type None; use one of str, int, float, bool, list"),
        ("seed: int = 2 * 3  # derived", "seed needs a plain literal as its default"),
        ("seed: int = True  # bool", r"seed must be int, got True \(bool\)"),
    ],
)
def test_a_parameter_that_cannot_be_checked_is_refused(tmp_path, line, message):
    path = write_notebook(tmp_path, "01_a", parameters=line)
    with pytest.raises(ValueError, match=rf"01_a\.ipynb: {message}"):
        read_notebook(path)


def test_what_papermill_cannot_see_is_no_parameter(tmp_path):
    lines = 'seed: int | None = 0  # union\nrule: str = "k=4"  # two equal signs'
    assert read_notebook(write_notebook(tmp_path, "01_a", parameters=lines)).parameters == {}


@pytest.mark.parametrize("name", ["10", "tablex", "10_tablex_long", "tablex_long", "tablex.ipynb"])
def test_a_notebook_is_found_by_number_name_or_result(tmp_path, name):
    known = find_notebooks(write_project(tmp_path))
    assert pick_notebook(known, name).name == "10_tablex_long"


def test_an_unknown_name_lists_notebooks_with_their_results(tmp_path):
    known = r"known, with their results: 01_first \(first\); 10_tablex_long \(tablex\)"
    with pytest.raises(ValueError, match=f"no notebook or result is called 'table9'; {known}"):
        pick_notebook(find_notebooks(write_project(tmp_path)), "table9")


def test_two_notebooks_of_one_result_are_refused(tmp_path):
    write_notebook(write_project(tmp_path), "11_copy", tables=["first"])
    with pytest.raises(ValueError, match="01_first and 11_copy both make first"):
        find_notebooks(tmp_path)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.ipynb").write_text("{}")
    with pytest.raises(ValueError, match=r"01_a\.ipynb is not a readable notebook"):
        find_notebooks(tmp_path)


def test_every_committed_notebook_makes_a_result_from_suites_that_exist(repo_root):
    notebooks = find_notebooks(repo_root)
    assert {"claims", "table2c"} <= {name for book in notebooks for name in book.made}
    assert not [book.name for book in notebooks if not book.made]
    for book in notebooks:
        if book.facts.suites != "all":
            assert set(book.facts.suites) <= set(benchmark_names("tiny")), book.name
        assert ("suites" not in book.parameters) or book.facts.suites == "all", book.name


def test_every_published_result_is_made_by_a_notebook(repo_root):
    made = {name for book in find_notebooks(repo_root) for name in book.files}
    made |= {name.replace(".pdf", "-column.pdf") for name in made if name.endswith(".pdf")}
    published = {path.name for path in (repo_root / "figures" / "tiny").iterdir()}
    assert published - made == {"reproduce.csv", "reproduce.json"}  # times, by the batch run
