"""How large the suite is, and what its parts share: film, tokenizer, models, ceiling."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen3Config, Qwen3VLConfig
from transformers.initialization import no_init_weights

from tempo_lib import prompts
from tempo_lib.bench.film import write_film
from tempo_lib.checkpoints.config import TempoConfig, config_from_preset
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.checkpoints.loading import load_tokenizer
from tempo_lib.config import Preset, load_preset
from tempo_lib.model.rope import SUFFIX
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import Video

SPREAD = 0.02  # of random weights, as Qwen3 is initialised


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes of the suite. ``matmul``: side of the product that is the ceiling; ``samples``: of a
    training step, by stage."""

    preset: str
    device: str
    dtype: torch.dtype
    num_frames: int
    height: int
    width: int
    matmul: int
    num_new: int  # tokens of an answer
    num_steps: int  # of a training
    samples: dict[int, int]
    overrides: tuple[str, ...] = ()  # of the preset


SCALES = {
    "6b": Scale(
        preset="6b",
        device="cuda",
        dtype=torch.bfloat16,
        num_frames=1024,
        height=720,
        width=1280,
        matmul=8192,
        num_new=64,
        num_steps=10,
        samples={0: 16, 1: 16, 2: 1, 3: 1},  # 16, 32, 32 and 96 segments
    ),
    "tiny": Scale(
        preset="tiny",
        device="cpu",
        dtype=torch.float32,
        num_frames=32,
        height=72,
        width=128,
        matmul=128,
        num_new=4,
        num_steps=3,
        samples={0: 2, 1: 2, 2: 1, 3: 1},
    ),
}


class Workbench:
    """What parts of the suite share; everything is made at its first use, in ``folder``."""

    def __init__(self, scale: Scale, folder: Path) -> None:
        self.scale, self.folder = scale, folder
        self.ceiling = 0.0  # operations per second of a matrix product, once it is measured
        self.video: Video | None = None
        self.session: VideoSession | None = None
        self.first_seconds = 0.0

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The miniature's, which is always there; the embeddings keep the size of the preset."""
        return load_tokenizer(Path(find_checkpoint("tiny")))

    @cached_property
    def preset(self) -> Preset:
        """The scale's numbers, with a vocabulary where the preset leaves it to a tokenizer."""
        given = self.scale.overrides
        found = load_preset(self.scale.preset, given)
        if found.model.decoder.vocab_size is not None:
            return found
        size = len(self.tokenizer)
        names = ("decoder", "compressor.text_config")
        sizes = [f"model.{name}.vocab_size={size}" for name in names]
        return load_preset(found.name, [*given, *sizes])

    @cached_property
    def film(self) -> Path:
        """As many pictures as are sampled: a film of more would cost more to decode."""
        fps, scale = self.preset.video.fps, self.scale
        seconds = scale.num_frames / fps
        return write_film(self.folder / "film.mp4", seconds, scale.height, scale.width, fps)

    @cached_property
    def model(self) -> Tempo:
        """A Tempo of the scale's shape that answers questions."""
        return random_tempo(self.config(), self.tokenizer, self.scale)

    def config(self) -> TempoConfig:
        """The preset's config with the tokenizer's ids."""
        config = config_from_preset(self.preset, self.compressor_config(), self.decoder_config())
        config.max_new_tokens = self.scale.num_new
        return config

    def compressor_config(self) -> Qwen3VLConfig:
        """The preset's shape with the tokenizer's ids."""
        shape, token_id = self.preset.model.compressor.as_config(), self.token_id
        ids = {
            "image_token_id": token_id(prompts.IMAGE_PAD),
            "video_token_id": token_id(prompts.VIDEO_PAD),
            "vision_start_token_id": token_id(prompts.VISION_START),
            "vision_end_token_id": token_id(prompts.VISION_END),
        }
        text = {**shape["text_config"], "pad_token_id": token_id(prompts.END_OF_TEXT)}
        tied = text["tie_word_embeddings"]
        return Qwen3VLConfig(**{**shape, "text_config": text, **ids, "tie_word_embeddings": tied})

    def decoder_config(self) -> Qwen3Config:
        """The preset's shape; no token ends an answer early."""
        shape = self.preset.model.decoder.as_config()
        return Qwen3Config(**{**shape, "bos_token_id": None, "eos_token_id": None})

    def token_id(self, token: str) -> int:
        """Id of a special token."""
        return int(self.tokenizer.convert_tokens_to_ids(token))

    def forget_models(self) -> None:
        """Make room for another model."""
        self.session = None
        self.__dict__.pop("model", None)


def random_tempo(
    config: TempoConfig,
    tokenizer: PreTrainedTokenizerBase,
    scale: Scale,
    attention: str | None = None,
) -> Tempo:
    """A Tempo whose weights are drawn where they stay: no copy in another precision is made."""
    config._attn_implementation = attention
    model = built(lambda: Tempo._from_config(config, dtype=scale.dtype), scale.device)
    model.attach_tokenizer(tokenizer)
    return model.eval()


def built(make: Callable[[], Any], device: str) -> Any:
    """What ``make`` gives, on ``device``, with random weights: norms 1, biases 0, the rest normal.

    On the device ``meta`` nothing is allocated.
    """
    with torch.device(device), no_init_weights():
        model: PreTrainedModel = make()
    model.tie_weights()
    model.to(device)
    generator = None if device == "meta" else torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if generator is None or name.endswith(SUFFIX):
                continue
            if name.endswith("bias"):
                tensor.zero_()
            elif "norm" in name.rpartition(".weight")[0].rpartition(".")[2]:
                tensor.fill_(1.0)
            else:
                tensor.normal_(0.0, SPREAD, generator=generator)
    return model
