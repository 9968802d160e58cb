"""What an allocation policy is, and the registry that finds one by its name.

A policy decides how many memory tokens each segment keeps. One more policy is one function under
``@POLICIES.register("name")``; its name is then a variant of ``tempo evaluate``.

Shape suffixes: N segments.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from tempo_lib.registry import Registry

Scores = torch.Tensor | np.ndarray | Sequence[float]

# Sums of counts stay far inside int64 for any number of segments that fits in memory.
LARGEST_K_MAX = 2**31 - 1


@dataclass(frozen=True)
class Limits:
    """Bounds of an allocation, in memory tokens."""

    budget: int
    k_min: int
    k_max: int


@dataclass(frozen=True, kw_only=True)
class PolicyOptions:
    """What a variant may change of its policy.

    ``drop_ratio``: share of the segments that a dropping policy gives up. ``fixed_share``: share
    of k_max that ``fixed`` keeps per segment. ``use_all``: leave no token over that the rule can
    still give to a segment, as token-matched controls do; the two shares do not hold then.
    """

    drop_ratio: float = 0.0
    fixed_share: float = 1.0
    use_all: bool = False


class Policy(Protocol):
    """Token counts of one question's segments: int64 (N,) in 0..k_max, sum <= budget.

    ``logits_N``: relevance before the sigmoid (Eq. 2), float32. ``generator``: the only source
    of chance, seeded by the question.
    """

    def __call__(
        self,
        logits_N: torch.Tensor,
        limits: Limits,
        options: PolicyOptions,
        generator: torch.Generator,
        /,
    ) -> torch.Tensor: ...


POLICIES: Registry[Policy] = Registry("allocation policy")


def token_counts(
    policy: str,
    logits_N: torch.Tensor,
    limits: Limits,
    options: PolicyOptions,
    generator: torch.Generator,
) -> torch.Tensor:
    """Tokens per segment (N,) by a registered policy.

    ValueError for an unknown policy, and for counts that break their bounds.
    """
    counts_N = POLICIES.get(policy)(logits_N, limits, options, generator)
    if counts_N.shape != logits_N.shape or counts_N.dtype != torch.int64:
        raise ValueError(
            f"policy {policy!r} must return int64 ({len(logits_N)},), got {counts_N.dtype} "
            f"{tuple(counts_N.shape)}"
        )
    total, least, most = (int(x) for x in (counts_N.sum(), counts_N.min(), counts_N.max()))
    if total > limits.budget or least < 0 or most > limits.k_max:
        raise ValueError(
            f"policy {policy!r} gave {total} tokens, {least} to {most} per segment; the budget is "
            f"{limits.budget}, the capacity {limits.k_max}"
        )
    return counts_N


def descending(scores_N: torch.Tensor) -> torch.Tensor:
    """Return segment indices by falling score, equal scores earlier segment first."""
    return torch.sort(scores_N, descending=True, stable=True).indices


def keep_segments(num_segments: int, kept: torch.Tensor, num_tokens: int) -> torch.Tensor:
    """Return int64 (N,): ``num_tokens`` at the indices ``kept``, 0 elsewhere."""
    k_N = torch.zeros(num_segments, dtype=torch.int64)
    k_N[kept] = num_tokens
    return k_N


def as_scores(scores: Scores) -> torch.Tensor:
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


def check_limits(budget: int, k_min: int, k_max: int) -> tuple[int, int, int]:
    """Return the three as plain ints. Raises ValueError naming the argument and its value."""
    budget = as_count(budget, "budget", minimum=0)
    k_min = as_count(k_min, "k_min", minimum=0)
    k_max = as_count(k_max, "k_max", minimum=1)
    if k_max > LARGEST_K_MAX:
        raise ValueError(f"k_max must be at most {LARGEST_K_MAX}, got {k_max}")
    if k_min > k_max:
        raise ValueError(f"k_min must not exceed k_max, got k_min={k_min} and k_max={k_max}")
    return budget, k_min, k_max


def as_count(value: int, name: str, minimum: int) -> int:
    """Return ``value`` as a plain int; floats and bools are not counts."""
    try:
        count = operator.index(value)
    except TypeError:
        count = minimum - 1
    if isinstance(value, bool) or count < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    return count
