"""TempoConfig: everything a checkpoint must remember, as a Hugging Face config.

Numbers come from a preset file; ``TempoConfig()`` is the paper's (``6b``).
"""

from typing import Any, ClassVar

from transformers import PretrainedConfig, Qwen3Config, Qwen3VLConfig
from transformers.models.auto import AutoConfig

from tempo_lib import prompts
from tempo_lib.config import PixelRules, Preset, VideoNumbers, load_preset


class TempoConfig(PretrainedConfig):
    """Compressor and decoder configs with the numbers of section 3 of the paper.

    Args:
        compressor_config: a ``Qwen3VLConfig`` or its dict; None for the preset's shape.
        decoder_config: a ``Qwen3Config`` or its dict; None likewise.
        num_memory_tokens: memory tokens a segment (k_max in training).
        k_min, k_max, budget: defaults of Adaptive Token Allocation.
        video, pixels: dicts of ``VideoNumbers`` and ``PixelRules``.
        system_prompts: ``standard`` (training) and ``routing`` (inference) of the compressor.
        release_numerics: cast rotary frequencies with the model, as the release does; set it
            before the cast. False keeps them float32.
        released: the released ``config.json`` that a checkpoint was read from, whole, so that a
            conversion back loses no field; None for a model of our own.

    Raises ValueError when the compressor has no video token or k_max exceeds the memory tokens.
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
        num_memory_tokens: int | None = None,
        segment_batch: int | None = None,
        max_context: int | None = None,
        max_new_tokens: int | None = None,
        k_min: int | None = None,
        k_max: int | None = None,
        budget: int | None = None,
        video: dict[str, Any] | None = None,
        pixels: dict[str, Any] | None = None,
        system_prompts: dict[str, str] | None = None,
        decoder_system_prompt: str = prompts.DECODER_SYSTEM,
        timestamp_format: str = prompts.TIMESTAMP_FORMAT,
        preset: str = "6b",
        release_numerics: bool = False,
        released: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        numbers = load_preset(preset)
        self.preset = preset
        self.release_numerics = release_numerics
        self.released = released
        model, allocation = numbers.model, numbers.allocation
        self.compressor_config = _sub_config(
            Qwen3VLConfig, _or(compressor_config, model.compressor.as_config())
        )
        self.decoder_config = _sub_config(
            Qwen3Config, _or(decoder_config, model.decoder.as_config())
        )
        self.num_memory_tokens = _or(num_memory_tokens, model.num_memory_tokens)
        self.segment_batch = _or(segment_batch, model.segment_batch)
        self.max_context = _or(max_context, model.max_context)
        self.max_new_tokens = _or(max_new_tokens, numbers.generation.max_new_tokens)
        self.k_min = _or(k_min, allocation.k_min)
        self.k_max = _or(k_max, allocation.k_max)
        self.budget = _or(budget, allocation.budget)
        self.video = _or(video, numbers.video.model_dump())
        self.pixels = _or(pixels, numbers.pixels.model_dump())
        self.system_prompts = _or(
            system_prompts, {"standard": prompts.STANDARD, "routing": prompts.ROUTING}
        )
        self.decoder_system_prompt = decoder_system_prompt
        self.timestamp_format = timestamp_format
        if self.k_max > self.num_memory_tokens:
            raise ValueError(
                f"k_max {self.k_max} exceeds the {self.num_memory_tokens} memory tokens a segment"
            )
        kwargs.setdefault("tie_word_embeddings", self.decoder_config.tie_word_embeddings)
        super().__init__(**kwargs)

    @property
    def pixel_rules(self) -> PixelRules:
        return PixelRules.model_validate(self.pixels)

    @property
    def video_numbers(self) -> VideoNumbers:
        return VideoNumbers.model_validate(self.video)


def config_from_preset(
    preset: Preset, compressor: Qwen3VLConfig, decoder: Qwen3Config
) -> TempoConfig:
    """A fresh Tempo's config from two base configs and the numbers of ``preset``."""
    return TempoConfig(compressor_config=compressor, decoder_config=decoder, preset=preset.name)


def _or(value: Any, fallback: Any) -> Any:
    return fallback if value is None else value


def _sub_config(kind: type, value: Any) -> Any:
    if isinstance(value, dict):
        return kind(**value)
    return kind() if value is None else value


AutoConfig.register(TempoConfig.model_type, TempoConfig)
