"""What the paper claims of its variants, and what the records say of each claim.

A claim is data: two variants, and whether the first must be ahead or both alike. It is judged
twice: as the paper compares them, and token-matched, each variant given the tokens that ATA
really used. Effects are accuracies in 0..1, first minus second, paired by question.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tempo_lib.statistics.claims import Claim, paper_claims
from tempo_lib.statistics.intervals import (
    ALPHA,
    equivalence_p,
    holm,
)
from tempo_lib.statistics.summaries import ALL as ALL_KINDS
from tempo_lib.statistics.summaries import clusters
from tempo_lib.statistics.summaries import difference_of as compare

if TYPE_CHECKING:
    import pandas as pd

SHOWN, NOT_SHOWN, REVERSED, NOT_MEASURED = "shown", "not shown", "reversed", "not measured"
AS_PAPER, TOKEN_MATCHED = "as the paper", "token-matched"


def findings(
    frame: "pd.DataFrame", claims: Sequence[Claim] | None = None, seed: int = 0
) -> "pd.DataFrame":
    """One row per family, claim and way of comparing; a family is a suite, or "all" of them.

    ``frame``: records of the variants (``evaluate``), of several suites and, with a column
    ``model_seed`` (``pool_seeds``), of several models; of one kind or form where it is filtered.
    Columns: family, suite, claim, says, source, compared, first, second, n, effect, low, high,
    p, p_holm, verdict, tokens_first, tokens_second, seeds (the effect of each model seed). A
    claim about one suite stands in family "all" alone; a pair is compared on the suites that
    both variants were asked. p is two-sided for "ahead" and that of two one-sided tests for
    "alike"; ``p_holm`` corrects it for the claims of its family and way of comparing, and a
    verdict holds where that is below 0.05. ``seed`` draws bootstraps and sign flips.
    """
    import pandas as pd

    claims = paper_claims() if claims is None else claims
    parts = dict(iter(frame.groupby("variant", sort=False)))
    rows = []
    for family in (ALL_KINDS, *sorted(frame["suite"].unique())):
        for compared in (AS_PAPER, TOKEN_MATCHED):
            judged = [
                {"family": family, **_judged(parts, claim, compared, claim.suite or family, seed)}
                for claim in claims
                if (compared == AS_PAPER or claim.twins is not None)
                and (family == ALL_KINDS or claim.suite is None)
            ]
            rows += _with_verdicts(judged, claims)
    return pd.DataFrame(rows)


def as_markdown(table: "pd.DataFrame", family: str = ALL_KINDS) -> str:
    """The findings of one family as a Markdown table, effects in points of accuracy."""
    rows = [
        "| claim | source | compared | n | effect (95 %) | p | p (Holm) | tokens | verdict |",
        "|---|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for row in table[table["family"] == family].to_dict("records"):
        cells = [row["says"], row["source"], row["compared"]]
        if row["verdict"] == NOT_MEASURED:
            cells += ["", "", "", "", ""]
        else:
            effect, low, high = (f"{100 * row[key]:+.1f}" for key in ("effect", "low", "high"))
            tokens = f"{row['tokens_first']:.0f} : {row['tokens_second']:.0f}"
            cells += [str(row["n"]), f"{effect} ({low} to {high})"]
            cells += [_p_text(row["p"]), _p_text(row["p_holm"]), tokens]
        rows.append(f"| {' | '.join([*cells, row['verdict']])} |")
    return "\n".join(rows) + "\n"


def _judged(
    by_variant: Mapping[str, "pd.DataFrame"], claim: Claim, compared: str, suite: str, seed: int
) -> dict[str, Any]:
    """One row without its verdict; without numbers where a variant has no records."""
    import pandas as pd

    first, second = claim.first, claim.second
    if compared == TOKEN_MATCHED and claim.twins is not None:
        first, second = claim.twins
    row: dict[str, Any] = {
        "claim": claim.name,
        "says": claim.says,
        "source": claim.source,
        "compared": compared,
        "suite": suite,
        "first": first,
        "second": second,
    }
    parts = _on_common_suites(by_variant, first, second, suite)
    if not parts:
        return {**row, "n": 0, "p": math.nan}
    measured = compare(pd.concat(parts), first, second, seed)
    p_value = measured.p_value
    if claim.expects == "alike":
        p_value = equivalence_p(measured, claim.margin, len(set(clusters(parts[0]))))
    tokens = [float(part["tokens_used"].mean()) for part in parts]
    return {
        **row,
        "n": measured.n,
        "effect": measured.difference,
        "low": measured.low,
        "high": measured.high,
        "p": p_value,
        "tokens_first": tokens[0],
        "tokens_second": tokens[1],
        "seeds": _effect_of_each_seed(parts),
    }


def _on_common_suites(
    by_variant: Mapping[str, "pd.DataFrame"], first: str, second: str, suite: str
) -> list["pd.DataFrame"]:
    """The two variants' rows in ``suite``, or in every suite that both were asked; [] for none."""
    if not {first, second} <= by_variant.keys():
        return []
    parts = [by_variant[first], by_variant[second]]
    wanted = set(parts[0]["suite"]) & set(parts[1]["suite"])
    if suite != ALL_KINDS:
        wanted &= {suite}
    return [part[part["suite"].isin(wanted)] for part in parts] if wanted else []


def _effect_of_each_seed(parts: Sequence["pd.DataFrame"]) -> dict[int, float]:
    """Model seed -> difference of accuracies; empty where the records name no seed."""
    if "model_seed" not in parts[0]:
        return {}
    first, second = (part.groupby("model_seed")["correct"].mean() for part in parts)
    return {int(seed): float(first[seed] - second[seed]) for seed in first.index}


def _with_verdicts(family: list[dict[str, Any]], claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Holm's correction over the measured rows of a family, then a verdict for each row."""
    by_name = {claim.name: claim for claim in claims}
    places = [index for index, row in enumerate(family) if row["n"]]
    corrected = dict(zip(places, holm([family[i]["p"] for i in places]), strict=True))
    return [
        {
            **row,
            "p_holm": corrected.get(index, math.nan),
            "verdict": _verdict(row, by_name[row["claim"]], corrected.get(index)),
        }
        for index, row in enumerate(family)
    ]


def _verdict(row: dict[str, Any], claim: Claim, p_holm: float | None) -> str:
    if p_holm is None:
        return NOT_MEASURED
    if claim.expects == "alike":
        if p_holm < ALPHA:
            return SHOWN
        outside = row["low"] > claim.margin or row["high"] < -claim.margin
        return REVERSED if outside else NOT_SHOWN
    if p_holm >= ALPHA:
        return NOT_SHOWN
    if row["effect"] < 0:
        return REVERSED
    return SHOWN if row["effect"] > claim.by else NOT_SHOWN


def _p_text(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
