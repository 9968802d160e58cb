"""Which precision a training multiplies in; the only place that decides it."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

BF16, FLOAT32 = "bf16", "no"  # accelerate's words
AUTO = "auto"


def resolve_precision(requested: str) -> str:
    """``auto`` -> bf16 where the hardware multiplies it, else float32 ("no"); others unchanged.

    Emulated bf16 takes many times as long as float32.
    """
    if requested != AUTO:
        return requested
    if torch.cuda.is_available():
        return BF16 if torch.cuda.is_bf16_supported() else FLOAT32
    return BF16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else FLOAT32


def autocast(device_type: str, precision: str = AUTO) -> AbstractContextManager[Any]:
    """Products in bf16 where that is the precision; weights and sums stay float32."""
    if resolve_precision(precision) == FLOAT32:
        return nullcontext()
    return torch.autocast(device_type, dtype=torch.bfloat16)
