"""Attention back-ends: which one to use, and two for the CPU.

Without flash-attn, transformers' vision tower calls attention once per frame pair. The miniature
has hundreds of equally small frame pairs per step, so that loop costs more than the arithmetic.
One back-end registered here (a public extension point of transformers) does equal lengths in one
batched call and computes the same numbers. The other trains language models on a CPU: fused, in
float32, whose backward pass is faster there than that in bfloat16.
"""

import importlib.util
from itertools import groupby
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

CPU_TRAINING = "sdpa_float32_backward"
# "flash" in the name makes transformers pack the inputs (cu_seq_lens)
VISION_BATCHED = "equal_length_flash"


def resolve_attention(requested: str) -> str:
    """``auto`` -> flash_attention_2 on a GPU that has it, else sdpa; other names unchanged."""
    if requested != "auto":
        return requested
    has_flash = importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if torch.cuda.is_available() and has_flash else "sdpa"


def vision_attention(requested: str) -> str:
    """Back-end for the vision tower that goes with ``requested`` for the rest of the model."""
    resolved = resolve_attention(requested)
    return resolved if resolved == "flash_attention_2" else VISION_BATCHED


def training_attention() -> str:
    """What trains fastest: the best there is on a GPU, ``CPU_TRAINING`` on a CPU."""
    return resolve_attention("auto") if torch.cuda.is_available() else CPU_TRAINING


def float32_backward(
    module: torch.nn.Module,
    query_NHLD: torch.Tensor,
    key_NHLD: torch.Tensor,
    value_NHLD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' SDPA, in float32 where a gradient will follow; (N, L, H, D) as it came."""
    narrow = value_NHLD.dtype
    if not value_NHLD.requires_grad:
        rows = (query_NHLD.to(narrow), key_NHLD.to(narrow), value_NHLD)
        return sdpa_attention_forward(module, *rows, attention_mask, **options)
    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask.float()
    rows = (query_NHLD.float(), key_NHLD.float(), value_NHLD.float())
    with torch.autocast(query_NHLD.device.type, enabled=False):
        out_NLHD, _ = sdpa_attention_forward(module, *rows, attention_mask, **options)
    return out_NLHD.to(narrow), None


def mask_if_needed(mask_SL: torch.Tensor) -> torch.Tensor | None:
    """None where the padding is on the right: causal attention never looks there.

    Without a mask, fused attention skips the half of its work that causality leaves out.
    """
    is_right_padded = bool((mask_SL[:, :-1] >= mask_SL[:, 1:]).all())
    return None if is_right_padded else mask_SL


def equal_length_attention(
    module: torch.nn.Module,
    query_1HTD: torch.Tensor,
    key_1HTD: torch.Tensor,
    value_1HTD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Packed self-attention (1, heads, tokens, dim) -> (1, tokens, heads, dim).

    ``cu_seq_lens_q`` (groups + 1,) bounds the groups of tokens that attend to each other. Runs of
    equally long groups become one batched call.
    """
    outputs, start = [], 0
    for length, run in groupby(torch.diff(cu_seq_lens_q).tolist()):
        count = len(list(run))
        stop = start + length * count
        query_GHTD, key_GHTD, value_GHTD = (
            packed[0, :, start:stop].unflatten(1, (count, length)).transpose(0, 1)
            for packed in (query_1HTD, key_1HTD, value_1HTD)
        )
        attended_GHTD = _attend(query_GHTD, key_GHTD, value_GHTD, scaling)
        outputs.append(attended_GHTD.transpose(1, 2).flatten(0, 1))
        start = stop
    return torch.cat(outputs)[None], None


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
) -> torch.Tensor:
    if query.device.type == "cpu" and query.requires_grad:
        # SDPA's CPU backward is many times slower than plain products on short groups
        weights = (query @ key.transpose(-1, -2) * scaling).softmax(-1, dtype=torch.float32)
        return weights.to(value.dtype) @ value
    return scaled_dot_product_attention(query, key, value, scale=scaling)


AttentionInterface.register(VISION_BATCHED, equal_length_attention)
AttentionInterface.register(CPU_TRAINING, float32_backward)
AttentionMaskInterface.register(CPU_TRAINING, sdpa_mask)
