"""decord 0.6 as a reader: what the release uses, streamed, with its two traps avoided.

Shape suffixes: T frames of the file, N wanted frames, H height, W width.
"""

import os
import re
import struct
import threading
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tempo_lib.video.base import (
    NO_VIDEO_STREAM,
    NOT_A_VIDEO,
    CannotOpenError,
    FrameReader,
    NotInstalledError,
    StreamFacts,
    VideoError,
    video_error,
)

USE_PYAV = "use reader='pyav'"
TIME_TOLERANCE_SECONDS = 2e-3  # Matroska keeps whole milliseconds
_STDERR_LOCK = threading.Lock()


class DecordReader:
    """decord, streamed: next() and skip_frames(), never get_batch (7 GB for 10 min of 720p)."""

    def __init__(self, path: Path) -> None:
        try:
            import decord
        except ImportError as error:
            raise NotInstalledError("decord is not installed (pip install decord)") from error
        self._decord = decord
        self._path = path
        video = self._opened()
        if len(video) == 0:
            raise video_error(path, "its video stream holds no frame")
        try:
            stamps_T = video.get_frame_timestamp(np.arange(len(video)))[:, 0].astype(np.float64)
        except IndexError as error:  # a header that declares frames which its own index lacks
            raise CannotOpenError(f"decord cannot tell its frames' times; {USE_PYAV}") from error
        # decord counts the frames that an edit list hides (before time 0) but never shows them
        stamps_T = stamps_T[stamps_T > -1e-3]
        if not len(stamps_T):
            raise video_error(path, "its video stream holds no frame")
        rate = float(video.get_avg_fps())
        self.facts = StreamFacts(rate if rate > 0 else 0.0, stamps_T - stamps_T[0])

    def hold_to(self, first: FrameReader) -> None:
        """Raise CannotOpenError where this reader sees other frames or times than PyAV.

        The first picture of both is compared too: of small turned ones decord gives another shape.
        """
        mine_T, first_T = self.facts.seconds_T, first.facts.seconds_T
        if len(mine_T) != len(first_T):
            reason = f"decord counts {len(mine_T)} frames, PyAV {len(first_T)}"
            raise CannotOpenError(f"{reason}; {USE_PYAV}")
        if np.abs(mine_T - first_T).max() > TIME_TOLERANCE_SECONDS:
            raise CannotOpenError(f"decord gives its frames other times; {USE_PYAV}")
        start = np.array([0])
        if not np.array_equal(next(self.frames(start)), next(first.frames(start))):
            raise CannotOpenError(f"decord shows another first picture than PyAV; {USE_PYAV}")

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the wanted frames; see FrameReader."""
        video = self._opened()
        keys = [int(key) for key in video.get_key_indices()]
        position = 0  # frames taken or skipped
        rgb_HW3: np.ndarray | None = None
        for index in index_N.tolist():
            try:
                while position < index:
                    position += _skip(video, keys, position, index)
                if rgb_HW3 is None or position == index:
                    rgb_HW3 = video.next().asnumpy()
            except (self._decord.DECORDError, StopIteration) as error:
                total = self.facts.num_frames
                reason = f"damaged: at least {position} of {total} frames could be read"
                raise video_error(self._path, reason) from error
            position = index + 1
            yield rgb_HW3

    def _opened(self) -> Any:
        """Return a new decord reader of native-size frames."""
        self._decord.logging.set_level(self._decord.logging.QUIET)
        try:
            with _stderr_closed():
                return self._decord.VideoReader(str(self._path), ctx=self._decord.cpu(0))
        except (self._decord.DECORDError, RuntimeError) as error:
            raise self._explained(str(error)) from error

    def _explained(self, message: str) -> VideoError:
        if "cannot find video stream" in message and _mentions_av1(self._path):
            return CannotOpenError(f"decord cannot decode AV1; {USE_PYAV}")
        if "cannot find video stream" in message:
            return CannotOpenError(NO_VIDEO_STREAM)
        if "av_read_frame failed" in message:
            return CannotOpenError("truncated: decord cannot read it to its end")
        if message.startswith("Error reading"):
            return CannotOpenError(NOT_A_VIDEO)
        return CannotOpenError("decord cannot open it; reader='pyav' may")


def _skip(video: Any, keys: list[int], position: int, index: int) -> int:
    """Skip towards ``index`` without jumping over a key frame; return the number skipped.

    Past a key frame decord seeks, and where pictures are stored out of order it lands on another
    one (3 of 4 samples of a HEVC clip were wrong, by get_batch as well).
    """
    key = bisect_right(keys, position)
    stop = min(index, keys[key] - 1) if key < len(keys) else index
    if stop > position:
        video.skip_frames(stop - position)
        return stop - position
    video.next()
    return 1


def _mentions_av1(path: Path) -> bool:
    """Whether the codec tag of AV1 stands in the first or last 64 KiB (header or MP4 index)."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        return any(tag in head + file.read() for tag in (b"V_AV1", b"av01"))


def unproven(path: Path) -> str:
    """Why decord alone, with no PyAV to hold it to, may show other pictures; "" if it does not.

    Only MP4 is trusted, and not where a display matrix mirrors: decord turns, but never mirrors.
    """
    with path.open("rb") as file:
        head = file.read(1 << 16)
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        tail = file.read()
    if head[4:8] not in (b"ftyp", b"moov", b"mdat"):
        return "it is not an MP4"
    for part in (head, tail):
        for place in re.finditer(b"tkhd", part):
            offset = place.end() + (36 + 16 if part[place.end() : place.end() + 1] == b"\1" else 40)
            if len(part) >= offset + 20:
                a, b, _, c, d = struct.unpack_from(">5i", part, offset)
                if a * d - b * c < 0:
                    return "it is mirrored"
    return ""


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Silence native code for a moment: decord prints on file descriptor 2 past its own logger."""
    with _STDERR_LOCK, open(os.devnull, "wb") as null:
        saved = os.dup(2)
        os.dup2(null.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
