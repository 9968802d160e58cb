import json

import numpy as np
import pytest
import torch

from tempo_lib.config import load_preset
from tempo_lib.model.processing import (
    PatchShape,
    cut_windows,
    patchify,
    resize_frames,
    segment_pixels,
    smart_size,
)
from tempo_lib.video.clip import Video, shrink_size

SHAPE = PatchShape(patch=8, merge=2, temporal=2)
TINY, PAPER = load_preset("tiny").pixels, load_preset("6b").pixels


def noise(frames, height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((96, 160), (384, 384)), ((720, 1280), (256, 512)), ((800, 1920), (224, 608))],
)
def test_frames_get_the_sizes_the_release_gives_them(size, expected):
    small = resize_frames(noise(2, *size), PAPER, factor=32)
    assert small.shape == (2, 3, *expected)
    assert small.dtype == torch.uint8


def test_every_recorded_size_is_reproduced(golden_dir):
    rows = json.loads((golden_dir / "tables/resize.json").read_text())["rows"]
    for row in rows:
        height, width = shrink_size(row["H"], row["W"], PAPER.max_edge, PAPER.edge_multiple)
        second = smart_size(height, width, 64, PAPER.round_min_pixels, 2**62)
        third = smart_size(*second, 32, PAPER.min_pixels, PAPER.max_pixels)
        assert [second[1], second[0]] == row["stage2"], row
        assert [third[1], third[0]] == row["stage3"], row


def test_a_needle_thin_frame_is_refused_with_its_size():
    with pytest.raises(ValueError, match="aspect ratio of 2000x4 exceeds 200"):
        smart_size(4, 2000, 32, 1024, 2048)


def test_resizing_frames_that_have_the_right_size_changes_nothing():
    frames = noise(3, 48, 48)
    assert torch.equal(
        resize_frames(frames, TINY, 16), torch.from_numpy(frames).permute(0, 3, 1, 2)
    )


def test_patch_rows_hold_the_pixels_of_their_patch_in_both_frames():
    frames = torch.from_numpy(noise(2, 16, 32)).permute(0, 3, 1, 2)
    rows = patchify(frames, SHAPE)
    assert rows.shape == (8, 3 * 2 * 8 * 8)
    # rows 0..3 are the left merged block: top-left, top-right, bottom-left, bottom-right
    bottom_left = frames[:, :, 8:16, 0:8].permute(1, 0, 2, 3).reshape(-1)
    assert torch.equal(rows[2], (bottom_left.float() - 127.5) / 127.5)


@pytest.mark.parametrize("num_frames", [1, 2, 7, 8, 9, 37])
def test_every_frame_lands_in_one_segment_and_short_tails_are_filled_to_pairs(num_frames):
    segments = segment_pixels(Video(noise(num_frames, 32, 32)), TINY, SHAPE, 8, 8)
    pairs = segments.grid_thw_N3[:, 0]
    assert len(segments) == -(-num_frames // 8)
    assert int(pairs.sum()) == sum(-(-min(8, num_frames - s) // 2) for s in range(0, num_frames, 8))
    assert len(segments.pixel_rows_PC) == int(segments.grid_thw_N3.prod(1).sum())


def test_an_odd_tail_repeats_its_last_frame_one_step_later():
    segments = segment_pixels(Video(noise(9, 32, 32), fps=2.0), TINY, SHAPE, 8, 8)
    assert segments.pair_seconds[1] == [4.25]  # frame 8 and its copy, which counts as frame 9
    tail = segments.part(1, 2).pixel_rows_PC.reshape(-1, 3, 2, 64)
    assert torch.equal(tail[:, :, 0], tail[:, :, 1])


def test_segment_times_are_window_centres():
    segments = segment_pixels(Video(noise(20, 32, 32), fps=2.0), TINY, SHAPE, 8, 8)
    assert segments.seconds_N.tolist() == [2.0, 6.0, 10.0]
    assert segments.pair_seconds[0] == [0.25, 1.25, 2.25, 3.25]


@pytest.mark.parametrize("fps", [2.0, 1.9375, 29.97, 2.002002002002002, 0.7])
def test_times_are_the_releases_sums_to_the_last_bit(fps):
    cut = cut_windows(np.arange(4999) / fps, fps, 8, 8, 2)
    assert cut.seconds_N.tolist() == [(start + 4) / fps for start in range(0, 4999, 8)]
    # the odd tail: frame 4998 and its copy, which counts as frame 4999
    assert cut.pair_seconds[-1][-1] == (4998 / fps + 4999 / fps) / 2


def test_a_copied_frame_of_a_variable_rate_follows_its_original_by_one_step():
    cut = cut_windows(np.array([0.0, 0.5, 3.0]), 2.0, 8, 8, 2)
    assert cut.pair_seconds == [[0.25, 3.25]]
    assert cut.index_F.tolist() == [0, 1, 2, 2]


def test_overlapping_windows_take_their_frames_more_than_once():
    cut = cut_windows(np.arange(6) / 2, 2.0, 4, 2, 2)
    assert cut.index_F.tolist() == [0, 1, 2, 3, 2, 3, 4, 5, 4, 5]
    assert cut.pairs_N.tolist() == [2, 2, 1]
