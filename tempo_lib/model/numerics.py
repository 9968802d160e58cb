"""Not-a-number and infinity: caught where they first appear, with segment or layer named.

On the way of every answer only small tensors are checked: relevance logits, memories, the largest
logit of a token. What made them so is looked for once one of them is not finite. ``debug_numerics``
checks the output of every layer instead, and finds the first one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import LogitsProcessor

MOST_NAMED = 5  # segments or tensors that a message lists


class NotFiniteError(ValueError):
    """A model computed something that is no finite number; the message says where, in one line."""


def is_finite(values: torch.Tensor) -> bool:
    """Whether a tensor holds finite numbers alone; integers always do."""
    return not values.is_floating_point() or bool(torch.isfinite(values).all())


def check_segments(
    what: str, values_N: torch.Tensor, model: nn.Module, part: str = "compressor"
) -> None:
    """NotFiniteError that names the segments (first axis) of ``values_N`` that are not finite.

    ``model`` is what computed them: this ``part`` of a Tempo.
    """
    good_N = (
        torch.isfinite(values_N).flatten(1).all(1) if values_N.ndim > 1 else values_N.isfinite()
    )
    if not bool(good_N.all()):
        bad = (~good_N).nonzero()[:, 0].tolist()
        place = f"of {len(bad)} of {len(good_N)} segments, from 1: {some([n + 1 for n in bad])}"
        raise NotFiniteError(f"{what} {place} are not finite; {reason(model, part)}")


def check_logits(largest: torch.Tensor, model: nn.Module, part: str = "") -> None:
    """NotFiniteError where the largest logits of tokens are NaN (any logit is) or infinite."""
    if not is_finite(largest):
        raise NotFiniteError(f"the decoder's logits are not finite; {reason(model, part)}")


class FiniteLogits(LogitsProcessor):
    """Stops ``generate`` at the first token whose logits are not finite; changes none."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        check_logits(scores.amax(-1), self.model)
        return scores


def bad_weights(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Name of every parameter and buffer that is not finite, with the count of such numbers."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if not is_finite(tensor):
            yield name, int((~torch.isfinite(tensor)).sum())


def reason(model: nn.Module, part: str = "") -> str:
    """Why a model, or a part of it, may have computed it: weights that are not finite, or none."""
    prefix = f"{part}." if part else ""
    named = [f"{prefix}{name} ({count})" for name, count in bad_weights(model)]
    if named:
        return f"nor are these weights: {some(named)}; get the checkpoint again"
    return f"all weights of the {part or 'model'} are; --debug-numerics names the first layer"


@contextmanager
def debug_numerics(model: nn.Module) -> Iterator[None]:
    """Check inputs and outputs of every layer inside: NotFiniteError names the first that is not.

    Slow; for finding a fault only.
    """
    hooks = []
    for name, module in model.named_modules():
        if name and not any(module.children()):
            hooks.append(module.register_forward_hook(_hook(name)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hook(name: str) -> Any:
    def check(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        for what, values in (("input", given), ("output", made)):
            for tensor in tensors(values):
                if not is_finite(tensor):
                    kind = type(module).__name__
                    count = int((~torch.isfinite(tensor)).sum())
                    raise NotFiniteError(
                        f"the {what} of layer {name} ({kind}) holds {count} of {tensor.numel()} "
                        f"numbers that are not finite, the first such of this pass"
                    )

    return check


def tensors(values: Any) -> Iterator[torch.Tensor]:
    """Every tensor in what a module takes or gives, however nested."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors(value)
    elif isinstance(values, dict):
        yield from tensors(list(values.values()))


def some(items: Sequence[Any], most: int = MOST_NAMED) -> str:
    """The first ``most`` items, and how many more there are."""
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + rest
