"""Checkpoints on disk: where they are, and which may be loaded."""

import hashlib
import json
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError

from tempo_lib.config import TempoConfig
from tempo_lib.presets import Preset, load_preset
from tempo_lib.released import RELEASED_TYPE, read_released
from tempo_lib.runs import project_root, sha256_of_file


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why and what to do."""


def open_checkpoint(
    path_or_hub_id: str | PathLike[str], base_compressor: str | PathLike[str] | None = None
) -> tuple[Path, tuple[TempoConfig, dict[str, torch.Tensor]] | None]:
    """The checkpoint's folder, downloaded if it is a hub id; for the released layout also its
    config and tensors under our names.

    CheckpointError when it cannot be had or read.
    """
    folder = _folder(path_or_hub_id)
    kind = check_layout(folder)
    if kind == TempoConfig.model_type:
        if base_compressor is not None:
            raise CheckpointError(
                f"{folder} holds its own compressor; base_compressor is for released checkpoints"
            )
        return folder, None
    try:
        base = None if base_compressor is None else str(base_compressor)
        return folder, read_released(folder, base)
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the released checkpoint {folder}: {error}") from error


def check_layout(folder: str | PathLike[str]) -> str:
    """The model type of a local checkpoint folder; CheckpointError when it cannot be one."""
    path = Path(folder)
    if not path.is_dir():
        raise CheckpointError(f"no checkpoint at {path}: the folder does not exist")
    config = path / "config.json"
    if not config.is_file():
        raise CheckpointError(f"{path} holds no config.json, so it is not a checkpoint folder")
    kind = json.loads(config.read_text()).get("model_type")
    known = (TempoConfig.model_type, RELEASED_TYPE)
    if kind not in known:
        raise CheckpointError(
            f"{config} is of model type {kind!r}; this loader reads {' and '.join(known)}"
        )
    if not any(path.glob("*.safetensors")):
        pickles = sorted(p.name for p in path.glob("*.bin"))
        hint = f"; pickles ({', '.join(pickles)}) are refused" if pickles else ""
        raise CheckpointError(f"{path} holds no .safetensors weights{hint}")
    return kind


def check_complete(name: object, report: dict[str, Any]) -> None:
    """CheckpointError that lists missing, unexpected and mis-shaped tensors of a load."""
    found = {
        what: sorted(str(key) for key in report[f"{what}_keys"])
        for what in ("missing", "unexpected", "mismatched")
    }
    listed = [f"{what}: {', '.join(keys)}" for what, keys in found.items() if keys]
    if listed:
        raise CheckpointError(f"{name} does not fit its config; {'; '.join(listed)}")


def _folder(path_or_hub_id: str | PathLike[str]) -> Path:
    """A local folder as it is; a hub id (one slash, nothing of that name on disk) downloaded."""
    path, name = Path(path_or_hub_id), str(path_or_hub_id)
    if path.exists() or path.is_absolute() or name.count("/") != 1 or name.startswith("."):
        return path
    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt"]))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"cannot get {name} from the Hugging Face hub or its cache (HF_HOME): {reason}"
        ) from error


def find_checkpoint(preset: Preset | str, name: str = "stage3") -> Path | str:
    """Where a preset's weights are: your own run's, else the shipped ones; a hub id for ``6b``.

    ``name``: stage0..stage3, base_compressor or base_decoder. CheckpointError when neither
    exists, with the command that makes it.
    """
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    if numbers.miniature is None:
        return numbers.weights.checkpoint
    own = project_root() / "runs" / numbers.name / "train" / name
    shipped = Path(str(resources.files("tempo_lib") / "assets" / numbers.name / name))
    for folder in (own, shipped):
        if (folder / "card.json").is_file():
            return folder
    raise CheckpointError(
        f"no checkpoint {name} of the {numbers.name} preset: neither {own} nor the package has "
        "one; make it with `tempo train --preset tiny --from-scratch`"
    )


def checkpoint_digest(folder: Path | str) -> str:
    """sha256 over the weights of a local checkpoint; the name itself for a hub id."""
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        return str(folder)
    return hashlib.sha256("".join(sha256_of_file(file) for file in files).encode()).hexdigest()
