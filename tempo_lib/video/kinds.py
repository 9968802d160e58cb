"""Say what a path is, by its content: never by its suffix, and before anything is decoded."""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import unquote, urlsplit

from tempo_lib.video.base import VideoError, video_error

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
Kind = Literal["folder", "still", "animation", "clip", "unknown"]
HEAD_BYTES = 512
SHOWN = 60  # characters of a name that is too long to be one
ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/+")  # one letter would be a drive of Windows
KINDS_OF_FILES = {
    stat.S_ISFIFO: "a pipe, which can be read only once; save it as a file first",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}
CLIP_STARTS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"OggS",
    b"GIF8",
    b"\x00\x00\x01\xba",  # program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"\x00\x00\x00\x01",  # H.264, H.265
    b"0&\xb2u\x8ef\xcf\x11",  # ASF, WMV
    b"YUV4MPEG2",
    b"DKIF",
    b"nut/multimedia",
)
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp")
STILL_BRANDS = (b"avif", b"heic", b"heix", b"mif1")


def local_path(given: str | Path) -> Path:
    """The path that a user's text means: ``~`` and ``file://`` resolved.

    Raises VideoError with one line for an empty text, an address, and what no file can be named.
    """
    text = str(given)
    if not text or (isinstance(given, str) and not text.strip()):
        raise VideoError("cannot read a video: the path is empty")
    if "\0" in text:
        raise VideoError(f"cannot read {text[:SHOWN]!r}: a name holds no zero byte")
    address = ADDRESS.match(text)
    if address and not os.path.lexists(text):
        return _of_address(text, address.group(1).lower())
    path = Path(os.path.expanduser(text))  # unlike Path's own it leaves an unknown ~user as it is
    try:
        path.stat()
    except FileNotFoundError:
        pass  # a file that is not there is told by the one who opens it
    except OSError as error:
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"
        raise VideoError(f"cannot read {' '.join(shown.split())}: {error.strerror}") from error
    return path


def check_file(path: Path) -> None:
    """Raise VideoError for what no reader needs to see."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise video_error(path, "no such file") from error
    except OSError as error:
        raise video_error(path, str(error.strerror)) from error
    for is_kind, words in KINDS_OF_FILES.items():
        if is_kind(mode):
            raise video_error(path, f"not a file but {words}")
    if not path.is_file():
        raise video_error(path, "not a file")
    if path.stat().st_size == 0:
        raise video_error(path, "the file is empty (0 bytes)")


def kind_of(path: Path) -> Kind:
    """What the first bytes of a file say; "unknown" is for a reader of videos to find out."""
    if path.is_dir():
        return "folder"
    check_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            if head.startswith(b"\x89PNG\r\n\x1a\n"):
                file.seek(8)
                return "animation" if _has_animation_chunk(file) else "still"
    except OSError as error:
        raise video_error(path, str(error.strerror)) from error
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "animation" if head[12:16] == b"VP8X" and head[20] & 2 else "still"
    if head.startswith(b"\xff\xd8\xff"):
        return "clip" if path.suffix.lower() in (".mjpg", ".mjpeg") else "still"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "still"
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "still"
    if head[4:8] == b"ftyp" and head[8:12] in STILL_BRANDS:
        return "unknown"  # an image to some, a video of one frame to others
    if head.startswith(CLIP_STARTS) or head[4:8] in BOXES or head[8:12] == b"AVI ":
        return "clip"
    return "clip" if head[:1] == b"\x47" and head[188:189] == b"\x47" else "unknown"


def _has_animation_chunk(file: BinaryIO) -> bool:
    """Whether a PNG's acTL stands before its picture, as the animated ones have it."""
    while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
        if head[4:] == b"acTL":
            return True
        file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def _of_address(text: str, scheme: str) -> Path:
    """The file of a ``file://`` address; VideoError for all others, which are not fetched."""
    if scheme != "file":
        whole = re.sub(r":/+", "://", text, count=1)[:SHOWN]
        raise VideoError(f"cannot read {whole}: addresses are not fetched; download it first")
    rest = text[len("file:") :]
    parts = urlsplit("file:" + rest)
    if parts.netloc not in ("", "localhost"):
        raise VideoError(
            f"cannot read {text[:SHOWN]}: the file of another machine ({parts.netloc})"
        )
    # everything after the host is the path: "?" and "#" may stand in a name
    path = rest[2 + len(parts.netloc) :] if rest.startswith("//") else rest
    return local_path(Path(unquote(path)))
