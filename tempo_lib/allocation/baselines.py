"""The policies that the paper compares ATA with (Table 2B and 2C), and keeping everything.

Every function returns int64 (N,) on the CPU, with ``sum(k_N) <= budget`` for every input.

Shape suffixes: N segments, B tokens of a budget.
"""

import torch

from tempo_lib.allocation.policies import (
    POLICIES,
    Limits,
    PolicyOptions,
    Scores,
    as_count,
    as_scores,
    check_limits,
    descending,
    keep_segments,
)


def allocate_uniform(num_segments: int, budget: int, k_max: int = 128) -> torch.Tensor:
    """Return the same count for every segment: ``min(k_max, budget // num_segments)``.

    Paper Table 2B "Uniform Subsampling (Equal tokens per segment)". The paper keeps ``k_max`` per
    segment and samples fewer frames instead (sec. 4.3B); sample at most ``uniform_max_frames``
    frames and this returns ``k_max`` everywhere. More segments than tokens: ``budget`` segments,
    evenly spaced, get one token each.
    """
    num_segments = as_count(num_segments, "num_segments", minimum=1)
    budget, _, k_max = check_limits(budget, 0, k_max)
    if num_segments <= budget:
        return torch.full((num_segments,), min(k_max, budget // num_segments))
    return keep_segments(num_segments, _evenly_spaced(num_segments, budget), 1)


def uniform_max_frames(budget: int, k_max: int = 128, frames_per_segment: int = 8) -> int:
    """Return how many frames fit ``budget`` at ``k_max`` tokens per segment (paper sec. 4.3B: 512).

    The frame cap of the Uniform Subsampling row, in frames. Raises ValueError if none fits.
    """
    budget, _, k_max = check_limits(budget, 0, k_max)
    frames_per_segment = as_count(frames_per_segment, "frames_per_segment", minimum=1)
    if budget < k_max:
        raise ValueError(f"budget must hold one segment of k_max={k_max} tokens, got {budget}")
    return budget // k_max * frames_per_segment


def allocate_fixed(num_segments: int, k: int, budget: int) -> torch.Tensor:
    """Return ``k`` tokens for every segment, fewer where the budget does not hold them.

    Paper Table 2C "Uniform Head/Tail Truncation (Fixed 64 tokens)": 128 segments x 64 = 8192.
    The cap is ``budget // num_segments``, as in ``allocate_uniform``.
    """
    k = as_count(k, "k", minimum=1)
    return allocate_uniform(num_segments, budget, k_max=k)


def allocate_top_k(
    scores: Scores, budget: int, k_max: int = 128, drop_ratio: float = 0.0
) -> torch.Tensor:
    """Return ``k_max`` for the highest-scoring segments and 0 for the others.

    Paper Table 2B "Hard Top-K Routing (Keep highest-scoring segments)". Whole segments are kept
    while the budget lasts. ``drop_ratio`` drops ``int(N * drop_ratio)`` segments even if more
    would fit: 0.5 is the paper's protocol (sec. 4.3B, "discard 50% of the segments").
    """
    scores_N = as_scores(scores)
    return _keep_in_order(descending(scores_N), budget, k_max, drop_ratio)


def allocate_adversarial(
    scores: Scores, budget: int, k_max: int = 128, drop_ratio: float = 0.0
) -> torch.Tensor:
    """Return ``k_max`` for the lowest-scoring segments and 0 for the others.

    Paper Table 2B "Adversarial Routing (Keep lowest-scoring segments)": ``allocate_top_k`` on
    the opposite order, ties still earlier segment first.
    """
    scores_N = as_scores(scores)
    return _keep_in_order(descending(-scores_N), budget, k_max, drop_ratio)


def allocate_random_drop(
    num_segments: int,
    budget: int,
    k_max: int = 128,
    *,
    generator: torch.Generator,
    drop_ratio: float = 0.0,
) -> torch.Tensor:
    """Return ``k_max`` for segments drawn uniformly without replacement, 0 for the others.

    Paper Table 2B "Random Drop (Uniform random segment selection)"; ``drop_ratio`` as in
    ``allocate_top_k``. ``generator`` is a CPU generator and is advanced by one permutation.
    """
    num_segments = as_count(num_segments, "num_segments", minimum=1)
    order_N = torch.randperm(num_segments, generator=generator)
    return _keep_in_order(order_N, budget, k_max, drop_ratio)


def fill_evenly(num_segments: int, budget: int, k_max: int) -> torch.Tensor:
    """Equal shares up to k_max; what does not divide goes one each to evenly spaced segments."""
    counts_N = torch.full((num_segments,), min(k_max, budget // num_segments), dtype=torch.int64)
    left = min(budget, num_segments * k_max) - int(counts_N.sum())
    counts_N[_evenly_spaced(num_segments, left)] += 1
    return counts_N


def fill_in_order(order_N: torch.Tensor, budget: int, k_max: int) -> torch.Tensor:
    """k_max for the first segments of ``order_N`` while the budget lasts, the rest to the next."""
    counts_N = torch.zeros(len(order_N), dtype=torch.int64)
    counts_N[order_N] = (budget - k_max * torch.arange(len(order_N))).clamp(0, k_max)
    return counts_N


@POLICIES.register("full")
@POLICIES.register("uniform")
def uniform(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, _: torch.Generator
) -> torch.Tensor:
    """``allocate_uniform``; ``full`` differs by the budget of its variants, which holds all."""
    return _evenly(len(logits_N), limits.k_max, limits, options)


@POLICIES.register("fixed")
def fixed(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, _: torch.Generator
) -> torch.Tensor:
    """``allocate_fixed`` with ``fixed_share`` of k_max."""
    k = max(1, int(limits.k_max * options.fixed_share))
    return _evenly(len(logits_N), k, limits, options)


@POLICIES.register("random-drop")
def random_drop(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, generator: torch.Generator
) -> torch.Tensor:
    """Whole segments in random order."""
    return _in_order(torch.randperm(len(logits_N), generator=generator), limits, options)


@POLICIES.register("adversarial")
def adversarial(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, _: torch.Generator
) -> torch.Tensor:
    """Whole segments, the least relevant first."""
    return _in_order(descending(-logits_N.sigmoid()), limits, options)


@POLICIES.register("top-k")
def top_k(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, _: torch.Generator
) -> torch.Tensor:
    """Whole segments, the most relevant first."""
    return _in_order(descending(logits_N.sigmoid()), limits, options)


def _evenly(num_segments: int, k: int, limits: Limits, options: PolicyOptions) -> torch.Tensor:
    if options.use_all:
        return fill_evenly(num_segments, limits.budget, limits.k_max)
    return allocate_fixed(num_segments, k, limits.budget)


def _in_order(order_N: torch.Tensor, limits: Limits, options: PolicyOptions) -> torch.Tensor:
    if options.use_all:
        return fill_in_order(order_N, limits.budget, limits.k_max)
    return _keep_in_order(order_N, limits.budget, limits.k_max, options.drop_ratio)


def _keep_in_order(
    order_N: torch.Tensor, budget: int, k_max: int, drop_ratio: float
) -> torch.Tensor:
    """Return ``k_max`` for the first segments of ``order_N``, as many as budget and drop allow.

    A budget below ``k_max`` goes to the first segment alone, which keeps ``budget`` tokens.
    """
    budget, _, k_max = check_limits(budget, 0, k_max)
    if not 0.0 <= drop_ratio < 1.0:
        raise ValueError(f"drop_ratio must be in [0, 1), got {drop_ratio}")
    num_segments = order_N.numel()
    capacity = min(k_max, budget)
    num_fitting = budget // max(capacity, 1)
    # The release rounds the number of dropped segments down.
    num_kept = min(num_segments - int(num_segments * drop_ratio), num_fitting)
    return keep_segments(num_segments, order_N[:num_kept], capacity)


def _evenly_spaced(num_segments: int, num_kept: int) -> torch.Tensor:
    """Indices of ``num_kept`` segments, each in the middle of its share of the video."""
    place_B = torch.arange(num_kept)
    return (2 * place_B + 1) * num_segments // (2 * max(num_kept, 1))
