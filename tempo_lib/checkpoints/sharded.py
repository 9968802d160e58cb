"""The weights in the state of an unfinished training: each rank's share, in torch's own format.

They are read whole, one tensor at a time, in one process that joins no others.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as checkpoint

from tempo_lib.checkpoints.loading import Stored

WEIGHTS = "weights"  # before the names of weights; optimiser moments have another word
PROGRESS, SCHEDULE = "progress.json", "schedule.json"
STATE_FILES = (PROGRESS, SCHEDULE)  # beside the weights, and of no use without the optimiser
METADATA, SHARD = ".metadata", ".distcp"
DTYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.float64: "F64"}


@dataclass(frozen=True)
class ShardedTensor(Stored):
    """One tensor of a state; ``file`` is its folder."""

    def read(self) -> torch.Tensor:
        dtype = next(one for one, name in DTYPES.items() if name == self.dtype)
        tensors = {f"{WEIGHTS}.{self.name}": torch.empty(self.shape, dtype=dtype)}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is")  # meant so
            checkpoint.load(tensors, checkpoint_id=self.file, no_dist=True)
        return next(iter(tensors.values()))


def is_sharded(folder: Path) -> bool:
    """Whether a folder is a whole state, which has its progress written last."""
    return (folder / METADATA).is_file() and (folder / PROGRESS).is_file()


def sharded_tensors(folder: Path) -> dict[str, Stored]:
    """Every weight of a state by name, and the buffers that a checkpoint holds."""
    found: Any = checkpoint.FileSystemReader(folder).read_metadata().state_dict_metadata
    return {
        key.removeprefix(f"{WEIGHTS}."): ShardedTensor(
            key.removeprefix(f"{WEIGHTS}."), folder, tuple(one.size), DTYPES[one.properties.dtype]
        )
        for key, one in found.items()
        if key.startswith(f"{WEIGHTS}.")
    }
