"""Damaged files: what is kept is right, what is lost is counted."""

import numpy as np
import pytest
from video_clips import numbered_frames, write_video
from video_faults import changed, cut, flipped, noisy

from tempo_lib.video.base import Salvaged, VideoError
from tempo_lib.video.clip import load_video, open_video
from tempo_lib.video.readers import open_reader
from tempo_lib.video.salvage import SalvagingReader


def by_time(reader):
    """Second -> frame of everything that a reader gives."""
    times = np.round(reader.facts.seconds_T, 3).tolist()
    return dict(zip(times, reader.frames(np.arange(len(times))), strict=True))


@pytest.mark.parametrize("name", ["n.mp4", "n.mkv"])
@pytest.mark.parametrize("tenth", [2, 5, 8])
def test_what_is_kept_of_a_cut_file_is_equal_to_the_whole_one(name, tenth, tmp_path):
    whole = by_time(open_reader(noisy(name, movflags="faststart")(tmp_path)))
    make = changed(noisy(name, movflags="faststart"), cut(tenth), f"cut-{name}")
    reader = SalvagingReader(make(tmp_path))
    kept = by_time(reader)
    assert 4 * tenth - 4 <= len(kept) < 40
    assert all(np.array_equal(frame, whole[time]) for time, frame in kept.items())
    assert reader.salvaged.num_read == len(kept) and "truncated" in reader.salvaged.reason
    assert reader.salvaged.num_total == pytest.approx(40, abs=2)


def test_from_an_error_to_the_next_key_frame_nothing_is_kept(tmp_path):
    frames = numbered_frames(40, 64, 64)
    rng = np.random.default_rng(0)
    frames[:, 16:48, 16:48] = rng.integers(0, 256, (40, 32, 32, 3))
    path = write_video(
        tmp_path / "clip.mp4", frames, gop=10, options={"bf": "0", "sc_threshold": "0"}
    )
    whole = by_time(open_reader(path))
    hurt = changed(lambda folder: path, flipped(0.35, 3000), "hurt.mp4")(tmp_path)
    with pytest.raises(VideoError, match="salvage keeps"):
        list(open_reader(hurt).frames(np.arange(40)))
    kept = by_time(SalvagingReader(hurt))
    lost = sorted(set(whole) - set(kept))
    assert 1 <= len(lost) < 30
    ends = [time for time in lost if round(time + 0.1, 3) in kept]
    assert ends, "nothing is kept after the damage"
    assert all(round(10 * time + 1) % 10 == 0 for time in ends), "kept again from a key frame on"
    assert max(kept) == max(whole), "reading did not go on to the end"
    assert all(np.array_equal(frame, whole[time]) for time, frame in kept.items())


def test_a_whole_file_reads_as_without(tmp_path):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(30))
    plain, salvaged = load_video(path), load_video(path, salvage=True)
    assert salvaged.salvaged is None and plain.salvaged is None
    assert np.array_equal(plain.frames, salvaged.frames)
    np.testing.assert_array_equal(plain.seconds, salvaged.seconds)


def test_a_file_without_times_is_salvaged_too(tmp_path):
    path = write_video(tmp_path / "clip.avi", numbered_frames(30), codec="mpeg4")
    assert load_video(path, salvage=True).num_frames == load_video(path).num_frames


@pytest.mark.parametrize("is_safe", [False, True])
def test_what_is_lost_is_counted_and_said(is_safe, tmp_path):
    make = changed(noisy("n.mp4", movflags="faststart"), cut(5), "cut.mp4")
    video = load_video(make(tmp_path), salvage=True, safe=is_safe)
    lost = video.salvaged
    assert lost.num_total == 40 and lost.num_lost == 40 - lost.num_read
    assert str(lost).startswith(f"{lost.num_lost} of 40 frames are lost: truncated")


def test_a_file_of_which_nothing_decodes_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("text")
    with pytest.raises(VideoError, match="not a video"):
        load_video(tmp_path / "text.mp4", salvage=True)
    make = changed(noisy("n.mp4", movflags="faststart"), lambda data: data[:1500])
    with pytest.raises(VideoError, match=r"nothing can be salvaged|holds no frame"):
        load_video(make(tmp_path), salvage=True)


def test_decord_does_not_salvage(tmp_path):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(3))
    with pytest.raises(ValueError, match="reader='pyav'"):
        open_video(path, reader="decord", salvage=True)


def test_the_words_of_a_loss():
    assert str(Salvaged(30, 40, "truncated")) == "10 of 40 frames are lost: truncated"
