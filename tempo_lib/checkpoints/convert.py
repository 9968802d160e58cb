"""The released layout into ours and back, tensor by tensor; nothing is rounded, nothing dropped.

What the other layout has no place for goes beside it, in files that its own loader never reads:

* ours -> released: ``tempo_extras.safetensors`` holds the two head rows of the base compressor and
  ``tempo_config.json`` our config. The release itself needs the whole base compressor, as always.
* released -> ours: ``tempo_extras.safetensors`` holds the Yes-No difference that a used checkpoint
  may carry, and our config the whole released ``config.json`` (field ``released``).

A conversion may also keep the layout, and read the state of an unfinished training (sharded.py).

Memory: one shard at a time, whatever the size of the model.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import split_state_dict_into_shards_factory
from safetensors.torch import save_file
from transformers import PreTrainedModel

from tempo_lib.checkpoints.config import TempoConfig
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.checkpoints.loading import (
    EXTRAS,
    INDEX,
    PICKLES,
    RELEASED_TYPE,
    PathOrId,
    Stored,
    check_complete,
    check_layout,
    config_errors,
    extra_tensors,
    local_folder,
    model_type,
    read_json,
    relevance_rows,
    stored_tensors,
)
from tempo_lib.checkpoints.released import (
    DIFFERENCE,
    OUR_CONFIG,
    ROWS,
    carries_ours,
    config_and_rows,
    our_names,
    released_fields,
    released_name,
)
from tempo_lib.checkpoints.sharded import SHARD, STATE_FILES, is_sharded, sharded_tensors

MAX_SHARD_SIZE = "4GB"
HEAD = "decoder.lm_head.weight"
Tensor = Stored | torch.Tensor  # on disk until it is written, or in memory


@dataclass(frozen=True)
class Plan:
    """What a conversion writes: tensors, extras, files by name, and files to copy."""

    layout: str
    tensors: dict[str, Tensor]
    extras: dict[str, Tensor]
    texts: dict[str, str]
    copies: list[Path]


@dataclass(frozen=True)
class Conversion:
    """What a conversion wrote. ``base_compressor``: what the released layout names, else None."""

    layout: str
    num_tensors: int
    num_shards: int
    num_bytes: int
    base_compressor: str | None


def convert(
    source: PathOrId,
    target: PathOrId,
    model_class: type[PreTrainedModel],
    max_shard_size: str = MAX_SHARD_SIZE,
    base_compressor: str | None = None,
    layout: str | None = None,
) -> Conversion:
    """Write the checkpoint ``source`` (folder or hub id) to ``target`` in the other layout.

    ``layout``: the model type of the one that is wanted, where it may be the source's own.
    ``model_class``: ``Tempo``, which gives the names and shapes that a config stands for.
    ``base_compressor``: released -> ours, where its rows Yes and No are, as in ``from_pretrained``;
    ours -> released, the name for ``config.json`` (a folder is checked to hold the same rows).
    CheckpointError when the source cannot be read or is incomplete, and when ``target`` exists and
    is not an empty folder. ``target`` appears whole or not at all.
    """
    folder, out = local_folder(source), Path(target)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{out} exists and is not an empty folder; name another OUT")
    found = model_type(folder) if is_sharded(folder) else check_layout(folder)
    plan_of = _plan_ours if found == RELEASED_TYPE else _plan_released
    if layout == found:
        plan_of = _plan_same
    with config_errors(folder):
        plan = plan_of(folder, model_class, base_compressor)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        num_shards = _write(plan, unfinished, max_shard_size)
        unfinished.chmod(0o755)  # mkdtemp's are for one user alone
        if out.exists():
            out.rmdir()
        unfinished.rename(out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    named = None
    if plan.layout == RELEASED_TYPE:
        named = json.loads(plan.texts["config.json"])["mm_vision_tower_aux_list"][0]
    total = sum(tensor.nbytes for tensor in plan.tensors.values())
    return Conversion(plan.layout, len(plan.tensors), num_shards, total, named)


# -- what to write ---------------------------------------------------------------------------------


def _tensors(folder: Path) -> dict[str, Stored]:
    return sharded_tensors(folder) if is_sharded(folder) else stored_tensors(folder)


def _plan_same(
    folder: Path, model_class: type[PreTrainedModel], base_compressor: str | None
) -> Plan:
    """The layout that it has."""
    if base_compressor is not None:
        raise CheckpointError("a base compressor goes with a change of the layout")
    stored, raw = _tensors(folder), read_json(folder / "config.json")
    if raw["model_type"] == TempoConfig.model_type:
        _check_shapes(folder, model_class, TempoConfig.from_dict(raw), stored)
    else:
        config, rows = config_and_rows(folder, None)
        ours = {name: stored[theirs] for name, theirs in our_names(stored).items()}
        _check_shapes(folder, model_class, config, {**ours, ROWS: rows})
    names = [name for name in ("config.json", OUR_CONFIG) if (folder / name).is_file()]
    texts = {name: (folder / name).read_text() for name in names}
    tensors: dict[str, Tensor] = {**stored}
    extras: dict[str, Tensor] = {**extra_tensors(folder)}
    return Plan(raw["model_type"], tensors, extras, texts, _others(folder))


def _plan_ours(
    folder: Path, model_class: type[PreTrainedModel], base_compressor: str | None
) -> Plan:
    """Released -> ours."""
    stored = stored_tensors(folder)
    config, rows = config_and_rows(folder, base_compressor)
    tensors: dict[str, Tensor] = {
        name: stored[theirs] for name, theirs in our_names(stored).items()
    }
    tensors[ROWS] = rows
    _check_shapes(folder, model_class, config, tensors)
    if base_compressor is None and carries_ours(folder):
        text = (folder / OUR_CONFIG).read_text()
    else:
        config.architectures = [model_class.__name__]
        text = config.to_json_string(use_diff=True)
    extras: dict[str, Tensor] = {DIFFERENCE: stored[DIFFERENCE]} if DIFFERENCE in stored else {}
    return Plan(TempoConfig.model_type, tensors, extras, {"config.json": text}, _others(folder))


def _plan_released(
    folder: Path, model_class: type[PreTrainedModel], base_compressor: str | None
) -> Plan:
    """Ours -> released."""
    stored = _tensors(folder)
    config = TempoConfig.from_dict(read_json(folder / "config.json"))
    _check_shapes(folder, model_class, config, stored)
    name = None
    if base_compressor is not None:
        name = _name_of_base(base_compressor, stored[ROWS])
    tensors: dict[str, Tensor] = {
        released_name(our): one for our, one in stored.items() if our != ROWS
    }
    tensors |= extra_tensors(folder)
    texts = {
        "config.json": json.dumps(released_fields(config, name), indent=2) + "\n",
        OUR_CONFIG: (folder / "config.json").read_text(),
    }
    return Plan(RELEASED_TYPE, tensors, {ROWS: stored[ROWS]}, texts, _others(folder))


def _name_of_base(base_compressor: str, rows: Stored) -> str:
    """The name for ``config.json``: a folder's own (it is looked for beside the checkpoint)."""
    base = Path(base_compressor)
    if not base.is_dir():
        return base_compressor
    theirs, ours = relevance_rows(base).float(), rows.read().float()
    # a base saved in bf16 holds our float32 rows rounded: 8 significant bits
    if theirs.shape != ours.shape or not torch.allclose(theirs, ours, rtol=2.0**-7, atol=1e-6):
        raise CheckpointError(
            f"{base} has other head rows Yes and No than this checkpoint: it is not its base"
        )
    return base.resolve().name


def _check_shapes(
    folder: Path,
    model_class: type[PreTrainedModel],
    config: TempoConfig,
    found: Mapping[str, Tensor],
) -> None:
    """CheckpointError unless the tensors are exactly the model's (a tied head may be absent)."""
    expected = expected_shapes(model_class, config)
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    optional = {HEAD} if config.decoder_config.tie_word_embeddings else set()
    both = expected.keys() & shapes.keys()
    report = {
        "missing_keys": expected.keys() - shapes.keys() - optional,
        "unexpected_keys": shapes.keys() - expected.keys(),
        "mismatched_keys": [(n, shapes[n], expected[n]) for n in both if shapes[n] != expected[n]],
    }
    check_complete(folder, report)


def expected_shapes(
    model_class: type[PreTrainedModel], config: TempoConfig
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a model with ``config``; no memory is taken for them."""
    with torch.device("meta"):
        model = model_class(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _others(folder: Path) -> list[Path]:
    """Tokenizer files and whatever else lies beside the weights, but no pickles."""
    ours = {"config.json", INDEX, OUR_CONFIG, *STATE_FILES}
    skip = (".safetensors", SHARD, *PICKLES)
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return [path for path in files if path.name not in ours and path.suffix not in skip]


# -- writing ---------------------------------------------------------------------------------------


def _write(plan: Plan, folder: Path, max_shard_size: str) -> int:
    """Write everything into ``folder``; returns the number of shards."""
    try:
        split = split_state_dict_into_shards_factory(
            plan.tensors,
            get_storage_size=lambda tensor: tensor.nbytes,
            filename_pattern="model{suffix}.safetensors",
            max_shard_size=max_shard_size,
        )
    except ValueError as error:
        raise CheckpointError(f"max shard size {max_shard_size!r}: {error}") from error
    for file, names in split.filename_to_tensors.items():
        _save(folder / file, names, plan.tensors)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    if plan.extras:
        _save(folder / EXTRAS, plan.extras, plan.extras)
    for path in plan.copies:
        shutil.copyfile(path, folder / path.name)
    for name, text in plan.texts.items():
        (folder / name).write_text(text)
    return len(split.filename_to_tensors)


def _save(file: Path, names: Iterable[str], tensors: Mapping[str, Tensor]) -> None:
    chosen = {name: tensors[name] for name in names}
    state = {name: one.read() if isinstance(one, Stored) else one for name, one in chosen.items()}
    save_file(state, file, metadata={"format": "pt"})
