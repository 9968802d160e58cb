"""How many memory tokens each segment may keep: Adaptive Token Allocation and its rivals.

Pure functions of scores and counts; no model is needed. Every function returns ``k_N``, int64
(N,) on the CPU, with ``sum(k_N) <= budget`` for every input. Budgets count memory tokens, not
the timestamp texts between them. "Paper" is the Tempo paper; "release" is its published code.

Shape suffixes: N segments.
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

Scores = torch.Tensor | np.ndarray | Sequence[float]

# The release treats a narrower range of scores as one score: all segments alike.
FLAT_RANGE = 1e-8

# Sums of counts stay far inside int64 for any number of segments that fits in memory.
LARGEST_K_MAX = 2**31 - 1


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
    scores_N = _as_scores(scores)
    budget, k_min, k_max = _check_limits(budget, k_min, k_max)
    num_segments = scores_N.numel()
    order_N = _descending(scores_N)
    unit_N = _unit_scores(scores_N)

    if num_segments > budget and (k_min > 0 or unit_N is None):
        return _keep_segments(num_segments, order_N[:budget], 1)
    if unit_N is None:  # no contrast: equal shares, as in the release
        return torch.full((num_segments,), min(k_max, budget // num_segments))
    if num_segments * k_min > budget:  # anchors do not fit: release lowers them, ideals too
        k_min = budget // num_segments
    ideal_N = _ideal_counts(unit_N, k_min, k_max)
    if int(ideal_N.sum()) <= budget:
        return ideal_N
    extra_N = _share(unit_N, order_N, budget - num_segments * k_min)
    return (k_min + extra_N).clamp(max=k_max)


def allocate_uniform(num_segments: int, budget: int, k_max: int = 128) -> torch.Tensor:
    """Return the same count for every segment: ``min(k_max, budget // num_segments)``.

    Paper Table 2B "Uniform Subsampling (Equal tokens per segment)". The paper keeps ``k_max`` a
    segment and samples fewer frames instead (sec. 4.3B); sample at most ``uniform_max_frames``
    frames and this returns ``k_max`` everywhere. More segments than tokens: ``budget`` segments,
    evenly spaced, get one token each.
    """
    num_segments = _as_count(num_segments, "num_segments", minimum=1)
    budget, _, k_max = _check_limits(budget, 0, k_max)
    if num_segments <= budget:
        return torch.full((num_segments,), min(k_max, budget // num_segments))
    slot_B = torch.arange(budget)
    middle_B = (2 * slot_B + 1) * num_segments // (2 * max(budget, 1))
    return _keep_segments(num_segments, middle_B, 1)


def uniform_max_frames(budget: int, k_max: int = 128, frames_per_segment: int = 8) -> int:
    """Return how many frames fit ``budget`` at ``k_max`` tokens a segment (paper sec. 4.3B: 512).

    The frame cap of the Uniform Subsampling row, in frames. Raises ValueError if none fits.
    """
    budget, _, k_max = _check_limits(budget, 0, k_max)
    frames_per_segment = _as_count(frames_per_segment, "frames_per_segment", minimum=1)
    if budget < k_max:
        raise ValueError(f"budget must hold one segment of k_max={k_max} tokens, got {budget}")
    return budget // k_max * frames_per_segment


def allocate_fixed(num_segments: int, k: int, budget: int) -> torch.Tensor:
    """Return ``k`` tokens for every segment, fewer where the budget does not hold them.

    Paper Table 2C "Uniform Head/Tail Truncation (Fixed 64 tokens)": 128 segments x 64 = 8192.
    The cap is ``budget // num_segments``, as in ``allocate_uniform``.
    """
    k = _as_count(k, "k", minimum=1)
    return allocate_uniform(num_segments, budget, k_max=k)


def allocate_top_k(
    scores: Scores, budget: int, k_max: int = 128, drop_ratio: float = 0.0
) -> torch.Tensor:
    """Return ``k_max`` for the highest-scoring segments and 0 for the others.

    Paper Table 2B "Hard Top-K Routing (Keep highest-scoring segments)". Whole segments are kept
    while the budget lasts. ``drop_ratio`` drops ``int(N * drop_ratio)`` segments even if more
    would fit: 0.5 is the paper's protocol (sec. 4.3B, "discard 50% of the segments").
    """
    scores_N = _as_scores(scores)
    return _keep_in_order(_descending(scores_N), budget, k_max, drop_ratio)


def allocate_adversarial(
    scores: Scores, budget: int, k_max: int = 128, drop_ratio: float = 0.0
) -> torch.Tensor:
    """Return ``k_max`` for the lowest-scoring segments and 0 for the others.

    Paper Table 2B "Adversarial Routing (Keep lowest-scoring segments)": ``allocate_top_k`` on
    the opposite order, ties still earlier segment first.
    """
    scores_N = _as_scores(scores)
    return _keep_in_order(_descending(-scores_N), budget, k_max, drop_ratio)


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
    num_segments = _as_count(num_segments, "num_segments", minimum=1)
    order_N = torch.randperm(num_segments, generator=generator)
    return _keep_in_order(order_N, budget, k_max, drop_ratio)


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

    ``order_N`` lists segments by descending score and decides who gets the remainder: weights
    may tie by rounding where scores do not.
    """
    weight_N = unit_N[order_N]
    sorted_N = (residual * (weight_N / unit_N.sum())).floor().long()
    # float32 weights may sum to a little over 1, which shows from residuals of millions on:
    # serve in order until the residual is spent.
    spent_N = sorted_N.cumsum(0) - sorted_N
    sorted_N = torch.minimum(sorted_N, (residual - spent_N).clamp(min=0))
    sorted_N[: residual - int(sorted_N.sum())] += 1
    extra_N = torch.empty_like(sorted_N)
    extra_N[order_N] = sorted_N
    return extra_N


def _keep_in_order(
    order_N: torch.Tensor, budget: int, k_max: int, drop_ratio: float
) -> torch.Tensor:
    """Return ``k_max`` for the first segments of ``order_N``, as many as budget and drop allow.

    A budget below ``k_max`` goes to the first segment alone, which keeps ``budget`` tokens.
    """
    budget, _, k_max = _check_limits(budget, 0, k_max)
    if not 0.0 <= drop_ratio < 1.0:
        raise ValueError(f"drop_ratio must be in [0, 1), got {drop_ratio}")
    num_segments = order_N.numel()
    capacity = min(k_max, budget)
    num_fitting = budget // max(capacity, 1)
    # The release rounds the number of dropped segments down.
    num_kept = min(num_segments - int(num_segments * drop_ratio), num_fitting)
    return _keep_segments(num_segments, order_N[:num_kept], capacity)


def _keep_segments(num_segments: int, kept: torch.Tensor, num_tokens: int) -> torch.Tensor:
    """Return int64 (N,): ``num_tokens`` at the indices ``kept``, 0 elsewhere."""
    k_N = torch.zeros(num_segments, dtype=torch.int64)
    k_N[kept] = num_tokens
    return k_N


def _descending(scores_N: torch.Tensor) -> torch.Tensor:
    """Return segment indices by falling score, equal scores earlier segment first."""
    return torch.sort(scores_N, descending=True, stable=True).indices


def _as_scores(scores: Scores) -> torch.Tensor:
    """Return scores as float64 (N,) on the CPU, detached. Raises ValueError, naming the value."""
    try:
        raw: Any = scores.detach().cpu() if isinstance(scores, torch.Tensor) else np.array(scores)
        scores_N = torch.as_tensor(raw)
    except (TypeError, ValueError) as error:
        raise ValueError(f"scores must be numbers, one per segment: {error}") from error
    if scores_N.dim() != 1 or scores_N.numel() == 0:
        shape = tuple(scores_N.shape)
        raise ValueError(f"scores must be 1-D with at least 1 segment, got shape {shape}")
    if scores_N.is_complex():
        raise ValueError(f"scores must be real numbers, got dtype {scores_N.dtype}")
    scores_N = scores_N.double()
    is_bad_N = ~scores_N.isfinite()
    if bool(is_bad_N.any()):
        first = int(is_bad_N.nonzero()[0])
        raise ValueError(f"scores must be finite, got {scores_N[first].item()} at segment {first}")
    return scores_N


def _check_limits(budget: int, k_min: int, k_max: int) -> tuple[int, int, int]:
    """Return the three as plain ints. Raises ValueError naming the argument and its value."""
    budget = _as_count(budget, "budget", minimum=0)
    k_min = _as_count(k_min, "k_min", minimum=0)
    k_max = _as_count(k_max, "k_max", minimum=1)
    if k_max > LARGEST_K_MAX:
        raise ValueError(f"k_max must be at most {LARGEST_K_MAX}, got {k_max}")
    if k_min > k_max:
        raise ValueError(f"k_min must not exceed k_max, got k_min={k_min} and k_max={k_max}")
    return budget, k_min, k_max


def _as_count(value: int, name: str, minimum: int) -> int:
    """Return ``value`` as a plain int; floats and bools are not counts."""
    try:
        count = operator.index(value)
    except TypeError:
        count = minimum - 1
    if isinstance(value, bool) or count < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    return count
