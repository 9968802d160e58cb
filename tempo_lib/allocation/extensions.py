"""Allocation policies that the paper does not have: other scores for the same two stages.

Each changes the scores and hands them to ``ata.allocate``, so Eq. 3, Eq. 4 and the strict budget
are Adaptive Token Allocation's own: ``sum(k_N) <= budget`` for every input. Where ATA is weak and
what each policy tries:

* sigmoids saturate: irrelevant segments tie near 0, relevant ones near 1 (``ata-logit``);
* an answer about what comes before or after lies beside the relevant segment (``ata-smooth``);
* Eq. 3 leaves budget unused, Eq. 4 flattens the contrast (``ata-calibrated``).

Shape suffixes: N segments.
"""

import torch

from tempo_lib.allocation.ata import allocate, allocate_by, unit
from tempo_lib.allocation.policies import POLICIES, Limits, PolicyOptions, Scores

# Half a segment's own weight: its neighbours stay behind it and before what is irrelevant.
NEIGHBOUR_WEIGHT = 0.5
# Past it only the highest of distinct float32 scores keeps a share: 0.8**64 is below 1e-6.
MOST_CONTRAST = 64.0
CONTRAST_STEPS = 40  # halvings of 0..MOST_CONTRAST, down to 1e-10


@POLICIES.register("ata-logit")
def ata_logit(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, _: torch.Generator
) -> torch.Tensor:
    """ATA with min-max scaling in logit space: u = (l - min l) / (max l - min l)."""
    return allocate_by(logits_N, limits, options)


@POLICIES.register("ata-smooth")
def ata_smooth(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, _: torch.Generator
) -> torch.Tensor:
    """ATA on smoothed scores: a segment counts for half of its better neighbour (``smoothed``)."""
    return allocate_by(smoothed(logits_N.sigmoid()), limits, options)


@POLICIES.register("ata-calibrated")
def ata_calibrated(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, _: torch.Generator
) -> torch.Tensor:
    """ATA with the least contrast whose ideal counts fit the budget (``calibrated``).

    The best segment keeps k_max and the budget is nearly used up, whatever the spread of the
    logits, unless the anchors alone exceed it: then ``allocate`` decides on the logits' order.
    """
    values_N = calibrated(logits_N, limits.budget, limits.k_min, limits.k_max)
    return allocate_by(values_N, limits, options)


@POLICIES.register("ata-logit-smooth")
def ata_logit_smooth(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, _: torch.Generator
) -> torch.Tensor:
    """``ata-smooth`` on logits in the place of scores."""
    return allocate_by(smoothed(logits_N), limits, options)


def allocate_smooth(scores: Scores, budget: int, k_min: int = 4, k_max: int = 128) -> torch.Tensor:
    """``allocate`` on smoothed scores, for a video whose scores are at hand."""
    return allocate(smoothed(scores), budget, k_min, k_max)


def smoothed(scores: Scores, weight: float = NEIGHBOUR_WEIGHT) -> torch.Tensor:
    """max(u_i, weight * max(u_i-1, u_i+1)) of min-max scaled scores u, float64 (N,) in 0..1.

    Scaled first, so that the change of any affine map of the scores is none. Flat scores stay
    flat. ValueError unless 0 <= weight <= 1.
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"weight of neighbours must be in 0..1, got {weight}")
    unit_N = unit(scores)
    beside_N = torch.zeros_like(unit_N)
    beside_N[1:] = unit_N[:-1]
    beside_N[:-1] = torch.maximum(beside_N[:-1], unit_N[1:])
    return torch.maximum(unit_N, weight * beside_N)


def calibrated(logits: Scores, budget: int, k_min: int, k_max: int) -> torch.Tensor:
    """u^g, float32 (N,), with the least g >= 0 whose ideal counts (Eq. 3) sum to <= ``budget``.

    u are the min-max scaled logits. sum(u^g) is the effective number of full segments; it falls
    from N at g = 0 to the number of best segments, and g makes it what the budget holds beyond
    the anchors: (budget - N k_min) / (k_max - k_min). A power keeps 0 and 1 where they are, so
    the scaling inside ``allocate`` changes nothing. Unlike a temperature, which needs the best
    logit's distance to all others, it never lifts or lowers the two ends. Where not even
    ``MOST_CONTRAST`` fits, u itself: Eq. 4 then shares what is left beside the anchors.
    """
    unit_N = unit(logits).float()
    if not _fits(unit_N.pow(MOST_CONTRAST), budget, k_min, k_max):
        return unit_N
    low, high = 0.0, MOST_CONTRAST
    if _fits(unit_N.pow(low), budget, k_min, k_max):
        return unit_N.pow(low)
    for _ in range(CONTRAST_STEPS):
        middle = (low + high) / 2
        if _fits(unit_N.pow(middle), budget, k_min, k_max):
            high = middle
        else:
            low = middle
    return unit_N.pow(high)


def _fits(unit_N: torch.Tensor, budget: int, k_min: int, k_max: int) -> bool:
    """Whether Eq. 3's counts of these scores stay within the budget."""
    ideal = len(unit_N) * k_min + int(((k_max - k_min) * unit_N).floor().sum())
    return ideal <= budget
