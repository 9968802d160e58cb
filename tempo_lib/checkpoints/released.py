"""The released layout (``model_type: tempo_qwen``): its names and config fields, both ways.

Names and fields as recorded from the release. The two head rows that score relevance come from
the *base* compressor, which a released checkpoint does not contain; one that ``tempo convert``
wrote carries them, and our config, in two files that the release does not read.
"""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PretrainedConfig, Qwen3Config, Qwen3VLConfig

from tempo_lib.checkpoints.config import TempoConfig, number_problems
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.checkpoints.loading import (
    RELEASED_TYPE,
    PathOrId,
    Stored,
    base_config,
    check_layout,
    config_errors,
    extra_tensors,
    local_folder,
    read_json,
    relevance_rows,
    stored_tensors,
)
from tempo_lib.config import load_preset

TOWER = "model.vision_tower_aux_list.0."
# the Yes-No difference that a used checkpoint may carry; we compute it from the base model
DIFFERENCE = f"{TOWER}linear_layer.weight"
ROWS = "compressor.relevance_rows"
OUR_CONFIG = "tempo_config.json"  # beside a released config.json: what it has no field for
RENAMES = (
    (f"{TOWER}vlm.model.", "compressor.vlm."),
    (f"{TOWER}compression_tokens", "compressor.memory_tokens"),
    ("model.mm_projector.", "projector."),
    ("model.", "decoder.model."),
    ("lm_head.", "decoder.lm_head."),
)
# what the release writes by default [recorded config.json]
DEFAULTS = {
    "architectures": ["TempoQwenForCausalLM"],
    "dynamic_compress": True,
    "mm_projector_type": "linear",
    "mm_use_im_patch_token": False,
    "mm_use_im_start_end": False,
    "tokenizer_padding_side": "right",
}


def our_name(released_name: str) -> str:
    """The name a released tensor has here; ValueError for one that no part of Tempo has."""
    for theirs, ours in RENAMES:
        if released_name.startswith(theirs):
            return ours + released_name.removeprefix(theirs)
    raise ValueError(f"{released_name} is no tensor of a released Tempo checkpoint")


def released_name(our: str) -> str:
    """The inverse of ``our_name``; ValueError for a tensor that the layout has no place for."""
    for theirs, ours in RENAMES:
        if our.startswith(ours):
            return theirs + our.removeprefix(ours)
    raise ValueError(f"the released layout has no place for {our}")


def our_names(names: Iterable[str]) -> dict[str, str]:
    """Ours -> theirs for every tensor but the Yes-No difference; ValueError lists all odd ones."""
    names = [name for name in names if name != DIFFERENCE]
    odd = [name for name in names if not name.startswith(tuple(theirs for theirs, _ in RENAMES))]
    if odd:
        what = "is no tensor" if len(odd) == 1 else "are no tensors"
        raise ValueError(f"{', '.join(sorted(odd))} {what} of a released Tempo checkpoint")
    return {our_name(name): name for name in names}


# -- config --------------------------------------------------------------------------------------


def released_config(raw: dict[str, Any], compressor: Qwen3VLConfig) -> TempoConfig:
    """Our config from a released ``config.json`` and the base compressor's config.

    ``raw`` is kept whole in ``config.released``, so that nothing is lost on the way back.
    KeyError for a missing field, ValueError for a projector that is not linear.
    """
    projector = raw.get("mm_projector_type", "linear")
    if projector != "linear":
        raise ValueError(f"mm_projector_type is {projector!r}; Tempo's projector is linear")
    tokens = raw["num_compression_tokens"]
    return TempoConfig(
        compressor_config=compressor,
        decoder_config=decoder_config(raw),
        num_memory_tokens=tokens,
        k_max=min(tokens, load_preset("6b").allocation.k_max),
        max_context=raw["tokenizer_model_max_length"],
        preset="6b",
        dtype=raw.get("dtype", raw.get("torch_dtype")),
        released=raw,
    )


def decoder_config(raw: dict[str, Any]) -> Qwen3Config:
    """The decoder's part of a released ``config.json``, rotary scaling included."""
    fields = {key: value for key, value in raw.items() if key in _decoder_keys()}
    if raw.get("rope_parameters") is not None:  # as transformers 5 writes it
        return Qwen3Config(**fields, rope_parameters=raw["rope_parameters"])
    scaling = dict(raw.get("rope_scaling") or {})
    kind = scaling.pop("type", None) or scaling.pop("rope_type", "default")
    rope = {**scaling, "rope_type": kind, "rope_theta": raw["rope_theta"]}
    return Qwen3Config(**fields, rope_parameters=rope)


def released_fields(config: TempoConfig, base_name: str | None = None) -> dict[str, Any]:
    """The released ``config.json`` of ``config``: the recorded one, with what changed since.

    ``base_name`` replaces the base compressor that it names.
    """
    raw = {} if config.released is None else json.loads(json.dumps(config.released))
    decoder = config.decoder_config.to_dict()
    before = decoder_config(raw).to_dict() if raw else {}
    fields = {
        key: value
        for key, value in decoder.items()
        if key in _decoder_keys() and (not raw or value != before[key])
    }
    if not raw or decoder["rope_parameters"] != before["rope_parameters"]:
        fields |= _rope_fields(decoder["rope_parameters"])
        raw.pop("rope_parameters", None)
    values = {
        "model_type": RELEASED_TYPE,
        "mm_hidden_size": config.compressor_config.text_config.hidden_size,
        "num_compression_tokens": config.num_memory_tokens,
        "tokenizer_model_max_length": config.max_context,
    }
    if not raw:
        fields |= DEFAULTS | values
        if config.dtype is not None:
            fields["dtype"] = str(config.dtype).removeprefix("torch.")
        numbers = load_preset(config.preset)
        named = numbers.weights.base_compressor if numbers.miniature is None else None
        fields["mm_vision_tower_aux_list"] = [named or "base_compressor"]
    else:
        fields |= {key: value for key, value in values.items() if key in raw}
    if base_name is not None:
        fields["mm_vision_tower_aux_list"] = [base_name]
    return raw | fields


def _decoder_keys() -> set[str]:
    """Fields of a Qwen3 decoder that mean the same in both layouts."""
    generic = {*PretrainedConfig().to_dict(), "model_type", "rope_parameters"}
    return set(Qwen3Config().to_dict()) - generic


def _rope_fields(rope: dict[str, Any]) -> dict[str, Any]:
    scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
    plain = scaling == {"rope_type": "default"}
    return {"rope_theta": rope["rope_theta"], "rope_scaling": None if plain else scaling}


# -- reading -------------------------------------------------------------------------------------


def find_base(folder: Path, raw: dict[str, Any], base_compressor: PathOrId | None) -> str:
    """The base compressor: the argument, a folder beside the checkpoint, or the hub id it names."""
    if base_compressor is not None:
        return str(base_compressor)
    names = raw["mm_vision_tower_aux_list"]
    if len(names) != 1:
        raise ValueError(f"mm_vision_tower_aux_list names {len(names)} models {names}, not one")
    beside = folder.parent / Path(names[0]).name
    return str(beside) if beside.is_dir() else names[0]


class Checkpoint(NamedTuple):
    """A folder that may be loaded; for the released layout, config and tensors under our names."""

    folder: Path
    config: TempoConfig | None = None
    state: dict[str, torch.Tensor] | None = None


def open_checkpoint(
    path_or_hub_id: PathOrId, base_compressor: PathOrId | None = None
) -> Checkpoint:
    """A checkpoint's folder, downloaded if it is a hub id; CheckpointError when it is unusable."""
    folder = local_folder(path_or_hub_id)
    if check_layout(folder) == RELEASED_TYPE:
        with config_errors(folder):
            return Checkpoint(folder, *read_released(folder, base_compressor))
    if base_compressor is not None:
        raise CheckpointError(
            f"{folder} holds its own compressor; base_compressor is for released checkpoints"
        )
    problems = number_problems(read_json(folder / "config.json"))
    if problems:
        raise CheckpointError(f"{folder / 'config.json'}: {problems}")
    return Checkpoint(folder)


def read_released(
    folder: Path, base_compressor: PathOrId | None
) -> tuple[TempoConfig, dict[str, torch.Tensor]]:
    """Config and state dict, under our names, of a released checkpoint in ``folder``.

    CheckpointError when a file is absent or damaged, or the base compressor can be had neither
    beside the checkpoint nor on the hub.
    """
    stored = stored_tensors(folder)
    names = our_names(stored)
    config, rows = config_and_rows(folder, base_compressor)
    _check_difference(stored.get(DIFFERENCE), rows)
    state = {ours: stored[theirs].read() for ours, theirs in names.items()}
    state[ROWS] = rows
    if config.decoder_config.tie_word_embeddings:
        table = state["decoder.model.embed_tokens.weight"]
        head = state.setdefault("decoder.lm_head.weight", table)
        if not torch.equal(head, table):
            raise CheckpointError(
                f"{folder} says that lm_head is tied (tie_word_embeddings) but holds another one"
            )
    return config, state


def config_and_rows(
    folder: Path, base_compressor: PathOrId | None
) -> tuple[TempoConfig, torch.Tensor]:
    """Our config of a released checkpoint, and rows Yes and No (2, D) of its base model's head.

    Both from the files that ``tempo convert`` left beside it, unless ``base_compressor`` is given.
    """
    raw = read_json(folder / "config.json")
    if base_compressor is None and carries_ours(folder):
        config = TempoConfig.from_dict(read_json(folder / OUR_CONFIG))
        named = raw["mm_vision_tower_aux_list"][0]
        if released_fields(config, named) != raw:
            raise CheckpointError(
                f"{folder / OUR_CONFIG} and config.json describe two models; "
                f"give base_compressor, or delete {OUR_CONFIG}"
            )
        return config, extra_tensors(folder)[ROWS].read()
    base = find_base(folder, raw, base_compressor)
    try:
        path = local_folder(base)
        compressor = base_config(path)
        return released_config(raw, compressor), relevance_rows(path)
    except CheckpointError as error:
        raise CheckpointError(
            f"the base compressor {base} of {folder}: {error}; put its folder beside the "
            "checkpoint, or give base_compressor"
        ) from error


def carries_ours(folder: Path) -> bool:
    """Whether ``tempo convert`` left our config and the two head rows beside a released one."""
    return (folder / OUR_CONFIG).is_file() and ROWS in extra_tensors(folder)


def _check_difference(difference: Stored | None, rows: torch.Tensor) -> None:
    """Warn when the Yes-No difference in a checkpoint is not this base model's."""
    if difference is None:
        return
    stored, ours = difference.read().float().flatten(), (rows[0].float() - rows[1].float())
    # it may have been rounded to bf16 or fp16 after the subtraction: 8 bits of the larger terms
    allowed = rows.float().abs().amax(0) * 2.0**-7
    if stored.shape != ours.shape or bool(((stored - ours).abs() > allowed).any()):
        warnings.warn(
            f"{difference.name} in {difference.file} is not the difference of rows Yes and No of "
            "the base compressor, which the scores follow: is it the right one?",
            stacklevel=2,
        )
