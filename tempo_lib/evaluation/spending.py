"""How many tokens each segment keeps, and how many frames are read, under a variant.

Shape suffixes: N segments.
"""

from dataclasses import dataclass

import torch

from tempo_lib.allocation.ata import (
    allocate,
    allocate_adversarial,
    allocate_fixed,
    allocate_random_drop,
    allocate_top_k,
    allocate_uniform,
    uniform_max_frames,
)
from tempo_lib.allocation.extensions import calibrated, smoothed, unit
from tempo_lib.evaluation.variants import Variant


@dataclass(frozen=True)
class Limits:
    """Bounds of one evaluation, in memory tokens."""

    budget: int
    k_min: int
    k_max: int


def effective_limits(
    variant: Variant, limits: Limits, max_segments: int, learned_k_min: int | None = None
) -> Limits:
    """The bounds that hold for ``variant``: its own k_min and budget, and for ``full`` all tokens.

    ``max_segments``: of the longest video that the preset reads. At the paper's scale 128
    segments x 128 tokens are its 16K budget. ValueError where a variant needs ``learned_k_min``
    and there is none.
    """
    k_min = limits.k_min if variant.k_min is None else variant.k_min
    if variant.learned_k_min:
        if learned_k_min is None:
            raise ValueError(
                f"variant {variant.name} needs the preset's number `allocation: learned_k_min: "
                "{k_min, record}`; choose it with tempo_lib.evaluation.learned.learn_k_min"
            )
        k_min = learned_k_min
    budget = limits.budget if variant.budget is None else variant.budget
    if variant.allocation == "full" and variant.match is None:
        budget = max_segments * limits.k_max
    return Limits(budget, k_min, limits.k_max)


def frames_read(variant: Variant, limits: Limits, num_frames: int, window: int) -> int:
    """Frames that the variant reads of ``num_frames``: up to its cap, or as few as fit.

    ``fewer_frames`` keeps whole segments of k_max tokens; matched, one more segment shares the
    tokens that would be left over.
    """
    most = num_frames if variant.max_frames is None else min(num_frames, variant.max_frames)
    if not variant.fewer_frames:
        return most
    if variant.match is None:
        return min(most, uniform_max_frames(limits.budget, limits.k_max, window))
    return min(most, max(1, -(-limits.budget // limits.k_max)) * window)


def token_counts(
    variant: Variant, logits_N: torch.Tensor, limits: Limits, generator: torch.Generator
) -> torch.Tensor:
    """Tokens per segment, int64 (N,); their sum never exceeds ``limits.budget``.

    ``logits_N``: relevance before the sigmoid (Eq. 2), float32. ``limits`` are the effective
    ones; a matched variant spends ``limits.budget`` as fully as its rule can. ``generator`` is
    drawn from by ``random-drop`` alone.
    """
    scores_N = logits_N.sigmoid()
    num_segments, (budget, k_max) = len(scores_N), (limits.budget, limits.k_max)
    if variant.match is not None:
        return _spend_fully(variant, logits_N, limits, generator)
    match variant.allocation:
        case "full":
            return allocate_fixed(num_segments, k_max, budget)
        case "fixed":
            half = max(1, int(k_max * variant.fixed_share))
            return allocate_fixed(num_segments, half, budget)
        case "uniform":
            return allocate_uniform(num_segments, budget, k_max)
        case "random-drop":
            return allocate_random_drop(
                num_segments, budget, k_max, generator=generator, drop_ratio=variant.drop_ratio
            )
        case "adversarial":
            return allocate_adversarial(scores_N, budget, k_max, variant.drop_ratio)
        case "top-k":
            return allocate_top_k(scores_N, budget, k_max, variant.drop_ratio)
        case _:
            values_N = shared_values(variant, logits_N, limits)
            return allocate(values_N, budget, limits.k_min, k_max)


def shared_values(variant: Variant, logits_N: torch.Tensor, limits: Limits) -> torch.Tensor:
    """What ``allocate`` shares tokens by: the scores (N,) of ATA, or those of a policy.

    ValueError for a variant that shares by no score.
    """
    match variant.allocation:
        case "ata":
            return logits_N.sigmoid()
        case "ata-logit":
            return logits_N
        case "ata-smooth":
            return smoothed(logits_N.sigmoid())
        case "ata-logit-smooth":
            return smoothed(logits_N)
        case "ata-calibrated":
            return calibrated(logits_N, limits.budget, limits.k_min, limits.k_max)
    raise ValueError(f"{variant.allocation} shares tokens by no score")


def _spend_fully(
    variant: Variant, logits_N: torch.Tensor, limits: Limits, generator: torch.Generator
) -> torch.Tensor:
    """Counts of a matched variant: its rule, with nothing left over that it could still spend."""
    budget, k_max, num_segments = limits.budget, limits.k_max, len(logits_N)
    match variant.allocation:
        case "full" | "fixed" | "uniform":
            return fill_evenly(num_segments, budget, k_max)
        case "random-drop":
            return fill_in_order(torch.randperm(num_segments, generator=generator), budget, k_max)
        case "top-k" | "adversarial":
            sign = 1 if variant.allocation == "top-k" else -1
            order_N = torch.sort(sign * logits_N.sigmoid(), descending=True, stable=True).indices
            return fill_in_order(order_N, budget, k_max)
        case _:
            values_N = shared_values(variant, logits_N, limits)
            counts_N = allocate(values_N, budget, limits.k_min, k_max)
            return top_up(counts_N, values_N, budget, k_max)


def fill_evenly(num_segments: int, budget: int, k_max: int) -> torch.Tensor:
    """Equal shares up to k_max; what does not divide goes one each to evenly spaced segments."""
    counts_N = torch.full((num_segments,), min(k_max, budget // num_segments), dtype=torch.int64)
    left = min(budget, num_segments * k_max) - int(counts_N.sum())
    slot = torch.arange(left)
    counts_N[(2 * slot + 1) * num_segments // (2 * max(left, 1))] += 1
    return counts_N


def fill_in_order(order_N: torch.Tensor, budget: int, k_max: int) -> torch.Tensor:
    """k_max for the first segments of ``order_N`` while the budget lasts, the rest to the next."""
    counts_N = torch.zeros(len(order_N), dtype=torch.int64)
    counts_N[order_N] = (budget - k_max * torch.arange(len(order_N))).clamp(0, k_max)
    return counts_N


def top_up(counts_N: torch.Tensor, values_N: torch.Tensor, budget: int, k_max: int) -> torch.Tensor:
    """Share what is left of the budget as Eq. 4 does, again and again, among unfilled segments.

    Weights are the min-max scaled values, so the least relevant segment never gets more: only
    it, or a budget beyond N * k_max, leaves tokens unspent. Flat values weigh alike.
    """
    counts_N, weight_N = counts_N.clone(), unit(values_N)
    if not bool(weight_N.any()):
        weight_N = torch.ones_like(weight_N)
    order_N = torch.sort(weight_N, descending=True, stable=True).indices
    while True:
        left = budget - int(counts_N.sum())
        open_N = (counts_N < k_max) & (weight_N > 0)
        if left <= 0 or not bool(open_N.any()):
            return counts_N
        share_N = weight_N * open_N
        extra_N = (left * share_N / share_N.sum()).floor().long().minimum(k_max - counts_N)
        if not bool(extra_N.any()):  # fewer tokens than segments: one each, the best first
            extra_N[order_N[open_N[order_N]][:left]] = 1
        counts_N += extra_N
