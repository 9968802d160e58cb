"""What records show of the paper's claims (``claims.yaml``), claim by claim.

A claim names two variants, and whether the first must be ahead, no worse, or both alike; it is
judged twice: as the paper compares them, and token-matched, each variant given the tokens that ATA
really used. A claim about ATA's own token allocation names one variant and a number that must be
exceeded. Effects are first minus second, paired by question, in the claim's unit. A comparison
that the records cannot decide either way has no verdict: it is not testable here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tempo_lib.evaluation.benchmark import PAPER_BUDGETS
from tempo_lib.evaluation.published import published_benchmark
from tempo_lib.statistics.claim_schema import (
    ALONE,
    AS_PAPER,
    TOKEN_MATCHED,
    WAYS,
    Claim,
    Family,
    comparisons,
    read_claims,
)
from tempo_lib.statistics.intervals import holm
from tempo_lib.statistics.seeds import OverTrainings, over_trainings
from tempo_lib.statistics.summaries import ALL, difference_of, effects_by, mean_of
from tempo_lib.statistics.validity import why_void
from tempo_lib.statistics.verdicts import (
    NOT_MEASURED,
    NOT_SHOWN,
    NOT_TESTABLE,
    p_of_trainings,
    p_of_videos,
    side,
    verdict_of_trainings,
    verdict_of_videos,
)

if TYPE_CHECKING:
    import pandas as pd

BEYOND = "beyond"  # the source of claims that the paper does not make
COLUMNS = (
    *("family", "claim", "says", "source", "unit", "expects", "needs", "published", "compared"),
    *("first", "second", "also", "n", "effect", "low", "high", "p", "p_holm", "verdict", "why"),
    *("by_suite", "tokens_first", "tokens_second", "seeds", "num_seeds", "with_sign"),
    *("next_low", "next_high", "seeds_verdict"),
)


@dataclass(frozen=True)
class Scaling:
    """Points of Figure 3: caps of frames, the last of them twice the preset's, and budgets."""

    frames: tuple[int, ...] = (64, 128, 256, 512, 1024)
    budgets: tuple[str, ...] = tuple(PAPER_BUDGETS)

    def name(self, pattern: str) -> str:
        """A variant's name with the numbers of ``{few}`` and ``{most}`` frames."""
        return pattern.format(few=self.frames[0], most=self.frames[-1])


def load_claims(*families: Family, scaling: Scaling | None = None) -> list[Claim]:
    """Claims of the named families, or of all: of the paper, of policies beyond it, of allocations.

    ``scaling``: the points of Figure 3 that the claims are about.
    """
    points = Scaling() if scaling is None else scaling
    return [
        claim.model_copy(update={"pair": tuple(map(points.name, claim.pair))})
        for claim in read_claims()
        if not families or claim.family in families
    ]


def variants_of_claims(claims: Iterable[Claim] | None = None) -> list[str]:
    """Names of all variants that the claims compare, each once."""
    chosen = load_claims() if claims is None else claims
    names = [name for claim in chosen for way in WAYS for name in claim.variants(way)]
    return list(dict.fromkeys(names))


def findings(
    frame: "pd.DataFrame", claims: Sequence[Claim] | None = None, seed: int = 0
) -> "pd.DataFrame":
    """One row per family, claim and way of comparing; a family is a suite, or "all" of them, last.

    ``frame``: records of the variants (``evaluate``), of several suites and, with a column
    ``model_seed`` (``pool_seeds``), of several models; of one kind or form where it is filtered.
    ``claims``: None takes the paper's. Columns: as in ``COLUMNS``, and suite. A claim about one
    suite stands in family "all" alone; a pair is compared on the suites that both variants have,
    which are strata. Where suites lie on different sides, "all" has no numbers: ``by_suite`` has
    them. One computation is one row: ``also`` names the claims and ways that it decides besides.
    ``p`` tests what the claim expects (``verdicts``); ``p_holm`` corrects it for the claims of
    its family and way of comparing, and a verdict holds where that is below 0.05. ``why``: the
    reason where a claim is not testable. ``seeds``: model seed -> effect; ``num_seeds``,
    ``with_sign``, ``next_low``, ``next_high``, ``seeds_verdict``: of trainings, not of videos.
    ``seed`` draws bootstraps and sign flips.
    """
    import pandas as pd

    claims = load_claims("paper") if claims is None else claims
    parts = dict(iter(frame.groupby("variant", sort=False)))
    beside = {published_benchmark(suite): suite for suite in frame["suite"].unique()}
    rows = []
    for family in (*sorted(frame["suite"].unique()), ALL):
        judged = [claim for claim in claims if family == ALL or claim.suite is None]
        named = comparisons(judged)
        for compared in WAYS:
            found = [
                (claim, {"also": also, **_measured(parts, claim, way, suite, seed)})
                for claim, way, also in named
                for suite in [_suite(claim, beside) or family]
                if way == compared
            ]
            rows += [{"family": family, **row} for row in _with_verdicts(found)]
    return pd.DataFrame(rows)


def claims_table(frame: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """``findings`` of every claim, with columns ``COLUMNS``; lists and effects by place as text.

    ``frame``: as ``answers_of_seeds`` gives it. The paper's claims, the policies beyond it, and
    the claims about ATA's own tokens are three families of Holm's correction each, in "all" and
    in every suite where there are several. A claim whose variants the frame does not hold is
    "not measured" and counts as no test, nor does one that is not testable.
    """
    import pandas as pd

    frame = frame.assign(unused=1 - frame["tokens_used"] / frame["capacity"])
    families: tuple[Family, ...] = ("paper", "beyond", "allocation")
    tables = [findings(frame, load_claims(family), seed) for family in families]
    table = pd.concat(tables, ignore_index=True).reindex(columns=list(COLUMNS))
    for name in ("seeds", "by_suite"):
        table[name] = [
            ", ".join(f"{place}: {effect:+.3f}" for place, effect in effects.items())
            for effects in table[name]
        ]
    table["also"] = ["; ".join(names) for names in table["also"]]
    if frame["suite"].nunique() == 1:
        table = table[table["family"] == ALL]
    return table.reset_index(drop=True)


def measured(table: "pd.DataFrame") -> "pd.DataFrame":
    """The rows of a claims table whose variants were all evaluated."""
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


def _suite(claim: Claim, beside: Mapping[str, str]) -> str | None:
    """The suite that a claim is about, or the one at hand that stands for the same benchmark."""
    if claim.suite is None:
        return None
    return beside.get(published_benchmark(claim.suite), claim.suite)


def _measured(
    by_variant: Mapping[str, "pd.DataFrame"], claim: Claim, compared: str, suite: str, seed: int
) -> dict[str, Any]:
    """One row without its verdict; without numbers where a variant has no records."""
    import pandas as pd

    names = claim.variants(compared)
    row: dict[str, Any] = {
        "claim": claim.name,
        "says": claim.statement,
        "source": claim.source,
        "unit": claim.unit,
        "expects": claim.expects,
        "needs": claim.needs,
        "published": claim.published.effect() if claim.published else math.nan,
        "compared": compared,
        "suite": suite,
        "first": names[0],
        "second": "" if compared == ALONE else names[1],
        "why": "",
    }
    parts = _on_common_suites(by_variant, names, suite)
    if not parts:
        return {**row, "n": 0, "p": math.nan, "seeds": {}, "by_suite": {}}
    pair = (parts[0], parts[1] if len(parts) == 2 else None)
    effects = {name: effects_by(*pair, claim.column, name) for name in ("suite", "model_seed")}
    row |= {"by_suite": effects["suite"], "seeds": effects["model_seed"], "n": len(parts[0])}
    tokens = [float(part["tokens_used"].mean()) for part in parts]
    row |= dict(zip(("tokens_first", "tokens_second"), tokens, strict=False))
    row["why"] = why_void(claim, parts, compared)
    if len({side(claim, effect) for effect in effects["suite"].values()} - {0}) > 1:
        return {**row, "p": math.nan}
    against = claim.by if claim.expects in ("ahead", "above") else 0.0
    if len(parts) == 1:
        found = mean_of(parts[0], claim.column, seed, against)
    else:
        options: Any = {"value": claim.column, "against": against}
        found = difference_of(pd.concat(parts), names[0], row["second"], seed, **options)
    numbers = {"effect": found.difference, "low": found.low, "high": found.high}
    return {**row, **numbers, "p": p_of_videos(claim, found, parts[0])}


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


def _with_verdicts(family: Sequence[tuple[Claim, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Holm's correction over the tests of a family, then a verdict for each row."""
    effects = [list(row["seeds"].values()) for _, row in family]
    trained = [over_trainings(values) if values else None for values in effects]
    is_test = [not row["why"] and not math.isnan(row["p"]) for _, row in family]
    p_videos, p_trainings = [], []
    for (claim, row), found, tested in zip(family, trained, is_test, strict=True):
        p_videos.append(row["p"] if tested else math.nan)
        p_trainings.append(p_of_trainings(claim, found) if tested and found else math.nan)
    corrected = zip(_holm(p_videos), _holm(p_trainings), strict=True)
    return [
        {**row, "p_holm": p_holm, "verdict": _verdict(claim, row, p_holm)}
        | _of_trainings(claim, row, found, p_of_seeds)
        for (claim, row), found, (p_holm, p_of_seeds) in zip(
            family, trained, corrected, strict=True
        )
    ]


def _verdict(claim: Claim, row: Mapping[str, Any], p_holm: float) -> str:
    if row["n"] == 0:
        return NOT_MEASURED
    return NOT_TESTABLE if row["why"] else verdict_of_videos(claim, row, p_holm)


def _of_trainings(
    claim: Claim, row: Mapping[str, Any], found: OverTrainings | None, p_holm: float
) -> dict[str, Any]:
    """The columns about trainings."""
    if found is None:
        return {"num_seeds": 0, "with_sign": 0, "seeds_verdict": ""}
    with_sign = sum(int(side(claim, effect) > 0) for effect in row["seeds"].values())
    verdict = NOT_TESTABLE if row["why"] else verdict_of_trainings(claim, found, p_holm)
    numbers = {"num_seeds": found.num, "with_sign": with_sign, "seeds_verdict": verdict}
    return {**numbers, "next_low": found.next_low, "next_high": found.next_high}


def _holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p values; NaN where there was no test, which counts as none."""
    corrected = iter(holm([p for p in p_values if not math.isnan(p)]))
    return [p if math.isnan(p) else next(corrected) for p in p_values]


def _judgement(row: Mapping[str, Any]) -> str:
    if row["verdict"] == NOT_MEASURED:
        return f"{NOT_MEASURED}, needs {row['first']} and {row['second']}"
    if row["verdict"] == NOT_TESTABLE:
        return f"{NOT_TESTABLE} ({row['why']})"
    if math.isnan(row["effect"]):
        places = ", ".join(f"{name} {100 * x:+.1f}" for name, x in row["by_suite"].items())
        return f"suites differ ({places} points), {NOT_SHOWN}"
    effect, low, high = (f"{100 * row[key]:+.1f}" for key in ("effect", "low", "high"))
    return f"{effect} points ({low} to {high}), {row['verdict']}"
