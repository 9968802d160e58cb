"""TempoConfig: everything a checkpoint must remember, as a Hugging Face config.

Numbers come from a preset file; ``TempoConfig()`` is the paper's (``6b``).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import NonNegativeInt, PositiveInt, ValidationError
from transformers import PretrainedConfig, Qwen3Config, Qwen3VLConfig
from transformers.models.auto import AutoConfig

from tempo_lib import prompts
from tempo_lib.config import DEFAULT_PRESET, PixelRules, Preset, StrictModel, VideoNumbers, load_preset
from tempo_lib.gates import field_problems


class CheckpointNumbers(StrictModel):
    """The numbers of ``default_numbers`` with their types; a text is no number."""

    num_memory_tokens: PositiveInt
    segment_batch: PositiveInt
    max_context: PositiveInt
    max_new_tokens: PositiveInt
    k_min: NonNegativeInt
    k_max: PositiveInt
    budget: NonNegativeInt
    video: VideoNumbers
    pixels: PixelRules


class TempoConfig(PretrainedConfig):
    """Compressor and decoder configs with the numbers of section 3 of the paper.

    Args:
        compressor_config: a ``Qwen3VLConfig`` or its dict; None for the preset's shape.
        decoder_config: a ``Qwen3Config`` or its dict; None likewise.
        preset: where every number comes from that is not given.
        system_prompts: ``standard`` (training) and ``routing`` (inference) of the compressor.
        release_numerics: cast rotary frequencies with the model, as the release does; set it
            before the cast. False keeps them float32.
        released: the released ``config.json`` that a checkpoint was read from, whole, so that a
            conversion back loses no field; None for a model of our own.
        numbers: any of ``default_numbers``: num_memory_tokens, k_min, k_max, budget, ...

    Raises ValueError for a number of another type, and when k_max exceeds the memory tokens.
    """

    model_type = "tempo"
    sub_configs: ClassVar[dict[str, type]] = {
        "compressor_config": Qwen3VLConfig,
        "decoder_config": Qwen3Config,
    }

    def __init__(
        self,
        compressor_config: Qwen3VLConfig | dict[str, Any] | None = None,
        decoder_config: Qwen3Config | dict[str, Any] | None = None,
        preset: str = "6b",
        system_prompts: dict[str, str] | None = None,
        decoder_system_prompt: str = prompts.DECODER_SYSTEM,
        timestamp_format: str = prompts.TIMESTAMP_FORMAT,
        release_numerics: bool = False,
        released: dict[str, Any] | None = None,
        **numbers: Any,
    ) -> None:
        chosen = load_preset(preset)
        self.preset = preset
        self.release_numerics = release_numerics
        self.released = released
        self.compressor_config = _sub_config(
            Qwen3VLConfig, compressor_config, chosen.model.compressor.as_config()
        )
        self.decoder_config = _sub_config(
            Qwen3Config, decoder_config, chosen.model.decoder.as_config()
        )
        for name, default in default_numbers(chosen).items():
            given = numbers.pop(name, None)
            setattr(self, name, default if given is None else given)
        problems = number_problems({name: getattr(self, name) for name in default_numbers(chosen)})
        if problems:
            raise ValueError(problems)
        both = {"standard": prompts.STANDARD, "routing": prompts.ROUTING}
        self.system_prompts = both if system_prompts is None else system_prompts
        self.decoder_system_prompt = decoder_system_prompt
        self.timestamp_format = timestamp_format
        if self.k_max > self.num_memory_tokens:
            raise ValueError(
                f"k_max {self.k_max} exceeds the {self.num_memory_tokens} memory tokens per segment"
            )
        numbers.setdefault("tie_word_embeddings", self.decoder_config.tie_word_embeddings)
        super().__init__(**numbers)

    @property
    def pixel_rules(self) -> PixelRules:
        return PixelRules.model_validate(self.pixels)

    @property
    def video_numbers(self) -> VideoNumbers:
        return VideoNumbers.model_validate(self.video)


def config_from_preset(
    preset: Preset, compressor: Qwen3VLConfig, decoder: Qwen3Config
) -> TempoConfig:
    """An untrained Tempo's config from two base configs and the numbers of ``preset``."""
    return TempoConfig(compressor, decoder, preset.name, **default_numbers(preset))


def default_numbers(preset: Preset) -> dict[str, Any]:
    """The numbers of a preset that a checkpoint keeps; ``video`` and ``pixels`` as dicts."""
    return {
        "num_memory_tokens": preset.model.num_memory_tokens,
        "segment_batch": preset.model.segment_batch,
        "max_context": preset.model.max_context,
        "max_new_tokens": preset.generation.max_new_tokens,
        "k_min": preset.allocation.k_min,
        "k_max": preset.allocation.k_max,
        "budget": preset.allocation.budget,
        "video": preset.video.model_dump(),
        "pixels": preset.pixels.model_dump(),
    }


def number_problems(given: Mapping[str, Any]) -> str:
    """What is wrong with the numbers of a config, each field by its path; "" where nothing is.

    Numbers that are not given, or null, are not wrong: the preset's are taken.
    """
    fields = {
        name: given[name]
        for name in CheckpointNumbers.model_fields
        if given.get(name) is not None
    }
    others = default_numbers(load_preset(DEFAULT_PRESET))
    try:
        CheckpointNumbers.model_validate({**others, **fields}, strict=True)
    except ValidationError as error:
        return field_problems(error)
    return ""


def _sub_config(kind: type, given: Any, shape: dict[str, Any] | None) -> Any:
    """The config of a base model: the one given, or built from its fields or the preset's."""
    value = shape if given is None else given
    if isinstance(value, dict):
        return kind(**value)
    return kind() if value is None else value


AutoConfig.register(TempoConfig.model_type, TempoConfig)
