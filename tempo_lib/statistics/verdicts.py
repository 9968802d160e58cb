"""From an effect to a verdict: the test that each expectation of a claim calls for.

* ahead: the first is better by more than ``by``: two-sided, against ``by`` itself;
* no worse: the first is not worse by ``margin`` or more: non-inferiority, one-sided;
* alike: the difference is within ``margin``: two one-sided tests (TOST);
* above: the mean of one variant is above ``by``: two-sided, against ``by``.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tempo_lib.statistics.claim_schema import Claim
from tempo_lib.statistics.intervals import (
    ALPHA,
    Difference,
    equivalence_p,
    non_inferiority_p,
)
from tempo_lib.statistics.seeds import FEWEST, ONE_TRAINING, OverTrainings
from tempo_lib.statistics.summaries import clusters

if TYPE_CHECKING:
    import pandas as pd

SHOWN, NOT_SHOWN, REVERSED = "shown", "not shown", "reversed"
NOT_TESTABLE, NOT_MEASURED = "not testable here", "not measured"


def side(claim: Claim, effect: float) -> int:
    """On which side of what the claim expects an effect lies: 1, -1, or 0 for neither."""
    bound = claim.margin
    if claim.expects == "ahead":
        return (effect > 0) - (effect < 0)
    if claim.expects == "above":
        return (effect > claim.by) - (effect < claim.by)
    if claim.expects == "no worse":
        return 1 if effect > -bound else -1
    return 1 if abs(effect) < bound else -1


def p_of_videos(claim: Claim, found: Difference, rows: "pd.DataFrame") -> float:
    """p of the claim's own test, for other videos; ``rows``: of one variant, for their videos."""
    if claim.expects in ("ahead", "above"):
        return found.p_value
    test = equivalence_p if claim.expects == "alike" else non_inferiority_p
    return test(found, claim.margin, len(set(clusters(rows))))


def verdict_of_videos(claim: Claim, row: Mapping[str, Any], p_holm: float) -> str:
    """Verdict of a row that was tested; without a test (suites that differ) not shown."""
    if math.isnan(p_holm):
        return NOT_SHOWN
    if claim.expects in ("alike", "no worse"):
        if p_holm < ALPHA:
            return SHOWN
        is_outside = row["high"] < -claim.margin
        if claim.expects == "alike":
            is_outside |= row["low"] > claim.margin
        return REVERSED if is_outside else NOT_SHOWN
    if p_holm >= ALPHA:
        return NOT_SHOWN
    if row["effect"] > claim.by:
        return SHOWN
    # a lead that is smaller than claimed is no reversal, a mean below the number is one
    return REVERSED if claim.expects == "above" or row["high"] < 0 else NOT_SHOWN


def p_of_trainings(claim: Claim, found: OverTrainings) -> float:
    """p of the claim's own test, for other trainings; NaN for one."""
    if claim.expects == "alike":
        return max(found.p_above(-claim.margin), found.p_below(claim.margin))
    if claim.expects == "no worse":
        return found.p_above(-claim.margin)
    return min(1.0, 2 * min(found.p_above(claim.by), found.p_below(claim.by)))


def verdict_of_trainings(claim: Claim, found: OverTrainings, p_holm: float) -> str:
    """Verdict over trainings; words that say why there is none where they are too few."""
    if found.num == 1:
        return ONE_TRAINING
    if found.num < FEWEST:
        return f"{found.num} trainings: too few of {FEWEST}"
    ends = {"effect": found.mean, "low": found.low, "high": found.high}
    return verdict_of_videos(claim, ends, p_holm)
