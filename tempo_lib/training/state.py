"""Weights and optimiser of an unfinished training, each rank its share, in torch's own format.

A state holds names, not places: saved on one number of ranks, it loads on any other.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as checkpoint
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tempo_lib.checkpoints.sharded import SCHEDULE, WEIGHTS
from tempo_lib.fingerprint import write_atomic
from tempo_lib.training.ranks import Ranks

MOMENTS = "moments"


def save_tensors(
    folder: Path,
    model: torch.nn.Module,
    optimiser: Optimizer,
    schedule: LRScheduler,
    ranks: Ranks,
) -> None:
    """Write into ``folder`` from all ranks. No random state: nothing in a step is drawn.

    Buffers that a checkpoint holds are written too, so that a state can be exported.
    """
    names: dict[torch.Tensor, str] = {one: name for name, one in model.named_parameters()}
    tensors = {f"{WEIGHTS}.{name}": one.detach() for one, name in names.items()}
    kept = model.state_dict()
    tensors |= {f"{WEIGHTS}.{name}": one for name, one in model.named_buffers() if name in kept}
    for parameter, moments in optimiser.state.items():
        for key, value in moments.items():
            tensors[f"{MOMENTS}.{names[parameter]}.{key}"] = value
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is")  # one rank: meant so
        checkpoint.save(tensors, checkpoint_id=folder, no_dist=ranks.num_ranks == 1)
    if ranks.is_main:
        write_atomic(folder / SCHEDULE, json.dumps(schedule.state_dict()))


def load_tensors(
    folder: Path,
    model: torch.nn.Module,
    optimiser: Optimizer,
    schedule: LRScheduler,
    ranks: Ranks,
) -> None:
    """Read what ``save_tensors`` wrote, on whatever number of ranks, into the same objects.

    A parameter that had no gradient before the save has no moments, and gets none.
    """
    stored: Any = checkpoint.FileSystemReader(folder).read_metadata().state_dict_metadata
    tensors = {f"{WEIGHTS}.{name}": one.detach() for name, one in model.named_parameters()}
    for name, parameter in model.named_parameters():
        prefix = f"{MOMENTS}.{name}."
        found = [key for key in stored if key.startswith(prefix)]
        moments = {
            key.removeprefix(prefix): torch.zeros_like(parameter, requires_grad=False)
            if len(stored[key].size)
            else torch.zeros(())  # the count of steps
            for key in found
        }
        if moments:
            optimiser.state[parameter] = moments
            tensors |= {prefix + key: value for key, value in moments.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is")
        checkpoint.load(tensors, checkpoint_id=folder, no_dist=ranks.num_ranks == 1)
    schedule.load_state_dict(json.loads((folder / SCHEDULE).read_text(encoding="utf-8")))
    for group, rate in zip(optimiser.param_groups, schedule.get_last_lr(), strict=True):
        group["lr"] = rate
