import av
import numpy as np
import pytest
from PIL import Image

from tempo_lib.miniature.world.clips import KEY_FRAME_INTERVAL, write_clip, write_image
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import make_story


@pytest.fixture(scope="module")
def frames_THWC():
    return render(make_story(np.random.default_rng(0), 40), seed=0)


def read(path):
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def shrink(frame_HWC):
    small = Image.fromarray(frame_HWC).resize((32, 32), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.float32)


def test_a_clip_holds_every_frame_at_its_time(tmp_path, frames_THWC):
    write_clip(tmp_path / "a.mp4", frames_THWC)
    frames = read(tmp_path / "a.mp4")
    assert [frame.time for frame in frames] == [i / 2 for i in range(40)]
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].average_rate == 2


def test_the_model_sees_a_clip_as_it_was_painted(tmp_path, frames_THWC):
    write_clip(tmp_path / "a.mp4", frames_THWC)
    for frame, painted_HWC in zip(read(tmp_path / "a.mp4"), frames_THWC, strict=True):
        error = shrink(frame.to_ndarray(format="rgb24")) - shrink(painted_HWC)
        assert 10 * np.log10(255**2 / (error**2).mean()) > 38


def test_equal_frames_give_equal_bytes_without_a_date(tmp_path, frames_THWC):
    write_clip(tmp_path / "a.mp4", frames_THWC)
    write_clip(tmp_path / "b.mp4", frames_THWC)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not {"creation_time", "encoder"} & set(container.metadata)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_key_frames_are_never_further_apart_than_the_interval(tmp_path):
    still_THWC = np.full((50, 64, 64, 3), 90, dtype=np.uint8)
    write_clip(tmp_path / "a.mp4", still_THWC)
    keys = [i for i, frame in enumerate(read(tmp_path / "a.mp4")) if frame.key_frame]
    assert keys[0] == 0
    assert max(np.diff([*keys, 50])) <= KEY_FRAME_INTERVAL


def test_an_image_is_stored_exactly(tmp_path, frames_THWC):
    write_image(tmp_path / "a.png", frames_THWC[3])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), frames_THWC[3])


@pytest.mark.parametrize("shape", [(0, 64, 64, 3), (4, 64, 64), (4, 64, 64, 4), (4, 63, 64, 3)])
def test_frames_of_a_wrong_shape_are_refused_and_leave_no_file(tmp_path, shape):
    with pytest.raises(ValueError, match=r"frames must be|must be even"):
        write_clip(tmp_path / "a.mp4", np.zeros(shape, dtype=np.uint8))
    assert not list(tmp_path.iterdir())


def test_a_clip_needs_a_positive_rate(tmp_path, frames_THWC):
    with pytest.raises(ValueError, match="fps must be positive"):
        write_clip(tmp_path / "a.mp4", frames_THWC, fps=0)
