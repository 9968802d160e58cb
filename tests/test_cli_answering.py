"""Files of questions: what is read, what is refused, and how cases are grouped."""

import json
from pathlib import Path

import pytest

from tempo_lib.cli.answering import CasesError, by_video, case, read_cases


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
    [
        ("{", "is not JSON"),
        ({}, "must hold a list"),
        ([], "at least one record"),
        (["clip.mp4"], "record 1: expected an object"),
        ([{"video_path": "a.mp4"}], "record 1: 'query' must be a text"),
        ([{"video_path": "a", "query": "?"}, {"query": "?"}], "record 2: 'video_path'"),
        ([{"video_path": "", "query": "?"}], "'video_path' is empty"),
    ],
)
def test_a_malformed_file_is_refused_by_name_and_record(tmp_path, content, message):
    path = write(tmp_path / "cases.json", content)
    with pytest.raises(CasesError, match=message) as caught:
        read_cases(path)
    assert "cases.json" in str(caught.value)


def test_a_missing_file_is_refused():
    with pytest.raises(CasesError, match=r"cannot read nowhere\.json"):
        read_cases(Path("nowhere.json"))


def test_the_released_demo_file_is_read(shared_dir):
    cases = read_cases(shared_dir / "annotations" / "demo_cases.json")
    assert len(cases) == 9
    assert len(by_video(cases)) == 7
