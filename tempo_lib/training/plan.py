"""What a training costs before a GPU is held: steps, operations, bytes, hours, and what limits it.

Everything follows from the preset, the mixture's sizes and the assumptions below, which a report
states; counts of weights and operations are exact (costs.py), bytes of activations are estimates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from tempo_lib.config import Preset, StageNumbers, TextShape
from tempo_lib.training.costs import (
    Segments,
    forward_work,
    layer_weights,
    parameter_counts,
    training_operations,
)
from tempo_lib.training.stages import stage_numbers

FLOAT, HALF = 4, 2  # bytes
MOMENTS = 2  # of AdamW, in float32 like the weights and their gradients
LOGIT_COPIES = 3  # of the targets' logits: as they come, in float32, and their gradient
HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """GPUs of one kind and what stands beside each of them."""

    num_gpus: int
    teraflops: float = 989.0  # of an H100 in bf16, dense
    utilisation: float = 0.4  # share of it that products reach; not measured here
    gigabytes: float = 80.0
    cores_per_gpu: float = 16.0  # that decode


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Samples of a stage by modality; every video is taken as long as the stage allows."""

    images: int = 0
    videos: int = 0
    texts: int = 0

    @property
    def total(self) -> int:
        """All samples."""
        return self.images + self.videos + self.texts


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What neither preset nor mixture says; stated in every report."""

    video_width: int = 1280
    video_height: int = 720
    image_width: int = 1024
    image_height: int = 768
    prompt_tokens: int = 48  # of the compressor, beside video and question
    question_tokens: int = 32
    answer_tokens: int = 64
    timestamp_tokens: int = 7  # `<12.0 seconds>`
    decode_seconds: float = 0.125  # of a core per second of video
    image_decode_seconds: float = 0.03


def paper_mixtures() -> dict[int, Mixture]:
    """Table B; the mixed samples of a stage count as videos, its longest ones."""
    from tempo_lib.evaluation.published import load_published  # pandas

    names = {"Image": "images", "Video": "videos", "Mixed": "videos", "Text": "texts"}
    table = load_published("tableb").dropna(subset=["samples"])
    sizes: dict[int, dict[str, int]] = {}
    for row in table[table["modality"].isin(names)].itertuples():
        sizes.setdefault(int(row.stage), {})[names[str(row.modality)]] = int(row.samples)
    return {stage: Mixture(**counts) for stage, counts in sizes.items()}


def plan_stage(
    preset: Preset, stage: int, mixture: Mixture, machine: Machine, given: Assumptions
) -> dict[str, Any]:
    """The costs of one stage as plain numbers; hours are whole-stage totals unless named per GPU.

    ValueError for a stage that does not exist or whose steps have no fixed number of samples.
    """
    numbers = stage_numbers(preset, stage)
    if numbers.global_batch is None:
        raise ValueError(
            f"stage {stage} of preset {preset.name} fills its steps by segments; "
            "a plan needs global_batch"
        )
    operations = numbers.epochs * _operations(preset, numbers, mixture, given)
    gpu_hours = operations / (machine.teraflops * 1e12 * machine.utilisation) / HOUR
    seconds = numbers.max_frames / preset.video.fps
    decode = mixture.videos * seconds * given.decode_seconds
    decode_hours = numbers.epochs * (decode + mixture.images * given.image_decode_seconds) / HOUR
    memory = _memory(preset, numbers, machine.num_gpus, given)
    wall = {
        "gpu": gpu_hours / machine.num_gpus,
        "decoding": decode_hours / (machine.num_gpus * machine.cores_per_gpu),
    }
    fits = sum(memory.values()) <= machine.gigabytes
    return {
        "stage": stage,
        "samples": mixture.total,
        "steps": ceil(numbers.epochs * mixture.total / numbers.global_batch),
        "passes_per_step": _passes(preset, numbers, machine.num_gpus, given),
        "trainable_parameters": _trainable(preset, numbers),
        "operations": operations,
        "gpu_hours": gpu_hours,
        "decode_core_hours": decode_hours,
        "decode_cores_per_gpu": decode_hours / gpu_hours,  # at which decoding keeps up
        "hours": max(wall.values()),
        "gigabytes": memory,
        "limit": max(wall, key=lambda name: wall[name]) if fits else "memory",
    }


def sample_tokens(
    preset: Preset, numbers: StageNumbers, kind: str, given: Assumptions
) -> tuple[Segments, int]:
    """Segments of one sample of ``images``, ``videos`` or ``texts``, and its decoder positions."""
    shape = preset.model.compressor.vision_config
    words = given.prompt_tokens + given.question_tokens
    text = words + given.answer_tokens
    if kind == "texts":
        return Segments(0, 0, 0, 0), text
    is_image = kind == "images"
    count = 1 if is_image else ceil(numbers.max_frames / numbers.window)
    frames = 1 if is_image else min(numbers.window, numbers.max_frames)
    slices = ceil(frames / shape.temporal_patch_size)
    patches = _patches(preset, is_image, given)
    times = 0 if is_image else given.timestamp_tokens
    visual = slices * (patches // shape.spatial_merge_size**2 + times + 2)  # and their two marks
    rows = Segments(count, slices, patches, words + visual)
    return rows, text + count * (preset.model.num_memory_tokens + times)


def _patches(preset: Preset, is_image: bool, given: Assumptions) -> int:
    """Patches of one picture after the preset's resizing."""
    from tempo_lib.training.sizes import model_size

    shape = preset.model.compressor.vision_config
    size = (given.video_height, given.video_width)
    if is_image:
        size = (given.image_height, given.image_width)
    factor = shape.patch_size * shape.spatial_merge_size
    height, width = model_size(*size, preset.pixels, factor, is_image)
    return (height // shape.patch_size) * (width // shape.patch_size)


def _operations(
    preset: Preset, numbers: StageNumbers, mixture: Mixture, given: Assumptions
) -> float:
    total = 0
    for kind in ("images", "videos", "texts"):
        segments, positions = sample_tokens(preset, numbers, kind, given)
        work = forward_work(preset, segments, positions, given.answer_tokens)
        one = training_operations(work, numbers.trainable, numbers.activation_checkpointing)
        total += getattr(mixture, kind) * one
    return float(total)


def _trainable(preset: Preset, numbers: StageNumbers) -> int:
    counts: Mapping[str, int] = parameter_counts(preset)
    return sum(counts[part] for part in numbers.trainable)


def _passes(preset: Preset, numbers: StageNumbers, num_gpus: int, given: Assumptions) -> int:
    """Micro-batches of a rank in a step of the longest samples."""
    share = per_pass = ceil((numbers.global_batch or 1) / num_gpus)
    if numbers.micro_segments is not None:
        per_pass = numbers.micro_segments // ceil(numbers.max_frames / numbers.window)
    elif numbers.micro_tokens is not None:
        per_pass = numbers.micro_tokens // _visual_tokens(preset, numbers, given)
    return ceil(share / max(1, min(share, per_pass)))


def _visual_tokens(preset: Preset, numbers: StageNumbers, given: Assumptions) -> int:
    """Visual tokens of the longest sample."""
    kind = "images" if numbers.max_frames == 1 else "videos"
    rows, _ = sample_tokens(preset, numbers, kind, given)
    merged = preset.model.compressor.vision_config.spatial_merge_size**2
    return rows.count * rows.slices * rows.patches // merged


def _memory(
    preset: Preset, numbers: StageNumbers, num_gpus: int, given: Assumptions
) -> dict[str, float]:
    """Gigabytes (1e9 bytes) on one GPU: its share of what is sharded, and one pass of videos."""
    total, learns = sum(parameter_counts(preset).values()), _trainable(preset, numbers)
    model, longest = preset.model, ceil(numbers.max_frames / numbers.window)
    share = ceil((numbers.global_batch or 1) / num_gpus)
    samples = ceil(share / _passes(preset, numbers, num_gpus, given))
    kind = "images" if numbers.max_frames == 1 else "videos"
    rows, positions = sample_tokens(preset, numbers, kind, given)
    gathered = HALF if numbers.precision == "bf16" else FLOAT
    tables = (model.compressor.text_config, model.decoder)
    whole = sum((t.vocab_size or 0) * t.hidden_size for t in tables)  # outside the layers
    whole += 2 * max(layer_weights(t) for t in tables)  # in use, and on its way
    tokens = samples * longest * (rows.tokens + model.num_memory_tokens)
    kept = _kept(tables[0], tokens, numbers) if set(numbers.trainable) - {"decoder"} else 0
    kept += _kept(tables[1], samples * positions, numbers)
    logits = LOGIT_COPIES * FLOAT * samples * given.answer_tokens * (model.decoder.vocab_size or 0)
    return {
        "weights": FLOAT * total / num_gpus / 1e9,
        "gradients": FLOAT * learns / num_gpus / 1e9,
        "optimiser": MOMENTS * FLOAT * learns / num_gpus / 1e9,
        "gathered": gathered * whole / 1e9 if num_gpus > 1 else 0.0,
        "activations": (kept + logits) / 1e9,
    }


def _kept(shape: TextShape, tokens: int, numbers: StageNumbers) -> int:
    """Bytes that backward needs of one model's layers: each layer's input and one whole layer, or
    with nothing computed again, all of them."""
    size = HALF if numbers.precision == "bf16" else FLOAT
    heads = shape.num_attention_heads + shape.num_key_value_heads
    inside = 4 * shape.hidden_size + 2 * heads * shape.head_dim + 3 * shape.intermediate_size
    if numbers.activation_checkpointing:
        return size * tokens * (shape.num_hidden_layers * shape.hidden_size + inside)
    return size * tokens * shape.num_hidden_layers * inside
