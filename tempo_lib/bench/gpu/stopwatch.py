"""Seconds and peak memory of parts of a model, on a GPU or a processor."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tempo_lib.bench.harness import release_memory, status_megabytes


@dataclass(frozen=True)
class Lap:
    """One call of a module: seconds, and how many positions it read (0: not a text model)."""

    seconds: float
    positions: int


def now(device: str) -> float:
    """Seconds, once the device has done all that it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def laps(device: str, **modules: nn.Module) -> Iterator[dict[str, list[Lap]]]:
    """Every call of the modules inside the context; waiting for the device is part of it."""
    found: dict[str, list[Lap]] = {name: [] for name in modules}
    started: dict[str, float] = {}

    def start(name: str) -> Any:
        def hook(*_: Any) -> None:
            started[name] = now(device)

        return hook

    def stop(name: str) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
            found[name].append(Lap(now(device) - started[name], positions(kwargs)))

        return hook

    with ExitStack() as hooks:
        for name, module in modules.items():
            hooks.callback(module.register_forward_pre_hook(start(name)).remove)
            hooks.callback(module.register_forward_hook(stop(name), with_kwargs=True).remove)
        yield found


def positions(kwargs: dict[str, Any]) -> int:
    """Rows times tokens of a text model's input."""
    for name in ("inputs_embeds", "input_ids"):
        given = kwargs.get(name)
        if given is not None and given.numel():
            return int(given.shape[0] * given.shape[1])
    return 0


def seconds(found: list[Lap]) -> float:
    """All laps together."""
    return sum(lap.seconds for lap in found)


def forget_peak(device: str) -> None:
    """Begin a new peak of memory."""
    release_memory()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gigabytes(device: str) -> float | None:
    """Most memory since ``forget_peak``: of the GPU, else of the process."""
    if torch.device(device).type == "cuda":
        return round(torch.cuda.max_memory_allocated() / 1e9, 3)
    held = status_megabytes("VmHWM")
    return None if held is None else round(held / 1024, 3)
