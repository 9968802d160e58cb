"""Tables 1 and 2 of the paper with what is measured here beside what is published.

For each row and benchmark the accuracy, its interval and its difference to the paper's default.
Accuracies are percent, differences points; published numbers belong to another model and other
videos.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tempo_lib.analysis.paper_blocks import DEFAULT, TEMPO, Block, get_block, twin_name
from tempo_lib.evaluation.published import load_published
from tempo_lib.miniature.benchmark import SUITES
from tempo_lib.miniature.manifests import load_manifest
from tempo_lib.statistics.claims import paper_claims
from tempo_lib.statistics.findings import AS_PAPER, NOT_MEASURED, TOKEN_MATCHED, findings
from tempo_lib.statistics.intervals import accuracy
from tempo_lib.statistics.summaries import ALL as ALL_KINDS
from tempo_lib.statistics.summaries import clusters
from tempo_lib.statistics.summaries import difference_of as compare

if TYPE_CHECKING:
    import pandas as pd

ABSENT = "-"
PUBLISHED_ONLY = "published only"
_MEASURED = ("measured", "low", "high", "n", "tokens", "tokens_per_frame")
_DIFFERENCE = ("difference", "difference_low", "difference_high", "p")
COLUMNS = (
    *("paper_row", "variant", "benchmark", "suite", "published", "published_difference"),
    *(*_MEASURED, *_DIFFERENCE, "twin", *(f"twin_{name}" for name in (*_MEASURED, *_DIFFERENCE))),
    "reason",
)


def paper_table(
    answers: "pd.DataFrame", name: str, seed: int = 0, missing: Mapping[str, str] | None = None
) -> "pd.DataFrame":
    """One row per row of the table and benchmark; columns as in ``COLUMNS``.

    ``answers``: as ``claims_table.answers_of_seeds`` gives them. What was not asked is NaN, and
    ``reason`` says why; ``missing``: variant -> part that it lacks. ``twin`` is the same variant
    with the tokens that ATA really used, and is compared with ATA. ``seed`` draws bootstraps and
    sign flips. ValueError without answers of the default.
    """
    import pandas as pd

    block = get_block(name)
    if block.default not in set(answers["variant"]):
        known = ", ".join(answers["variant"].unique())
        raise ValueError(f"{name} compares with {block.default}; the answers hold {known}")
    printed, suites = _published(block), suite_of_benchmark()
    rows = []
    for label, variant in block.rows:
        for benchmark in dict.fromkeys(printed["benchmark"]):
            values = printed[printed["benchmark"] == benchmark].set_index("variant")["value"]
            row = {"paper_row": label, "variant": variant, "benchmark": benchmark}
            row |= {"published": values[variant], "suite": suites.get(benchmark, "")}
            row |= {"published_difference": values[variant] - values[block.default]}
            rows.append(row | _cell(answers, block, row, seed, missing or {}))
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    numbers = [key for key in COLUMNS if key not in (*COLUMNS[:4], "twin", "reason")]
    table[numbers] = table[numbers].astype(float)
    return table


def comparison_table(
    answers: "pd.DataFrame", seed: int = 0, missing: Mapping[str, str] | None = None
) -> "pd.DataFrame":
    """Table 1: every published row, and beside Tempo's what is measured here.

    Columns group, size, range (tokens per frame as printed), note and used (tokens per frame
    that Tempo is published to use), then those of ``paper_table``.
    """
    names = {"model": "paper_row", "tokens_per_frame": "range", "value": "published"}
    printed = load_published("table1").rename(columns=names)
    used = load_published("tokens_per_frame").drop(columns="budget")
    used = used.rename(columns={"model": "paper_row", "value": "used"})
    keys = ["paper_row", "benchmark"]
    ours = paper_table(answers, "table1", seed, missing).drop(columns="published")
    table = printed.merge(used, "left", keys).merge(ours, "left", keys)
    texts = {"variant": "", "suite": "", "twin": "", "reason": PUBLISHED_ONLY}
    extra = ["group", "size", "range", "note", "used"]
    return table.fillna(texts).reindex(columns=[*extra, *COLUMNS])


def readable(table: "pd.DataFrame") -> "pd.DataFrame":
    """A table to read: numbers with their 95 % intervals as text, "-" for what is absent."""
    import pandas as pd

    shown: dict[str, Any] = {name: table[name] for name in ("paper_row", "benchmark")}
    shown["published"] = [_text(value) for value in table["published"]]
    for title, prefix in (("", ""), (" at equal tokens", "twin_")):
        whole, change = f"{prefix}measured", f"{prefix}difference"
        shown[f"measured{title}"] = _spans(table, whole, f"{prefix}low", f"{prefix}high", "")
        shown[f"difference{title}"] = _spans(table, change, f"{change}_low", f"{change}_high", "+")
        shown[f"p{title}"] = [_text(value, 3) for value in table[f"{prefix}p"]]
        shown[f"tokens{title}"] = [_text(value) for value in table[f"{prefix}tokens"]]
    shown["n"] = [_text(value, 0) for value in table["n"]]
    shown["not measured because"] = table["reason"].where(table["measured"].isna(), "")
    return pd.DataFrame(shown)


def block_findings(answers: "pd.DataFrame", name: str, seed: int = 0) -> "pd.DataFrame":
    """The paper's claims about a table, judged; Holm corrects for the claims of this table.

    Rows as ``findings`` gives them: over all suites, and for each where there are several.
    """
    source = get_block(name).source
    claims = [claim for claim in paper_claims() if source in claim.source]
    table = findings(answers, claims, seed)
    if answers["suite"].nunique() == 1:
        table = table[table["family"] == ALL_KINDS]
    return table.reset_index(drop=True)


def sentences(found: "pd.DataFrame") -> list[str]:
    """One line a claim over all suites: effect, interval and verdict, both ways of comparing."""
    told = []
    for says, rows in found[found["family"] == ALL_KINDS].groupby("says", sort=False):
        parts = []
        for compared in (AS_PAPER, TOKEN_MATCHED):
            for row in rows[rows["compared"] == compared].to_dict("records"):
                parts.append(f"{compared}: {_judgement(row)}")
        told.append(f"{says}. {'; '.join(parts)}.")
    return told


def suite_of_benchmark() -> dict[str, str]:
    """Benchmark -> the suite that stands for it, from the suites' manifests."""
    return {load_manifest(suite).benchmark: suite for suite in SUITES}


def _published(block: Block) -> "pd.DataFrame":
    """Published values with columns variant, benchmark, value, in the paper's order."""
    table = load_published(block.name)
    if block.name != "table1":
        return table
    tempo = table[table["group"] == TEMPO]
    return tempo.assign(variant=tempo["model"].map(dict(block.rows)))


def _cell(
    answers: "pd.DataFrame",
    block: Block,
    row: Mapping[str, Any],
    seed: int,
    missing: Mapping[str, str],
) -> dict[str, Any]:
    """What is measured of a row in the suite of its benchmark, or the reason why nothing is."""
    part = answers[answers["suite"] == row["suite"]]
    reason = _reason(part, row, missing)
    cell: dict[str, Any] = {"reason": reason, "twin": ""}
    if reason:
        return cell
    cell |= _measured(part, row["variant"], block.default, seed)
    twin = twin_name(row["variant"])
    if twin in set(part["variant"]):
        facts = _measured(part, twin, DEFAULT, seed)
        cell |= {"twin": twin, **{f"twin_{key}": value for key, value in facts.items()}}
    return cell


def _reason(part: "pd.DataFrame", row: Mapping[str, Any], missing: Mapping[str, str]) -> str:
    """Why a cell has no measurement; empty where it has one."""
    if row["variant"] in missing:
        return f"needs {missing[row['variant']]}"
    if not row["suite"]:
        return f"no suite stands for {row['benchmark']}"
    if part.empty:
        return f"{row['suite']} not asked"
    return "" if row["variant"] in set(part["variant"]) else "variant not asked"


def _measured(part: "pd.DataFrame", variant: str, default: str, seed: int) -> dict[str, Any]:
    """Accuracy, cost and difference to ``default`` in one suite, all training seeds together."""
    rows = part[part["variant"] == variant]
    share = accuracy(rows["correct"].tolist(), clusters(rows))
    ends = (100 * np.array([share.accuracy, share.low, share.high])).tolist()
    per_frame = (rows["tokens_used"] / rows["num_frames"]).mean()
    facts = dict(
        zip(_MEASURED, (*ends, share.n, rows["tokens_used"].mean(), per_frame), strict=True)
    )
    if variant == default:
        return facts
    change = compare(part, variant, default, seed)
    ends = (100 * np.array([change.difference, change.low, change.high])).tolist()
    return facts | dict(zip(_DIFFERENCE, (*ends, change.p_value), strict=True))


def _judgement(row: Mapping[str, Any]) -> str:
    if row["verdict"] == NOT_MEASURED:
        return f"{NOT_MEASURED}, needs {row['first']} and {row['second']}"
    effect, low, high = (f"{100 * row[key]:+.1f}" for key in ("effect", "low", "high"))
    return f"{effect} points ({low} to {high}), {row['verdict']}"


def _text(value: float, digits: int = 1) -> str:
    return ABSENT if np.isnan(value) else f"{value:.{digits}f}"


def _spans(table: "pd.DataFrame", middle: str, low: str, high: str, sign: str) -> list[str]:
    """``41.2 (35.0 to 47.9)`` per row; "-" where there is no number."""
    numbers = table[[middle, low, high]].itertuples(index=False, name=None)
    return [
        ABSENT if np.isnan(a) else f"{a:{sign}.1f} ({b:{sign}.1f} to {c:{sign}.1f})"
        for a, b, c in numbers
    ]
