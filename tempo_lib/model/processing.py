"""Frames and question -> what the compressor reads. Needs no torchvision.

Pixels follow the release's three steps (long edge, multiples of 64, multiples of a merged patch);
each rule's numbers are in the preset. Shape suffixes: T frames, N segments, L tokens, P patches.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn.functional import interpolate
from transformers import PreTrainedTokenizerBase

from tempo_lib import prompts
from tempo_lib.config import PixelRules
from tempo_lib.prompts import Part
from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import AnyVideo, Video, resize_frame, shrink_size
from tempo_lib.video.memory import check_fits

STREAMED = 8  # frames of a stream that are held at its own size
MAX_ASPECT = 200  # Qwen's processors refuse narrower pictures; we do the same


@dataclass(frozen=True)
class PatchShape:
    """Patch geometry of a vision tower: sides of a patch in pixels and of a merged block in
    patches, and frames per patch."""

    patch: int
    merge: int
    temporal: int

    @property
    def factor(self) -> int:
        return self.patch * self.merge


@dataclass(frozen=True)
class SegmentPixels:
    """Pixels of N segments and the time of each of their frame pairs.

    pixel_rows (P, channels * temporal * patch * patch) float32 in [-1, 1]; grid_thw (N, 3);
    pair_seconds: N lists; seconds (N,): centre of each segment's window; is_image: no times.
    """

    pixel_rows_PC: torch.Tensor
    grid_thw_N3: torch.Tensor
    pair_seconds: list[list[float]]
    seconds_N: torch.Tensor
    is_image: bool

    @cached_property
    def patches_per_segment(self) -> list[int]:
        return self.grid_thw_N3.prod(dim=1).tolist()

    def __len__(self) -> int:
        return len(self.pair_seconds)

    def part(self, start: int, stop: int) -> "SegmentPixels":
        """Segments ``start:stop`` (views, no copy)."""
        first, last = (sum(self.patches_per_segment[:i]) for i in (start, stop))
        return SegmentPixels(
            self.pixel_rows_PC[first:last],
            self.grid_thw_N3[start:stop],
            self.pair_seconds[start:stop],
            self.seconds_N[start:stop],
            self.is_image,
        )


def smart_size(height: int, width: int, factor: int, low: int, high: int) -> tuple[int, int]:
    """Nearest (height, width) in multiples of ``factor`` with ``low`` <= pixels <= ``high``.

    Qwen's rule, Python's half-even rounding included. ValueError past an aspect ratio of 200.
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(f"aspect ratio of {width}x{height} exceeds {MAX_ASPECT}")
    new_height = max(factor, round(height / factor) * factor)
    new_width = max(factor, round(width / factor) * factor)
    if new_height * new_width > high:
        shrink = math.sqrt(height * width / high)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif new_height * new_width < low:
        grow = math.sqrt(low / (height * width))
        new_height = math.ceil(height * grow / factor) * factor
        new_width = math.ceil(width * grow / factor) * factor
    return new_height, new_width


def resize_frames(
    frames_THW3: np.ndarray, rules: PixelRules, factor: int, is_image: bool = False
) -> torch.Tensor:
    """uint8 frames (T, H, W, 3) -> uint8 (T, 3, h, w), h and w multiples of ``factor``."""
    height, width = frames_THW3.shape[1:3]
    if not is_image:
        size = shrink_size(height, width, rules.max_edge, rules.edge_multiple)
        frames_THW3 = _resized(frames_THW3, size)
        if rules.round_multiple:
            low = rules.round_min_pixels
            size = smart_size(size[0], size[1], rules.round_multiple, low, 2**62)
            frames_THW3 = _resized(frames_THW3, size)
        low, high = rules.min_pixels, rules.max_pixels
    else:
        low, high = rules.image_min_pixels, rules.image_max_pixels
    height, width = frames_THW3.shape[1:3]
    size = smart_size(height, width, factor, low, high)
    frames_T3HW = torch.from_numpy(np.ascontiguousarray(frames_THW3)).permute(0, 3, 1, 2)
    if tuple(frames_T3HW.shape[2:]) == size:
        return frames_T3HW.contiguous()
    chunks = [
        interpolate(part.float(), size, mode="bicubic", antialias=True).clamp(0, 255).round()
        for part in frames_T3HW.split(64)  # float copies of a whole clip would not fit
    ]
    return torch.cat([chunk.to(torch.uint8) for chunk in chunks])


def _resized(frames_THW3: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if frames_THW3.shape[1:3] == size:
        return frames_THW3
    return np.stack([resize_frame(frame, size) for frame in frames_THW3])


def patchify(frames_T3HW: torch.Tensor, shape: PatchShape) -> torch.Tensor:
    """uint8 frames (T, 3, h, w), T a multiple of ``temporal`` -> float32 rows (P, 3*t*p*p).

    Rows run over time, then merged blocks, then patches inside a block, as Qwen's vision tower
    expects; pixels become (u8 - 127.5) / 127.5.
    """
    count, channels, height, width = frames_T3HW.shape
    patch, merge, temporal = shape.patch, shape.merge, shape.temporal
    rows, columns = height // shape.factor, width // shape.factor
    blocks = frames_T3HW.reshape(
        count // temporal, temporal, channels, rows, merge, patch, columns, merge, patch
    )
    blocks = blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
    flat = blocks.reshape(-1, channels * temporal * patch * patch).to(torch.float32)
    return flat.sub_(127.5).div_(127.5)  # in place: float copies of a clip are gigabytes


@dataclass(frozen=True)
class Windows:
    """Which frames N segments read, and when.

    index_F: places of all segments' frames, one after the other, filled up to whole pairs;
    pairs_N: pairs per segment; pair_seconds: N lists; seconds_N: centre of each segment's window.
    """

    index_F: torch.Tensor
    pairs_N: torch.Tensor
    pair_seconds: list[list[float]]
    seconds_N: torch.Tensor


def cut_windows(
    seconds_T: np.ndarray, fps: float, window: int, stride: int, temporal: int
) -> Windows:
    """Windows of ``window`` frames every ``stride`` frames over frames at ``seconds_T``.

    A tail that is no multiple of ``temporal`` repeats its last frame, and the copy counts as the
    next frame in time, so its pair's time is a mean (release rule). Times of a constant rate are
    (place + steps) / fps, as in the release: another order of the sum prints other timestamps.
    """
    clock = torch.as_tensor(np.asarray(seconds_T, dtype=np.float64))
    start_N = torch.arange(0, len(clock), stride)
    real_N = (len(clock) - start_N).clamp(max=window)
    pairs_N = (real_N + temporal - 1) // temporal
    place_K = torch.arange(int(pairs_N.max()) * temporal)
    beyond_NK = (place_K - real_N[:, None] + 1).clamp(min=0)
    index_NK = start_N[:, None] + place_K - beyond_NK
    used_NK = place_K < pairs_N[:, None] * temporal
    index_F, beyond_F = index_NK[used_NK], beyond_NK[used_NK]
    later_F = torch.where(beyond_F > 0, _later(clock, fps, index_F, beyond_F), clock[index_F])
    ends_P2 = later_F.reshape(-1, temporal)[:, [0, -1]]
    pair_P = (ends_P2[:, 0] + ends_P2[:, 1]) / 2
    return Windows(
        index_F=index_F,
        pairs_N=pairs_N,
        pair_seconds=[part.tolist() for part in pair_P.split(pairs_N.tolist())],
        seconds_N=_later(clock, fps, start_N, torch.tensor(window / 2)),
    )


def _later(
    clock_T: torch.Tensor, fps: float, index_F: torch.Tensor, steps_F: torch.Tensor
) -> torch.Tensor:
    """Seconds of ``steps_F`` sampled frames after the frames at ``index_F``, float64."""
    drift_F = clock_T[index_F] - index_F.double() / fps  # zero for a constant rate
    return (index_F.double() + steps_F.double()) / fps + drift_F


def sized_frames(video: AnyVideo, rules: PixelRules, factor: int) -> torch.Tensor:
    """``resize_frames`` of a clip, uint8 (T, 3, h, w); a stream is resized as it is decoded.

    VideoError where a stream gives another number of frames than it says.
    """
    if isinstance(video, Video):
        return resize_frames(video.frames, rules, factor, video.is_image)
    count, frames_T3HW = 0, torch.empty(0)
    for frames_K3HW in video.windows(STREAMED, STREAMED):
        small_K3HW = resize_frames(frames_K3HW, rules, factor, video.is_image)
        if not count:
            shape = (video.num_frames, *small_K3HW.shape[1:])
            check_fits(shape[0], shape[1:], video.source)
            frames_T3HW = torch.empty(shape, dtype=torch.uint8)
        kept = frames_T3HW[count : count + len(small_K3HW)]
        kept.copy_(small_K3HW[: len(kept)])
        count += len(small_K3HW)
    if count != video.num_frames:
        given = f"got {count} of {video.num_frames} sampled frames"
        raise VideoError(f"{video.source}: {given}")
    return frames_T3HW


def segment_pixels(
    video: AnyVideo,
    rules: PixelRules,
    shape: PatchShape,
    window: int,
    stride: int,
    is_sized: bool = False,
) -> SegmentPixels:
    """Cut a clip into windows and turn it into patch rows, the whole clip at once.

    ``is_sized``: its frames come from ``resize_frames``; the rules would change some once more.
    A stream holds a few frames at its own size, and all of them at the model's.
    """
    if is_sized and isinstance(video, Video):
        frames_T3HW = torch.from_numpy(video.frames).permute(0, 3, 1, 2)
    else:
        frames_T3HW = sized_frames(video, rules, shape.factor)
    cut = cut_windows(video.seconds, video.fps, window, stride, shape.temporal)
    grid = torch.tensor([side // shape.patch for side in frames_T3HW.shape[2:]])
    whole = len(cut.index_F) == len(frames_T3HW) and stride == window  # nothing repeated
    taken_F3HW = frames_T3HW if whole else frames_T3HW[cut.index_F]
    return SegmentPixels(
        pixel_rows_PC=patchify(taken_F3HW, shape),
        grid_thw_N3=torch.cat([cut.pairs_N[:, None], grid.expand(len(cut.pairs_N), 2)], dim=1),
        pair_seconds=cut.pair_seconds,
        seconds_N=cut.seconds_N,
        is_image=video.is_image,
    )


class TextEncoder:
    """Text -> token ids and back. Plain text never becomes a special token; pieces are cached."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        missing = [t for t in prompts.SPECIAL_TOKENS if tokenizer.convert_tokens_to_ids(t) is None]
        if missing:
            raise ValueError(f"the tokenizer lacks the special tokens {', '.join(missing)}")

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text."""
        if text not in self._known:
            if len(self._known) > 4096:
                self._known.clear()
            ids = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
            self._known[text] = ids["input_ids"]
        return self._known[text]

    def decode(self, token_ids: list[int]) -> str:
        """Text of generated ids, without special tokens and outer blanks."""
        return self.tokenizer.decode(token_ids, skip_special_tokens=True).strip()

    def special(self, token: str) -> int:
        """Id of one special token, such as ``<|im_end|>``."""
        return int(self.tokenizer.convert_tokens_to_ids(token))

    def ids(self, parts: list[Part]) -> list[int]:
        """Token ids of a prompt whose parts are marked as special or plain."""
        out: list[int] = []
        for kind, text in parts:
            out += [self.special(text)] if kind == "special" else self.encode(text)
        return out


def prefix_ids(
    text: TextEncoder, system: str, segments: SegmentPixels, merge: int
) -> list[list[int]]:
    """Token ids of system prompt + video, one list per segment; they do not depend on the query."""
    head = text.ids(prompts.system_parts(system))
    pad = text.special(prompts.IMAGE_PAD if segments.is_image else prompts.VIDEO_PAD)
    start, end = text.special(prompts.VISION_START), text.special(prompts.VISION_END)
    rows = []
    for times, (_, height, width) in zip(
        segments.pair_seconds, segments.grid_thw_N3.tolist(), strict=True
    ):
        vision = [start, *[pad] * (height * width // merge**2), end]
        row = list(head)
        for seconds in times:
            row += [] if segments.is_image else text.encode(prompts.timestamp(seconds))
            row += vision
        rows.append(row)
    return rows
