"""Open a video file with PyAV or decord behind one small protocol.

Both readers give the same pictures bit for bit (tests/test_video_readers.py). PyAV is the first
choice: it converts only the wanted frames to RGB, so it needs less CPU time and memory.
A broken file always ends in one single-line VideoError, whatever the back-end printed:
* truncated (fewer frames than the index declares, a Matroska file that ends too early): refused
  when opened, before anything is decoded;
* a damaged body: refused at the first frame that cannot be decoded, with the number read;
* no picture for seconds on end although the decoder reports no error: refused there.
"""

from collections.abc import Callable
from pathlib import Path

from tempo_lib.video.base import CannotOpenError, FrameReader, video_error
from tempo_lib.video.decord import DecordReader
from tempo_lib.video.pyav import PyavReader

# in the order "auto" tries them; each imports its library when it opens a file
READERS: dict[str, Callable[[Path], FrameReader]] = {"pyav": PyavReader, "decord": DecordReader}


def open_reader(path: str | Path, reader: str = "auto") -> FrameReader:
    """Open a file with "pyav", "decord" or, for "auto", the first that can.

    Raises ValueError for another name, VideoError for a file that cannot be read.
    """
    if reader != "auto" and reader not in READERS:
        raise ValueError(f"reader must be one of auto, {', '.join(READERS)}; got {reader!r}")
    path = Path(path)
    _check_file(path)
    reasons: dict[str, None] = {}  # an ordered set: both readers often give the same reason
    for name in READERS if reader == "auto" else (reader,):
        try:
            return READERS[name](path)
        except CannotOpenError as error:
            reasons[str(error)] = None
    raise video_error(path, "; ".join(reasons))


def _check_file(path: Path) -> None:
    """Raise VideoError for what no reader needs to see."""
    if not path.exists():
        raise video_error(path, "no such file")
    if not path.is_file():
        raise video_error(path, "not a file")
    if path.stat().st_size == 0:
        raise video_error(path, "the file is empty (0 bytes)")
