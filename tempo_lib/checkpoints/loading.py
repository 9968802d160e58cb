"""Which checkpoints may be loaded. Where they are, ``checkpoint_folders`` knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from tempo_lib.checkpoints.folders import CheckpointError, checkpoint_digest, find_checkpoint
from tempo_lib.model.config import TempoConfig
from tempo_lib.checkpoints.released import RELEASED_TYPE, read_released
from tempo_lib.checkpoints.headers import local_folder, model_type, stored_tensors

__all__ = [
    "CheckpointError",
    "check_complete",
    "check_layout",
    "checkpoint_digest",
    "config_errors",
    "find_checkpoint",
    "open_checkpoint",
]


def open_checkpoint(
    path_or_hub_id: str | PathLike[str], base_compressor: str | PathLike[str] | None = None
) -> tuple[Path, tuple[TempoConfig, dict[str, torch.Tensor]] | None]:
    """The checkpoint's folder, downloaded if it is a hub id; for the released layout also its
    config and tensors under our names.

    CheckpointError when it cannot be had or read.
    """
    folder = local_folder(path_or_hub_id)
    kind = check_layout(folder)
    if kind == TempoConfig.model_type:
        if base_compressor is not None:
            raise CheckpointError(
                f"{folder} holds its own compressor; base_compressor is for released checkpoints"
            )
        return folder, None
    with config_errors(folder):
        return folder, read_released(
            folder, None if base_compressor is None else str(base_compressor)
        )


@contextmanager
def config_errors(folder: Path) -> Iterator[None]:
    """Whatever a checkpoint's config or names make fail inside becomes one CheckpointError."""
    try:
        yield
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"{folder / 'config.json'} lacks the field {error}") from error
    except (OSError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"cannot read the checkpoint {folder}: {reason}") from error


def check_layout(folder: str | PathLike[str]) -> str:
    """The model type of a local checkpoint folder; CheckpointError when it cannot be one.

    Its weights' headers are read too: a shard that is absent or cut short is named here.
    """
    path = Path(folder)
    kind, known = model_type(path), (TempoConfig.model_type, RELEASED_TYPE)
    if kind not in known:
        raise CheckpointError(
            f"{path / 'config.json'} is of model type {kind!r}; "
            f"this loader reads {' and '.join(known)}"
        )
    stored_tensors(path)
    return kind


def check_complete(name: object, report: dict[str, Any]) -> None:
    """CheckpointError that lists missing, unexpected and mis-shaped tensors of a load.

    ``report``: ``missing_keys``, ``unexpected_keys`` and ``mismatched_keys``, whose items are
    (name, shape in the file, shape in the model).
    """
    found = {
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(report["unexpected_keys"]),
        "mismatched": sorted(
            f"{key} {tuple(stored)} for {tuple(wanted)}"
            for key, stored, wanted in report["mismatched_keys"]
        ),
    }
    listed = [f"{what}: {', '.join(keys)}" for what, keys in found.items() if keys]
    if listed:
        raise CheckpointError(f"{name} does not fit its config; {'; '.join(listed)}")
