"""Turn what a decoder gives into what a person sees: upright, on white, of square pixels.

Shape suffixes: H height, W width.
"""

import struct
from typing import Any

import numpy as np

WHITE = 255
ONE = 1 << 16  # 1.0 in the fixed point of a display matrix


def orientation_of(frame: Any) -> tuple[int, int, int, int]:
    """(a, b, c, d) of a frame's display matrix: x' = a x + c y, y' = b x + d y; entries -1, 0, 1.

    Angles between the right ones are rounded to the nearest.
    """
    held = frame.side_data.get("DISPLAYMATRIX")
    if held is None:
        return 1, 0, 0, 1
    a, b, _, c, d = (value / ONE for value in struct.unpack("=9i", bytes(held))[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def is_mirrored(frame: Any) -> bool:
    """Whether a player shows the other side of the picture."""
    a, b, c, d = orientation_of(frame)
    return a * d - b * c < 0


def oriented(rgb_HW3: np.ndarray, orientation: tuple[int, int, int, int]) -> np.ndarray:
    """Turn and mirror a picture as its display matrix says."""
    a, b, c, d = orientation
    if a == 0:  # sides change places: x' = c y, y' = b x
        rgb_HW3 = rgb_HW3.transpose(1, 0, 2)
        a, d = c, b
    rgb_HW3 = rgb_HW3[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1]
    return np.ascontiguousarray(rgb_HW3)


def has_alpha(pixel_format: Any) -> bool:
    """Whether pictures of this format may be transparent."""
    return pixel_format.has_palette or any(part.is_alpha for part in pixel_format.components)


def on_white(rgba_HW4: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3): a transparent picture laid on white, as a page shows it."""
    alpha_HW1 = rgba_HW4[:, :, 3:].astype(np.uint16)
    mixed_HW3 = rgba_HW4[:, :, :3] * alpha_HW1 + WHITE * (255 - alpha_HW1)
    return ((mixed_HW3 + 127) // 255).astype(np.uint8)


def stretched_size(height: int, width: int, sample_aspect: Any) -> tuple[int, int]:
    """(height, width) at which pixels are square; the longer side of a pixel is never cut."""
    if not sample_aspect or sample_aspect == 1:
        return height, width
    ratio = float(sample_aspect)
    if ratio > 1:
        return height, max(1, round(width * ratio))
    return max(1, round(height / ratio)), width


def resized(rgb_HW3: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3) at ``size`` (height, width), bicubic; as it is where it has that size."""
    from PIL import Image

    if rgb_HW3.shape[:2] == size:
        return rgb_HW3
    height, width = size
    image = Image.fromarray(rgb_HW3).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)
