"""A folder of frames: which of its files are frames, and in which order they come."""

import re
from collections.abc import Callable
from pathlib import Path

from tempo_lib.video.base import VideoError, video_error
from tempo_lib.video.kinds import IMAGE_SUFFIXES, kind_of
from tempo_lib.video.stills import image_size


def frame_files(folder: Path) -> list[Path]:
    """Return the frames of a folder: numbered ones first, each group in natural order.

    Raises VideoError for a folder without frames, and for one of clips, where a still beside them
    would be taken for the whole.
    """
    files = [file for file in folder.iterdir() if not file.name.startswith(".")]
    stills = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    clips = sorted(file.name for file in files if file not in stills and _is_clip(file))
    if clips:
        beside = f" beside {len(stills)} stills" if stills else ""
        reason = f"a folder of clips ({clips[0]}, {len(clips)} in all){beside}; name one of them"
        raise video_error(folder, reason)
    if not stills:
        endings = ", ".join(IMAGE_SUFFIXES)
        raise video_error(folder, f"the folder holds no frames ({endings})")
    return sorted(stills, key=_order(stills))


def check_sizes(folder: Path, frames: list[Path]) -> None:
    """Raise VideoError where a frame has another size than the first, before one is decoded."""
    sizes = {file: image_size(file) for file in frames}
    (height, width), first = sizes[frames[0]], frames[0].name
    for file, size in sizes.items():
        if size != (height, width):
            odd = f"{file.name} is {size[1]}x{size[0]}, {first} {width}x{height}"
            raise video_error(folder, f"frames of two sizes: {odd}; take one of them out")


def _is_clip(file: Path) -> bool:
    try:
        return kind_of(file) == "clip"
    except VideoError:  # empty, a pipe, not to be opened: no clip at any rate
        return False


def _order(stills: list[Path]) -> Callable[[Path], tuple]:
    """A sort key: frame2 before frame10, and what bears no number (a contact sheet) last."""
    any_numbered = any(map(_is_numbered, stills))

    def key(file: Path) -> tuple[bool, list[tuple[int, str]], str]:
        pieces = re.findall(r"\d+|\D+", file.name)
        numbered = [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces]
        return any_numbered and not _is_numbered(file), numbered, file.name

    return key


def _is_numbered(file: Path) -> bool:
    return re.search(r"\d", file.stem) is not None
