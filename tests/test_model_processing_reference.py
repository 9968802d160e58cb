"""Preprocessing against a slow reference: one segment, one frame and one patch at a time.

The reference is written from the release's recorded rules with PIL and torch alone; it shares no
code with ``tempo_lib.model.processing``.
"""

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate
from transformers import AutoTokenizer

from tempo_lib import prompts
from tempo_lib.config import load_preset
from tempo_lib.model.processing import PatchShape, TextEncoder, prefix_ids, segment_pixels
from tempo_lib.video.clip import Video

PAPER = load_preset("6b").pixels
QWEN3_VL = PatchShape(patch=16, merge=2, temporal=2)
PATCH, BLOCK, WINDOW = 16, 32, 8
SIZES = {  # height, width
    "odd sides": (97, 161),
    "portrait": (120, 68),
    "tiny": (5, 7),
    "one pixel": (1, 1),
    "one row": (1, 40),
    "just over the edge": (513, 300),
    "wide": (60, 700),
    "huge": (2161, 3839),
}
LENGTHS = (1, 2, 3, 8, 9, 15, 16, 17)  # one frame, odd, whole, single-frame tail, odd tail


def noise(num_frames, height, width):
    rng = np.random.default_rng(num_frames + 7 * height + 11 * width)
    return rng.integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8)


def multiples(height, width, factor, low, high):
    """Sides in multiples of ``factor`` and an area between the bounds."""
    tall, broad = (max(factor, round(side / factor) * factor) for side in (height, width))
    if tall * broad > high:
        scale = math.sqrt(height * width / high)
        return tuple(max(factor, math.floor(s / scale / factor) * factor) for s in (height, width))
    if tall * broad < low:
        scale = math.sqrt(low / (height * width))
        return tuple(math.ceil(side * scale / factor) * factor for side in (height, width))
    return tall, broad


def reference_frame(frame):
    """Three resizing steps on one frame: uint8 (H, W, 3) -> uint8 tensor (3, h, w)."""
    picture = Image.fromarray(frame)
    longest = max(picture.size)
    if longest > 512:
        sides = [max(16, int(round(side * 512 / longest / 16) * 16)) for side in picture.size]
        picture = picture.resize(sides, Image.Resampling.BICUBIC)
    height, width = multiples(picture.height, picture.width, 64, 16384, 10**12)
    if (width, height) != picture.size:
        picture = picture.resize((width, height))
    size = multiples(height, width, 32, 131072, 786432)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
    if size != (height, width):
        pixels = interpolate(pixels[None], size, mode="bicubic", antialias=True)[0]
    return pixels.clamp(0, 255).round().to(torch.uint8)


def reference_patches(first, second):
    """One frame pair -> float32 rows, block by block and patch by patch."""
    rows = []
    for top in range(0, first.shape[1], BLOCK):
        for left in range(0, first.shape[2], BLOCK):
            for y in (top, top + PATCH):
                for x in (left, left + PATCH):
                    place = (slice(None), slice(y, y + PATCH), slice(x, x + PATCH))
                    rows.append(torch.stack([first[place], second[place]], dim=1).flatten())
    return (torch.stack(rows).float() - 127.5) / 127.5


def reference(frames, fps):
    """Pixel rows, grid, timestamps of pairs and of segments of a whole clip."""
    rows, grid, pair_tags, tags = [], [], [], []
    for start in range(0, len(frames), WINDOW):
        places = list(range(start, min(start + WINDOW, len(frames))))
        small = [reference_frame(frames[place]) for place in places]
        if len(small) % 2:
            small.append(small[-1])
            places.append(places[-1] + 1)
        pairs = range(0, len(small), 2)
        rows += [reference_patches(small[i], small[i + 1]) for i in pairs]
        grid.append([len(pairs), small[0].shape[1] // PATCH, small[0].shape[2] // PATCH])
        times = [(places[i] / fps + places[i + 1] / fps) / 2 for i in pairs]
        pair_tags.append([f"<{time:.1f} seconds>" for time in times])
        tags.append(f"<{(start + WINDOW / 2) / fps:.1f} seconds>")
    return torch.cat(rows), torch.tensor(grid), pair_tags, tags


def assert_equal_to_the_reference(frames, fps):
    found = segment_pixels(Video(frames, fps=fps), PAPER, QWEN3_VL, WINDOW, WINDOW)
    rows_PC, grid_N3, pair_tags, tags = reference(frames, fps)
    assert torch.equal(found.grid_thw_N3, grid_N3)
    assert torch.equal(found.pixel_rows_PC, rows_PC)
    assert [[prompts.timestamp(s) for s in times] for times in found.pair_seconds] == pair_tags
    assert [prompts.timestamp(s) for s in found.seconds_N.tolist()] == tags


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_pixels_of_every_size_equal_the_slow_reference(size):
    num_frames = 1 if max(size) > 2000 else 3
    assert_equal_to_the_reference(noise(num_frames, *size), 2.0)


@pytest.mark.parametrize("num_frames", LENGTHS)
def test_clips_of_every_length_equal_the_slow_reference(num_frames):
    assert_equal_to_the_reference(noise(num_frames, 33, 47), 1.9375)


@pytest.mark.parametrize("num_frames", [1, 9, 15])
def test_the_prompt_ids_of_every_segment_equal_one_tokenized_text(golden_dir, num_frames):
    tokenizer = AutoTokenizer.from_pretrained(golden_dir / "Qwen3-VL-tiny")
    text, query = TextEncoder(tokenizer), "Who waits at 10:30, and why?"
    frames = noise(num_frames, 33, 47)
    segments = segment_pixels(Video(frames, fps=2.0), PAPER, QWEN3_VL, WINDOW, WINDOW)
    found = prefix_ids(text, prompts.ROUTING, segments, QWEN3_VL.merge)
    _, grid_N3, pair_tags, _ = reference(frames, 2.0)
    for row, tags, (_, height, width) in zip(found, pair_tags, grid_N3.tolist(), strict=True):
        seen = "<|vision_start|>" + "<|video_pad|>" * (height * width // 4) + "<|vision_end|>"
        written = f"<|im_start|>system\n{prompts.ROUTING}<|im_end|>\n<|im_start|>user\n"
        written += "".join(tag + seen for tag in tags)
        written += f"\nQuery:\n{query}<|im_end|>\n<|im_start|>assistant\n"
        assert row + text.ids(prompts.query_parts(query)) == tokenizer(written)["input_ids"]


def test_preprocessing_needs_no_torchvision():
    program = (
        "import sys\nsys.modules['torchvision'] = None\n"
        "import hashlib, numpy as np\n"
        "from tempo_lib.config import load_preset\n"
        "from tempo_lib.model.processing import PatchShape, segment_pixels\n"
        "from tempo_lib.video.clip import Video\n"
        "frames = np.arange(9 * 33 * 47 * 3, dtype=np.int64).reshape(9, 33, 47, 3) % 251\n"
        "video = Video(frames.astype(np.uint8))\n"
        "made = segment_pixels(video, load_preset('6b').pixels, PatchShape(16, 2, 2), 8, 8)\n"
        "print(hashlib.sha256(made.pixel_rows_PC.numpy().tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    frames = np.arange(9 * 33 * 47 * 3, dtype=np.int64).reshape(9, 33, 47, 3) % 251
    rows_PC = reference(frames.astype(np.uint8), 2.0)[0]
    assert done.stdout.strip() == hashlib.sha256(rows_PC.numpy().tobytes()).hexdigest()
