"""Files as they come on bad days: each is read right, or refused in one plain line."""

import re
from collections import Counter

import av
import numpy as np
import pytest
from video_fault_cases import CASES, cell, table
from video_faults import WHOLE, is_whole, outcome

from tempo_lib import load_video
from tempo_lib.video.base import VideoError
from tempo_lib.video.readers import open_reader

NAMES = [f"{case.group}: {case.name}" for case in CASES]
GROUPS = ("container", "picture", "time", "stream", "size")
CLIPS = [  # films that are read, as the release stores them
    case
    for case in CASES
    if case.group in GROUPS and callable(case.right) and "square_pixels" not in case.options
]
MENDED = [case.name for case in CLIPS if "clock starts" in case.name or "clock leaps" in case.name]
MENDED.append("the size changes in the middle")


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_bad_day_is_read_right_or_refused_in_one_line(case, tmp_path):
    is_right, what = outcome(case, tmp_path, load_video)
    assert is_right, f"{what}; right is: {case.says}"


def test_the_table_has_at_least_eighty_files_and_no_name_twice():
    assert len(CASES) >= 80
    assert [name for name, times in Counter(NAMES).items() if times > 1] == []


def test_a_wrong_outcome_is_seen(tmp_path):
    """The judge of this file can say no: another order, another number, no refusal."""
    case = next(case for case in CASES if case.name == "MP4, H.264, B frames")

    class Backwards:
        num_frames, is_image, seconds = 20, False, [1.9]

    video = load_video(case.make(tmp_path), fps=10)
    Backwards.frames = video.frames[::-1]
    assert is_whole(video) and not is_whole(Backwards)
    refusal = next(case for case in CASES if case.name == "empty")
    assert not outcome(refusal, tmp_path, lambda path, **options: video)[0]


def test_the_committed_table_is_of_these_files(repo_root, tmp_path):
    page = (repo_root / "BAD_DAYS.md").read_text(encoding="ascii")
    page = page.split("# Bad days of everything else")[0]
    listed = re.findall(r"^\| (\w+: .*?[^\\]) \| ", page, re.MULTILINE)
    assert listed == [cell(name) for name in NAMES]
    assert "**wrong**" not in page and f"| all | {len(CASES)} |" in page


def test_a_table_shows_what_is_wrong_now_and_before():
    results = [(True, "20 frames")] * (len(CASES) - 1)
    page = table([*results, (False, "19 frames")], [(False, "3 | frames"), *results])
    assert "**wrong**: 19 frames | right |" in page and "| **3 \\| frames** |" in page
    assert f"| all | {len(CASES)} | {len(CASES) - 1} | {len(CASES) - 1} |" in page


@pytest.mark.parametrize("case", CLIPS, ids=[f"{case.group}: {case.name}" for case in CLIPS])
def test_frames_are_those_of_the_packets_in_number_and_time(case, tmp_path):
    """Ground truth from the container: every packet that is shown, at its own time."""
    path = case.make(tmp_path)
    facts = open_reader(path).facts
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        shown = [packet for packet in container.demux(stream) if packet.size]
        shown = [packet for packet in shown if not packet.is_discard]
        base = float(stream.time_base)
    assert facts.num_frames == len(shown)
    if case.name in MENDED or None in [packet.pts for packet in shown]:
        return  # test_a_joined_recording_goes_on holds the times of a mended clock
    stamps = np.sort([packet.pts for packet in shown]) * base
    np.testing.assert_allclose(facts.seconds_T, stamps - stamps[0], atol=1e-9)


@pytest.mark.parametrize("case", CLIPS, ids=[f"{case.group}: {case.name}" for case in CLIPS])
def test_the_second_reader_is_equal_or_refuses_and_names_the_first(case, tmp_path):
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    path = case.make(tmp_path)
    first = open_reader(path, "pyav")
    wanted = np.arange(first.facts.num_frames)
    second, refusal = None, ""
    try:
        second = open_reader(path, "decord")
    except VideoError as error:
        refusal = str(error)
    if second is None:
        assert "pyav" in refusal.lower() and "\n" not in refusal
        return
    assert second.facts.num_frames == len(wanted)
    for left, right in zip(first.frames(wanted), second.frames(wanted), strict=True):
        assert np.array_equal(left, right)


@pytest.mark.parametrize("name", ["again.ts", "again.mpg", "leap.ts"])
def test_a_joined_recording_goes_on(name, tmp_path):
    from video_faults import joined

    path = joined(name, 3600 if name == "leap.ts" else None)(tmp_path)
    facts = open_reader(path).facts
    np.testing.assert_allclose(facts.seconds_T, np.arange(len(WHOLE)) / 10, atol=1e-4)
