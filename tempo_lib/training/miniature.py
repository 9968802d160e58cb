"""The whole miniature from nothing: tokenizer, two base models, corpora, four stages.

Each step writes a folder under ``work`` and is skipped when its folder is finished, so an
interrupted run goes on where it stopped. The two base models train side by side, one core each.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from transformers import Qwen3VLConfig
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tempo_lib import prompts
from tempo_lib.fresh import fresh_tempo
from tempo_lib.model import Tempo
from tempo_lib.presets import Preset, load_preset
from tempo_lib.runs import project_root
from tempo_lib.training.base_compressor import train_base_compressor
from tempo_lib.training.base_compressor_data import BaseCompressorConfig
from tempo_lib.training.base_decoder import train_base_decoder
from tempo_lib.training.base_decoder_config import BaseDecoderConfig
from tempo_lib.training.data import load_manifest, load_samples
from tempo_lib.training.loop import StageRun, train_with_card
from tempo_lib.training.stages import STAGES, stage_numbers
from tempo_lib.world.corpora import build_corpus
from tempo_lib.world.corpus_specs import CorpusSpec
from tempo_lib.world.tokenizer import build_tokenizer

BASES = ("base_compressor", "base_decoder")


@dataclass(frozen=True)
class Miniature:
    """A preset's numbers for making the miniature, and the folder it grows in."""

    preset: Preset
    work: Path
    seed: int

    @property
    def numbers(self) -> dict[str, Any]:
        if self.preset.miniature is None:
            raise ValueError(f"preset {self.preset.name} is no miniature; train with --preset tiny")
        return self.preset.miniature

    def folder(self, name: str) -> Path:
        return self.work / name

    def stage(self, stage: int) -> Path:
        return self.work / f"stage{stage}"


def train_miniature(mini: Miniature, stages: tuple[int, ...] = STAGES) -> dict[int, Path]:
    """Make everything that is missing, then the stages; returns their checkpoint folders."""
    make_bases(mini)
    for stage in stages:
        make_corpus(mini, stage)
        make_stage(mini, stage)
    return {stage: mini.stage(stage) for stage in stages}


def make_bases(mini: Miniature) -> None:
    """Pre-train both base models, two processes at once; a finished one is kept."""
    missing = [name for name in BASES if not (mini.folder(name) / "card.json").is_file()]
    arguments = [(name, mini.preset.name, str(mini.folder(name)), mini.seed) for name in missing]
    if not missing:
        return
    with ProcessPoolExecutor(len(missing), mp_context=get_context("spawn")) as pool:
        list(pool.map(_make_base, arguments))


def _make_base(arguments: tuple[str, str, str, int]) -> None:
    name, preset_name, folder, seed = arguments
    torch.set_num_threads(1)
    preset = load_preset(preset_name)
    numbers = Miniature(preset, Path(folder).parent, seed).numbers
    if name == "base_decoder":
        decoder = TypeAdapter(BaseDecoderConfig).validate_python(numbers[name])
        train_base_decoder(decoder, Path(folder), seed)
        return
    tokenizer = build_tokenizer(prompts.all_texts())
    compressor = TypeAdapter(BaseCompressorConfig).validate_python(numbers[name])
    config = compressor_config(preset, tokenizer)
    train_base_compressor(config, tokenizer, compressor, preset.pixels, Path(folder), seed)


def compressor_config(preset: Preset, tokenizer: PreTrainedTokenizerBase) -> Qwen3VLConfig:
    """The Qwen3-VL config of a preset's compressor with the tokenizer's ids filled in."""
    if preset.model.compressor is None:
        raise ValueError(f"preset {preset.name} does not describe a compressor")
    shapes = preset.model.compressor
    token_id = tokenizer.convert_tokens_to_ids
    return Qwen3VLConfig(
        vision_config=shapes["vision_config"],
        text_config={
            **shapes["text_config"],
            "vocab_size": len(tokenizer),
            "pad_token_id": token_id(prompts.END_OF_TEXT),
        },
        image_token_id=token_id(prompts.IMAGE_PAD),
        video_token_id=token_id(prompts.VIDEO_PAD),
        vision_start_token_id=token_id(prompts.VISION_START),
        vision_end_token_id=token_id(prompts.VISION_END),
        tie_word_embeddings=shapes["text_config"]["tie_word_embeddings"],
    )


def make_corpus(mini: Miniature, stage: int, workers: int = 2) -> Path:
    """Write a stage's images, clips and question files."""
    folder = mini.folder("corpora") / f"stage{stage}"
    spec = TypeAdapter(CorpusSpec).validate_python(mini.numbers["corpora"][f"stage{stage}"])
    build_corpus(folder, spec, mini.seed, workers)
    return folder


def make_stage(mini: Miniature, stage: int, start: Path | None = None) -> Path:
    """Train one stage from the previous one's checkpoint (or ``start``); a finished one is kept.

    ValueError when the checkpoint to start from is missing, with the command that makes it.
    """
    out = mini.stage(stage)
    if (out / "card.json").is_file():
        return out
    numbers = stage_numbers(mini.preset, stage)
    model = starting_model(mini, stage, start)
    manifest_path = project_root() / _manifest(mini.preset)
    samples = load_samples(load_manifest(manifest_path), stage, mini.folder("corpora"))
    run = StageRun(
        stage=stage,
        numbers=numbers,
        out_dir=out,
        cache_dir=mini.folder("frames"),
        seed=mini.seed,
    )
    train_with_card(model, samples, run, manifest_path)
    return out


def starting_model(mini: Miniature, stage: int, start: Path | None) -> Tempo:
    """Base models for stage 0, else the previous checkpoint, ready to train in float32."""
    if stage == 0 and start is None:
        return fresh_tempo(
            mini.folder("base_compressor"),
            mini.folder("base_decoder"),
            mini.preset,
            mini.seed,
            attn_implementation=training_attention(),
        )
    path = mini.stage(stage - 1) if start is None else start
    if not path.is_dir():
        raise ValueError(
            f"stage {stage} starts from {path}, which does not exist; "
            f"run `tempo train --stage {stage - 1}` first"
        )
    return Tempo.from_pretrained(
        path, dtype=torch.float32, device="cpu", attn_implementation=training_attention()
    )


def training_attention() -> str:
    """eager on CPU, where bf16 SDPA's backward is many times slower; the best there is on a GPU."""
    return "auto" if torch.cuda.is_available() else "eager"


def _manifest(preset: Preset) -> str:
    if preset.training is None:
        raise ValueError(f"preset {preset.name} has no training configuration")
    return preset.training.manifest
