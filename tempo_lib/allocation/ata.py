"""Adaptive Token Allocation, the paper's policy: scores in, token counts out (Algorithm 1).

Pure functions of scores and counts; no model is needed. Counts are int64 (N,) on the CPU, with
``sum(k_N) <= budget`` for every input. Budgets count memory tokens, not the timestamp texts
between them. "Paper" is the Tempo paper; "release" is its published code.

Shape suffixes: N segments.
"""

import torch

from tempo_lib.allocation.policies import (
    POLICIES,
    Limits,
    PolicyOptions,
    Scores,
    as_scores,
    check_limits,
    descending,
    keep_segments,
)

# The release treats a narrower range of scores as one score: all segments alike.
FLAT_RANGE = 1e-8


def allocate(scores: Scores, budget: int, k_min: int = 4, k_max: int = 128) -> torch.Tensor:
    """Return tokens per segment by Adaptive Token Allocation (paper Eq. 3, Eq. 4, Algorithm 1).

    The ideal counts of Eq. 3 are kept when they fit ``budget``; otherwise every segment keeps
    ``k_min`` and the rest of the budget is shared in proportion to the scores (Eq. 4), the
    remainder one token each to the highest scores. ``k_min=0`` is the pruning of Table 2E.

    Invariants: sum <= budget; k_min <= k <= k_max whenever N * k_min <= budget; a higher score
    never gets fewer tokens; an affine change of the scores (a > 0) changes nothing while their
    range stays above 1e-8; equal scores are served earlier segment first.

    Counts equal the release row by row, except where it breaks the budget: with more segments
    than tokens it gives each segment one, or none to any if the scores are flat; here the
    ``budget`` highest scores get one token each. Raises ValueError for any other bad input.
    """
    scores_N = as_scores(scores)
    budget, k_min, k_max = check_limits(budget, k_min, k_max)
    num_segments = scores_N.numel()
    order_N = descending(scores_N)
    unit_N = _unit_scores(scores_N)

    if num_segments > budget and (k_min > 0 or unit_N is None):
        return keep_segments(num_segments, order_N[:budget], 1)
    if unit_N is None:  # no contrast: equal shares, as in the release
        return torch.full((num_segments,), min(k_max, budget // num_segments))
    if num_segments * k_min > budget:  # anchors do not fit: release lowers them, ideals too
        k_min = budget // num_segments
    ideal_N = _ideal_counts(unit_N, k_min, k_max)
    if int(ideal_N.sum()) <= budget:
        return ideal_N
    extra_N = _share(unit_N, order_N, budget - num_segments * k_min)
    return (k_min + extra_N).clamp(max=k_max)


@POLICIES.register("ata")
def ata(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, _: torch.Generator
) -> torch.Tensor:
    """The paper's policy: tokens by the scores themselves."""
    return allocate_by(logits_N.sigmoid(), limits, options)


def allocate_by(values_N: Scores, limits: Limits, options: PolicyOptions) -> torch.Tensor:
    """``allocate`` by any values (N,) in the place of scores; the step that all kinds of ATA share.

    ``options.use_all``: what is left of the budget follows by ``top_up``.
    """
    counts_N = allocate(values_N, limits.budget, limits.k_min, limits.k_max)
    return top_up(counts_N, values_N, limits) if options.use_all else counts_N


def top_up(counts_N: torch.Tensor, values_N: Scores, limits: Limits) -> torch.Tensor:
    """Share what is left of the budget as Eq. 4 does, again and again, among unfilled segments.

    Weights are the min-max scaled values, so the least relevant segment never gets more: only
    it, or a budget beyond N * k_max, leaves tokens over. Flat values weigh alike.
    """
    counts_N, weight_N = counts_N.clone(), unit(values_N)
    if not bool(weight_N.any()):
        weight_N = torch.ones_like(weight_N)
    order_N = descending(weight_N)
    while True:
        left = limits.budget - int(counts_N.sum())
        open_N = (counts_N < limits.k_max) & (weight_N > 0)
        if left <= 0 or not bool(open_N.any()):
            return counts_N
        share_N = weight_N * open_N
        extra_N = (left * share_N / share_N.sum()).floor().long().minimum(limits.k_max - counts_N)
        if not bool(extra_N.any()):  # fewer tokens than segments: one each, the best first
            extra_N[order_N[open_N[order_N]][:left]] = 1
        counts_N += extra_N


def unit(scores: Scores) -> torch.Tensor:
    """Min-max scaled scores, float64 (N,) in 0..1; zeros where all are alike."""
    scores_N = as_scores(scores)
    spread = scores_N.max() - scores_N.min()
    if spread < FLAT_RANGE:
        return torch.zeros_like(scores_N)
    return (scores_N - scores_N.min()) / spread


def _unit_scores(scores_N: torch.Tensor) -> torch.Tensor | None:
    """Return min-max scaled scores, float32 in 0..1 with max 1, or None if they are flat.

    float32 because Eq. 3 floors: the release computes in float32, and in float64 scores such as
    0.7 land on the other side of an integer. Scores that float32 cannot hold are scaled in
    float64 first, so that closeness far from zero is not lost. The release has no epsilon.
    """
    is_single = bool((scores_N.float().double() == scores_N).all())
    # Halving is exact and keeps the range finite for the largest floats.
    half_N = (scores_N.float() if is_single else scores_N) * 0.5
    half_range = half_N.max() - half_N.min()
    if half_range < FLAT_RANGE / 2:
        return None
    return ((half_N - half_N.min()) / half_range).float()


def _ideal_counts(unit_N: torch.Tensor, k_min: int, k_max: int) -> torch.Tensor:
    """Return Eq. 3; the clamp only undoes float32 rounding of a k_max beyond 2**24."""
    return (k_min + ((k_max - k_min) * unit_N).floor().long()).clamp(max=k_max)


def _share(unit_N: torch.Tensor, order_N: torch.Tensor, residual: int) -> torch.Tensor:
    """Return extra tokens (N,) of Eq. 4 with the remainder given out; their sum <= residual.

    ``order_N`` lists segments by descending score and decides which of them get the remainder:
    weights may tie by rounding where scores do not.
    """
    weight_N = unit_N[order_N]
    sorted_N = (residual * (weight_N / unit_N.sum())).floor().long()
    # float32 weights may sum to a little over 1, which shows from residuals of millions on:
    # serve in order until the residual is used up.
    given_N = sorted_N.cumsum(0) - sorted_N
    sorted_N = torch.minimum(sorted_N, (residual - given_N).clamp(min=0))
    sorted_N[: residual - int(sorted_N.sum())] += 1
    extra_N = torch.empty_like(sorted_N)
    extra_N[order_N] = sorted_N
    return extra_N
