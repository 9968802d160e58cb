"""Attention for one shared context followed by many question blocks.

Sequence layout: L context tokens, then Q blocks of T tokens. The context is causal; a block
sees the whole context and, causally, itself, but no other block, since later questions
would otherwise be answered by copying earlier answers.

Shape suffixes: B batch, H heads, L context, Q blocks, T tokens per block, D head size,
S = L + Q * T.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AttentionInterface

NAME = "tempo_blocks"


def register() -> str:
    """Make the attention known to transformers; returns the name for ``attn_implementation``."""
    AttentionInterface.register(NAME, block_attention)
    return NAME


def block_attention(
    module: nn.Module,
    query_BHSD: torch.Tensor,
    key_BHSD: torch.Tensor,
    value_BHSD: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    block_length: int,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as the layout says; ``attention_mask`` (B, L) is True at real context tokens.

    Costs L^2/2 + Q*T*(L + T) where a dense mask costs (L + Q*T)^2. Context rows of padding
    hold garbage that nothing reads, as padding comes last. Returns (B, S, H, D) and None.
    """
    if key_BHSD.shape[1] != query_BHSD.shape[1]:
        raise ValueError("block attention needs as many key heads as query heads")
    length = attention_mask.shape[1]
    # q and k leave their norms in float32 under autocast; matmuls here are 8 times faster in bf16
    query_BHSD, key_BHSD = query_BHSD.to(value_BHSD.dtype), key_BHSD.to(value_BHSD.dtype)
    with torch.autocast(query_BHSD.device.type, enabled=False):
        qkv = (query_BHSD * scaling, key_BHSD, value_BHSD)
        context_BHLD = _attend_context(*(x_BHSD[:, :, :length] for x_BHSD in qkv))
        if length == query_BHSD.shape[2]:
            return context_BHLD.transpose(1, 2), None
        blocks_BHRD = _attend_blocks(*qkv, attention_mask, block_length)
    return torch.cat((context_BHLD, blocks_BHRD), dim=2).transpose(1, 2), None


def _attend_context(
    query_BHLD: torch.Tensor, key_BHLD: torch.Tensor, value_BHLD: torch.Tensor
) -> torch.Tensor:
    """Causal attention; the query is scaled already. Its backward is faster in float32 on a CPU."""
    context_BHLD = F.scaled_dot_product_attention(
        query_BHLD.float(), key_BHLD.float(), value_BHLD.float(), is_causal=True, scale=1.0
    )
    return context_BHLD.to(value_BHLD.dtype)


def _attend_blocks(
    query_BHSD: torch.Tensor,
    key_BHSD: torch.Tensor,
    value_BHSD: torch.Tensor,
    mask_BL: torch.Tensor,
    block_length: int,
) -> torch.Tensor:
    """Block rows (B, H, Q*T, D): one softmax over the context and the row's own block.

    Padding, the softmax's shift and its sum ride along as extra channels of the matmuls, so
    the large score matrix is touched by one elementwise operation only. The shift is the
    bound |q| max|k|; q and k are normed, so the true maximum is never far below it.
    """
    length = mask_BL.shape[1]
    query_BHRD = query_BHSD[:, :, length:]
    num_blocks = query_BHRD.shape[2] // block_length
    with torch.no_grad():
        bound_BH11 = key_BHSD.norm(dim=-1).amax(dim=-1)[..., None, None]
        shift_BHR1 = query_BHRD.norm(dim=-1, keepdim=True) * bound_BH11
        hidden_BL = torch.zeros_like(mask_BL, dtype=query_BHSD.dtype).masked_fill(~mask_BL, -1e4)
    query_BHRE = _with_channels(query_BHRD, torch.ones_like(shift_BHR1), -shift_BHR1)
    ones_BHS1 = torch.ones_like(key_BHSD[..., :1])
    hidden_BHS1 = torch.zeros_like(ones_BHS1)
    hidden_BHS1[:, :, :length] = hidden_BL[:, None, :, None]
    key_BHSE = _with_channels(key_BHSD, hidden_BHS1, ones_BHS1)
    value_BHSF = _with_channels(value_BHSD, ones_BHS1)

    parts = (num_blocks, block_length)
    future_TT = torch.ones(block_length, block_length, dtype=torch.bool).triu(1)
    own_BHQTT = query_BHRE.unflatten(2, parts) @ key_BHSE[:, :, length:].unflatten(
        2, parts
    ).transpose(-1, -2)
    own_BHQTT = own_BHQTT.masked_fill(future_TT.to(own_BHQTT.device), -1e4).exp()
    shared_BHRL = (query_BHRE @ key_BHSE[:, :, :length].transpose(-1, -2)).exp()
    own_BHQTF = own_BHQTT @ value_BHSF[:, :, length:].unflatten(2, parts)
    sum_BHRF = shared_BHRL @ value_BHSF[:, :, :length] + own_BHQTF.flatten(2, 3)
    return sum_BHRF[..., :-1] / sum_BHRF[..., -1:]


def _with_channels(x_BHSD: torch.Tensor, *extra_BHS1: torch.Tensor) -> torch.Tensor:
    return torch.cat((x_BHSD, *(extra.to(x_BHSD.dtype) for extra in extra_BHS1)), dim=-1)
