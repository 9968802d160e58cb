"""Where a training runs: one process, or ranks that each hold a share of every weight.

Started by torchrun or accelerate, which say in the environment how many ranks there are. Sharding
is torch's own ``fully_shard``; it runs on gloo too, so two CPU processes test what 64 GPUs do.
"""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from tempo_lib.model.tempo import Tempo
from tempo_lib.training.precision import autocast, resolve_precision
from tempo_lib.training.records import TrainingError


@dataclass(frozen=True)
class Ranks:
    """The processes of one training, seen from one of them; ``precision``: ``bf16`` or ``no``."""

    rank: int
    num_ranks: int
    device: torch.device
    precision: str

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[Any]:
        """Products in bf16 where that is the precision; weights and sums stay float32."""
        return autocast(self.device.type, self.precision)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of a number over the ranks."""
        if self.num_ranks > 1:
            dist.all_reduce(value)
        return value

    def rows(self, values: list[float]) -> torch.Tensor:
        """A few numbers of each rank, on every rank: (ranks, numbers), float64."""
        row = torch.tensor(values, dtype=torch.float64, device=self.device)
        rows = [torch.empty_like(row) for _ in range(self.num_ranks)]
        if self.num_ranks > 1:
            dist.all_gather(rows, row)
        return torch.stack(rows) if self.num_ranks > 1 else row[None]

    def gather(self, value: Any) -> list[Any]:
        """One picklable value per rank, in their order, on every rank."""
        values: list[Any] = [value]
        if self.num_ranks > 1:
            values = [None] * self.num_ranks
            dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Until every rank is here."""
        if self.num_ranks > 1:
            dist.barrier()


def start_ranks(precision: str) -> Ranks:
    """Join the ranks that the environment names, or be the only one.

    TrainingError for an unknown precision, and where a launcher started more processes than are
    joined here: each would train on everything, and all would write into one folder.
    """
    precision = resolve_precision(precision)
    if precision not in ("bf16", "no"):
        raise TrainingError(f"precision must be auto, bf16 or no, got {precision!r}")
    num_started = int(os.environ.get("WORLD_SIZE", "1"))
    state = PartialState(cpu=not torch.accelerator.is_available())
    if state.num_processes != num_started:
        raise TrainingError(
            f"WORLD_SIZE is {num_started} but only {state.num_processes} process is joined; "
            "start all with `torchrun --nproc-per-node`, or unset WORLD_SIZE"
        )
    return Ranks(state.process_index, state.num_processes, state.device, precision)


def shard(model: Tempo, ranks: Ranks) -> None:
    """Leave each rank its share of the weights; layers are gathered one at a time when used.

    Weights, gradients and sums stay float32; with bf16 on GPUs, copies travel and multiply in bf16.
    A single rank keeps everything and only moves the model to its device.
    """
    if ranks.num_ranks == 1:
        model.to(ranks.device)
        return
    mesh = init_device_mesh(ranks.device.type, (ranks.num_ranks,))
    policy = MixedPrecisionPolicy(cast_forward_inputs=False)
    if ranks.precision == "bf16" and ranks.device.type != "cpu":
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    whole = tuple(model._no_split_modules)
    for module in list(model.modules()):
        if type(module).__name__ in whole:
            fully_shard(module, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def gradient_norm(parameters: Iterable[torch.nn.Parameter]) -> torch.Tensor:
    """The 2-norm of all gradients of all ranks."""
    norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def clip_gradients(
    parameters: Iterable[torch.nn.Parameter], norm: torch.Tensor, limit: float
) -> None:
    """Scale gradients of ``norm`` down to ``limit``, in place."""
    clip_grads_with_norm_(parameters, limit, norm)


def scale_gradients(parameters: Iterable[torch.nn.Parameter], factor: float) -> None:
    """Multiply every gradient, in place."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor)


def local(tensor: torch.Tensor) -> torch.Tensor:
    """What this rank holds of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole_state(model: Tempo, ranks: Ranks) -> dict[str, torch.Tensor]:
    """Every weight whole, for the main rank; the others get an empty dict. All must call it."""
    if ranks.num_ranks == 1:
        return model.state_dict()
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state: dict[str, Any] = get_model_state_dict(model, options=options)
    return state
