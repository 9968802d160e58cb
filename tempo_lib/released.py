"""Read a checkpoint in the released layout (``model_type: tempo_qwen``).

Names and config fields as recorded from the release; the two head rows that score relevance come
from the *base* compressor, which the released checkpoint does not contain.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer, Qwen3Config, Qwen3VLConfig

from tempo_lib import prompts
from tempo_lib.config import TempoConfig
from tempo_lib.presets import load_preset

RELEASED_TYPE = "tempo_qwen"
TOWER = "model.vision_tower_aux_list.0."
# the Yes-No difference that a used checkpoint may carry: ours comes from the base model itself
EXTRA_KEYS = (f"{TOWER}linear_layer.weight",)
RENAMES = (
    (f"{TOWER}vlm.model.", "compressor.vlm."),
    (f"{TOWER}compression_tokens", "compressor.memory_tokens"),
    ("model.mm_projector.", "projector."),
    ("model.", "decoder.model."),
    ("lm_head.", "decoder.lm_head."),
)


def our_name(released_name: str) -> str:
    """The name a released tensor has here; ValueError for one that no part of Tempo has."""
    for theirs, ours in RENAMES:
        if released_name.startswith(theirs):
            return ours + released_name.removeprefix(theirs)
    raise ValueError(f"{released_name} is no tensor of a released Tempo checkpoint")


def released_config(raw: dict[str, Any], compressor: Qwen3VLConfig) -> TempoConfig:
    """Our config from a released ``config.json`` and the base compressor's config."""
    fields = Qwen3Config().to_dict().keys() - {"architectures", "model_type", "dtype"}
    decoder = {key: value for key, value in raw.items() if key in fields and key != "rope_scaling"}
    rope = {"rope_type": "default", "rope_theta": raw["rope_theta"]}
    tokens = raw["num_compression_tokens"]
    return TempoConfig(
        compressor_config=compressor,
        decoder_config=Qwen3Config(**decoder, rope_parameters=rope),
        num_memory_tokens=tokens,
        k_max=min(tokens, load_preset("6b").allocation.k_max),
        max_context=raw["tokenizer_model_max_length"],
        preset="6b",
    )


def find_base(folder: Path, raw: dict[str, Any], base_compressor: str | Path | None) -> str:
    """The base compressor: the argument, a folder beside the checkpoint, or the hub id it names."""
    if base_compressor is not None:
        return str(base_compressor)
    name = raw["mm_vision_tower_aux_list"][0]
    beside = folder.parent / Path(name).name
    return str(beside) if beside.is_dir() else name


def read_released(
    folder: Path, base_compressor: str | Path | None
) -> tuple[TempoConfig, dict[str, torch.Tensor]]:
    """Config and state dict, under our names, of a released checkpoint in ``folder``.

    OSError when the base compressor can be had neither on disk nor on the hub.
    """
    raw = json.loads((folder / "config.json").read_text())
    base = find_base(folder, raw, base_compressor)
    compressor = AutoConfig.from_pretrained(base)
    if not isinstance(compressor, Qwen3VLConfig):
        raise ValueError(
            f"base compressor {base} is of type {compressor.model_type!r}, not qwen3_vl"
        )
    state: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            names = [name for name in tensors.keys() if name not in EXTRA_KEYS]  # noqa: SIM118
            state |= {our_name(name): tensors.get_tensor(name) for name in names}
    state["compressor.relevance_rows"] = relevance_rows(_local(base))
    config = released_config(raw, compressor)
    if config.decoder_config.tie_word_embeddings:
        state.setdefault("decoder.lm_head.weight", state["decoder.model.embed_tokens.weight"])
    return config, state


def relevance_rows(base: Path) -> torch.Tensor:
    """Rows Yes and No (2, D) of a base model's head; only these rows are read from disk."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    ids = [tokenizer.convert_tokens_to_ids(word) for word in (prompts.YES, prompts.NO)]
    heads = ("lm_head.weight", "model.language_model.embed_tokens.weight")  # tied: the embedding
    for head in heads:
        for file in sorted(base.glob("*.safetensors")):
            with safe_open(file, "pt") as tensors:
                if head in tensors.keys():  # noqa: SIM118
                    rows = tensors.get_slice(head)
                    return torch.cat([rows[i : i + 1] for i in ids])
    raise ValueError(f"{base} holds neither {heads[0]} nor {heads[1]}")


def _local(base: str) -> Path:
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(base, allow_patterns=["*.json", "*.safetensors", "*.txt"]))
