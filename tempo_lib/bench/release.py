"""The reference mode: one question the way the release goes, written out, with nothing reused.

``get_batch`` of decord at the file's size, Pillow frame by frame, the whole clip in float, one
padded pass over all segments, and all of it again for the next question. The results are ours
within float32 (tests hold it); what is measured is the way there.

Shape suffixes: T sampled frames, H height, W width.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from tempo_lib.config import PixelRules
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoder_prompt import Answer
from tempo_lib.model.processing import PatchShape, SegmentPixels, cut_windows, smart_size
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo
from tempo_lib.parity.cases import segments_per_pass
from tempo_lib.video.clip import Video, shrink_size
from tempo_lib.video.sampling import sample_indices


def read_frames(path: Path, model: Tempo) -> Video:
    """All sampled frames at the file's size, at once."""
    import decord

    numbers = model.config.video_numbers
    reader = decord.VideoReader(str(path), ctx=decord.cpu(0))
    total, rate = len(reader), float(reader.get_avg_fps())
    limits = (numbers.fps, numbers.min_frames, numbers.max_frames)
    index_T = sample_indices(total, rate, *limits)
    frames_THW3 = reader.get_batch(index_T).asnumpy()
    return Video(frames_THW3, len(index_T) / (total / rate))


def read_pixels(video: Video, model: Tempo) -> SegmentPixels:
    """Patch rows of the whole clip, each step over all frames before the next."""
    rules, shape = model.config.pixel_rules, model.patch_shape
    small_THW3 = _shrunk(video.frames, rules)
    frames_T3HW = torch.from_numpy(small_THW3).permute(0, 3, 1, 2)
    height, width = small_THW3.shape[1:3]
    size = smart_size(height, width, shape.factor, rules.min_pixels, rules.max_pixels)
    if size != (height, width):
        floats = interpolate(frames_T3HW.float(), size, mode="bicubic", antialias=True)
        frames_T3HW = floats.clamp(0, 255).round().to(torch.uint8)
    numbers = model.config.video_numbers
    cut = cut_windows(video.seconds, video.fps, numbers.window, numbers.stride, shape.temporal)
    grid = torch.tensor([side // shape.patch for side in size])
    return SegmentPixels(
        pixel_rows_PC=_rows(frames_T3HW[cut.index_F], shape),
        grid_thw_N3=torch.cat([cut.pairs_N[:, None], grid.expand(len(cut.pairs_N), 2)], dim=1),
        pair_seconds=cut.pair_seconds,
        seconds_N=cut.seconds_N,
        is_image=False,
    )


def compress(model: Tempo, segments: SegmentPixels, question: str) -> SegmentMemories:
    """All segments padded to one length, in one pass."""
    with segments_per_pass(model, len(segments)):
        config, text = model.config, model.encoder
        return VideoSession(model.compressor, text, config, segments, keep_prefix=False).compress(
            question
        )


def ask(model: Tempo, path: Path, question: str) -> Answer:
    """One question about a file, from the file."""
    segments = read_pixels(read_frames(path, model), model)
    return model.decode(compress(model, segments, question), question)


def _shrunk(frames_THW3: np.ndarray, rules: PixelRules) -> np.ndarray:
    """Both of the release's resizes by Pillow."""
    height, width = frames_THW3.shape[1:3]
    size = shrink_size(height, width, rules.max_edge, rules.edge_multiple)
    sizes = [size]
    if rules.round_multiple:
        sizes.append(smart_size(*size, rules.round_multiple, rules.round_min_pixels, 2**62))
    for height, width in sizes:
        if frames_THW3.shape[1:3] != (height, width):
            images = [Image.fromarray(frame) for frame in frames_THW3]
            small = [one.resize((width, height), Image.Resampling.BICUBIC) for one in images]
            frames_THW3 = np.stack([np.asarray(one) for one in small])
    return frames_THW3


def _rows(frames_T3HW: torch.Tensor, shape: PatchShape) -> torch.Tensor:
    """Float patch rows in the order of Qwen's vision tower; see ``processing.patchify``."""
    values = (frames_T3HW.float() - 127.5) / 127.5
    count, channels, height, width = values.shape
    patch, merge, temporal = shape.patch, shape.merge, shape.temporal
    rows, columns = height // shape.factor, width // shape.factor
    blocks = values.reshape(
        count // temporal, temporal, channels, rows, merge, patch, columns, merge, patch
    )
    return blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(
        -1, channels * temporal * patch * patch
    )
