"""The whole miniature from nothing: tokenizer, two base models, corpora, four stages.

Each step writes a folder under ``work`` and is skipped when its folder is finished, so an
interrupted run goes on where it stopped. Two cores are kept busy: what can be made side by side is.
"""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from transformers import Qwen3VLConfig
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tempo_lib import prompts
from tempo_lib.checkpoints.folders import BASE_MODELS, RERANKER, find_checkpoint, is_finished
from tempo_lib.config import Preset
from tempo_lib.miniature.config import CorpusSpec, MiniatureNumbers, miniature_numbers
from tempo_lib.miniature.pretrain.base_compressor import train_base_compressor
from tempo_lib.miniature.pretrain.base_decoder import train_base_decoder
from tempo_lib.miniature.world.corpora import build_corpus
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.model.attention import training_attention
from tempo_lib.model.from_base_models import tempo_from_base_models
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import manifest_path as find_manifest
from tempo_lib.training.data import load_manifest, load_samples
from tempo_lib.training.loop import train_and_summarise
from tempo_lib.training.run import stage_run
from tempo_lib.training.stages import training_numbers

# Freed memory stays with a process, in pages of 2 MB: tensors come and go with every step, and
# fresh pages cost time. Read when a process starts, by glibc 2.35 and later; others ignore it.
KEPT_MEMORY = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=8589934592:"
    "glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=268435456"
}
RERANKER_SEED = 1000  # added to the run's: the scorer of Table 2 D shares no draw with Tempo


@dataclass(frozen=True)
class Miniature:
    """A preset's numbers for making the miniature, and the folder it grows in.

    Base models that the preset's overrides name (``weights.base_decoder=DIR`` ...) are taken over,
    as the paper's four stages start from given models; the others are pre-trained with ``seed``.
    """

    preset: Preset
    work: Path
    seed: int

    @property
    def numbers(self) -> MiniatureNumbers:
        return miniature_numbers(self.preset)

    def folder(self, name: str) -> Path:
        return self.work / name

    def stage(self, stage: int) -> Path:
        return self.work / f"stage{stage}"


def train_miniature(mini: Miniature, stages: Sequence[int]) -> dict[int, Path]:
    """Make everything that is missing, then the stages; returns their checkpoint folders.

    Two helpers make base models and corpora, one more trains a stage: what they free stays with
    them. The stages begin once their two base models are there; the reranker, which only an
    evaluation needs, goes on from the base compressor beside them.
    """
    for name in given_models(mini):
        take_base_model(mini, name)
    os.environ.update(KEPT_MEMORY)  # read when a process starts
    spawn = get_context("spawn")
    trainer = ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1)
    with ProcessPoolExecutor(2, mp_context=spawn) as pool, trainer:
        try:
            base_models = [pool.submit(make_base, mini, name) for name in BASE_MODELS]
            corpora = {stage: pool.submit(make_corpus, mini, stage, 1) for stage in stages}
            for base_model in base_models:
                base_model.result()
            reranker = pool.submit(make_base, mini, RERANKER)
            for stage in stages:
                corpora[stage].result()
                trainer.submit(make_stage, mini, stage).result()
            reranker.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what has not begun would be made for nothing
            raise
    return {stage: mini.stage(stage) for stage in stages}


def given_models(mini: Miniature) -> dict[str, Path]:
    """Folders of the base models that the preset's overrides name instead of training them."""
    overrides = mini.preset.overrides
    names = [name for name in (*BASE_MODELS, RERANKER) if f"weights.{name}" in overrides]
    return {name: Path(overrides[f"weights.{name}"]) for name in names}


def take_base_model(mini: Miniature, name: str) -> None:
    """Copy a base model from the folder that is given, else from your own run or the package.

    One that is finished in ``mini.work`` stays. ValueError when the other folder is not finished.
    """
    if is_finished(mini.folder(name)):
        return
    given = given_models(mini)
    source = given[name] if name in given else Path(find_checkpoint(mini.preset, name))
    if not is_finished(source):
        raise ValueError(f"{source} is not a finished base model")
    shutil.copytree(source, mini.folder(name), dirs_exist_ok=True)


def make_base(mini: Miniature, name: str) -> Path:
    """Pre-train a base model or the reranker on one thread; a finished one is kept."""
    folder = mini.folder(name)
    if is_finished(folder):
        return folder
    torch.set_num_threads(1)
    numbers = mini.numbers
    if name == "base_decoder":
        train_base_decoder(numbers.base_decoder, folder, mini.seed)
        return folder
    tokenizer = build_tokenizer(prompts.all_texts())
    compressor = numbers.reranker if name == RERANKER else numbers.base_compressor
    config = compressor_config(mini.preset, tokenizer)
    # as Qwen3-VL-Reranker does, it goes on from the base model
    start = make_base(mini, "base_compressor") if name == RERANKER else None
    seed = base_seed(mini, name)
    train_base_compressor(config, tokenizer, compressor, mini.preset.pixels, folder, seed, start)
    return folder


def base_seed(mini: Miniature, name: str) -> int:
    """The seed of base model ``name`` in a run: the reranker has one of its own."""
    return mini.seed + (RERANKER_SEED if name == RERANKER else 0)


def compressor_config(preset: Preset, tokenizer: PreTrainedTokenizerBase) -> Qwen3VLConfig:
    """The Qwen3-VL config of a preset's compressor with the tokenizer's ids filled in."""
    shapes = preset.model.compressor.as_config()
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
    build_corpus(folder, corpus_spec(mini, stage), mini.seed, workers)
    return folder


def corpus_spec(mini: Miniature, stage: int) -> CorpusSpec:
    """What a stage learns from: the preset's spec with its stories times ``corpus_scale``."""
    spec = mini.numbers.corpora[f"stage{stage}"]
    scale = mini.numbers.corpus_scale.get(f"stage{stage}", 1.0)
    sources = (replace(one, num_stories=round(scale * one.num_stories)) for one in spec.sources)
    return replace(spec, sources=tuple(sources))


def make_stage(mini: Miniature, stage: int, start: Path | None = None) -> Path:
    """Train one stage from the previous one's checkpoint (or ``start``); a finished one is kept.

    ValueError when the checkpoint to start from is missing, with the command that makes it.
    """
    out = mini.stage(stage)
    if is_finished(out):
        return out
    model = starting_model(mini, stage, start)
    training = training_numbers(mini.preset)
    manifest_path = find_manifest(training.manifest)
    manifest, root = load_manifest(manifest_path), mini.folder("corpora")
    samples = load_samples(manifest, stage, root, training.labels)
    frames = mini.folder("frames")
    run = stage_run(mini.preset, stage, out, cache_dir=frames, seed=mini.seed)
    train_and_summarise(model, samples, run, manifest_path)
    return out


def starting_model(mini: Miniature, stage: int, start: Path | None) -> Tempo:
    """Base models for stage 0, else the previous checkpoint, ready to train in float32."""
    if stage == 0 and start is None:
        is_mini = mini.preset.miniature is not None  # others have their base models elsewhere
        decoder, compressor = (
            mini.folder(name) if is_mini else find_checkpoint(mini.preset, name)
            for name in BASE_MODELS
        )
        return tempo_from_base_models(
            compressor,
            decoder,
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
