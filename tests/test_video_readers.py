"""Both readers: equal pictures, honest counts, one plain line for every broken file."""

import sys

import numpy as np
import pytest
from video_clips import VIDEOS, copy_packets, needs_videos, numbered_frames, place_of, write_video
from video_faults import changed, flipped, noisy

from tempo_lib.video.base import StreamFacts, VideoError
from tempo_lib.video.readers import open_reader

# name: frames, average rate, height, width (decode_matrix.md; best stream, upright)
PLAYABLE = {
    "chthomos_bbb-480p-30sec.mp4": (720, 24.0, 480, 854),
    "decord_flipping_a_pancake.mkv": (310, 30.0, 240, 426),
    "intel_bottle-detection.mp4": (1189, 29.833, 360, 640),
    "intel_one-by-one-person-detection.mp4": (1394, 10.0, 432, 768),
    "made_vfr.mp4": (240, 20.168, 240, 320),
    "torchcodec_h265_video.mp4": (10, 10.0, 128, 128),
    "torchcodec_nasa_13013.mp4": (390, 29.97, 270, 480),
    "torchcodec_nasa_13013_rotated.mp4": (17, 29.97, 480, 270),
    "torchcodec_testsrc2_vp9.webm": (30, 30.0, 720, 1280),
}
PYAV_ONLY = {
    "torchcodec_animated.gif": (4, 10.0, 48, 64),
    "torchcodec_av1_video.mkv": (125, 25.0, 360, 640),
}
BROKEN = {
    "made_empty.mp4": "empty",
    "made_not_a_video.mp4": "not a video",
    "made_audio_only.mp4": "no video stream",
    "made_truncated_faststart.mp4": "truncated",
    # PyAV reads 28; decord's decoding thread may report the error a few frames early
    "decord_corrupted.mp4": r"\d+ of 50 frames could be read",
}


def all_frames(path, reader):
    source = open_reader(path, reader)
    return np.stack(list(source.frames(np.arange(source.facts.num_frames))))


@pytest.fixture(params=["pyav", "decord"])
def reader(request):
    if request.param == "decord":
        pytest.importorskip("decord", reason="decord has no wheel for this platform")
    return request.param


def test_every_frame_comes_once_and_in_order(tmp_path, reader):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(25), gop=10)
    places = [place_of(frame, 25) for frame in all_frames(path, reader)]
    assert places == list(range(25))


def test_facts_tell_rate_and_times_before_decoding(tmp_path, reader):
    facts = open_reader(write_video(tmp_path / "clip.mp4", numbered_frames(25)), reader).facts
    assert facts.num_frames == 25
    assert facts.average_fps == pytest.approx(10.0)
    np.testing.assert_allclose(facts.seconds_T, np.arange(25) / 10, atol=1e-6)


def test_repeated_and_skipped_places_are_honoured(tmp_path, reader):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(30), gop=8)
    wanted = [0, 0, 3, 3, 3, 17, 28, 29, 29]
    frames = open_reader(path, reader).frames(np.array(wanted))
    assert [place_of(frame, 30) for frame in frames] == wanted


def test_frames_start_again_at_each_call(tmp_path, reader):
    source = open_reader(write_video(tmp_path / "clip.mp4", numbered_frames(12)), reader)
    first = next(iter(source.frames(np.array([5, 7]))))
    again = list(source.frames(np.array([5, 7])))
    assert np.array_equal(first, again[0]) and len(again) == 2


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_clip_stands_upright_alike_in_both_readers(tmp_path, degrees):
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    path = write_video(tmp_path / "turned.mp4", numbered_frames(3), rotation=degrees)
    frames = all_frames(path, "pyav")
    assert frames.shape[1:3] == ((64, 96) if degrees == 180 else (96, 64))
    corners = {
        "top left": frames[0, :8, :8],
        "top right": frames[0, :8, -8:],
        "bottom left": frames[0, -8:, :8],
        "bottom right": frames[0, -8:, -8:],
    }
    brightest = max(corners, key=lambda name: corners[name].mean())
    assert brightest == {90: "bottom left", 180: "bottom right", 270: "top right"}[degrees]
    assert np.array_equal(frames, all_frames(path, "decord"))


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "libvpx-vp9"])
def test_readers_agree_bit_for_bit_on_noise(tmp_path, codec):
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    noise = np.random.default_rng(3).integers(0, 256, (20, 72, 98, 3), dtype=np.uint8)
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write_video(tmp_path / "noise.mp4", noise, codec=codec, gop=6, options=quiet)
    wanted = np.array([0, 2, 7, 11, 13, 19])
    sources = [open_reader(path, name) for name in ("pyav", "decord")]
    pyav, decord = (np.stack(list(source.frames(wanted))) for source in sources)
    assert np.array_equal(pyav, decord)
    assert sources[0].facts.average_fps == pytest.approx(sources[1].facts.average_fps)


def test_frames_hidden_by_an_edit_list_are_not_counted(tmp_path, reader):
    whole = write_video(tmp_path / "whole.mp4", numbered_frames(30), options={"bf": "0"})
    # the first 5 frames come before time 0
    cut = copy_packets(
        whole, tmp_path / "cut.mp4", shift_seconds=-0.5, avoid_negative_ts="disabled"
    )
    places = [place_of(frame, 30) for frame in all_frames(cut, reader)]
    assert places == list(range(5, 30))


@pytest.mark.parametrize(("gop", "is_read"), [(10, True), (30, False)])
def test_a_start_before_the_first_key_frame_is_bridged_for_two_seconds(tmp_path, gop, is_read):
    options = {"bf": "0", "sc_threshold": "0"}
    whole = write_video(tmp_path / "whole.mkv", numbered_frames(60), gop=gop, options=options)
    cut = copy_packets(whole, tmp_path / "cut.mkv", keep=lambda packet: packet.pts > 0)
    source = open_reader(cut, "pyav")
    assert source.facts.num_frames == 59
    frames = source.frames(np.arange(59))
    if is_read:
        places = [place_of(frame, 60) for frame in frames]
        assert places == [10] * 9 + list(range(10, 60))
    else:
        with pytest.raises(VideoError, match=r"no frame within 2 s of second 0\.0"):
            next(frames)


def test_a_cut_body_is_refused_before_decoding(tmp_path, reader):
    noise = np.random.default_rng(1).integers(0, 256, (30, 64, 96, 3), dtype=np.uint8)
    whole = write_video(tmp_path / "whole.mp4", noise)
    data = copy_packets(whole, tmp_path / "front.mp4", movflags="faststart").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(VideoError, match="truncated"):
        open_reader(cut, reader)


def test_a_cut_matroska_file_says_where_it_ends(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (60, 64, 96, 3), dtype=np.uint8)
    data = write_video(tmp_path / "whole.mkv", noise).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    said = r"truncated: it ends at [23]\.\d of 6\.0 declared seconds \(\d+ frames could be read\)"
    with pytest.raises(VideoError, match=said):
        open_reader(cut, "pyav")


def test_a_damaged_body_tells_how_far_it_could_be_read(tmp_path, reader):
    noise = np.random.default_rng(1).integers(0, 256, (40, 64, 96, 3), dtype=np.uint8)
    data = bytearray(write_video(tmp_path / "clip.mp4", noise).read_bytes())
    half = len(data) // 2
    data[half : half + 20000] = b"\xff" * 20000
    (tmp_path / "damaged.mp4").write_bytes(data)
    source = open_reader(tmp_path / "damaged.mp4", reader)
    with pytest.raises(VideoError, match=r"damaged: .*\d+ of 40 frames could be read"):
        list(source.frames(np.arange(40)))


def test_tags_that_are_not_utf8_do_not_cost_the_video(tmp_path, reader):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(5))
    data = path.read_bytes()
    assert data.count(b"VideoHandler") == 1
    path.write_bytes(data.replace(b"VideoHandler", b"Vid\xe9oHandler"))
    assert len(all_frames(path, reader)) == 5


def test_decord_is_refused_at_the_first_picture_that_differs(tmp_path, monkeypatch):
    decord = pytest.importorskip("decord", reason="decord has no wheel for this platform")
    path = write_video(tmp_path / "clip.mp4", numbered_frames(8))
    source = open_reader(path, "decord")
    original, taken = decord.VideoReader.next, []

    class Darker:
        def __init__(self, frame):
            self.frame = frame

        def asnumpy(self):
            return self.frame.asnumpy() // 2

    def wrong_at_fourth(self):
        taken.append(original(self))
        return Darker(taken[-1]) if len(taken) == 4 else taken[-1]

    monkeypatch.setattr(decord.VideoReader, "next", wrong_at_fourth)
    frames = source.frames(np.arange(8))
    assert [place_of(next(frames), 8) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(
        VideoError, match=r"another picture than PyAV at second 0\.3; use reader='py"
    ):
        next(frames)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_damage_that_decord_does_not_tell_is_refused_with_it_too(tmp_path, share):
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    path = changed(noisy("n.mp4", movflags="faststart"), flipped(share))(tmp_path)
    with pytest.raises(VideoError, match=r"damaged|another picture"):
        list(open_reader(path, "decord").frames(np.arange(40)))


def test_missing_folder_and_empty_are_told_apart(tmp_path):
    (tmp_path / "empty.mp4").touch()
    for path, reason in [
        (tmp_path / "none.mp4", "no such file"),
        (tmp_path, "not a file"),
        (tmp_path / "empty.mp4", "empty"),
    ]:
        with pytest.raises(VideoError, match=reason):
            open_reader(path)


def test_an_unknown_reader_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="auto, pyav, decord; got 'opencv'"):
        open_reader(tmp_path, "opencv")


def test_auto_falls_back_to_decord_without_pyav(tmp_path, monkeypatch):
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    path = write_video(tmp_path / "clip.mp4", numbered_frames(8))
    monkeypatch.setitem(sys.modules, "av", None)
    places = [place_of(frame, 8) for frame in all_frames(path, "auto")]
    assert places == list(range(8))


def test_no_reader_installed_says_what_to_install(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(8))
    for name in ("av", "decord"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(VideoError, match=r"pip install av.*pip install decord"):
        open_reader(path)


def test_facts_count_their_times():
    assert StreamFacts(10.0, np.arange(3) / 10).num_frames == 3


@needs_videos
@pytest.mark.parametrize("name", PLAYABLE)
def test_real_clips_have_the_recorded_counts_in_both_readers(name, reader):
    num_frames, rate, height, width = PLAYABLE[name]
    source = open_reader(VIDEOS / name, reader)
    assert source.facts.num_frames == num_frames
    assert source.facts.average_fps == pytest.approx(rate, abs=1e-3)
    assert next(iter(source.frames(np.array([0])))).shape == (height, width, 3)


@needs_videos
@pytest.mark.parametrize("name", PLAYABLE)
def test_real_clips_are_equal_in_both_readers(name):
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    last = min(PLAYABLE[name][0] - 1, 150)  # the first seconds: whole clips take a minute
    wanted = np.linspace(0, last, 8).round().astype(np.int64)
    pyav, decord = (open_reader(VIDEOS / name, each) for each in ("pyav", "decord"))
    for left, right in zip(pyav.frames(wanted), decord.frames(wanted), strict=True):
        assert np.array_equal(left, right)
    np.testing.assert_allclose(pyav.facts.seconds_T, decord.facts.seconds_T, atol=1e-4)


@needs_videos
@pytest.mark.parametrize("name", PYAV_ONLY)
def test_av1_and_gif_need_pyav_and_decord_says_so(name):
    num_frames, rate, height, width = PYAV_ONLY[name]
    source = open_reader(VIDEOS / name, "auto")
    assert (source.facts.num_frames, source.facts.average_fps) == (num_frames, rate)
    assert next(iter(source.frames(np.array([0])))).shape == (height, width, 3)
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    with pytest.raises(VideoError, match="pyav"):
        open_reader(VIDEOS / name, "decord")


@needs_videos
def test_pyav_tells_exactly_how_far_a_damaged_clip_reads():
    source = open_reader(VIDEOS / "decord_corrupted.mp4", "pyav")
    with pytest.raises(VideoError, match="damaged: 28 of 50 frames"):
        list(source.frames(np.arange(50)))


@needs_videos
@pytest.mark.parametrize("name", BROKEN)
def test_broken_clips_end_in_one_plain_line(name, reader, capfd):
    with pytest.raises(VideoError, match=BROKEN[name]) as caught:
        all_frames(VIDEOS / name, reader)
    message = str(caught.value)
    assert name in message and "\n" not in message and len(message) < 300
    assert capfd.readouterr().err == ""
