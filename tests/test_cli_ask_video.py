"""``tempo ask`` on damaged and oddly named videos: what is kept, counted, refused in one line."""

import json

import pytest
from video_clips import numbered_frames, write_video
from video_faults import changed, cut, noisy

from tempo_lib.cli.answering import Reading, check_reading
from tempo_lib.cli.app import run
from tempo_lib.cli.common import InputError


@pytest.fixture(scope="module")
def checkpoint(tiny_tempo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_tempo.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A whole clip, and one cut in half."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "clip.mp4", numbered_frames(30, 64, 64))
    changed(noisy("n.mp4", movflags="faststart"), cut(5), "cut.mp4")(folder)
    return folder


def asked(capsys, video, checkpoint, *options):
    """Exit code, the JSON printed (None where there is none), and the lines on stderr."""
    quick = ["--checkpoint", checkpoint, "--max-new-tokens", "1", "--json"]
    code = run(["ask", str(video), "What?", *quick, *options])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err.splitlines()


def test_a_damaged_video_is_refused_with_the_way_out(capsys, folder, checkpoint):
    code, answer, lines = asked(capsys, folder / "cut.mp4", checkpoint)
    assert (code, answer) == (2, None)
    assert [line for line in lines if line.startswith("error: ")] == [
        f"error: cannot read {folder / 'cut.mp4'}: truncated: only 20 of 40 declared frames are in "
        "the file; salvage keeps what can be read"
    ]


@pytest.mark.parametrize("more", [(), ("--safe",)])
def test_salvage_answers_from_the_rest_and_counts_what_is_lost(capsys, folder, checkpoint, more):
    code, answer, lines = asked(capsys, folder / "cut.mp4", checkpoint, "--salvage", *more)
    lost = answer["salvaged"]
    assert code == 0 and lost["num_total"] == 40 and lost["num_lost"] == 40 - lost["num_read"]
    assert f"note: {folder / 'cut.mp4'}: {lost['num_lost']} of 40 frames are lost" in "".join(lines)


def test_a_whole_video_says_nothing_of_losses(capsys, folder, checkpoint):
    plain = asked(capsys, folder / "clip.mp4", checkpoint)
    salvaged = asked(capsys, folder / "clip.mp4", checkpoint, "--salvage", "--safe")
    assert plain == salvaged and "salvaged" not in plain[1]


def test_an_address_of_a_file_is_read_and_others_are_refused(capsys, folder, checkpoint):
    assert asked(capsys, (folder / "clip.mp4").as_uri(), checkpoint)[0] == 0
    code, _, lines = asked(capsys, "https://example.org/clip.mp4", checkpoint)
    assert code == 2 and any("https://example.org/clip.mp4: addresses are" in x for x in lines)


def test_a_question_in_place_of_a_video_does_not_cost_the_other_cases(capsys, folder, checkpoint):
    cases = [{"video_path": "Who is it? " * 30, "query": "clip.mp4"}]
    cases += [{"video_path": "clip.mp4", "query": "Who?"}, {"video_path": "a\0b", "query": "Who?"}]
    (folder / "cases.json").write_text(json.dumps(cases))
    options = ["--checkpoint", checkpoint, "--max-new-tokens", "1", "--json"]
    assert run(["ask", "--cases", str(folder / "cases.json"), *options]) == 2
    first, second, third = json.loads(capsys.readouterr().out)
    assert "too long" in first["error"] and "zero byte" in third["error"] and "text" in second


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        ({"reader": "opencv"}, "auto, pyav, decord"),
        ({"timestamps": "clock"}, "auto, release, pts"),
        ({"reader": "decord", "salvage": True}, "need --reader pyav"),
        ({"reader": "decord", "square_pixels": True}, "need --reader pyav"),
    ],
)
def test_a_reading_that_cannot_be_is_refused(reading, said):
    with pytest.raises(InputError, match=said):
        check_reading(Reading(**reading))
