"""What is not finite, found before the optimiser takes it in: rank, samples, first quantity."""

from typing import Any

import torch

from tempo_lib.model.numerics import is_finite, some, tensors
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.feed import Feed, Step, to_device
from tempo_lib.training.ranks import Ranks, local

PIXELS = "pixel_rows"
MOST_NAMED = 8  # samples in a message


def explain(model: Tempo, feed: Feed, step: Step, losses: list[torch.Tensor], ranks: Ranks) -> str:
    """What is not finite in a step whose loss or gradient is not, the same text on every rank.

    The first rank with such a loss runs its micro-batch again, with the others beside it, as
    sharded layers need all ranks; else it is the gradient of the first parameter.
    """
    bad = [place for place, loss in enumerate(losses) if not torch.isfinite(loss)]
    found = ranks.gather(bad[0] if bad else None)
    culprit = next((rank for rank, place in enumerate(found) if place is not None), None)
    if culprit is None:
        names = ranks.gather(_first_gradient(model))
        rank = next((rank for rank, name in enumerate(names) if name), 0)
        return f"rank {rank}: {names[rank]} is not finite ({_named(step.samples)})"
    weights = [name for name in ranks.gather(_first_weight(model)) if name]
    again = step.passes[found[culprit]]
    with torch.no_grad(), ranks.autocast():
        quantity = _first_output(model, to_device(feed.batch(again), ranks.device))
    named = _named([feed.samples[place] for place in again])
    quantity, named = ranks.gather((quantity, named))[culprit]
    if weights and quantity != PIXELS:
        quantity = f"the weight {weights[0]}"
    return f"rank {culprit}: {quantity} is not finite ({named})"


def _first_output(model: Tempo, batch: dict[str, Any]) -> str:
    """The first quantity of a forward pass that is not finite: its pixels, or a module's output."""
    found: list[str] = []
    pixels = batch.get("pixel_rows")
    if pixels is not None and not torch.isfinite(pixels).all():
        found.append(PIXELS)

    def hook(name: str) -> Any:
        def watch(_: Any, __: Any, output: Any) -> None:
            if not found and not all(map(is_finite, tensors(output))):
                found.append(f"the output of {name}")

        return watch

    handles = [one.register_forward_hook(hook(name)) for name, one in model.named_modules() if name]
    try:
        model(**batch)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "the loss"


def _first_weight(model: Tempo) -> str:
    for name, parameter in model.named_parameters():
        if not torch.isfinite(local(parameter)).all():
            return name
    return ""


def _first_gradient(model: Tempo) -> str:
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not torch.isfinite(local(parameter.grad)).all():
            return f"the gradient of {name}"
    return ""


def _named(samples: list[Any]) -> str:
    return f"samples {some([sample.id for sample in samples], MOST_NAMED)}"
