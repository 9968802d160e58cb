"""A published result that something changed, deleted or left half is noticed."""

import os

import pandas as pd
import pytest
from matplotlib.figure import Figure

from tempo_lib.provenance import start_run
from tempo_lib.reproduce.notebooks import NotebookError, check_published, published
from tempo_lib.reproduce.published import altered
from tests.batch_samples import write_notebook


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    for name in ("one", "two"):
        start_run(name, preset="tiny").save(Figure(), pd.DataFrame({"n": [1]}), publish=True)
    return tmp_path / "figures" / "tiny"


def test_the_results_in_the_repository_are_as_their_provenance_says(repo_root):
    assert altered(repo_root / "figures" / "tiny") == {}


@pytest.mark.parametrize("suffix", ["png", "pdf", "csv"])
def test_an_edited_or_deleted_file_is_named(folder, suffix):
    assert altered(folder) == {}
    path = folder / f"two.{suffix}"
    path.write_bytes(path.read_bytes() + b" ")
    assert altered(folder) == {"two": [f"two.{suffix}"]}
    path.unlink()
    assert altered(folder) == {"two": [f"two.{suffix}"]}


def test_a_result_without_whole_provenance_is_named(folder):
    (folder / "one.json").write_text('{"files": ')
    (folder / "two.json").unlink()
    named = {name: [f"{name}.csv", f"{name}.pdf", f"{name}.png"] for name in ("one", "two")}
    assert altered(folder) == named


def test_a_picture_of_an_older_version_does_not_stay_beside_a_table(folder):
    start_run("two", preset="tiny").save(None, pd.DataFrame({"n": [2]}), publish=True)
    assert altered(folder) == {}
    assert sorted(path.name for path in folder.glob("two.*")) == ["two.csv", "two.json"]
    (folder / "two.png").write_bytes(b"older")
    assert altered(folder) == {"two": ["two.png"]}


def test_what_a_notebook_published_is_known_without_a_clock(folder, tmp_path):
    notebook = write_notebook(tmp_path, "10_two", "1", tables=["two"])
    before = published(notebook, {})
    with pytest.raises(NotebookError, match=r"did not publish two\.csv, two\.json"):
        check_published(notebook, {}, before)
    start_run("two", preset="tiny").save(None, pd.DataFrame({"n": [2]}), publish=True)
    for path in folder.glob("two.*"):
        os.utime(path, (1, 1))  # as under a clock that was set back
    check_published(notebook, {}, before)
