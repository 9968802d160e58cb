"""Stored pixels to what a person sees: orientation, transparency, square pixels."""

import struct
import zlib
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tempo_lib.video.pictures import (
    has_alpha,
    is_mirrored,
    on_white,
    orientation_of,
    oriented,
    resized,
    stretched_size,
)

PICTURE = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, axis=2)


def framed(a, b, c, d):
    """A frame that carries this display matrix."""
    numbers = [round(value * 65536) for value in (a, b, 0, c, d, 0, 0, 0)] + [1 << 30]
    return SimpleNamespace(side_data={"DISPLAYMATRIX": struct.pack("=9i", *numbers)})


@pytest.mark.parametrize("a", [1, -1])
@pytest.mark.parametrize("d", [1, -1])
@pytest.mark.parametrize("swaps", [False, True])
def test_every_pixel_goes_where_the_matrix_sends_it(a, d, swaps):
    numbers = (0, d, a, 0) if swaps else (a, 0, 0, d)  # x' = c y, y' = b x where sides swap
    assert orientation_of(framed(*numbers)) == numbers
    seen = oriented(PICTURE, numbers)
    a, b, c, d = numbers
    points = {(y, x): (b * x + d * y, a * x + c * y) for y in range(2) for x in range(3)}
    low_y = min(y for y, _ in points.values())
    low_x = min(x for _, x in points.values())
    for (y, x), (to_y, to_x) in points.items():
        assert (seen[to_y - low_y, to_x - low_x] == PICTURE[y, x]).all()
    assert is_mirrored(framed(*numbers)) == (a * d - b * c < 0)


def test_a_frame_without_a_matrix_stands_as_it_is():
    frame = SimpleNamespace(side_data={})
    assert orientation_of(frame) == (1, 0, 0, 1) and not is_mirrored(frame)


def test_an_angle_between_is_rounded():
    assert orientation_of(framed(0.9, 0.4, -0.4, 0.9)) == (1, 0, 0, 1)
    assert orientation_of(framed(0.4, -0.9, 0.9, 0.4)) == (0, -1, 1, 0)


def test_transparency_is_laid_on_white():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 100, 128]]], np.uint8)
    assert on_white(rgba).tolist() == [[[10, 20, 30], [255, 255, 255], [127, 127, 177]]]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("yuv420p", False), ("rgb24", False), ("yuva420p", True), ("bgra", True), ("pal8", True)],
)
def test_which_pixel_formats_may_be_transparent(name, wanted):
    assert has_alpha(av.VideoFormat(name)) == wanted


@pytest.mark.parametrize(
    ("aspect", "wanted"),
    [
        (None, (48, 64)),
        (1, (48, 64)),
        (Fraction(16, 11), (48, 93)),
        (Fraction(1, 2), (96, 64)),
        (0, (48, 64)),
    ],
)
def test_pixels_become_square_by_stretching(aspect, wanted):
    assert stretched_size(48, 64, aspect) == wanted


def test_a_picture_of_the_wanted_size_is_not_copied():
    assert resized(PICTURE, (2, 3)) is PICTURE
    assert resized(PICTURE, (4, 6)).shape == (4, 6, 3)


def test_pixels_are_those_that_the_release_was_recorded_with():
    """Pillow 11 and 12 take the horizontal pass first here and give others (CRC 2149359611)."""
    noise_HW3 = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert zlib.crc32(resized(noise_HW3, (224, 336)).tobytes()) == 260507893
