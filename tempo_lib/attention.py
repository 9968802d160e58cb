"""Attention back-ends: which one to use, and a batched one for the vision tower on CPU.

Without flash-attn, transformers' vision tower calls attention once per frame pair. The miniature
has hundreds of equally small frame pairs a step, so that loop costs more than the arithmetic.
The back-end registered here (a public extension point of transformers) does equal lengths in one
batched call and computes the same numbers.
"""

import importlib.util

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

VISION_BATCHED = "equal_length_flash"  # "flash" in the name asks for packed inputs (cu_seq_lens)


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

    ``cu_seq_lens_q`` (chunks + 1,) marks the chunks that may see each other. Runs of equally long
    chunks become one batched call.
    """
    lengths = torch.diff(cu_seq_lens_q).tolist()
    outputs, start, first = [], 0, 0
    while first < len(lengths):
        last = first
        while last < len(lengths) and lengths[last] == lengths[first]:
            last += 1
        length, count = lengths[first], last - first
        stop = start + length * count
        query, key, value = (
            _split(tensor[:, :, start:stop], count, length)
            for tensor in (query_1HTD, key_1HTD, value_1HTD)
        )
        attended = _attend(query, key, value, scaling)
        outputs.append(attended.transpose(1, 2).reshape(1, length * count, -1, attended.shape[-1]))
        start, first = stop, last
    return torch.cat(outputs, dim=1), None


def _split(packed_1HTD: torch.Tensor, count: int, length: int) -> torch.Tensor:
    heads, dim = packed_1HTD.shape[1], packed_1HTD.shape[3]
    return packed_1HTD.reshape(heads, count, length, dim).transpose(0, 1)


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
) -> torch.Tensor:
    if query.device.type == "cpu" and torch.is_grad_enabled():
        # SDPA's CPU backward is many times slower than plain products on short chunks
        weights = (query @ key.transpose(-1, -2) * scaling).softmax(-1, dtype=torch.float32)
        return weights.to(value.dtype) @ value
    return scaled_dot_product_attention(query, key, value, scale=scaling)


AttentionInterface.register(VISION_BATCHED, equal_length_attention)
