"""Open a video file with PyAV or decord behind one small protocol.

PyAV is the first choice: it converts only the wanted frames to RGB, so it needs less CPU time and
memory. decord is held to it: the same frames at the same times, each one taken equal bit for bit,
or refused in one line that names PyAV. "auto" takes decord only where PyAV is not installed, and
then only files on which the two are known to agree.
A broken file always ends in one single-line VideoError, whatever the back-end printed:
* truncated (fewer frames than the index declares, a Matroska file that ends too early): refused
  when opened, before anything is decoded;
* a damaged body: refused at the first frame that cannot be decoded, with the number read;
* no picture for seconds on end although the decoder reports no error: refused there.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tempo_lib.video.base import CannotOpenError, FrameReader, NotInstalledError, video_error
from tempo_lib.video.decord import USE_PYAV, DecordReader, unproven
from tempo_lib.video.kinds import check_file
from tempo_lib.video.pyav import PyavReader
from tempo_lib.video.salvage import SalvagingReader


class _HeldReader:
    """decord beside PyAV: each wanted frame is compared, for decord tells of no damage it hides.

    This takes both decoders' time; it is for whoever names decord, "auto" takes PyAV alone.
    """

    def __init__(self, path: Path, second: DecordReader, first: PyavReader) -> None:
        self._path, self._second, self._first = path, second, first
        self.facts = first.facts

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the frames on which both agree; VideoError at the first that they do not."""
        both = zip(self._second.frames(index_N), self._first.frames(index_N), strict=True)
        for index, (mine_HW3, first_HW3) in zip(index_N.tolist(), both, strict=True):
            if not np.array_equal(mine_HW3, first_HW3):
                at = f"second {self.facts.seconds_T[index]:.1f}"
                reason = f"decord shows another picture than PyAV at {at}; {USE_PYAV}"
                raise video_error(self._path, reason)
            yield mine_HW3


def _open_decord(path: Path) -> FrameReader:
    """decord, after PyAV has seen the same file; CannotOpenError where they would differ."""
    reader = DecordReader(path)
    try:
        first = PyavReader(path)
    except NotInstalledError as error:
        why = unproven(path)
        if why:
            said = f"decord may show other pictures of it than PyAV, for {why}"
            raise CannotOpenError(f"{said}; {error}") from error
        return reader
    why = first.unlike_decord()
    if why:
        raise CannotOpenError(f"decord may show it otherwise: {why}; {USE_PYAV}")
    reader.hold_to(first)
    return _HeldReader(path, reader, first)


# in the order "auto" tries them; each imports its library when it opens a file
READERS: dict[str, Callable[[Path], FrameReader]] = {"pyav": PyavReader, "decord": _open_decord}


def open_reader(
    path: str | Path, reader: str = "auto", salvage: bool = False, square_pixels: bool = False
) -> FrameReader:
    """Open a file with "pyav", "decord" or, for "auto", the first that is installed.

    ``salvage``, ``square_pixels``: see ``load_video``; PyAV alone can do them.
    Raises ValueError for another name, VideoError for a file that cannot be read.
    """
    if reader != "auto" and reader not in READERS:
        raise ValueError(f"reader must be one of auto, {', '.join(READERS)}; got {reader!r}")
    if (salvage or square_pixels) and reader == "decord":
        raise ValueError(f"decord can neither salvage nor give square pixels; {USE_PYAV}")
    path = Path(path)
    check_file(path)
    if salvage or square_pixels:
        return _open_pyav(path, salvage, square_pixels)
    reasons: dict[str, None] = {}  # an ordered set
    for name in READERS if reader == "auto" else (reader,):
        try:
            return READERS[name](path)
        except NotInstalledError as error:
            reasons[str(error)] = None
        except CannotOpenError as error:
            reasons[str(error)] = None
            break  # another reader may see other pictures
    raise video_error(path, "; ".join(reasons))


def _open_pyav(path: Path, salvage: bool, square_pixels: bool) -> PyavReader:
    try:
        opened = SalvagingReader(path) if salvage else PyavReader(path)
    except CannotOpenError as error:
        raise video_error(path, str(error)) from error
    opened.square_pixels = square_pixels
    return opened
