"""The batch run: its plan, what may be asked for, and the gallery from provenance files."""

import json
from dataclasses import replace

import pytest

from tempo_lib import reproduce as module
from tempo_lib.cli import run
from tempo_lib.presets import load_preset
from tempo_lib.reproduce import Batch, ask_clips, find_notebooks, write_gallery


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with three empty notebooks, taken for the project."""
    (tmp_path / "notebooks").mkdir()
    for name in ("01_ask_a_video", "10_table2c_head_against_tail", "11_table2e_prune"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text("{}")
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return tmp_path


def test_a_dry_run_prints_the_plan_and_does_nothing(capsys, checkout):
    assert run(["reproduce", "--from-scratch", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(".")[0] for line in lines] == ["1", "2", "3", "4", "5", "6"]
    assert "train the miniature from nothing" in lines[0]
    assert "ask 3 clips" in lines[1]
    assert "01_ask_a_video.ipynb" in lines[2]
    assert "gallery" in lines[5]
    assert [path.name for path in checkout.iterdir()] == ["notebooks"]


def test_long_notebooks_run_on_a_sample_unless_named_or_from_scratch(checkout):
    path = checkout / "notebooks" / f"{module.LONG_NOTEBOOKS[0]}.ipynb"
    path.write_text("{}")
    batch = Batch(preset=load_preset("tiny"), root=checkout)
    assert module.is_sampled(batch, path)
    assert not module.is_sampled(batch, checkout / "notebooks" / "01_ask_a_video.ipynb")
    assert not module.is_sampled(replace(batch, only=path.stem), path)
    assert not module.is_sampled(replace(batch, from_scratch=True), path)
    assert any("on a sample, unpublished" in step.title for step in module.plan(batch))


@pytest.mark.parametrize("name", ["10", "table2c", "10_table2c_head_against_tail", "table2c.ipynb"])
def test_one_notebook_is_found_by_its_number_or_name(checkout, name):
    batch = Batch(preset=load_preset("tiny"), root=checkout, only=name)
    assert [path.stem for path in find_notebooks(batch)] == ["10_table2c_head_against_tail"]


def test_an_unknown_notebook_lists_the_known_ones_and_exits_2(capsys, checkout):
    assert run(["reproduce", "--only", "table9"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(
        "error: no notebook is called 'table9'; known: 01_ask_a_video, 10_table2c"
    )
    assert len(err.splitlines()) == 1


def test_without_a_checkpoint_the_run_ends_in_one_line(capsys, checkout, monkeypatch):
    from tempo_lib import checkpoints

    monkeypatch.setattr(checkpoints.resources, "files", lambda _: checkout)
    assert run(["reproduce", "--only", "01"]) == 2
    assert "no checkpoint stage3" in capsys.readouterr().err.splitlines()[-1]


def test_a_failing_notebook_exits_1_and_names_its_cell(capsys, checkout, monkeypatch):
    import nbformat

    cells = [nbformat.v4.new_code_cell("num: int = 1  # a number")]
    cells[0].metadata["tags"] = ["parameters"]
    cells.append(nbformat.v4.new_code_cell("assert num == 2, 'it is not two'"))
    notebook = checkout / "notebooks" / "01_ask_a_video.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    monkeypatch.setattr(module, "train", lambda _: None)
    assert run(["reproduce", "--only", "01"]) == 1
    err = capsys.readouterr().err
    assert "in cell 2 of 2" in err
    assert "it is not two" in err


def test_the_clips_are_asked_and_judged(checkout, tiny_tempo, monkeypatch):
    from tempo_lib import checkpoints

    folder = checkout / "checkpoint"
    tiny_tempo.save_pretrained(folder)
    monkeypatch.setattr(checkpoints, "find_checkpoint", lambda _: folder)
    batch = Batch(preset=load_preset("tiny"), root=checkout)
    records = ask_clips(batch)
    assert json.loads((batch.folder / "asks.json").read_text()) == records
    assert len({record["clip"] for record in records}) == 3
    assert all((batch.folder / "clips" / record["clip"]).is_file() for record in records)
    assert all(record["correct"] in (True, False) for record in records)


def test_the_gallery_shows_every_published_picture_with_its_origin(tmp_path):
    facts = {"name": "fig4", "preset": "tiny", "dirty": False, "commit": "abc", "device": "cpu"}
    facts |= {"parameters": {"seed": 0, "num_questions": 64}, "files": {"fig4.png": "0"}}
    facts |= {"finished": "2026-01-01T00:00:00+00:00", "duration_seconds": 1.5}
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "fig4.json").write_text(json.dumps(facts))
    write_gallery(tmp_path / "README.md")
    page = (tmp_path / "README.md").read_text()
    assert "](tiny/fig4.png)" in page
    assert "[provenance](tiny/fig4.json)" in page
    assert "seed=0, num_questions=64" in page
    assert "commit abc, clean" in page
    write_gallery(tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == page
