"""What the paper says of ATA's allocations themselves (Figures A and B), judged by records.

These are no differences of accuracy: a row says its own unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tempo_lib.evaluation.variants import sweep_name
from tempo_lib.statistics.claims import Claim, Scaling
from tempo_lib.statistics.findings import ALPHA, NOT_SHOWN, REVERSED, SHOWN
from tempo_lib.statistics.intervals import holm, paired_difference
from tempo_lib.statistics.summaries import ALL as ALL_KINDS
from tempo_lib.statistics.summaries import clusters

if TYPE_CHECKING:
    import pandas as pd

ALONE = "ATA alone"
NOT_ASKED = "not asked"
UNUSED = 0.10  # "well below the capacity": more than a tenth of it is left on average


@dataclass(frozen=True, kw_only=True)
class AllocationClaim:
    """The mean of ``column`` over the questions of one variant is above ``above``."""

    name: str
    says: str
    source: str
    unit: str
    variant: str
    column: str
    above: float = 0.0


def allocation_claims(scaling: Scaling | None = None) -> list[AllocationClaim]:
    """Figures A and B: skewed to the right at two budgets, use below what there is room for."""
    scaling = Scaling() if scaling is None else scaling
    doubled = sweep_name(scaling.frames[-1], scaling.budgets[2])
    shape: Any = {"source": "Fig. A", "unit": "skewness", "column": "skewness"}
    skewed = "Tokens a segment are skewed to the right"
    return [
        AllocationClaim(name="skewed", says=skewed, variant="ata", **shape),
        AllocationClaim(name="stable", says=f"{skewed} at 8K too", variant=doubled, **shape),
        AllocationClaim(
            name="below-capacity",
            says="ATA leaves part of its capacity unused",
            source="Fig. B",
            unit="share of the capacity",
            variant="ata",
            column="unused",
            above=UNUSED,
        ),
    ]


def variants_of_claims(claims: Iterable[Claim]) -> list[str]:
    """Names of all variants that the claims and those about allocations compare, each once."""
    names = [name for claim in claims for name in (claim.first, claim.second, *(claim.twins or ()))]
    return list(dict.fromkeys([*names, *(claim.variant for claim in allocation_claims())]))


def allocation_findings(frame: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """One row per family and claim, with the columns of ``findings`` that apply, and unit.

    ``frame``: with columns skewness and capacity. p is that of a sign-flip test over videos that
    the mean is what the claim must exceed; Holm corrects it for the claims of a family. ``seed``
    draws bootstraps and sign flips.
    """
    import pandas as pd

    rows = []
    frame = frame.assign(unused=1 - frame["tokens_used"] / frame["capacity"])
    for family in (ALL_KINDS, *sorted(frame["suite"].unique())):
        part = frame if family == ALL_KINDS else frame[frame["suite"] == family]
        judged = [{"family": family, **_judged(part, c, seed)} for c in allocation_claims()]
        measured = [row for row in judged if row["n"]]
        for row, p_holm in zip(measured, holm([row["p"] for row in measured]), strict=True):
            row["p_holm"] = p_holm
            above = SHOWN if row["effect"] > row["needs"] else REVERSED
            row["verdict"] = above if p_holm < ALPHA else NOT_SHOWN
        rows += judged
    return pd.DataFrame(rows)


def _judged(frame: "pd.DataFrame", claim: AllocationClaim, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "claim": claim.name,
        "says": claim.says,
        "source": claim.source,
        "unit": claim.unit,
        "expects": "above",
        "needs": claim.above,
        "compared": ALONE,
        "first": claim.variant,
        "second": "",
    }
    part = frame[frame["variant"] == claim.variant]
    if part.empty:
        return {**row, "n": 0, "verdict": NOT_ASKED}
    values = part[claim.column]
    excess = (values - claim.above).tolist()
    measured = paired_difference(excess, [False] * len(part), clusters(part), seed)
    by_seed = values.groupby(part["model_seed"]).mean() if "model_seed" in part else None
    return {
        **row,
        "n": measured.n,
        "effect": measured.difference + claim.above,
        "low": measured.low + claim.above,
        "high": measured.high + claim.above,
        "p": measured.p_value,
        "tokens_first": float(part["tokens_used"].mean()),
        "seeds": {} if by_seed is None else by_seed.to_dict(),
    }
