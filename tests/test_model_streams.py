"""A stream is read as the same frames in memory are, and holds few of them at its own size."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from video_clips import numbered_frames, write_video

from tempo_lib.cli.app import run
from tempo_lib.model.processing import STREAMED, segment_pixels
from tempo_lib.video import clip
from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import VideoStream, load_video, open_video


def drawn(num_frames, height=360, width=640):
    """A stream whose frames are made one by one."""

    def frames():
        return (np.full((height, width, 3), i % 256, np.uint8) for i in range(num_frames))

    return VideoStream(iter_frames=frames, fps=2.0, seconds=np.arange(num_frames) / 2)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return write_video(folder / "clip.mp4", numbered_frames(2 * STREAMED + 5, 96, 144), fps=2)


@pytest.mark.parametrize("size", [1, 4, 32])  # of the model's pixels: below and above the file's
def test_pixels_of_a_stream_are_those_of_the_frames_in_memory(tiny_tempo, path, size):
    rules = tiny_tempo.config.pixel_rules
    scaled = {"min_pixels": size * rules.min_pixels, "max_pixels": size * rules.max_pixels}
    rules = rules.model_copy(update=scaled)
    cut = (rules, tiny_tempo.patch_shape, 8, 8)
    streamed, loaded = (segment_pixels(read(path), *cut) for read in (open_video, load_video))
    assert torch.equal(streamed.pixel_rows_PC, loaded.pixel_rows_PC)
    assert torch.equal(streamed.grid_thw_N3, loaded.grid_thw_N3)
    assert streamed.pair_seconds == loaded.pair_seconds
    assert len(streamed) == -(-(2 * STREAMED + 5) // 8)


def test_an_answer_about_a_stream_is_that_about_the_frames(tiny_tempo, path):
    answers = [tiny_tempo.open(read(path)).ask("Who?") for read in (open_video, load_video)]
    assert answers[0].token_ids == answers[1].token_ids
    assert torch.equal(answers[0].scores, answers[1].scores)


@pytest.mark.parametrize("given", [0, 3, 19, 21, 40])
def test_a_stream_of_another_length_than_it_says_is_refused(tiny_tempo, given):
    wrong = replace(drawn(given, 32, 32), seconds=np.arange(20) / 2)
    with pytest.raises(VideoError, match=f"got {given} of 20 sampled frames"):
        tiny_tempo.open(wrong)


def test_a_stream_holds_few_frames_at_its_own_size(tiny_tempo):
    tracemalloc.start()  # which numpy reports to
    tiny_tempo.open(drawn(256))
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert peak < 40  # all 256 frames take 177


@pytest.mark.parametrize("more", [(), ("--safe",)])
def test_ask_keeps_no_frames(capsys, path, monkeypatch, more):
    monkeypatch.setattr(clip, "collect", lambda stream: 1 / 0)
    assert run(["ask", str(path), "Who?", "--max-new-tokens", "1", "--json", *more]) == 0
    assert json.loads(capsys.readouterr().out)["num_frames"] == 2 * STREAMED + 5
