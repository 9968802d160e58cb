"""decord 0.6 as a reader: what the release uses, streamed, with its two traps avoided.

Shape suffixes: T frames of the file, N wanted frames, H height, W width.
"""

import os
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
    StreamFacts,
    VideoError,
    video_error,
)

_STDERR_LOCK = threading.Lock()


class DecordReader:
    """decord, streamed: next() and skip_frames(), never get_batch (7 GB for 10 min of 720p)."""

    def __init__(self, path: Path) -> None:
        try:
            import decord
        except ImportError as error:
            raise CannotOpenError("decord is not installed (pip install decord)") from error
        self._decord = decord
        self._path = path
        video = self._opened()
        if len(video) == 0:
            raise video_error(path, "its video stream holds no frame")
        stamps_T = video.get_frame_timestamp(np.arange(len(video)))[:, 0].astype(np.float64)
        # decord counts the frames that an edit list hides (before time 0) but never shows them
        stamps_T = stamps_T[stamps_T > -1e-3]
        if not len(stamps_T):
            raise video_error(path, "its video stream holds no frame")
        rate = float(video.get_avg_fps())
        self.facts = StreamFacts(rate if rate > 0 else 0.0, stamps_T - stamps_T[0])

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
            return CannotOpenError("decord cannot decode AV1; use reader='pyav'")
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
