"""Runs: where files go, and whether their provenance can be trusted and shared."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pandas as pd
import pytest
from matplotlib.figure import Figure

from tempo_lib.fingerprint import code_fingerprint, git_state, sha256_of_file
from tempo_lib.provenance import project_root, provenance_facts, start_run
from tempo_lib.reproduce.published import altered


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    monkeypatch.delenv("TEMPO_PUBLISH", raising=False)
    return tmp_path.resolve()


@pytest.fixture
def table():
    return pd.DataFrame({"budget": [64, 128], "accuracy": [1 / 3, 0.5]})


def line_figure():
    fig = Figure(figsize=(2, 2))
    fig.subplots().plot([0, 1], [1, 0])
    return fig


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


def test_save_writes_figure_table_and_provenance_under_runs(home, table):
    run = start_run("fig4", preset="tiny", seed=3)
    folder = run.save(line_figure(), table)
    assert folder == home / "runs" / "tiny" / "fig4"
    names = {"fig4.png", "fig4.pdf", "fig4.csv", "fig4.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert not (home / "figures").exists()


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_publishing_copies_the_same_bytes_to_figures(home, table, way, monkeypatch):
    if way == "environment":
        monkeypatch.setenv("TEMPO_PUBLISH", "1")
    run = start_run("fig4", preset="tiny")
    published = run.save(line_figure(), table, publish=True if way == "argument" else None)
    assert published == home / "figures" / "tiny"
    for path in run.dir.iterdir():
        assert (published / path.name).read_bytes() == path.read_bytes()


def test_publish_false_wins_over_the_environment(home, table, monkeypatch):
    monkeypatch.setenv("TEMPO_PUBLISH", "1")
    start_run("fig4", preset="tiny").save(None, table, publish=False)
    assert not (home / "figures").exists()


def test_publishing_a_table_alone_removes_the_old_picture(home, table):
    run = start_run("table1", preset="tiny")
    run.save(line_figure(), table, publish=True)
    run.save(None, table, publish=True)
    assert {p.name for p in run.figures_dir.iterdir()} == {"table1.csv", "table1.json"}


def test_the_same_picture_gives_the_same_bytes(home, table):
    first = start_run("a", preset="tiny")
    first.save(line_figure(), table)
    second = start_run("b", preset="tiny")
    second.save(line_figure(), table)
    for suffix in ("png", "pdf", "csv"):
        ours, theirs = first.dir / f"a.{suffix}", second.dir / f"b.{suffix}"
        assert ours.read_bytes() == theirs.read_bytes(), suffix


def test_csv_keeps_six_digits_and_only_a_meaningful_index(home, table):
    run = start_run("t", preset="tiny")
    run.save(None, table)
    assert (run.dir / "t.csv").read_text() == "budget,accuracy\n64,0.333333\n128,0.5\n"
    run.save(None, table.set_index("budget"))
    assert (run.dir / "t.csv").read_text() == "budget,accuracy\n64,0.333333\n128,0.5\n"
    run.save(None, table.iloc[::-1].set_index(pd.Index(["x", "y"], name="row")))
    assert (run.dir / "t.csv").read_text().startswith("row,budget,accuracy\nx,128,0.5\n")


def test_provenance_holds_what_made_the_result(home, table):
    run = start_run("fig4", preset="tiny", seed=3, bootstrap_seed=7, budgets=[1.0, 0.5])
    run.record("data_hash", "abc")
    run.save(line_figure(), table)
    facts = json.loads((run.dir / "fig4.json").read_text())
    assert facts["parameters"] == {"seed": 3, "bootstrap_seed": 7, "budgets": [1.0, 0.5]}
    assert facts["seeds"] == {"seed": 3, "bootstrap_seed": 7}
    assert facts["data_hash"] == "abc"
    assert facts["versions"]["numpy"] and facts["python"].startswith("3.")
    assert facts["files"]["fig4.csv"] == sha256_of_file(run.dir / "fig4.csv")
    for key in ("commit", "dirty", "preset", "device", "threads", "platform", "duration_seconds"):
        assert key in facts


def test_provenance_names_no_absolute_path(home, table):
    inside, outside = str(home / "data" / "a.mp4"), "/elsewhere/secret/b.mp4"
    run = start_run("t", preset="tiny", clip=inside, others=[outside, "C:\\Users\\me\\c.mp4"])
    run.record("note", f"read from {inside}")
    run.save(None, table)
    text = (run.dir / "t.json").read_text()
    facts = json.loads(text)
    assert facts["parameters"] == {"clip": "data/a.mp4", "others": ["b.mp4", "c.mp4"]}
    assert facts["note"] == "read from data/a.mp4"
    assert str(home) not in text and "secret" not in text


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("commit", "abc", "measured by the run"),
        ("loss", float("nan"), "JSON"),
        ("shape", {1, 2}, "JSON"),
    ],
)
def test_record_refuses_to_overwrite_or_to_break_the_provenance(home, key, value, message):
    with pytest.raises(ValueError, match=message):
        start_run("t", preset="tiny").record(key, value)


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden"])
def test_start_run_refuses_a_name_that_is_no_file_name(home, name):
    with pytest.raises(ValueError, match="name must consist of"):
        start_run(name, preset="tiny")


def test_start_run_refuses_a_parameter_that_json_cannot_hold(home):
    with pytest.raises(ValueError, match="'model'"):
        start_run("t", preset="tiny", model=object())


def test_only_the_6b_preset_is_the_paper(home):
    assert start_run("t", preset="6b").is_paper
    assert not start_run("t", preset="tiny").is_paper


def test_without_git_the_commit_is_unknown(home):
    assert git_state(home) == ("unknown", None)


def test_a_folder_inside_another_repository_does_not_borrow_its_commit(home):
    git(home, "init", "--quiet")
    git(home, "commit", "--quiet", "--allow-empty", "-m", "x")
    inner = home / "inner"
    inner.mkdir()
    assert git_state(inner) == ("unknown", None)


def test_published_figures_do_not_make_the_code_dirty(home):
    git(home, "init", "--quiet")
    (home / "code.py").write_text("a = 1\n")
    git(home, "add", "code.py")
    git(home, "commit", "--quiet", "-m", "x")
    (home / "figures").mkdir()
    (home / "figures" / "a.csv").write_text("new\n")
    commit, dirty = git_state(home)
    assert len(commit) == 40
    assert dirty is False
    (home / "code.py").write_text("a = 2\n")
    assert git_state(home) == (commit, True)


def test_tempo_home_must_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="TEMPO_HOME is not a folder"):
        project_root()


def test_without_tempo_home_the_checkout_is_the_root(monkeypatch, repo_root):
    monkeypatch.delenv("TEMPO_HOME", raising=False)
    assert project_root() == repo_root


def test_importing_runs_loads_no_plotting_library():
    code = (
        "import sys; before = set(sys.modules); import tempo_lib.provenance; "
        "print(sorted({'pandas', 'matplotlib', 'papermill'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_facts_without_a_run_name_the_code_too(home):
    facts = provenance_facts(datetime.now(UTC), "tempo_lib.registry")
    assert facts["code"] == code_fingerprint("tempo_lib.registry")
    assert {"commit", "dirty", "started", "finished", "python", "versions", "device"} <= set(facts)
    assert "code" not in provenance_facts(datetime.now(UTC))
    of_run = start_run("toy", preset="tiny").provenance()
    assert set(provenance_facts(datetime.now(UTC))) <= set(of_run)


def test_a_result_that_cannot_be_written_whole_leaves_the_one_before(home, table, monkeypatch):
    run = start_run("fig", preset="tiny")
    folder = run.save(None, table, publish=True)
    before = {path.name: path.read_bytes() for path in (*folder.iterdir(), *run.dir.iterdir())}

    def full(self, path, **_):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(table), "to_csv", full)
    with pytest.raises(OSError, match="No space"):
        start_run("fig", preset="tiny").save(None, table, publish=True)
    after = {path.name: path.read_bytes() for path in (*folder.iterdir(), *run.dir.iterdir())}
    assert after == before


def test_a_clock_that_was_set_back_leaves_no_duration():
    assert provenance_facts(datetime(2999, 1, 1, tzinfo=UTC))["duration_seconds"] is None
    assert provenance_facts(datetime.now(UTC))["duration_seconds"] < 60


SAVE_OFTEN = """
import sys, pandas as pd
from tempo_lib.provenance import start_run
for number in range(int(sys.argv[1]), int(sys.argv[1]) + 40):
    start_run("twice", preset="tiny").save(None, pd.DataFrame({"n": [number]}), publish=True)
"""


def test_processes_that_save_one_result_leave_one_whole(home):
    (home / "figures" / "tiny").mkdir(parents=True)
    left = home / "figures" / "tiny" / ".twice.7.partial.csv"
    left.write_text("n")  # of a process that was killed
    both = [subprocess.Popen([sys.executable, "-c", SAVE_OFTEN, first]) for first in ("100", "200")]
    assert [process.wait() for process in both] == [0, 0]
    folder = home / "figures" / "tiny"
    assert sorted(path.name for path in folder.iterdir()) == ["twice.csv", "twice.json"]
    assert altered(folder) == {}
    assert (folder / "twice.csv").read_text() in ("n\n139\n", "n\n239\n")
