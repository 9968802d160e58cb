"""Presets: one file holds every number of a scale; this module reads and checks it."""

from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, ValidationError

PRESETS = ("tiny", "6b")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weights(_Strict):
    """Where weights come from: a hub id, or a folder inside the package."""

    checkpoint: str
    base_compressor: str | None
    base_decoder: str | None
    download_gigabytes: float


class VideoNumbers(_Strict):
    """Sampling and windows (paper section 4.1)."""

    fps: PositiveFloat
    max_frames: PositiveInt
    min_frames: PositiveInt
    window: PositiveInt
    stride: PositiveInt


class PixelRules(_Strict):
    """Bounds of the three resizing steps. ``round_multiple`` 0 leaves the second one out."""

    max_edge: PositiveInt
    edge_multiple: PositiveInt
    round_multiple: int
    round_min_pixels: int
    min_pixels: PositiveInt
    max_pixels: PositiveInt
    image_min_pixels: PositiveInt
    image_max_pixels: PositiveInt


class ModelNumbers(_Strict):
    """Shapes; ``compressor`` and ``decoder`` are keyword arguments of the two base configs."""

    num_memory_tokens: PositiveInt
    segment_batch: PositiveInt
    max_context: PositiveInt
    compressor: dict[str, Any] | None
    decoder: dict[str, Any] | None


class AllocationNumbers(_Strict):
    """Bounds of Adaptive Token Allocation (paper section 3.4)."""

    k_min: int
    k_max: PositiveInt
    budget: PositiveInt


class GenerationNumbers(_Strict):
    max_new_tokens: PositiveInt


class StageNumbers(_Strict):
    """One column of Table A, scaled to the preset."""

    trainable: tuple[Literal["compressor", "memory_tokens", "projector", "decoder"], ...]
    learning_rate: PositiveFloat  # decoder, projector and memory tokens
    compressor_learning_rate: PositiveFloat | None
    warmup_ratio: float
    weight_decay: float
    adam_beta2: float
    clip_norm: PositiveFloat
    window: PositiveInt
    max_frames: PositiveInt
    max_context: PositiveInt
    batch_segments: PositiveInt  # segments a step, so that long and short clips cost the same
    batch_samples: PositiveInt  # most samples a step
    epochs: PositiveFloat
    max_steps: int  # 0: as many as the epochs give
    # share of samples whose segments are read under another wording (world.wordings) instead
    # of the standard prompt; never under the routing prompt. The paper has none: 0
    varied_prompt_share: float = 0.0


class TrainingNumbers(_Strict):
    manifest: str
    stages: dict[int, StageNumbers]


class Preset(_Strict):
    """A whole scale. ``miniature`` holds what only the miniature needs."""

    name: str
    description: str
    weights: Weights
    video: VideoNumbers
    pixels: PixelRules
    model: ModelNumbers
    allocation: AllocationNumbers
    generation: GenerationNumbers
    training: TrainingNumbers | None
    miniature: dict[str, Any] | None
    plugins: tuple[str, ...] = ()  # modules that register what this preset names


@cache
def load_preset(name: str) -> Preset:
    """Read preset ``name``; ValueError for an unknown name or a file that breaks its schema."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; known presets: {', '.join(PRESETS)}")
    text = resources.files("tempo_lib").joinpath("presets", f"{name}.yaml").read_text()
    try:
        return Preset.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        raise ValueError(f"preset file {name}.yaml is not valid: {error}") from error
