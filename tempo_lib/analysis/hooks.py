"""Record what modules of a model read and give, and leave the model as it was.

One recorder for all instruments: activations, arguments and attention weights are all read from
``Call``.

Shape suffixes: Y layers, N rows, H heads, L tokens.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Call:
    """One call of a module: what it was given and what it returned."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any

    def attention(self) -> torch.Tensor:
        """Weights of a call recorded with ``attention``, mean over heads: (Y, N, L, L) float32."""
        return torch.stack([layer.float().mean(1) for layer in self.output.attentions]).cpu()


@contextmanager
def recorded(module: nn.Module, *, attention: bool = False) -> Iterator[list[Call]]:
    """The calls of ``module`` inside the context, in order.

    ``attention``: the module is a text model of transformers, which then runs with eager attention
    and returns its weights; its settings come back afterwards. They take H x L x L numbers per
    layer, so record short clips at the paper's scale.
    """
    calls: list[Call] = []

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        calls.append(Call(args, kwargs, output))

    with ExitStack() as after:
        if attention:
            config: Any = module.config
            after.callback(setattr, config, "_attn_implementation", config._attn_implementation)
            config._attn_implementation = "eager"  # the other back-ends never form the weights
            after.callback(
                module.register_forward_pre_hook(_ask_for_attention, with_kwargs=True).remove
            )
        after.callback(module.register_forward_hook(keep, with_kwargs=True).remove)
        yield calls


def _ask_for_attention(
    _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, {**kwargs, "output_attentions": True}
