"""Everything that a rehearsal of the paper's scale needs: weights, videos, annotations.

Weights are random and small, in the released layout: an untrained Tempo for each stage that the
tables compare, beside its base models and a reranker. Videos are stand-ins for the real ones.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLForConditionalGeneration,
)

from tempo_lib import prompts
from tempo_lib.checkpoints.convert import convert
from tempo_lib.checkpoints.folders import RERANKER, is_finished, stage_names, write_summary
from tempo_lib.config import Preset
from tempo_lib.evaluation.benchmark import BENCHMARKS, benchmark_names
from tempo_lib.evaluation.letters import LETTERS
from tempo_lib.evaluation.real.source import RealSource
from tempo_lib.evaluation.real.stand_in import StandIn, make_stand_in
from tempo_lib.miniature.pretrain.build import compressor_config
from tempo_lib.miniature.world.clips import write_clip
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.model.from_base_models import tempo_from_base_models
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import project_root

COMPARED = 2  # the last stages, which Table 2 A compares
LOUD = 50.0  # times the embedding of a token, and so its logit
NOTE = "random weights for a rehearsal; nothing was trained"


def make_data(
    preset: Preset, annotations: Path, share: float, num_videos: int
) -> Mapping[str, StandIn]:
    """Stand-ins of all benchmarks where the rehearsal reads them, by name.

    ``annotations``: a folder that holds one for each benchmark. AnnotationError where one is
    absent.
    """
    sources = {name: BENCHMARKS.get(name) for name in benchmark_names(preset)}
    known = {name: one for name, one in sources.items() if isinstance(one, RealSource)}
    for name, source in known.items():
        source.questions(annotations / name)  # all are there before any video is made
    return {
        name: make_stand_in(
            source, annotations / name, source.folder(preset.name), write_clip, share, num_videos
        )
        for name, source in known.items()
    }


def make_weights(preset: Preset, tokenizer_file: Path | None = None) -> Path:
    """Random checkpoints of the preset's shapes in its folder of trainings; finished ones stay.

    ``tokenizer_file``: a real ``tokenizer.json``; None takes the miniature's, which reads any text
    byte by byte where it does not know a word.
    """
    home = project_root() / "runs" / preset.name / "train"
    tokenizer = _tokenizer(tokenizer_file)
    compressor = compressor_config(preset, tokenizer)
    shape = preset.model.decoder.as_config() | {"vocab_size": len(tokenizer)}
    shape |= {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name in ("base_compressor", RERANKER):
            _save(Qwen3VLForConditionalGeneration(compressor), tokenizer, home / name)
        decoder = Qwen3ForCausalLM(Qwen3Config(**shape))
        _prefer_letters(decoder, tokenizer)
        _save(decoder, tokenizer, home / "base_decoder")
    for seed, stage in enumerate(stage_names(preset)[-COMPARED:]):
        if is_finished(home / stage):
            continue
        model = tempo_from_base_models(
            home / "base_compressor", home / "base_decoder", preset, seed=seed
        )
        with TemporaryDirectory(dir=home) as ours:
            model.save_pretrained(ours)
            convert(ours, home / stage, Tempo, base_compressor=str(home / "base_compressor"))
        write_summary(home / stage, {"preset": preset.name, "note": NOTE})
    return home


def _prefer_letters(decoder: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase) -> None:
    """Make an option's letter, or the end, the usual next token: else no scorer finds anything."""
    ids = [tokenizer.encode(letter, add_special_tokens=False)[0] for letter in LETTERS[:4]]
    rows = decoder.get_input_embeddings().weight.data
    rows[[*ids, tokenizer.eos_token_id]] *= LOUD


def _tokenizer(file: Path | None) -> PreTrainedTokenizerBase:
    if file is None:
        return build_tokenizer(prompts.all_texts())
    return PreTrainedTokenizerFast(
        tokenizer_file=str(file), pad_token=prompts.END_OF_TEXT, eos_token=prompts.IM_END
    )


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    if is_finished(folder):
        return
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_summary(folder, {"note": NOTE})
