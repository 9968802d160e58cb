"""How large samples are before they are decoded: segments, frames, and what they weigh in a pass.

A pass is bounded by tokens where media differ in size: an image at its own size is one segment of
64 to 16,384 visual tokens, a segment of four frames of 288 (512x288).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from tempo_lib.config import PixelRules
from tempo_lib.model.processing import smart_size
from tempo_lib.video.clip import shrink_size

BYTES_PER_TOKEN = 4  # of text, about; words take a small share of a pass


@dataclass(frozen=True)
class Sizes:
    """Per sample: segments, sampled frames, and what it weighs in a pass."""

    segments: Sequence[int]
    frames: Sequence[int]
    loads: Sequence[int]


def model_size(
    height: int, width: int, rules: PixelRules, factor: int, is_image: bool
) -> tuple[int, int]:
    """(height, width) of a picture as the model reads it; ValueError for one that is too narrow."""
    if is_image:
        return smart_size(height, width, factor, rules.image_min_pixels, rules.image_max_pixels)
    height, width = shrink_size(height, width, rules.max_edge, rules.edge_multiple)
    if rules.round_multiple:
        low = rules.round_min_pixels
        height, width = smart_size(height, width, rules.round_multiple, low, 2**62)
    return smart_size(height, width, factor, rules.min_pixels, rules.max_pixels)


def num_slices(num_frames: int, window: int, temporal: int) -> int:
    """Groups of ``temporal`` frames that a vision pass takes as one, over all windows."""
    full, rest = divmod(num_frames, window)
    return full * ceil(window / temporal) + ceil(rest / temporal)


def text_tokens(num_bytes: int) -> int:
    """About as many tokens as a text of so many bytes has."""
    return ceil(num_bytes / BYTES_PER_TOKEN)
