"""Bytes changed at random: frames or one plain line come out, never another error."""

import numpy as np
import pytest
from video_fault_cases import CASES

from tempo_lib import load_video
from tempo_lib.video.base import VideoError

NAMES = (
    *("MP4, H.264, B frames", "Matroska, H.264", "WebM, VP9", "FLV, H.264", "MOV, Animation"),
    *("AVI, Motion JPEG", "transport stream, MPEG-2", "program stream, MPEG-2", "NUT, FFV1"),
    *("transparent TIFF", "transparent PNG", "transparent WebP", "GIF", "WebP", "PNG"),
)
SOURCES = [case for case in CASES if case.name in NAMES]


def hurt(data, rng):
    """The bytes cut, changed in the header, changed anywhere, or with a part taken out."""
    data, kind = bytearray(data), rng.integers(4)
    if kind == 0:
        return data[: rng.integers(1, len(data))]
    if kind == 3:
        start = rng.integers(len(data))
        del data[start : start + rng.integers(1, 400)]
        return data
    for place in rng.integers(0, min(len(data), 2000) if kind == 1 else len(data), 8):
        data[place] = rng.integers(256)
    return data


@pytest.mark.filterwarnings("ignore")  # Pillow warns of odd EXIF data
@pytest.mark.parametrize("case", SOURCES, ids=[case.name for case in SOURCES])
def test_random_damage_ends_in_frames_or_one_line(case, tmp_path):
    path = case.make(tmp_path)
    rng = np.random.default_rng(len(case.name))
    target, said = tmp_path / f"hurt{path.suffix}", []
    for number in range(24):
        target.write_bytes(hurt(path.read_bytes(), rng))
        try:
            load_video(target, max_edge=64, max_frames=16, salvage=number % 2 == 1)
        except VideoError as error:
            said.append(str(error))
    assert said  # the damage is damage
    assert not any("\n" in line for line in said)


def test_every_named_source_exists():
    assert {case.name for case in SOURCES} == set(NAMES)


def test_a_codec_without_a_decoder_is_one_line(tmp_path):
    case = next(case for case in CASES if case.name == "Matroska, H.264")
    path = case.make(tmp_path)
    data = path.read_bytes()
    assert data.count(b"V_MPEG4/ISO/AVC") == 1
    path.write_bytes(data.replace(b"V_MPEG4/ISO/AVC", b"V_UNHEARD/OF/IT"))
    for salvage in (False, True):
        with pytest.raises(VideoError, match="no decoder for its codec"):
            load_video(path, salvage=salvage)
