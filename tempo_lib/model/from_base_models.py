"""An untrained Tempo from two base models: where stage 0 starts."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedTokenizerBase,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from tempo_lib import prompts
from tempo_lib.checkpoints.config import config_from_preset
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.checkpoints.loading import (
    PathOrId,
    check_complete,
    load_tokenizer,
    local_folder,
    model_type,
    stored_tensors,
)
from tempo_lib.config import Preset
from tempo_lib.model.attention import resolve_attention
from tempo_lib.model.tempo import Tempo


def tempo_from_base_models(
    base_compressor: PathOrId,
    base_decoder: PathOrId,
    preset: Preset,
    seed: int,
    attn_implementation: str = "auto",
) -> Tempo:
    """A Tempo from two base models (folders or hub ids): weights copied, memory tokens and
    projector drawn by ``seed``. Tempo's tokenizer is the decoder's.

    CheckpointError when a base model is absent, of another kind or incomplete, and when the two
    tokenizers differ (``check_tokenizers_match``).
    """
    compressor_folder = _folder(base_compressor, Qwen3VLConfig.model_type)
    decoder_folder = _folder(base_decoder, Qwen3Config.model_type)
    tokenizer = load_tokenizer(decoder_folder)
    vlm = _load(Qwen3VLForConditionalGeneration, compressor_folder)
    decoder = _load(Qwen3ForCausalLM, decoder_folder)
    num_rows = min(vlm.config.text_config.vocab_size, decoder.config.vocab_size)
    check_tokenizers_match(tokenizer, load_tokenizer(compressor_folder), num_rows)
    _check_visual_ids(tokenizer, vlm.config)
    config = config_from_preset(preset, vlm.config, decoder.config)
    for part in (config.compressor_config, config.decoder_config):
        part.name_or_path = ""  # the path of one machine has no place in a checkpoint
    config._attn_implementation = resolve_attention(attn_implementation)
    with torch.random.fork_rng(devices=[]):  # the constructor's draws must not touch global state
        torch.manual_seed(seed)
        model = Tempo(config, tokenizer)
    model.compressor.vlm.load_state_dict(vlm.model.state_dict())
    model.decoder.load_state_dict(decoder.state_dict())
    yes, no = (model.encoder.encode(word)[0] for word in (prompts.YES, prompts.NO))
    model.compressor.relevance_rows.copy_(vlm.lm_head.weight.detach()[[yes, no]])
    model.compressor.init_memory_tokens(torch.Generator().manual_seed(seed))
    return model


def check_tokenizers_match(
    decoder: PreTrainedTokenizerBase, compressor: PreTrainedTokenizerBase, num_rows: int
) -> None:
    """CheckpointError unless one tokenizer, the decoder's, serves both models.

    It may lack or add special tokens that Tempo never writes (one family's releases differ in
    these: reasoning or tool marks). But a token in both must have one id, the ordinary tokens
    must be the same, every id must have a row in both embeddings (``num_rows`` of the smaller),
    and every text that Tempo itself writes must become the same ids.
    """
    ours, theirs = decoder.get_vocab(), compressor.get_vocab()
    moved = [token for token in ours.keys() & theirs.keys() if ours[token] != theirs[token]]
    special = {*decoder.get_added_vocab(), *compressor.get_added_vocab()}
    alone = (ours.keys() ^ theirs.keys()) - special
    if moved or alone:
        what = f"{len(moved)} tokens have other ids, {len(alone)} are in one of them only"
        raise CheckpointError(
            f"the base models' tokenizers differ: {what} ({_few(moved or alone)}); "
            "Tempo needs two base models of one vocabulary"
        )
    used = [*prompts.SPECIAL_TOKENS, prompts.YES, prompts.NO]
    absent = [token for token in used if token not in ours or token not in theirs]
    if absent:
        raise CheckpointError(f"the base models' tokenizers lack what Tempo writes: {_few(absent)}")
    beyond = [token for token, index in ours.items() if index >= num_rows]
    if beyond:
        raise CheckpointError(
            f"the decoder's tokenizer has ids beyond the {num_rows} rows of the smaller embedding: "
            f"{_few(beyond)}"
        )
    for text in prompts.all_texts():
        one, other = (t(text, add_special_tokens=False).input_ids for t in (decoder, compressor))
        if one != other:
            raise CheckpointError(
                "the base models' tokenizers have the same tokens but cut text differently: "
                f"{text!r} becomes {len(one)} and {len(other)} tokens"
            )


def _check_visual_ids(tokenizer: PreTrainedTokenizerBase, config: Qwen3VLConfig) -> None:
    """The compressor finds visual tokens by id: config and tokenizer must agree on it."""
    for name, token in (("image", prompts.IMAGE_PAD), ("video", prompts.VIDEO_PAD)):
        ours, theirs = tokenizer.get_vocab()[token], config.to_dict()[f"{name}_token_id"]
        if ours != theirs:
            raise CheckpointError(
                f"{token} is id {ours} in the tokenizer, but the base compressor's config says "
                f"{name}_token_id {theirs}"
            )


def _few(tokens: Iterable[str]) -> str:
    return ", ".join(repr(token) for token in sorted(tokens)[:5])


def _folder(base: PathOrId, kind: str) -> Path:
    """A base model's folder, known to be of ``kind`` and to have its weights' files whole."""
    folder = local_folder(base)
    found = model_type(folder)
    if found != kind:
        raise CheckpointError(f"{base} is of model type {found!r}, not {kind!r}")
    stored_tensors(folder)
    return folder


def _load(kind: Any, folder: Path) -> Any:
    """A base model in float32, complete: transformers alone would fill gaps with random values."""
    model, report = kind.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
    )
    check_complete(folder, report)
    return model
