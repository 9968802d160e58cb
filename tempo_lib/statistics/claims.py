"""The paper's claims, as data in ``claims.yaml``, and what records show of each.

A claim names two variants, and whether the first must be ahead or both alike; it is judged twice:
as the paper compares them, and token-matched, each variant given the tokens that ATA really used.
A claim about ATA's own token allocation names one variant and a number that must be exceeded.
Effects are first minus second, paired by question, in the claim's unit.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from tempo_lib.evaluation.benchmark import PAPER_BUDGETS
from tempo_lib.evaluation.variants import matched_name
from tempo_lib.statistics.intervals import (
    ALPHA,
    Difference,
    equivalence_p,
    holm,
    mean_interval,
)
from tempo_lib.statistics.summaries import ALL, clusters, difference_of

if TYPE_CHECKING:
    import pandas as pd

Family = Literal["paper", "beyond", "allocation"]
SHOWN, NOT_SHOWN, REVERSED, NOT_MEASURED = "shown", "not shown", "reversed", "not measured"
AS_PAPER, TOKEN_MATCHED, ALONE = "as the paper", "token-matched", "ATA alone"
BEYOND = "beyond"  # the source of claims that the paper does not make
COLUMNS = (
    *("family", "claim", "says", "source", "unit", "expects", "needs", "compared", "first"),
    *("second", "n", "effect", "low", "high", "p", "p_holm", "verdict", "tokens_first"),
    *("tokens_second", "seeds"),
)


@dataclass(frozen=True)
class Scaling:
    """Points of Figure 3: caps of frames, the last of them twice the preset's, and budgets."""

    frames: tuple[int, ...] = (64, 128, 256, 512, 1024)
    budgets: tuple[str, ...] = tuple(PAPER_BUDGETS)

    def name(self, pattern: str) -> str:
        """A variant's name with the numbers of ``{few}`` and ``{most}`` frames."""
        return pattern.format(few=self.frames[0], most=self.frames[-1])


class Claim(BaseModel):
    """One claim; ``claims.yaml`` explains the fields. ``family``: what Holm corrects over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    statement: str
    source: str
    pair: tuple[str] | tuple[str, str]
    family: Family = "paper"
    token_matched: bool = False
    expects: Literal["ahead", "alike", "above"] = "ahead"
    by: float = 0.0
    margin: float = 0.03
    suite: str | None = None
    unit: str = "accuracy"
    column: str = "correct"

    def variants(self, compared: str) -> tuple[str, ...]:
        """What is compared in this way; empty where the claim is not judged so."""
        if (compared == ALONE) != (len(self.pair) == 1):
            return ()
        if compared != TOKEN_MATCHED:
            return self.pair
        return tuple(map(matched_name, self.pair)) if self.token_matched else ()


def load_claims(*families: Family, scaling: Scaling | None = None) -> list[Claim]:
    """Claims of the named families, or of all: of the paper, of policies beyond it, of allocations.

    ``scaling``: the points of Figure 3 that the claims are about.
    """
    points = Scaling() if scaling is None else scaling
    return [
        claim.model_copy(update={"pair": tuple(map(points.name, claim.pair))})
        for claim in _read()
        if not families or claim.family in families
    ]


def variants_of_claims(claims: Iterable[Claim] | None = None) -> list[str]:
    """Names of all variants that the claims compare, each once."""
    ways = (AS_PAPER, TOKEN_MATCHED, ALONE)
    chosen = load_claims() if claims is None else claims
    names = [name for claim in chosen for way in ways for name in claim.variants(way)]
    return list(dict.fromkeys(names))


def findings(
    frame: "pd.DataFrame", claims: Sequence[Claim] | None = None, seed: int = 0
) -> "pd.DataFrame":
    """One row per family, claim and way of comparing; a family is a suite, or "all" of them.

    ``frame``: records of the variants (``evaluate``), of several suites and, with a column
    ``model_seed`` (``pool_seeds``), of several models; of one kind or form where it is filtered.
    ``claims``: None takes the paper's. Columns: as in ``COLUMNS``, and suite. A claim about one
    suite stands in family "all" alone; a pair is compared on the suites that both variants have.
    p is two-sided for "ahead", that of two one-sided tests for "alike", and for "above" that of
    the mean against the number; ``p_holm`` corrects it for the claims of its family and way of
    comparing, and a verdict holds where that is below 0.05. ``seeds``: model seed -> effect.
    ``seed`` draws bootstraps and sign flips.
    """
    import pandas as pd

    claims = load_claims("paper") if claims is None else claims
    parts = dict(iter(frame.groupby("variant", sort=False)))
    rows = []
    for family in (ALL, *sorted(frame["suite"].unique())):
        for compared in (AS_PAPER, TOKEN_MATCHED, ALONE):
            judged = [
                (claim, _measured(parts, claim, compared, claim.suite or family, seed))
                for claim in claims
                if claim.variants(compared) and (family == ALL or claim.suite is None)
            ]
            rows += [{"family": family, **row} for row in _with_verdicts(judged)]
    return pd.DataFrame(rows)


def claims_table(frame: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """``findings`` of every claim, with columns ``COLUMNS``; ``seeds`` as text.

    ``frame``: as ``answers_of_seeds`` gives it. The paper's claims, the policies beyond it, and
    the claims about ATA's own tokens are three families of Holm's correction each, in "all" and
    in every suite where there are several. A claim whose variants the frame does not hold is
    "not measured" and counts as no test.
    """
    import pandas as pd

    frame = frame.assign(unused=1 - frame["tokens_used"] / frame["capacity"])
    families: tuple[Family, ...] = ("paper", "beyond", "allocation")
    tables = [findings(frame, load_claims(family), seed) for family in families]
    table = pd.concat(tables, ignore_index=True).reindex(columns=list(COLUMNS))
    table["seeds"] = [
        ", ".join(f"{seed}: {effect:+.3f}" for seed, effect in effects.items())
        for effects in table["seeds"]
    ]
    if frame["suite"].nunique() == 1:
        table = table[table["family"] == ALL]
    return table.reset_index(drop=True)


def measured(table: "pd.DataFrame") -> "pd.DataFrame":
    """The rows of a claims table that have a verdict on their claim."""
    return table[table["verdict"] != NOT_MEASURED]


def open_claims(table: "pd.DataFrame") -> list[str]:
    """One line per claim, over all suites, that the variants at hand leave open."""
    rows = table[(table["family"] == ALL) & (table["verdict"] == NOT_MEASURED)]
    pairs = rows[["says", "compared", "first", "second"]].itertuples(index=False)
    return [
        f"{says} ({compared}): needs {' and '.join(filter(None, (first, second)))}"
        for says, compared, first, second in pairs
    ]


def sentences(found: "pd.DataFrame") -> list[str]:
    """One line per claim over all suites: effect, interval and verdict, both ways of comparing."""
    lines = []
    for says, rows in found[found["family"] == ALL].groupby("says", sort=False):
        parts = [
            f"{compared}: {_judgement(row)}"
            for compared in (AS_PAPER, TOKEN_MATCHED)
            for row in rows[rows["compared"] == compared].to_dict("records")
        ]
        lines.append(f"{says}. {'; '.join(parts)}.")
    return lines


@cache
def _read() -> tuple[Claim, ...]:
    text = resources.files("tempo_lib.statistics").joinpath("claims.yaml").read_text("utf-8")
    families = yaml.safe_load(text)
    return tuple(Claim(family=name, **row) for name, rows in families.items() for row in rows)


def _measured(
    by_variant: Mapping[str, "pd.DataFrame"], claim: Claim, compared: str, suite: str, seed: int
) -> dict[str, Any]:
    """One row without its verdict; without numbers where a variant has no records."""
    names = claim.variants(compared)
    row: dict[str, Any] = {
        "claim": claim.name,
        "says": claim.statement,
        "source": claim.source,
        "unit": claim.unit,
        "expects": claim.expects,
        "needs": claim.margin if claim.expects == "alike" else claim.by,
        "compared": compared,
        "suite": suite,
        "first": names[0],
        "second": "" if compared == ALONE else names[1],
    }
    parts = _on_common_suites(by_variant, names, suite)
    if not parts:
        return {**row, "n": 0, "p": math.nan, "seeds": {}}
    found = _effect(parts, claim, names, seed)
    p_value = found.p_value
    if claim.expects == "alike":
        p_value = equivalence_p(found, claim.margin, len(set(clusters(parts[0]))))
    numbers = {"n": found.n, "effect": found.difference, "low": found.low, "high": found.high}
    tokens = [float(part["tokens_used"].mean()) for part in parts]
    used = dict(zip(("tokens_first", "tokens_second"), tokens, strict=False))
    return {**row, **numbers, "p": p_value, **used, "seeds": _effect_of_each_seed(parts, claim)}


def _effect(
    parts: Sequence["pd.DataFrame"], claim: Claim, names: Sequence[str], seed: int
) -> Difference:
    """First minus second; of one variant its mean, with the p that it is ``claim.by``."""
    import pandas as pd

    if len(parts) == 2:
        first, second = names
        return difference_of(pd.concat(parts), first, second, seed, value=claim.column)
    excess = (parts[0][claim.column] - claim.by).tolist()
    found = mean_interval(excess, clusters(parts[0]), seed)
    mean, low, high = (value + claim.by for value in (found.difference, found.low, found.high))
    return Difference(found.n, mean, low, high, found.p_value)


def _on_common_suites(
    by_variant: Mapping[str, "pd.DataFrame"], names: Sequence[str], suite: str
) -> list["pd.DataFrame"]:
    """The variants' rows in ``suite``, or in every suite that all of them have; [] for none."""
    if not set(names) <= by_variant.keys():
        return []
    parts = [by_variant[name] for name in names]
    wanted = set.intersection(*(set(part["suite"]) for part in parts))
    if suite != ALL:
        wanted &= {suite}
    return [part[part["suite"].isin(wanted)] for part in parts] if wanted else []


def _effect_of_each_seed(parts: Sequence["pd.DataFrame"], claim: Claim) -> dict[int, float]:
    """Model seed -> effect of its records alone; empty where the records name no seed."""
    if "model_seed" not in parts[0]:
        return {}
    first, *others = (part.groupby("model_seed")[claim.column].mean() for part in parts)
    effects = first - others[0] if others else first
    return {int(seed): float(effect) for seed, effect in effects.items()}


def _with_verdicts(family: Sequence[tuple[Claim, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Holm's correction over the measured rows of a family, then a verdict for each row."""
    places = [index for index, (_, row) in enumerate(family) if row["n"]]
    corrected = dict(zip(places, holm([family[i][1]["p"] for i in places]), strict=True))
    return [
        {
            **row,
            "p_holm": corrected.get(index, math.nan),
            "verdict": _verdict(row, claim, corrected.get(index)),
        }
        for index, (claim, row) in enumerate(family)
    ]


def _verdict(row: Mapping[str, Any], claim: Claim, p_holm: float | None) -> str:
    if p_holm is None:
        return NOT_MEASURED
    if claim.expects == "alike":
        if p_holm < ALPHA:
            return SHOWN
        outside = row["low"] > claim.margin or row["high"] < -claim.margin
        return REVERSED if outside else NOT_SHOWN
    if p_holm >= ALPHA:
        return NOT_SHOWN
    if row["effect"] > claim.by:
        return SHOWN
    # a lead that is smaller than claimed is no reversal, a mean below the number is one
    return REVERSED if claim.expects == "above" or row["effect"] < 0 else NOT_SHOWN


def _judgement(row: Mapping[str, Any]) -> str:
    if row["verdict"] == NOT_MEASURED:
        return f"{NOT_MEASURED}, needs {row['first']} and {row['second']}"
    effect, low, high = (f"{100 * row[key]:+.1f}" for key in ("effect", "low", "high"))
    return f"{effect} points ({low} to {high}), {row['verdict']}"
