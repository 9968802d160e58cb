"""A film's sampled frames at its own size: streamed in windows, against ``get_batch``."""

from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from tempo_lib.bench import release
from tempo_lib.bench.film import write_film
from tempo_lib.bench.harness import Pair, Setting
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import open_video

GROUPS = {"long groups": 250, "short groups": 12}  # frames from one key frame to the next
SCALES = (1, 2)  # of the film's sides: 360p and 720p


def make(setting: Setting) -> Iterator[Pair]:
    """Ours holds one window at a time; films with few key frames and with many, of two sizes."""
    for scale, (label, gop) in product(SCALES, GROUPS.items()):
        height, width = scale * setting.height, scale * setting.width
        path = setting.folder / f"film-gop{gop}-{height}.mp4"
        write_film(path, setting.seconds, height, width, gop=gop)
        yield Pair(
            label=f"{label}, {height}p",
            sides={
                "ours": partial(stream, setting.model, path),
                "reference": partial(release.read_frames, path, setting.model),
            },
            difference=partial(difference, setting.model, path),
        )


def windows(model: Tempo, path: Path) -> Iterator[np.ndarray]:
    """Windows of frames (K, H, W, 3) as they are decoded."""
    numbers = model.config.video_numbers
    limits = (numbers.fps, numbers.max_frames, numbers.min_frames)
    return open_video(path, *limits, max_edge=None).windows(numbers.window, numbers.window)


def stream(model: Tempo, path: Path) -> int:
    """Decode everything, keep nothing; the number of frames."""
    return sum(len(window) for window in windows(model, path))


def difference(model: Tempo, path: Path) -> float:
    """Largest difference of a pixel; infinite where their numbers differ."""
    ours = np.concatenate(list(windows(model, path)))
    theirs = release.read_frames(path, model).frames
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours.astype(np.int16) - theirs).max())
