"""The released layout into ours and back, tensor by tensor; nothing is rounded, nothing dropped.

What the other layout has no place for goes beside it, in files that its own loader never reads:

* ours -> released: ``tempo_extras.safetensors`` holds the two head rows of the base compressor and
  ``tempo_config.json`` our config. The release itself needs the whole base compressor, as always.
* released -> ours: ``tempo_extras.safetensors`` holds the Yes-No difference that a used checkpoint
  may carry, and our config the whole released ``config.json`` (field ``released``).

Memory: one shard at a time, whatever the size of the model.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from huggingface_hub import split_state_dict_into_shards_factory
from safetensors.torch import save_file

from tempo_lib.checkpoints.loading import check_complete, check_layout, config_errors
from tempo_lib.model.config import TempoConfig
from tempo_lib.model.tempo import Tempo
from tempo_lib.checkpoints.released import (
    DIFFERENCE,
    OUR_CONFIG,
    RELEASED_TYPE,
    ROWS,
    carries_ours,
    config_and_rows,
    our_names,
    released_fields,
    released_name,
    relevance_rows,
)
from tempo_lib.checkpoints.headers import (
    EXTRAS,
    INDEX,
    PICKLES,
    CheckpointError,
    Stored,
    extra_tensors,
    local_folder,
    read_json,
    stored_tensors,
)

MAX_SHARD_SIZE = "4GB"
HEAD, TABLE = "decoder.lm_head.weight", "decoder.model.embed_tokens.weight"


@dataclass(frozen=True)
class Part:
    """One tensor to write: its size in bytes, and how to have it."""

    num_bytes: int
    read: Callable[[], torch.Tensor]


@dataclass(frozen=True)
class Plan:
    """What a conversion writes: tensors, extras, files by name, and files to copy."""

    layout: str
    tensors: dict[str, Part]
    extras: dict[str, Part]
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
    source: str | PathLike[str],
    target: str | PathLike[str],
    max_shard_size: str = MAX_SHARD_SIZE,
    base_compressor: str | None = None,
) -> Conversion:
    """Write the checkpoint ``source`` (folder or hub id) to ``target`` in the other layout.

    ``base_compressor``: released -> ours, where its rows Yes and No are, as in ``from_pretrained``;
    ours -> released, what ``config.json`` shall name (a folder is checked to hold the same rows).
    CheckpointError when the source cannot be read or is incomplete, and when ``target`` exists and
    is not an empty folder. ``target`` appears whole or not at all.
    """
    folder, out = local_folder(source), Path(target)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{out} exists and is not an empty folder; name another OUT")
    plan_of = _plan_ours if check_layout(folder) == RELEASED_TYPE else _plan_released
    with config_errors(folder):
        plan = plan_of(folder, base_compressor)
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
    total = sum(part.num_bytes for part in plan.tensors.values())
    return Conversion(plan.layout, len(plan.tensors), num_shards, total, named)


# -- what to write ---------------------------------------------------------------------------------


def _plan_ours(folder: Path, base_compressor: str | None) -> Plan:
    """Released -> ours."""
    stored = stored_tensors(folder)
    config, rows = config_and_rows(folder, base_compressor)
    ours = {name: stored[theirs] for name, theirs in our_names(list(stored)).items()}
    shapes = {name: one.shape for name, one in ours.items()}
    _check_shapes(folder, config, shapes | {ROWS: tuple(rows.shape)})
    tensors = {name: _part(one) for name, one in ours.items()}
    tensors[ROWS] = Part(rows.nbytes, lambda: rows)
    if base_compressor is None and carries_ours(folder):
        text = (folder / OUR_CONFIG).read_text()
    else:
        config.architectures = [Tempo.__name__]
        text = config.to_json_string(use_diff=True)
    extras = {DIFFERENCE: _part(stored[DIFFERENCE])} if DIFFERENCE in stored else {}
    return Plan(TempoConfig.model_type, tensors, extras, {"config.json": text}, _others(folder))


def _plan_released(folder: Path, base_compressor: str | None) -> Plan:
    """Ours -> released."""
    stored = stored_tensors(folder)
    config = TempoConfig.from_dict(read_json(folder / "config.json"))
    _check_shapes(folder, config, {name: one.shape for name, one in stored.items()})
    name = None
    if base_compressor is not None:
        name = _name_of_base(base_compressor, stored[ROWS])
    tensors = {released_name(our): _part(one) for our, one in stored.items() if our != ROWS}
    tensors |= {name: _part(one) for name, one in extra_tensors(folder).items()}
    texts = {
        "config.json": json.dumps(released_fields(config, name), indent=2) + "\n",
        OUR_CONFIG: (folder / "config.json").read_text(),
    }
    return Plan(RELEASED_TYPE, tensors, {ROWS: _part(stored[ROWS])}, texts, _others(folder))


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


def _check_shapes(folder: Path, config: TempoConfig, found: dict[str, tuple[int, ...]]) -> None:
    """CheckpointError unless the tensors are exactly those of the config (a tied head may lack)."""
    wanted = expected_shapes(config)
    optional = {HEAD} if config.decoder_config.tie_word_embeddings else set()
    both = wanted.keys() & found.keys()
    report = {
        "missing_keys": wanted.keys() - found.keys() - optional,
        "unexpected_keys": found.keys() - wanted.keys(),
        "mismatched_keys": [(n, found[n], wanted[n]) for n in both if found[n] != wanted[n]],
    }
    check_complete(folder, report)


def expected_shapes(config: TempoConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a model with ``config``; no memory is taken for them."""
    with torch.device("meta"):
        model = Tempo(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _part(stored: Stored) -> Part:
    return Part(stored.num_bytes, stored.read)


def _others(folder: Path) -> list[Path]:
    """Tokenizer files and whatever else lies beside the weights, but no pickles."""
    ours = {"config.json", INDEX, OUR_CONFIG}
    skip = (".safetensors", *PICKLES)
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return [path for path in files if path.name not in ours and path.suffix not in skip]


# -- writing ---------------------------------------------------------------------------------------


def _write(plan: Plan, folder: Path, max_shard_size: str) -> int:
    """Write everything but into which folder it finally goes; returns the number of shards."""
    try:
        split = split_state_dict_into_shards_factory(
            plan.tensors,
            get_storage_size=lambda part: part.num_bytes,
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


def _save(file: Path, names: Iterable[str], parts: dict[str, Part]) -> None:
    save_file({name: parts[name].read() for name in names}, file, metadata={"format": "pt"})
