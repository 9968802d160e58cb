"""Decoding in a child process: the same frames; what hangs, eats memory or crashes is ended."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from video_clips import numbered_frames, write_video

from tempo_lib.video import safe
from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import load_video
from tempo_lib.video.safe import Bounds, open_in_child


def planted(name, *options, seconds=60.0, mebibytes=6144):
    bounds = Bounds(seconds=seconds, mebibytes=mebibytes)
    return open_in_child(Path("planted.mp4"), options, bounds, f"planted_decoders:{name}")


def read_into(read, name):
    """Append what a planted decoder gives within 3 s each, as far as it comes."""
    for frame_HW3 in planted(name, seconds=3).iter_frames():
        read.append(int(frame_HW3[0, 0, 0]))


@pytest.fixture
def children(monkeypatch):
    """Every child that is started."""
    started, start = [], subprocess.Popen

    def kept(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(safe.subprocess, "Popen", kept)
    yield started
    assert started and all(child.poll() is not None for child in started), "a child lives on"


def test_frames_and_times_are_those_of_this_process(tmp_path, children):
    path = write_video(tmp_path / "a clip.mp4", numbered_frames(30))
    mine, childs = load_video(path, max_edge=64), load_video(path, max_edge=64, safe=True)
    assert np.array_equal(mine.frames, childs.frames)
    np.testing.assert_array_equal(mine.seconds, childs.seconds)
    assert (mine.fps, mine.source, mine.is_image) == (childs.fps, childs.source, childs.is_image)


def test_an_error_of_the_child_is_the_error_of_this_process(tmp_path, children):
    (tmp_path / "text.mp4").write_text("text")
    said = []
    for is_safe in (False, True):
        with pytest.raises(VideoError) as caught:
            load_video(tmp_path / "text.mp4", safe=is_safe)
        said.append(str(caught.value))
    assert said[0] == said[1] and "not a video" in said[0]


def test_arguments_are_refused_before_a_child_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(safe.subprocess, "Popen", None)
    with pytest.raises(ValueError, match="max_frames"):
        load_video(tmp_path / "none.mp4", max_frames=0, safe=True)
    with pytest.raises(VideoError, match="not fetched"):
        load_video("http://a.b/c.mp4", safe=True)


def test_a_stream_can_be_read_again(children):
    stream = planted("good", 3)
    for _ in range(2):
        assert [frame[0, 0, 0] for frame in stream.iter_frames()] == [0, 1, 2]
    assert len(children) == 2


def test_a_pass_that_is_left_early_ends_its_child(children):
    passing = planted("good", 1000).iter_frames()
    next(passing)
    passing.close()


@pytest.mark.parametrize(
    ("name", "num_read"), [("hangs_when_opened", 0), ("hangs_at_third_frame", 2)]
)
def test_a_decoder_that_hangs_is_ended_and_reported(name, num_read, children):
    start, read = time.monotonic(), []
    said = r"planted\.mp4: the decoder gave nothing for 3 s and was ended"
    with pytest.raises(VideoError, match=said):
        read_into(read, name)
    assert read == list(range(num_read)) and time.monotonic() - start < 60


def test_a_decoder_that_is_slow_but_steady_is_not_ended(children):
    assert len(list(planted("is_slow_but_steady", seconds=3).iter_frames())) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not bound a process's data")
def test_a_decoder_that_eats_memory_is_ended_and_reported(children):
    with pytest.raises(VideoError, match=r"planted\.mp4: decoding needs more than 700 MiB"):
        list(planted("eats_memory", mebibytes=700).iter_frames())


@pytest.mark.parametrize(
    ("name", "said"),
    [("crashes", "crashed .SIGABRT"), ("leaves", "exit code 3"), ("fails", "exit code 1")],
)
def test_a_decoder_that_crashes_is_reported(name, said, children):
    with pytest.raises(VideoError, match=said):
        list(planted(name).iter_frames())


def test_what_a_library_prints_does_not_stand_among_the_frames(children):
    assert [frame[0, 0, 0] for frame in planted("chatters").iter_frames()] == [0, 1, 2]


def test_bounds_must_be_positive():
    for bounds in ({"seconds": 0}, {"mebibytes": -1}):
        with pytest.raises(ValueError, match="positive"):
            Bounds(**bounds)
