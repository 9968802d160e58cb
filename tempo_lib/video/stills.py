"""One picture, or the pictures of an animation, from an image file through Pillow.

Transparency is laid on white, 16-bit and float pictures are scaled by their range, EXIF
orientation is applied. Pages without times are refused, an animation is a video with its delays.

Shape suffixes: T pictures of the file, N wanted pictures, H height, W width.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tempo_lib.video.base import StreamFacts, VideoError, video_error
from tempo_lib.video.pictures import on_white

# what browsers show for a delay of nothing: Chromium and Firefox, 10 ms or less become 100 ms
SHORTEST_DELAY_MS, DEFAULT_DELAY_MS = 10, 100
# what Pillow may raise for bytes that are no picture: TypeError("Missing dimensions"), for one
DAMAGE = (
    *(OSError, SyntaxError, EOFError, ValueError, TypeError, KeyError, IndexError, struct.error),
    *(OverflowError, ZeroDivisionError),
)
WIDE_MODES = ("I", "F")  # and I;16 in both byte orders
SWAPPED_SIDES = (5, 6, 7, 8)  # EXIF orientations that turn by a quarter


class AnimationReader:
    """An animated WebP or PNG: composed pictures with the delays that the file gives them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        delays_T = []
        with _opened(path) as image:
            # the plain picture of an animated PNG is for programs that know no animation
            self._first = int(bool(image.info.get("default_image")))
            for place in range(self._first, image.n_frames):
                image.seek(place)
                image.load()
                delay = float(image.info.get("duration") or 0)
                delays_T.append(delay if delay > SHORTEST_DELAY_MS else DEFAULT_DELAY_MS)
        seconds = np.cumsum([0.0, *delays_T]) / 1000
        rate = len(delays_T) / float(seconds[-1])
        self.facts = StreamFacts(rate, seconds[:-1], last_seconds=delays_T[-1] / 1000)

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the wanted pictures; see FrameReader."""
        with _opened(self._path) as image:
            for index in index_N.tolist():
                image.seek(self._first + index)
                yield on_white(np.array(image.convert("RGBA")))


def read_image(path: Path) -> np.ndarray:
    """Return uint8 (H, W, 3), upright; VideoError for no image, a damaged one or several pages."""
    from PIL import ImageOps

    if not path.is_file():
        raise video_error(path, "no such file" if not path.exists() else "not a file")
    with _opened(path) as image:
        pages = getattr(image, "n_frames", 1)
        if pages > 1 and image.format == "TIFF":
            reason = f"{pages} pages without times; save each as a file of its own in one folder"
            raise video_error(path, reason)
        if pages > 1 and image.format != "MPO":  # beside the picture MPO keeps a second view
            raise video_error(
                path, f"an animation of {pages} pictures, not one; load_video reads it"
            )
        return _rgb(path, ImageOps.exif_transpose(image))


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright picture, from the file's header alone."""
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(0x0112) in SWAPPED_SIDES
        return (width, height) if turned else (height, width)


def _rgb(path: Path, image: Any) -> np.ndarray:
    """Bring any mode of Pillow to uint8 RGB."""
    if image.mode.startswith("I;16"):
        return _grey(np.asarray(image).astype(np.float64) / 65535)
    if image.mode in WIDE_MODES:
        values_HW = np.asarray(image).astype(np.float64)
        if not np.isfinite(values_HW).all():
            raise video_error(path, "its pixels are not all finite numbers")
        low, high = float(values_HW.min()), float(values_HW.max())
        if image.mode == "F" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        return _grey((values_HW - low) / ((high - low) or 1.0))
    if image.has_transparency_data:
        return on_white(np.array(image.convert("RGBA")))
    return np.array(image.convert("RGB"))


def _grey(share_HW: np.ndarray) -> np.ndarray:
    grey_HW = np.round(share_HW * 255).astype(np.uint8)
    return np.repeat(grey_HW[:, :, None], 3, axis=2)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an image; errors of Pillow become one line."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            yield image
    except Image.UnidentifiedImageError as error:
        raise video_error(path, "not an image") from error
    except VideoError:
        raise
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise video_error(path, f"damaged image ({error})") from error
