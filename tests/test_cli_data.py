"""``tempo data check``: counts, problems one per line, and exit codes."""

import json

import pytest
import yaml
from video_clips import numbered_frames, write_video

from tempo_lib.cli.app import run


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return tmp_path


def folder_of(path, videos=("v1", "v2"), **changes):
    """LVBench's cleaned layout with one question per video."""
    path.mkdir()
    row = {"question": "What is in the box?", "candidates": ["(A) Tea", "(B) Ink"]}
    row |= {"answer": "(B) Ink", "question_type": ["reasoning"]}
    rows = [{**row, "video": name, **changes} for name in videos]
    (path / "lvbench_clean.json").write_text(json.dumps(rows))
    return path


def small_manifest(repo_root, path, **changes):
    """LVBench's manifest for a set of two questions, its videos in a folder of another name."""
    text = (repo_root / "data_manifests/benchmarks/lvbench.yaml").read_text()
    edition = {"name": "own", "questions": 2, "videos": 2, "note": "two questions"}
    facts = {**yaml.safe_load(text), "editions": [edition], "videos": ["films/{video}.mp4"]}
    path.write_text(yaml.safe_dump({**facts, **changes}))
    return path


def test_a_good_folder_of_an_own_manifest_exits_with_0(repo_root, home, capsys):
    root, out = folder_of(home / "lv"), home / "report.json"
    (root / "films").mkdir()
    for name in ("v1", "v2"):
        write_video(root / "films" / f"{name}.mp4", numbered_frames(16))
    manifest = small_manifest(repo_root, home / "own.yaml")
    words = ["data", "check", str(manifest), "--root", str(root), "--json", str(out)]
    assert run(words) == 0
    printed = capsys.readouterr()
    assert "questions: 2\n" in printed.out and "answers: B 2\n" in printed.out
    assert "problem" not in printed.err
    facts = json.loads(out.read_text())
    assert (facts["edition"], facts["problems"], facts["videos_checked"]) == ("own", [], True)


def test_problems_are_listed_one_per_line_with_exit_code_2(home, capsys):
    root = folder_of(home / "lv", uid=7)
    assert run(["data", "check", "lvbench", "--root", str(root)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("problem: ")]
    assert len(lines) == 3
    assert "2 questions / 2 videos is no known set" in lines[0]
    assert "1 question ids occur more than once: 7" in lines[1]
    assert "2 videos missing: v1; v2" in lines[2]


def test_videos_can_be_left_alone(home, capsys):
    root = folder_of(home / "lv")
    assert run(["data", "check", "lvbench", "--root", str(root), "--no-videos"]) == 2
    printed = capsys.readouterr()
    assert "videos missing" not in printed.err and "hours" not in printed.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobench"], "unknown suite 'nobench'"),
        (["lvbench", "--root", "nowhere"], "no folder nowhere; name the one with --root"),
        (["lvbench"], "no folder"),
        (["gone.yaml"], "benchmark manifest gone.yaml is not valid"),
        (["lvbench", "--json", "nowhere/out.json"], "the folder nowhere does not exist"),
    ],
)
def test_what_cannot_be_checked_is_one_line(words, message, capsys):
    assert run(["data", "check", *words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert message in line


def test_a_folder_without_annotations_says_where_they_come_from(home, capsys):
    (home / "empty").mkdir()
    assert run(["data", "check", "mlvu", "--root", str(home / "empty")]) == 2
    assert "no annotations of MLVU" in capsys.readouterr().err


def test_a_manifest_that_breaks_the_schema_is_named(repo_root, home, capsys):
    manifest = small_manifest(repo_root, home / "own.yaml", metric="mean over moons")
    assert run(["data", "check", str(manifest)]) == 2
    assert "benchmark manifest own.yaml is not valid" in capsys.readouterr().err


def test_a_stand_in_is_filled_and_says_how_to_evaluate_it(home, capsys):
    real, made = folder_of(home / "lv"), home / "stand-in"
    words = ["data", "stand-in", "lvbench", str(made), "--annotations", str(real)]
    assert run([*words, "--share", "0.002", "--num-videos", "1"]) == 0
    printed = capsys.readouterr().out
    assert "1 videos of 8 seconds together, for 1 questions" in printed
    names = {path.name for path in made.iterdir()}
    assert names == {"STAND-IN.json", "lvbench_clean.json", "v2.mp4"}
    assert run(["data", "stand-in", "lvbench", str(real), "--annotations", str(real)]) == 2
    assert "is not empty and no stand-in" in capsys.readouterr().err
