"""Open a video file with PyAV or decord behind one small protocol.

Both readers give the same pictures bit for bit (tests/test_video_readers.py). PyAV is the first
choice: it converts only the wanted frames to RGB, so it needs less CPU time and memory.
A broken file always ends in one single-line VideoError, whatever the back-end printed:
* truncated (fewer frames than the index declares, a Matroska file that ends too early): refused
  when opened, before anything is decoded;
* a damaged body: refused at the first frame that cannot be decoded, with the number read;
* no picture for seconds on end although the decoder reports no error: refused there.

Shape suffixes: T frames of the file, N wanted frames, H height, W width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

READERS = ("pyav", "decord")  # in the order "auto" tries them
NOT_A_VIDEO = "not a video, or its header is damaged or cut off"
NO_VIDEO_STREAM = "it has no video stream (audio only?)"


class VideoError(ValueError):
    """A video that cannot be read; the message is one line: which file, and why."""


class CannotOpenError(VideoError):
    """This reader cannot open the file; another one may."""


@dataclass(frozen=True, eq=False)
class StreamFacts:
    """What is known of a stream before decoding.

    ``seconds_T`` float64: presentation times in order, the first frame at 0.
    ``average_fps``: the container's average rate, 0.0 where nothing tells it.
    """

    average_fps: float
    seconds_T: np.ndarray

    @property
    def num_frames(self) -> int:
        """Frames in the file (T)."""
        return len(self.seconds_T)


class FrameReader(Protocol):
    """One open file. ``frames`` decodes from the start at each call."""

    facts: StreamFacts

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield uint8 (H, W, 3) RGB, upright, for each of the non-decreasing indices."""
        ...


def open_reader(path: str | Path, reader: str = "auto") -> FrameReader:
    """Open a file with "pyav", "decord" or, for "auto", the first that can.

    Raises ValueError for another name, VideoError for a file that cannot be read.
    """
    if reader != "auto" and reader not in READERS:
        raise ValueError(f"reader must be one of auto, {', '.join(READERS)}; got {reader!r}")
    path = Path(path)
    _check_file(path)
    reasons: dict[str, None] = {}  # an ordered set: both readers often say the same
    for name in READERS if reader == "auto" else (reader,):
        try:
            return _construct(name, path)
        except CannotOpenError as error:
            reasons[str(error)] = None
    raise video_error(path, "; ".join(reasons))


def video_error(path: str | Path, reason: str) -> VideoError:
    """Return the one-line error for a file."""
    return VideoError(" ".join(f"cannot read {path}: {reason}".splitlines()))


def _construct(name: str, path: Path) -> FrameReader:
    """Import a back-end only when it is used: neither is needed to import this package."""
    if name == "pyav":
        from tempo_lib.video.pyav import PyavReader

        return PyavReader(path)
    from tempo_lib.video.decord import DecordReader

    return DecordReader(path)


def _check_file(path: Path) -> None:
    """Raise VideoError for what no reader needs to see."""
    if not path.exists():
        raise video_error(path, "no such file")
    if not path.is_file():
        raise video_error(path, "not a file")
    if path.stat().st_size == 0:
        raise video_error(path, "the file is empty (0 bytes)")
