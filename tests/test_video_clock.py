"""One clock for all packets of a stream, and whether a Matroska file is whole."""

from types import SimpleNamespace

import numpy as np
import pytest
from video_clips import numbered_frames, write_video

from tempo_lib.video.clock import Clock, longest, matroska_is_whole


def shifts(times, may_leap=True, duration=10):
    """What is added to packets at these ticks of 0.01 s, each 0.1 s long."""
    clock = Clock(0.01, may_leap)
    packets = [SimpleNamespace(dts=time, duration=duration) for time in times]
    return [clock.shift(packet) for packet in packets]


def test_a_steady_clock_is_left_alone():
    assert shifts([0, 10, 20, 30]) == [0] * 4
    assert shifts([-50, -40, 900, 910]) == [0] * 4  # a gap of 9.4 s is a held picture


def test_a_clock_that_goes_back_goes_on_where_it_was():
    assert shifts([100, 110, 0, 10, 20, 0]) == [0, 0, 120, 120, 120, 150]
    assert shifts([100, 110, 105]) == [0, 0, 0]  # 0.05 s: out of order, not anew


def test_a_clock_leaps_only_where_the_format_is_known_for_it():
    assert shifts([0, 10, 360010]) == [0, 0, -359990]
    assert shifts([0, 10, 360010], may_leap=False) == [0, 0, 0]


def test_a_packet_without_a_decoding_time_changes_nothing():
    assert shifts([100, None, 0]) == [0, 0, 110]


def test_steps_that_are_as_long_as_they_say_are_no_leaps():
    assert shifts([0, 360000, 720000], duration=360000) == [0, 0, 0]


def test_a_matroska_file_is_whole_until_a_byte_is_missing(tmp_path):
    path = write_video(tmp_path / "whole.mkv", numbered_frames(5))
    assert matroska_is_whole(path)
    data = path.read_bytes()
    for size in (len(data) - 1, 60, 40, 5, 3):
        path.write_bytes(data[:size])
        assert not matroska_is_whole(path)
    assert not matroska_is_whole(write_video(tmp_path / "other.mp4", numbered_frames(2)))


def test_a_matroska_file_without_a_declared_end_is_not_called_whole(tmp_path):
    data = bytearray(write_video(tmp_path / "live.mkv", numbered_frames(5)).read_bytes())
    start = data.index(bytes.fromhex("18538067")) + 4
    data[start : start + 8] = b"\x01" + b"\xff" * 7
    (tmp_path / "live.mkv").write_bytes(data)
    assert not matroska_is_whole(tmp_path / "live.mkv")


@pytest.mark.parametrize(("given", "wanted"), [((), 0), ((-1,), 0), ((2, np.nan, 1), 2)])
def test_longest_is_never_below_zero(given, wanted):
    assert longest(*given) == wanted
