"""What the cases about one film share: its file, our way to open it, and differences."""

from pathlib import Path

import torch

from tempo_lib.bench.film import write_film
from tempo_lib.bench.harness import Setting
from tempo_lib.checkpoints.config import TempoConfig
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import VideoStream, open_video

FIRST = "Who comes right after the red star?"
SECOND = "Which number is shown with the blue circle?"


def film_of(setting: Setting) -> Path:
    """The case's film, written once."""
    name = f"film-{setting.seconds:g}-{setting.height}x{setting.width}.mp4"
    return write_film(setting.folder / name, setting.seconds, setting.height, setting.width)


def stream(config: TempoConfig, path: Path) -> VideoStream:
    """A file as ``tempo ask`` reads it."""
    numbers, rules = config.video_numbers, config.pixel_rules
    return open_video(
        path, numbers.fps, numbers.max_frames, numbers.min_frames, max_edge=rules.max_edge
    )


def opened(model: Tempo, path: Path, keep_prefix: bool = True) -> VideoSession:
    """A session on a file."""
    return model.open(stream(model.config, path), keep_prefix=keep_prefix)


def difference(ours: SegmentMemories, theirs: SegmentMemories) -> float:
    """Largest difference of memories and scores; infinite where their numbers differ."""
    if ours.memories.shape != theirs.memories.shape:
        return float("inf")
    pairs = ((ours.memories, theirs.memories), (ours.scores, theirs.scores))
    return max(largest(one, other) for one, other in pairs)


def largest(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest absolute difference of two tensors of one shape."""
    return float((one.double() - other.double()).abs().max())
