"""Whether the records at hand can test a claim at all: a verdict that could not differ is none.

Each check looks at the rows of the variants compared and says, in a few words, why the test is no
test; "" where it is one.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tempo_lib.evaluation.benchmark import BENCHMARKS
from tempo_lib.evaluation.variants import get_variant
from tempo_lib.statistics.claim_schema import TOKEN_MATCHED, Check, Claim
from tempo_lib.statistics.majority import majority_baseline
from tempo_lib.statistics.summaries import QUESTION

if TYPE_CHECKING:
    import pandas as pd

LEAST_BOUND = 0.8  # share of questions whose budget must bind
LEAST_DIFFERENT = 0.5  # share of questions on which two variants must keep other tokens
CEILING = 0.97  # accuracy of the control that leaves no room to be better
ABOVE_BASELINE = 0.05  # what the better variant must be above the majority-class baseline


def why_void(claim: Claim, parts: Sequence["pd.DataFrame"], compared: str) -> str:
    """Why these records cannot test the claim; "" where they can. ``parts``: rows per variant."""
    if claim.validity.void:
        return claim.validity.void
    reasons = (CHECKS[name](parts, compared) for name in claim.validity.checks)
    return next(filter(None, reasons), "")


def _budget_binds(parts: Sequence["pd.DataFrame"], _compared: str) -> str:
    """Of every variant that keeps to a budget, the share of questions that could use more."""
    limited = [part for part in parts if _has_budget(part["variant"].iloc[0])]
    if any("budget_bound" not in part or part["budget_bound"].isna().any() for part in limited):
        return "records lack budget_bound"
    share = min((float(part["budget_bound"].mean()) for part in limited), default=1.0)
    return "" if share >= LEAST_BOUND else f"budget binds for {100 * share:.0f} %"


def _has_budget(variant: str) -> bool:
    row = get_variant(variant)
    return row.allocation != "full" or row.match is not None


def _tokens_differ(parts: Sequence["pd.DataFrame"], compared: str) -> str:
    """Share of questions on which the counts differ; at equal tokens their sum is equal by rule."""
    if compared == TOKEN_MATCHED:
        return ""
    keys = [key for key in QUESTION if key in parts[0]]
    shape = [name for name in ("tokens_used", "skewness") if name in parts[0]]
    one, two = (part.set_index(keys)[shape].sort_index() for part in parts)
    share = float((one.to_numpy() != two.to_numpy()).any(axis=1).mean())
    return "" if share >= LEAST_DIFFERENT else f"same tokens for {100 * (1 - share):.0f} %"


def _room(parts: Sequence["pd.DataFrame"], _compared: str) -> str:
    """The control is not at the ceiling, and the better variant is above the baseline."""
    shares = [float(part["correct"].mean()) for part in parts]
    if shares[-1] > CEILING:
        return f"control at {100 * shares[-1]:.0f} %"
    is_known = "form" in parts[0] and set(parts[0]["suite"]) <= set(BENCHMARKS.names())
    baseline = majority_baseline(parts[0]) if is_known else 0.0
    return "" if max(shares) >= baseline + ABOVE_BASELINE else "near the baseline"


CHECKS: dict[Check, Callable[[Sequence["pd.DataFrame"], str], str]] = {
    "budget binds": _budget_binds,
    "tokens differ": _tokens_differ,
    "room for an effect": _room,
}
