"""RMS norm with a hand-written gradient, for CPUs: equal to the eager one up to rounding.

Eager RMS norms take a dozen passes over memory each, where four suffice.
"""

from functools import partial
from typing import Any, TypeAlias

import torch
from torch import nn
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm

Norm: TypeAlias = Qwen3RMSNorm | Qwen3VLTextRMSNorm


def speed_up_norms(model: nn.Module) -> None:
    """Let the norms of this model object compute through ``FastNorm``; weights stay."""
    for module in model.modules():
        if isinstance(module, Norm):
            module.forward = partial(_forward, module)


def _forward(module: Norm, hidden_states: torch.Tensor) -> torch.Tensor:
    return FastNorm.apply(hidden_states, module.weight, module.variance_epsilon)


class FastNorm(torch.autograd.Function):
    """y = w x / sqrt(mean(x^2) + eps) over the last dimension, in float32."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        wide = x.float()
        size = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        scale = size.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        unit = wide * scale
        ctx.save_for_backward(unit, scale, weight)
        ctx.dtype = x.dtype
        return unit * weight

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        unit, scale, weight = ctx.saved_tensors
        product = grad * unit
        grad_weight = product.flatten(0, -2).sum(0)
        mean = (product @ weight.unsqueeze(-1)).div_(unit.shape[-1])
        grad_x = (grad * weight).addcmul_(unit, mean, value=-1).mul_(scale)
        return grad_x.to(ctx.dtype), grad_weight, None
