"""The rows of the paper's Table 2 as data: how each variant shares out and keeps memory tokens.

All variants start from the same compression; what differs is declared here and computed by
``token_counts``. Shape suffixes: N segments.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from tempo_lib.allocation import (
    allocate,
    allocate_adversarial,
    allocate_fixed,
    allocate_random_drop,
    allocate_top_k,
    allocate_uniform,
)

Allocation = Literal["ata", "full", "fixed", "uniform", "random-drop", "adversarial", "top-k"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to spend the budget.

    ``paper_row`` quotes the row of Table 2, None where it has none. ``full`` keeps every memory
    token, beyond any budget. Memories come from the compressor's ``prompt``, the scores that
    allocate from ``score_prompt``. ``k_min`` None: as the evaluation is run.
    """

    name: str
    paper_row: str | None
    allocation: Allocation = "ata"
    scheme: Literal["head", "tail", "merge"] = "head"
    prompt: str = "routing"
    score_prompt: str = "routing"
    k_min: int | None = None
    drop_ratio: float = 0.0  # share of segments that the dropping variants give up
    fixed_share: float = 1.0  # share of k_max that ``fixed`` keeps a segment
    fewer_frames: bool = False  # sample as few frames as fit the budget at k_max a segment
    checkpoint: str = "stage3"


@dataclass(frozen=True)
class Limits:
    """Bounds of one evaluation, in memory tokens."""

    budget: int
    k_min: int
    k_max: int


_HALF = 0.5  # sec. 4.3B discards 50 % of the segments, 4.3C keeps 64 of 128 tokens

_ROWS = (
    Variant(name="ata", paper_row="Tempo Default"),
    Variant(
        name="without-stage3",
        paper_row="A: w/o Stage 3 - Long-Context SFT (16K Budget)",
        allocation="full",
        checkpoint="stage2",
    ),
    Variant(
        name="no-ata",
        paper_row="A: w/o Adaptive Token Allocation (16K Budget)",
        allocation="full",
    ),
    Variant(
        name="uniform",
        paper_row="B: Uniform Subsampling (Equal tokens per segment)",
        allocation="uniform",
        fewer_frames=True,
    ),
    Variant(
        name="random-drop",
        paper_row="B: Random Drop (Uniform random segment selection)",
        allocation="random-drop",
        drop_ratio=_HALF,
    ),
    Variant(
        name="adversarial",
        paper_row="B: Adversarial Routing (Keep lowest-scoring segments)",
        allocation="adversarial",
        drop_ratio=_HALF,
    ),
    Variant(
        name="top-k",
        paper_row="B: Hard Top-K Routing (Keep highest-scoring segments)",
        allocation="top-k",
        drop_ratio=_HALF,
    ),
    Variant(
        name="tail-fixed",
        paper_row="C: Uniform Tail Truncation (Fixed 64 tokens)",
        allocation="fixed",
        scheme="tail",
        fixed_share=_HALF,
    ),
    Variant(
        name="head-fixed",
        paper_row="C: Uniform Head Truncation (Fixed 64 tokens)",
        allocation="fixed",
        fixed_share=_HALF,
    ),
    # k_i are the counts of ATA: the row merges what head truncation would cut
    Variant(
        name="merge",
        paper_row="C: Token Merging (Merge visual features to ki tokens)",
        scheme="merge",
    ),
    Variant(
        name="merge-fixed",
        paper_row=None,
        allocation="fixed",
        scheme="merge",
        fixed_share=_HALF,
    ),
    Variant(
        name="tail-dynamic",
        paper_row="C: Dynamic Tail Truncation (Keep last ki tokens)",
        scheme="tail",
    ),
    # sec. 4.3D: Tempo's own memories generate, only the score's source differs
    Variant(
        name="prior-tempo-std",
        paper_row="D: Tempo SVLM Prior (Standard prompt)",
        score_prompt="standard",
    ),
    Variant(
        name="prune",
        paper_row="E: Hard Pruning (0 tokens for irrelevant segments)",
        k_min=0,
    ),
)
VARIANTS = {row.name: row for row in _ROWS}


def get_variant(name: str) -> Variant:
    """Return variant ``name``; ValueError listing the known ones."""
    if name not in VARIANTS:
        raise ValueError(f"unknown variant {name!r}; known variants: {', '.join(VARIANTS)}")
    return VARIANTS[name]


def effective_limits(variant: Variant, limits: Limits, max_segments: int) -> Limits:
    """The bounds that hold for ``variant``; its own k_min, and for ``full`` what all tokens need.

    ``max_segments``: of the longest video that the preset reads. At the paper's scale 128
    segments x 128 tokens are its 16K budget.
    """
    k_min = limits.k_min if variant.k_min is None else variant.k_min
    budget = limits.budget
    if variant.allocation == "full":
        budget = max_segments * limits.k_max
    return Limits(budget, k_min, limits.k_max)


def token_counts(
    variant: Variant, scores_N: torch.Tensor, limits: Limits, generator: torch.Generator
) -> torch.Tensor:
    """Tokens per segment, int64 (N,); their sum never exceeds ``limits.budget``.

    ``limits`` are the effective ones. ``generator`` is drawn from by ``random-drop`` alone.
    """
    num_segments, (budget, k_max) = len(scores_N), (limits.budget, limits.k_max)
    match variant.allocation:
        case "ata":
            return allocate(scores_N, budget, k_min=limits.k_min, k_max=k_max)
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
