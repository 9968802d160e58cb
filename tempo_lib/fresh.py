"""A fresh Tempo from two base models, before stage 0."""

from os import PathLike

import torch
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerBase,
    Qwen3ForCausalLM,
    Qwen3VLForConditionalGeneration,
)

from tempo_lib import prompts
from tempo_lib.checkpoints import CheckpointError
from tempo_lib.config import config_from_preset
from tempo_lib.model import Tempo
from tempo_lib.presets import Preset


def fresh_tempo(
    base_compressor: str | PathLike[str],
    base_decoder: str | PathLike[str],
    preset: Preset,
    seed: int,
    attn_implementation: str = "auto",
) -> Tempo:
    """A Tempo from two base models: weights copied, memory tokens and projector drawn by ``seed``.

    CheckpointError when the two bases disagree on their tokenizer.
    """
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(base_compressor, dtype=torch.float32)
    decoder = Qwen3ForCausalLM.from_pretrained(base_decoder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base_decoder)
    _check_same_words(tokenizer, AutoTokenizer.from_pretrained(base_compressor))
    config = config_from_preset(preset, vlm.config, decoder.config)
    config._attn_implementation = attn_implementation
    with torch.random.fork_rng(devices=[]):  # the constructor's draws must not touch global state
        torch.manual_seed(seed)
        model = Tempo(config, tokenizer)
    model.compressor.vlm.load_state_dict(vlm.model.state_dict())
    model.decoder.load_state_dict(decoder.state_dict())
    yes, no = (model.encoder.words(word) for word in (prompts.YES, prompts.NO))
    if len(yes) != 1 or len(no) != 1:
        raise CheckpointError(f"Yes and No must be one token each, got {len(yes)} and {len(no)}")
    model.compressor.relevance_rows.copy_(vlm.lm_head.weight.detach()[[yes[0], no[0]]])
    model.compressor.init_memory_tokens(torch.Generator().manual_seed(seed))
    return model


def _check_same_words(one: PreTrainedTokenizerBase, other: PreTrainedTokenizerBase) -> None:
    if one.get_vocab() != other.get_vocab():
        raise CheckpointError(
            f"the base models' tokenizers differ ({len(one)} and {len(other)} tokens); "
            "Tempo needs one vocabulary"
        )
