"""From a file, a folder or an array to sampled frames, in one piece or window by window."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from video_clips import VIDEOS, needs_videos, numbered_frames, place_of, write_video

from tempo_lib.video import pyav as reader_pyav
from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import (
    Video,
    VideoStream,
    load_image,
    load_video,
    open_video,
    shrink_size,
)
from tempo_lib.video.sampling import sample_indices


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """60 numbered frames at 10 fps: 6 s, 12 samples."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", numbered_frames(60))


def places(video, total=60):
    return [place_of(frame, total) for frame in video.frames]


def test_a_file_is_sampled_from_its_first_to_its_last_frame(clip):
    video = load_video(clip)
    assert places(video) == sample_indices(60, 10.0, 2.0, 4, 1024).tolist()
    assert places(video)[-1] == 59
    assert video.fps == pytest.approx(2.0) and video.source == str(clip)
    np.testing.assert_allclose(video.seconds, np.arange(12) / 2)
    assert video.frames.dtype == np.uint8 and not video.is_image


def test_max_frames_lowers_the_sampled_rate(clip):
    video = load_video(clip, max_frames=5)
    assert places(video) == [0, 15, 30, 44, 59]
    assert video.fps == pytest.approx(5 / 6)


def test_a_short_file_repeats_frames_up_to_min_frames(tmp_path):
    path = write_video(tmp_path / "short.mp4", numbered_frames(2))
    video = load_video(path)
    assert places(video, 2) == [0, 0, 1, 1]
    assert video.fps == pytest.approx(4 / 0.2)


def test_a_file_of_one_frame_is_one_frame_of_video(tmp_path):
    video = load_video(write_video(tmp_path / "one.mp4", numbered_frames(1)))
    assert video.num_frames == 1 and not video.is_image
    assert video.seconds.tolist() == [0.0]


def test_a_variable_rate_file_gets_its_own_times(tmp_path):
    ticks = [*range(0, 2000, 100), *range(2000, 12000, 500)]  # 2 s at 10 fps, 10 s at 2 fps
    path = write_video(tmp_path / "vfr.mkv", numbered_frames(40), ticks=ticks)
    video = load_video(path)
    np.testing.assert_allclose(video.seconds, np.array(ticks)[places(video, 40)] / 1000, atol=2e-3)
    assert video.num_frames == 24 and video.fps == pytest.approx(2.0, abs=0.05)
    assert np.abs(video.seconds - np.linspace(0, 11.5, 24)).max() <= 0.25  # half the longest gap
    release = load_video(path, timestamps="release")
    np.testing.assert_allclose(release.seconds, np.arange(release.num_frames) / release.fps)
    true_seconds = np.array(ticks)[places(release, 40)] / 1000
    assert np.abs(release.seconds - true_seconds).max() > 1


def test_long_frames_shrink_by_the_release_rule_while_streaming(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 90, 160, 3), dtype=np.uint8)
    path = write_video(tmp_path / "wide.mp4", noise)
    native = load_video(path, max_edge=None)
    small = load_video(path, max_edge=128)
    assert native.frames.shape[1:3] == (90, 160) and small.frames.shape[1:3] == (64, 128)
    for before, after in zip(native.frames, small.frames, strict=True):
        image = Image.fromarray(before).resize((128, 64), Image.Resampling.BICUBIC)
        assert np.array_equal(after, np.asarray(image))


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [
        (720, 1280, (288, 512)),
        (800, 1920, (208, 512)),
        (1484, 106, (512, 32)),
        (51, 1377, (16, 512)),
        (288, 512, (288, 512)),
        (130, 75, (130, 75)),
    ],
)
def test_shrink_size_by_the_golden_table(height, width, wanted):
    assert shrink_size(height, width, 512) == wanted
    assert shrink_size(height, width, None) == (height, width)


@pytest.mark.parametrize(("window", "stride"), [(8, 8), (4, 2), (3, 5), (12, 12), (1, 1), (50, 7)])
def test_streamed_windows_equal_those_in_memory(clip, window, stride):
    stream, video = open_video(clip), load_video(clip)
    streamed = list(stream.windows(window, stride))
    held = list(video.windows(window, stride))
    assert len(streamed) == len(held) == -(-12 // stride)
    for left, right in zip(streamed, held, strict=True):
        assert np.array_equal(left, right)


def test_a_stream_tells_all_but_the_frames_and_starts_again(clip):
    stream, video = open_video(clip), load_video(clip)
    assert (stream.num_frames, stream.fps, stream.source) == (12, video.fps, str(clip))
    np.testing.assert_array_equal(stream.seconds, video.seconds)
    first = next(stream.windows(4, 4))
    assert np.array_equal(first, next(stream.windows(4, 4)))


def test_windows_come_before_the_file_is_decoded(clip, monkeypatch):
    decoded = []
    original = reader_pyav.PyavReader._decoded

    def counted(self, *given):
        for item in original(self, *given):
            decoded.append(item[0])
            yield item

    monkeypatch.setattr(reader_pyav.PyavReader, "_decoded", counted)
    windows = open_video(clip, fps=10.0).windows(8, 8)
    next(windows)
    assert len(decoded) == 8
    next(windows)
    assert len(decoded) == 16


def test_streaming_holds_one_window_however_long_the_source_is(monkeypatch):
    alive, most = 0, 0

    class Tracked(np.ndarray):
        """A frame that counts how many of its kind are alive."""

        def __del__(self):
            nonlocal alive
            alive -= 1

    def frames():
        nonlocal alive, most
        for _ in range(200):
            frame = np.zeros((4, 4, 3), np.uint8).view(Tracked)
            alive += 1
            most = max(most, alive)
            yield frame
            del frame

    stream = VideoStream(iter_frames=frames, fps=2.0, seconds=np.arange(200) / 2)
    assert sum(len(window) for window in stream.windows(8, 8)) == 200
    assert 8 <= most <= 10


def test_a_folder_is_read_in_natural_order_at_its_own_rate(tmp_path):
    frames = numbered_frames(12)
    for place, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"frame{place}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / ".hidden.png").write_bytes(b"not a frame either")
    video = load_video(tmp_path, fps=4.0)
    assert np.array_equal(video.frames, frames)
    assert video.fps == 4.0 and video.source == str(tmp_path)
    few = load_video(tmp_path, fps=4.0, max_frames=3)
    assert places(few, 12) == [0, 6, 11] and few.fps == pytest.approx(1.0)


def test_a_folder_without_frames_is_told(tmp_path):
    with pytest.raises(VideoError, match="holds no frames"):
        load_video(tmp_path)


def test_a_damaged_frame_in_a_folder_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(VideoError, match=r"a\.png"):
        load_video(tmp_path)


def test_an_array_is_taken_as_sampled(monkeypatch):
    frames = numbered_frames(10)
    assert np.array_equal(load_video(frames).frames, frames)
    assert load_video(frames[:2]).num_frames == 2  # no repeats: the caller sampled
    video = load_video(torch.from_numpy(frames), fps=1.0, max_frames=5)
    assert places(video, 10) == [0, 2, 4, 7, 9]
    np.testing.assert_allclose(video.seconds, np.arange(5) * 2)


def test_an_image_is_one_upright_frame_outside_time(tmp_path):
    upright = numbered_frames(1)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to stand upright
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / "phone.png", exif=exif)
    for video in (load_image(tmp_path / "phone.png"), load_video(tmp_path / "phone.png")):
        assert video.is_image and np.array_equal(video.frames[0], upright)


def test_a_missing_or_false_image_is_one_plain_line(tmp_path):
    (tmp_path / "false.png").write_text("text")
    for name, reason in [("none.png", "no such file"), ("false.png", "not an image")]:
        with pytest.raises(VideoError, match=reason) as caught:
            load_image(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_video_takes_torch_frames_and_default_times():
    video = Video(torch.zeros(3, 4, 5, 3, dtype=torch.uint8), fps=4.0)
    assert isinstance(video.frames, np.ndarray) and video.num_frames == 3
    assert video.seconds.tolist() == [0.0, 0.25, 0.5] and video.source is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"frames": np.zeros((2, 4, 4, 3), np.float32)}, "uint8"),
        ({"frames": np.zeros((2, 3, 4, 4), np.uint8)}, r"\(T, H, W, 3\)"),
        ({"frames": np.zeros((4, 4, 3), np.uint8)}, r"\(T, H, W, 3\)"),
        ({"frames": np.zeros((0, 4, 4, 3), np.uint8)}, "at least 1 frame"),
        ({"fps": 0.0}, "fps"),
        ({"fps": -1.0}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"fps": float("inf")}, "fps"),
        ({"seconds": np.zeros(3)}, "shape"),
        ({"seconds": np.array([1.0, 0.0])}, "decrease"),
        ({"seconds": np.array([0.0, np.nan])}, "finite"),
        ({"is_image": True}, "one frame"),
    ],
)
def test_a_video_refuses_what_it_cannot_hold(arguments, said):
    with pytest.raises(ValueError, match=said):
        Video(**{"frames": np.zeros((2, 4, 4, 3), np.uint8), **arguments})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"fps": 0.0}, "fps"),
        ({"max_frames": 0}, "max_frames"),
        ({"min_frames": 0}, "min_frames"),
        ({"reader": "opencv"}, "auto, pyav, decord"),
        ({"timestamps": "clock"}, "auto, release, pts"),
        ({"max_edge": 8}, "max_edge"),
    ],
)
def test_arguments_are_refused_by_name(clip, arguments, said):
    with pytest.raises(ValueError, match=said):
        open_video(clip, **arguments)


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (1, 0)])
def test_windows_need_a_length_and_a_stride(clip, window, stride):
    for video in (open_video(clip), load_video(clip)):
        with pytest.raises(ValueError, match="must be at least 1"):
            next(video.windows(window, stride))


def test_readers_load_the_same_video(clip):
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    pyav, decord = (load_video(clip, reader=name) for name in ("pyav", "decord"))
    assert np.array_equal(pyav.frames, decord.frames) and pyav.fps == decord.fps


def test_importing_costs_no_decoder_and_no_torch():
    code = (
        "import sys, tempo_lib.video.clip; "
        "heavy = {'av', 'decord', 'torch', 'PIL'} & set(sys.modules); assert not heavy, heavy"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs_videos
def test_a_real_clip_of_40_seconds_gives_80_frames():
    stream = open_video(VIDEOS / "intel_bottle-detection.mp4")
    assert stream.num_frames == 80 and stream.fps == pytest.approx(80 / (1189 / 29.8333), rel=1e-4)
    assert next(stream.windows(2, 2)).shape == (2, 288, 512, 3)


@needs_videos
def test_a_real_variable_rate_clip_keeps_its_own_times():
    stream = open_video(VIDEOS / "made_vfr.mp4", max_edge=None)
    assert stream.num_frames == 24
    grid = np.linspace(0, 11.933, 24)
    assert np.abs(stream.seconds - grid).max() < 0.06
    release = open_video(VIDEOS / "made_vfr.mp4", timestamps="release")
    assert np.abs(release.seconds - np.arange(24) / release.fps).max() == 0
