"""Pictures that nobody wants and none refers to are not decoded; what is wanted stays equal."""

import numpy as np
import pytest
from video_clips import numbered_frames, write_video

from tempo_lib.video.base import VideoError
from tempo_lib.video.pyav import PyavReader

UNEVEN = np.cumsum([40, 100, 230, 70] * 12).tolist()
CASES = {
    "b-frames and an edit list": {"options": {"bf": "3"}},
    "a pyramid of b-frames": {"options": {"x264-params": "bframes=8:b-pyramid=normal:b-adapt=0"}},
    "open groups": {"options": {"x264-params": "open-gop=1:bframes=3:keyint=12:min-keyint=12"}},
    "short closed groups": {"options": {"bf": "2"}, "gop": 6},
    "a variable rate": {"options": {"bf": "3"}, "ticks": UNEVEN},
}


def moving_frames():
    rng = np.random.default_rng(0)
    frames = numbered_frames(48)
    frames[:, 20:50, 30:70] = rng.integers(0, 256, (48, 30, 40, 3))
    return frames


def read(path, index, skips):
    reader = PyavReader(path)
    assert reader._skips  # H.264 with times
    reader._skips = skips
    count, decoded = 0, reader._decoded

    def counted(*given):
        nonlocal count
        for one in decoded(*given):
            count += 1
            yield one

    reader._decoded = counted
    return np.stack(list(reader.frames(np.array(index)))), count


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_what_is_wanted_is_bit_equal_and_fewer_pictures_are_decoded(tmp_path, name, suffix):
    path = write_video(tmp_path / f"clip.{suffix}", moving_frames(), **CASES[name])
    for index in (range(0, 48, 6), range(3, 48, 5), [0, 0, 1, 2, 2, 40, 47, 47], range(48)):
        few, num_few = read(path, index, skips=True)
        all_of_them, num_all = read(path, index, skips=False)
        assert np.array_equal(few, all_of_them)
        assert num_few <= num_all
    assert num_few == num_all == 48  # everything is wanted
    assert read(path, range(0, 48, 6), skips=True)[1] <= 40


def test_a_tick_without_a_picture_shows_what_it_does_when_all_is_decoded(tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving_frames(), options={"bf": "3"})

    def shown(skips):
        reader = PyavReader(path)
        reader._skips = skips
        reader._ticks_T = np.sort(np.append(reader._ticks_T, reader._ticks_T[20:30:3] + 1))
        return np.stack(list(reader.frames(np.arange(0, 52, 2))))

    assert np.array_equal(shown(True), shown(False))


def test_damage_is_told_in_the_words_of_a_whole_reading(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", moving_frames(), options={"bf": "3"})
    reader = PyavReader(path)
    plain = reader._decoded

    def damaged(*wanted):
        for count, one in enumerate(plain(*wanted)):
            if count == 7:
                raise reader._damaged(count if not wanted else -1)
            yield one

    monkeypatch.setattr(reader, "_decoded", damaged)
    with pytest.raises(VideoError, match="damaged: 7 of 48 frames could be read"):
        list(reader.frames(np.arange(0, 48, 6)))


def test_other_codecs_decode_everything(tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving_frames(), codec="mpeg4")
    assert not PyavReader(path)._skips
