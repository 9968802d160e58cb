"""Presets: one file holds every number of a scale; this module reads, changes and checks it.

The section ``miniature`` names its own schema. Overrides change single numbers of one run:

    load_preset("tiny", ["training.stages.2.window=8", "allocation.budget=256"])
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module, resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, ValidationError

from tempo_lib.config.base import StrictModel as StrictModel
from tempo_lib.config.training import LabelRules as LabelRules
from tempo_lib.config.training import LoaderNumbers as LoaderNumbers
from tempo_lib.config.training import StageNumbers as StageNumbers
from tempo_lib.config.training import TrainingNumbers as TrainingNumbers
from tempo_lib.gates import field_problems

DEFAULT_PRESET = "tiny"


class Weights(StrictModel):
    """Where weights come from: a hub id, or a folder inside the package."""

    checkpoint: str
    base_compressor: str | None
    base_decoder: str | None
    reranker: str | None  # a scorer of Table 2 D
    download_gigabytes: float


class VideoNumbers(StrictModel):
    """Sampling and windows (paper section 4.1)."""

    fps: PositiveFloat
    max_frames: PositiveInt
    min_frames: PositiveInt
    window: PositiveInt
    stride: PositiveInt


class PixelRules(StrictModel):
    """Bounds of the three resizing steps. ``round_multiple`` 0 leaves the second one out."""

    max_edge: PositiveInt
    edge_multiple: PositiveInt
    round_multiple: int
    round_min_pixels: int
    min_pixels: PositiveInt
    max_pixels: PositiveInt
    image_min_pixels: PositiveInt
    image_max_pixels: PositiveInt


class Shape(StrictModel):
    """Fields of a Hugging Face config under its names; what is left out stays its default."""

    def as_config(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_unset=True)


class RopeShape(Shape):
    rope_type: Literal["default"]
    rope_theta: PositiveFloat
    mrope_section: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None
    mrope_interleaved: bool | None = None


class VisionShape(Shape):
    """Of ``Qwen3VLVisionConfig``."""

    depth: PositiveInt
    hidden_size: PositiveInt
    intermediate_size: PositiveInt
    num_heads: PositiveInt
    patch_size: PositiveInt
    spatial_merge_size: PositiveInt
    temporal_patch_size: PositiveInt
    out_hidden_size: PositiveInt
    num_position_embeddings: PositiveInt
    deepstack_visual_indexes: tuple[int, ...]


class TextShape(Shape):
    """Of ``Qwen3VLTextConfig`` and ``Qwen3Config``. Without ids: those of the tokenizer."""

    vocab_size: PositiveInt | None = None
    hidden_size: PositiveInt
    intermediate_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    num_key_value_heads: PositiveInt
    head_dim: PositiveInt
    max_position_embeddings: PositiveInt
    rope_parameters: RopeShape
    tie_word_embeddings: bool
    bos_token_id: int | None = None
    eos_token_id: int | None = None


class CompressorShape(Shape):
    """Of ``Qwen3VLConfig``. Without ids: those of the tokenizer."""

    vision_config: VisionShape
    text_config: TextShape
    image_token_id: int | None = None
    video_token_id: int | None = None
    vision_start_token_id: int | None = None
    vision_end_token_id: int | None = None
    tie_word_embeddings: bool | None = None


class ModelNumbers(StrictModel):
    """Shapes of the two models and the bounds of their inputs."""

    num_memory_tokens: PositiveInt
    segment_batch: PositiveInt
    max_context: PositiveInt
    compressor: CompressorShape
    decoder: TextShape


class EvaluationNumbers(StrictModel):
    """What a benchmark's run changes of a checkpoint; the benchmark gives max_new_tokens.

    ``budgets``: memory tokens by role, as Table 2 and Figure 3 name them.
    """

    frames: tuple[PositiveInt, ...]  # caps of Figure 3
    max_context: PositiveInt
    min_frames: PositiveInt
    budgets: dict[str, PositiveInt]


class AllocationNumbers(StrictModel):
    """Bounds of Adaptive Token Allocation (paper section 3.4)."""

    k_min: int
    k_max: PositiveInt
    budget: PositiveInt  # of a single question; benchmarks have budgets of their own


class GenerationNumbers(StrictModel):
    max_new_tokens: PositiveInt


class Preset(StrictModel):
    """A whole scale.

    ``miniature``: an object of the class that the section's ``schema`` names. ``overrides``: what
    ``load_preset`` changed of the file, path -> value.
    """

    name: str
    description: str
    weights: Weights
    video: VideoNumbers
    pixels: PixelRules
    model: ModelNumbers
    allocation: AllocationNumbers
    generation: GenerationNumbers
    training: TrainingNumbers | None
    miniature: Any
    evaluation: EvaluationNumbers | None = None  # None: benchmarks run as the checkpoint says
    plugins: tuple[str, ...] = ()  # modules that register what this preset names
    overrides: dict[str, Any] = Field(default_factory=dict)

    @property
    def stages(self) -> tuple[int, ...]:
        """Numbers of the stages, in the order of training; () without training."""
        return () if self.training is None else tuple(sorted(self.training.stages))


@cache
def preset_names() -> tuple[str, ...]:
    """The presets that have a file, the default one first."""
    files = resources.files("tempo_lib").joinpath("presets").iterdir()
    names = sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))
    return tuple(sorted(names, key=lambda name: name != DEFAULT_PRESET))


def load_preset(name: str, overrides: Iterable[str] = ()) -> Preset:
    """Read preset ``name`` and change what ``overrides`` (``path.to.field=value``) say.

    A value is YAML; an item of a list goes by its position or its ``name``. ValueError for an
    unknown name, a path that leads nowhere, or a value of another type than the field's.
    """
    return _load_preset(name, tuple(overrides))


@cache
def _load_preset(name: str, overrides: tuple[str, ...]) -> Preset:
    if name not in preset_names():
        raise ValueError(f"unknown preset {name!r}; known presets: {', '.join(preset_names())}")
    data = _read(name)
    data["overrides"] = dict(_override(data, override) for override in overrides)
    part, section = "miniature", data["miniature"]
    try:
        if section is not None:
            data["miniature"] = _schema(section.pop("schema")).model_validate(section)
        part = ""
        return Preset.model_validate(data)
    except ValidationError as error:
        raise ValueError(_problems(error, name, part, data["overrides"])) from error


def _read(name: str) -> dict[str, Any]:
    """A preset's file; what it leaves out is that of the preset it is ``based_on``."""
    text = resources.files("tempo_lib").joinpath("presets", f"{name}.yaml").read_text("utf-8")
    # anchors give shared parts: a change of one copy must not reach the others
    data = _copied(yaml.safe_load(text))
    base = data.pop("based_on", None)
    return data if base is None else _merged(_read(base), data)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with single fields of ``changes`` in their places."""
    found = dict(base)
    for key, value in changes.items():
        known = found.get(key)
        is_section = isinstance(known, dict) and isinstance(value, dict)
        found[key] = _merged(found[key], value) if is_section else value
    return found


def _schema(name: str) -> type[BaseModel]:
    module, _, attribute = name.partition(":")  # package.module:Class
    return getattr(import_module(module), attribute)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _override(data: dict[str, Any], override: str) -> tuple[str, Any]:
    """Change one field of ``data``; returns its path and the value."""
    path, equals, text = override.partition("=")
    *parents, last = path.split(".")
    if not equals or not last:
        raise ValueError(f"override {override!r}: expected KEY=VALUE, as allocation.budget=256")
    if path in ("miniature", "miniature.schema"):
        raise ValueError(f"override {path!r}: no single number; name a field below miniature")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"override {override!r}: {text!r} is not a YAML value") from error
    place: Any = data
    for position, part in enumerate(parents):
        try:
            place = place[_key(place, part)]
        except (KeyError, IndexError, TypeError):
            where = ".".join(parents[:position]) or "the preset"
            raise ValueError(f"override {override!r}: {where} has no field {part!r}") from None
    try:
        place[_key(place, last)] = value
    except (IndexError, TypeError):
        where = ".".join(parents) or "the preset"
        raise ValueError(f"override {override!r}: {where} has no field {last!r}") from None
    return path, value


def _key(place: Any, part: str) -> Any:
    """Key or index of ``part``: numbers are ints; an item of a list also has its ``name``."""
    if isinstance(place, list) and not part.isdigit():
        names = [item.get("name") if isinstance(item, Mapping) else None for item in place]
        return names.index(part) if part in names else len(names)
    return int(part) if part.isdigit() else part


def _problems(error: ValidationError, name: str, section: str, overrides: Mapping[str, Any]) -> str:
    """One line: the file, its overrides, and each field that is wrong."""
    changed = f" with {', '.join(overrides)} changed" if overrides else ""
    return f"preset file {name}.yaml{changed} is not valid: {field_problems(error, section)}"
