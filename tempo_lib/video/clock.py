"""Put the packets of a stream on one clock, and find out how long its last picture stands.

Recordings that are joined byte by byte start their clock again in the middle. Taken as it is, the
second half would lie under the first. FFmpeg's own rule (fftools, ts_discontinuity_process) is
followed: a clock that goes back goes on instead; one that leaps by more than 10 s does too in
formats that are known for it (transport and program streams).
"""

import math
from pathlib import Path
from typing import Any

JUMP_BACK_SECONDS = 0.1
JUMP_AHEAD_SECONDS = 10.0
MAY_LEAP = 0x0200  # AVFMT_TS_DISCONT of libavformat
# EBML ids of Matroska: the file's header, and the one element that holds all the rest
EBML_HEADER, SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")


class Clock:
    """What to add to the times of each packet, in the order in which a file holds them."""

    def __init__(self, time_base: float, may_leap: bool) -> None:
        self._time_base, self._may_leap = time_base, may_leap
        self._last: int | None = None
        self._expected = 0
        self.shift_ticks = 0

    def shift(self, packet: Any) -> int:
        """Ticks to add to a packet's times; packets without a decoding time change nothing."""
        if packet.dts is None:
            return self.shift_ticks
        if self._last is not None:
            ahead = (packet.dts - self._expected) * self._time_base
            back = (self._last - packet.dts) * self._time_base
            if back > JUMP_BACK_SECONDS or (self._may_leap and ahead > JUMP_AHEAD_SECONDS):
                self.shift_ticks += self._expected - packet.dts
        self._last = packet.dts
        self._expected = packet.dts + (packet.duration or 0)
        return self.shift_ticks


def clock_of(container: Any, stream: Any) -> Clock:
    """The clock of a stream of an open file."""
    may_leap = bool(container.format.flags & MAY_LEAP)
    return Clock(float(stream.time_base or 0), may_leap)


def matroska_is_whole(path: Path) -> bool:
    """Whether a Matroska file reaches the end that it declares for itself.

    A muxer writes that end last, so a picture that outlasts every packet of a whole file is held,
    not cut off. False where no end is declared (a live recording).
    """
    with path.open("rb") as file:
        if file.read(4) != EBML_HEADER:
            return False
        header = _ebml_size(file)
        if header is None:
            return False
        file.seek(header, 1)
        if file.read(4) != SEGMENT:
            return False
        size = _ebml_size(file)
        return size is not None and file.tell() + size <= path.stat().st_size


def _ebml_size(file: Any) -> int | None:
    """Read the length of an element; None where it is unknown or the file ends."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    num_bytes = 9 - first[0].bit_length()
    rest = file.read(num_bytes - 1)
    value = int.from_bytes(first + rest, "big") & ((1 << 7 * num_bytes) - 1)
    unknown = (1 << 7 * num_bytes) - 1
    return None if len(rest) < num_bytes - 1 or value == unknown else value


def longest(*seconds: float) -> float:
    """The largest finite number, at least 0."""
    return max(value for value in (0.0, *seconds) if math.isfinite(value))
