"""Files of questions: what is read, what is refused, and how cases are grouped."""

import json
import re
from pathlib import Path

import pytest

from tempo_lib.cli.answering import CasesError, by_video, case, read_cases
from tempo_lib.cli.common import printable


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_cases_keep_their_order_and_find_videos_beside_the_file(tmp_path):
    (tmp_path / "a.mp4").touch()
    records = [{"video_path": name, "query": name[0]} for name in ("b.mp4", "a.mp4", "b.mp4")]
    cases = read_cases(write(tmp_path / "cases.json", records))
    assert [one.video for one in cases] == ["b.mp4", "a.mp4", "b.mp4"]
    assert [one.question for one in cases] == ["b", "a", "b"]
    assert cases[1].path == tmp_path / "a.mp4"


def test_a_video_that_is_not_beside_the_file_is_looked_up_in_the_current_folder(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "here.mp4").touch()
    cases_file = write(tmp_path / "files" / "c.json", [{"video_path": "here.mp4", "query": "?"}])
    assert read_cases(cases_file)[0].path.resolve() == tmp_path / "here.mp4"


def test_questions_of_one_video_are_grouped_so_that_it_is_decoded_once():
    cases = [case("a.mp4", "1"), case("b.mp4", "2"), case("a.mp4", "3"), case("none", "4")]
    assert by_video(cases) == {Path("a.mp4"): [0, 2], Path("b.mp4"): [1], None: [3]}


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not JSON"), ('{\n "a": 1}', "must hold a list"), ([], "at least one record")],
)
def test_a_file_that_holds_no_cases_is_refused_by_name(tmp_path, content, message):
    path = write(tmp_path / "cases.json", content)
    with pytest.raises(CasesError, match=message) as caught:
        read_cases(path)
    assert "cases.json" in str(caught.value)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("clip.mp4", "record 2: expected an object"),
        ({"video_path": "a.mp4"}, "record 2: 'query' must be a text, got None"),
        ({"query": "?"}, "record 2: 'video_path' must be a text"),
        ({"video_path": "", "query": "?"}, "record 2: 'video_path' is empty"),
        ({"video_path": "a.mp4", "query": "\ud83d?"}, "record 2: a.mp4: the question holds a lone"),
        (
            {"video_path": "Who is it?", "query": __file__},
            "does not exist, but .* are they swapped",
        ),
        (
            {"video_path": "Who? " * 60, "query": __file__},
            "does not exist, but .* are they swapped",
        ),
    ],
)
def test_a_bad_record_is_a_case_with_a_problem_and_the_others_stand(tmp_path, record, problem):
    good = {"video_path": "a.mp4", "query": "?"}
    cases = read_cases(write(tmp_path / "cases.json", [good, record, good]))
    assert [one.problem for one in cases[::2]] == [None, None]
    assert re.search(problem, cases[1].problem)
    assert "cases.json, record 2" in cases[1].problem
    assert by_video(cases) == {Path("a.mp4"): [0, 2]}


def test_json_lines_and_a_byte_order_mark_are_read(tmp_path):
    lines = [
        '{"video_path": "a.mp4", "query": "1"}',
        "{broken",
        '{"video_path": "b", "query": "2"}',
    ]
    (tmp_path / "c.jsonl").write_bytes("\n".join(lines).encode("utf-8-sig"))
    cases = read_cases(tmp_path / "c.jsonl")
    assert [one.question for one in cases] == ["1", "", "2"]
    assert "c.jsonl, line 2: not JSON" in cases[1].problem
    (tmp_path / "c.json").write_bytes(f"[{lines[0]}]".encode("utf-8-sig"))
    assert [one.question for one in read_cases(tmp_path / "c.json")] == ["1"]


def test_control_characters_are_shown_and_never_acted_on():
    assert printable("a\x1b[2Jb\ud83d\x00\n\t\u202e") == "a\\x1b[2Jb\\ud83d\\x00\n\t\\u202e"
    assert printable("\u00e9\u4e2d\U0001f600") == "\u00e9\u4e2d\U0001f600"


def test_a_missing_file_is_refused():
    with pytest.raises(CasesError, match=r"cannot read nowhere\.json"):
        read_cases(Path("nowhere.json"))


def test_the_released_demo_file_is_read(shared_dir):
    cases = read_cases(shared_dir / "annotations" / "demo_cases.json")
    assert len(cases) == 9
    assert len(by_video(cases)) == 7
