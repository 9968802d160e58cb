"""Keep k tokens of each segment's memory: head, tail or merged.

Pure functions; no model is needed. Head truncation is the paper's method (sec. 3.4), tail
truncation and token merging its baselines (Table 2C).

Shape suffixes: N segments, K memory tokens per segment, d channels, A/B the two sides of a merge.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

SCHEMES = ("head", "tail", "merge", "none")

Counts = torch.Tensor | np.ndarray | Sequence[int]


def reduce_memories(
    memories_NKd: torch.Tensor, counts_N: Counts | None, scheme: str = "head"
) -> list[torch.Tensor]:
    """Return N tensors (k_i, d): what each segment keeps of its K memory tokens.

    ``head`` keeps the first k_i tokens and ``tail`` the last, in their order; ``merge`` averages
    similar tokens (``merge_tokens``); ``none`` keeps all K, and ``counts_N`` must say so or be
    None. Gradients flow to the memories; head, tail and none return views of them.

    Raises ValueError if the counts do not match the memories: their number, type or 0..K.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    if memories_NKd.dim() != 3:
        raise ValueError(f"memories must be (N, K, d), got shape {tuple(memories_NKd.shape)}")
    num_segments, capacity, _ = memories_NKd.shape
    if counts_N is None and scheme == "none":
        return list(memories_NKd)
    if counts_N is None:
        raise ValueError(f"scheme {scheme!r} needs counts, one per segment, got None")
    counts = _check_counts(counts_N, num_segments, capacity)
    if scheme == "none" and any(k != capacity for k in counts):
        raise ValueError(
            f"scheme 'none' keeps all {capacity} tokens of every segment, got counts down to "
            f"{min(counts)}: pass counts_N=None or another scheme"
        )
    if scheme == "tail":  # K - k, because [-k:] keeps everything at k = 0
        return [m_Kd[capacity - k :] for m_Kd, k in zip(memories_NKd, counts, strict=True)]
    if scheme == "merge":
        return [merge_tokens(m_Kd, k) for m_Kd, k in zip(memories_NKd, counts, strict=True)]
    return [m_Kd[:k] for m_Kd, k in zip(memories_NKd, counts, strict=True)]


def merge_tokens(tokens_Kd: torch.Tensor, num_kept: int) -> torch.Tensor:
    """Return (num_kept, d) tokens by bipartite soft matching (Token Merging, arXiv 2210.09461).

    Rounds of ``_merge_round`` until ``num_kept`` remain; a round removes at most the even half.
    As in the release, every round averages its tokens with equal weights, however many tokens
    they already stand for. ``num_kept=0`` keeps nothing. ``num_kept`` in 0..K, else ValueError.
    """
    if not 0 <= num_kept <= len(tokens_Kd):
        raise ValueError(f"num_kept must be in 0..{len(tokens_Kd)}, got {num_kept}")
    if num_kept == 0:
        return tokens_Kd[:0]
    while len(tokens_Kd) > num_kept:
        tokens_Kd = _merge_round(tokens_Kd, len(tokens_Kd) - num_kept)
    return tokens_Kd


def _merge_round(tokens_Kd: torch.Tensor, num_surplus: int) -> torch.Tensor:
    """Merge even-placed tokens (A) into their nearest odd-placed token (B) by cosine similarity.

    The ``num_surplus`` best matches merge (all of A at most); several may join one B token and
    the result is their plain mean. Returns the untouched A tokens, then B, each in order.
    """
    a_Ad, b_Bd = tokens_Kd[::2], tokens_Kd[1::2]
    # Whom to merge is a choice, not a function to differentiate; half precision would tie it.
    unit_Kd = F.normalize(tokens_Kd.detach().float(), dim=-1)
    best_A, partner_A = (unit_Kd[::2] @ unit_Kd[1::2].T).max(dim=-1)
    order_A = torch.sort(best_A, descending=True, stable=True).indices
    merged = order_A[:num_surplus]
    untouched = order_A[num_surplus:].sort().values
    index = partner_A[merged].unsqueeze(-1).expand(-1, tokens_Kd.shape[-1])
    b_Bd = b_Bd.scatter_reduce(0, index, a_Ad[merged], reduce="mean", include_self=True)
    return torch.cat([a_Ad[untouched], b_Bd])


def _check_counts(counts_N: Counts, num_segments: int, capacity: int) -> list[int]:
    """Return counts as a list of N ints in 0..K. Raises ValueError with both numbers."""
    counts = torch.as_tensor(counts_N)
    if counts.numel() and (counts.is_floating_point() or counts.dtype == torch.bool):
        raise ValueError(f"counts must be integers, got dtype {counts.dtype}")
    if counts.shape != (num_segments,):
        raise ValueError(
            f"counts must be ({num_segments},), one per segment, got {tuple(counts.shape)}"
        )
    values = [int(k) for k in counts.tolist()]
    for segment, k in enumerate(values):
        if not 0 <= k <= capacity:
            raise ValueError(f"counts must be in 0..{capacity}, got {k} at segment {segment}")
    return values
