"""Tables 1 and 2 of the paper with what is measured here beside what is published.

For each row and benchmark the accuracy, its interval and its difference to the paper's default.
Accuracies are percent, differences points; published numbers belong to another model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tempo_lib.analysis.evaluations import split_by_parts
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import BENCHMARKS, mean_over
from tempo_lib.evaluation.published import LONG, load_published, published_benchmark
from tempo_lib.evaluation.variants import VARIANTS, get_variant, matched_name
from tempo_lib.model.tempo import Tempo
from tempo_lib.registry import load_plugins
from tempo_lib.statistics.claims import findings, load_claims
from tempo_lib.statistics.summaries import ALL, difference_of, summarise

if TYPE_CHECKING:
    import pandas as pd

DEFAULT = "ata"
TEMPO = "Tempo"  # the group of Table 1 whose rows can be measured
ABSENT = "-"
PUBLISHED_ONLY = "published only"
# Rows of Table 1, by model and size, that a variant answers where the base models are the paper's.
NATIVES = {("Qwen3-VL*", "2B"): "native-base", ("Qwen3-VL*", "8B"): "native-qwen3-vl-8b"}
# budget binding for this share of the questions; by_words; twin_*: the token-matched control
_COST = ("tokens", "tokens_per_frame", "budget", "binding", "by_words")
_SHARE = ("measured", "low", "high", "n", *_COST)
_DIFFERENCE = ("difference", "difference_low", "difference_high", "p")
COLUMNS = (
    *("paper_row", "variant", "benchmark", "suite", "published", "published_difference"),
    *(*_SHARE, *_DIFFERENCE, "twin", *(f"twin_{name}" for name in (*_SHARE, *_DIFFERENCE))),
    "reason",
)
_DEFAULT_ROWS = {
    "A. Progressive Training Curriculum": "Tempo Default (8K Budget)",
    "B. Segment-Level Budget Allocation": "ATA (Adaptive token allocation, Alg. 1)",
    "C. Intra-Segment Token Reduction Scheme": "Dynamic Head Truncation (Keep first ki tokens)",
    "D. Relevance Scoring Source & Zero-Shot Prior": "Tempo SVLM Prior (Explicit routing prompt)",
    "E. Temporal Continuity (Minimum Token Guarantee)": "Minimal Temporal Anchors (kmin = 4)",
}


@dataclass(frozen=True, kw_only=True)
class Block:
    """``name``: the published item and the result; ``default``: the row all are compared with.

    ``rows``: (the paper's words, variant) in the paper's order. ``source``: of its claims.
    """

    name: str
    title: str
    source: str
    rows: tuple[tuple[str, str], ...]
    default: str = DEFAULT


def _blocks() -> Iterator[Block]:
    """Tempo's rows of Table 1 at the budgets that stand for 4K and 8K, and Table 2 A to E."""
    rows = (("Tempo* (4K Budget)", "ata-b4K"), ("Tempo* (8K Budget)", DEFAULT))
    yield Block(name="table1", title=TEMPO, source="Table 1", rows=rows)
    quoted = [(row.paper_row or "", row.name) for row in VARIANTS.values()]
    for title, default_row in _DEFAULT_ROWS.items():
        prefix = f"{title[0]}: "
        own = [
            (text.removeprefix(prefix), name) for text, name in quoted if text.startswith(prefix)
        ]
        yield Block(
            name=f"table2{title[0].lower()}",
            title=title,
            source=f"2{title[0]}",
            rows=(*own, (default_row, DEFAULT)),
        )


BLOCKS = {block.name: block for block in _blocks()}


def get_block(name: str) -> Block:
    """Block ``table1`` or ``table2a`` .. ``table2e``; ValueError listing them."""
    if name not in BLOCKS:
        raise ValueError(f"unknown table {name!r}; known tables: {', '.join(BLOCKS)}")
    return BLOCKS[name]


def block_variants(name: str, models: Mapping[int, Tempo]) -> tuple[list[str], dict[str, str]]:
    """Variants to evaluate for a table, token-matched controls included, and what others lack.

    The default and ATA, which controls are matched to, come first. Native models are rows of Table
    1 at the paper's scale: the miniature's base model is no Qwen3-VL.
    """
    block = get_block(name)
    rows = [variant for _, variant in block.rows]
    presets = [load_preset(model.config.preset) for model in models.values()]
    if name == "table1" and not any(preset.miniature for preset in presets):
        load_plugins(plugin for preset in presets for plugin in preset.plugins)
        rows += NATIVES.values()
    controls = [control for control in map(control_name, rows) if control]
    return split_by_parts(map(get_variant, (block.default, *rows, *controls)), models)


def control_name(variant: str) -> str:
    """The variant to compare at ATA's tokens; empty where another budget is the very question."""
    return matched_name(variant) if variant in VARIANTS else ""


def paper_table(
    answers: "pd.DataFrame", name: str, seed: int = 0, missing: Mapping[str, str] | None = None
) -> "pd.DataFrame":
    """One row per row of the table and benchmark; columns as in ``COLUMNS``.

    ``answers``: as ``answers_of_seeds`` gives them. What was not evaluated is NaN, and ``reason``
    says why; ``missing``: variant -> part that it lacks. The columns of the token-matched control
    compare the same variant with ATA at the tokens that ATA really used. ``seed`` draws bootstraps
    and sign flips. ValueError without answers of the default.
    """
    import pandas as pd

    block = get_block(name)
    if block.default not in set(answers["variant"]):
        known = ", ".join(answers["variant"].unique())
        raise ValueError(f"{name} compares with {block.default}; the answers hold {known}")
    suites = _benchmark_suites(answers)
    printed = _published(block)
    rows = []
    for label, variant in block.rows:
        for benchmark in dict.fromkeys(printed["benchmark"]):
            values = printed[printed["benchmark"] == benchmark].set_index("variant")["value"]
            row = {"paper_row": label, "variant": variant, "benchmark": benchmark}
            row |= {
                "published": values[variant],
                "suite": suites.get(benchmark.removesuffix(LONG), ""),
            }
            row |= {"published_difference": values[variant] - values[block.default]}
            rows.append(row | _cell(answers, block, row, seed, missing or {}))
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    numbers = [key for key in COLUMNS if key not in (*COLUMNS[:4], "twin", "reason")]
    table[numbers] = table[numbers].astype(float)
    return table


def comparison_table(
    answers: "pd.DataFrame", seed: int = 0, missing: Mapping[str, str] | None = None
) -> "pd.DataFrame":
    """Table 1: every published row, and beside Tempo's and native models' what is measured here.

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
    table = table.fillna(texts).reindex(columns=[*extra, *COLUMNS])
    suites = _benchmark_suites(answers)
    for at, row in table.iterrows():
        variant = NATIVES.get((row["paper_row"], row["size"]), "")
        if variant in {*answers["variant"], *(missing or {})}:
            suite = suites.get(row["benchmark"].removesuffix(LONG), "")
            facts = {"variant": variant, "suite": suite, "benchmark": row["benchmark"]}
            facts |= _cell(answers, get_block("table1"), facts, seed, missing or {})
            table.loc[at, list(facts)] = list(facts.values())
    return table


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
    for title, name in (("budget", "budget"), ("binds", "binding"), ("by words", "by_words")):
        shown[title] = [_text(value) for value in table[name]]
    shown["not measured because"] = table["reason"].where(table["measured"].isna(), "")
    return pd.DataFrame(shown)


def block_findings(answers: "pd.DataFrame", name: str, seed: int = 0) -> "pd.DataFrame":
    """The paper's claims about a table, judged; Holm corrects for the claims of this table.

    Rows as ``findings`` gives them: over all suites, and for each where there are several.
    """
    source = get_block(name).source
    claims = [claim for claim in load_claims("paper") if source in claim.source]
    table = findings(answers, claims, seed)
    if answers["suite"].nunique() == 1:
        table = table[table["family"] == ALL]
    return table.reset_index(drop=True)


def _published(block: Block) -> "pd.DataFrame":
    """Published values with columns variant, benchmark, value, in the paper's order."""
    table = load_published(block.name)
    if block.name != "table1":
        return table
    tempo = table[table["group"] == TEMPO]
    return tempo.assign(variant=tempo["model"].map(dict(block.rows)))


def _benchmark_suites(answers: "pd.DataFrame") -> dict[str, str]:
    """Published benchmark -> the suite that it is, or that stands for it."""
    return {published_benchmark(suite): suite for suite in _suites_beside(answers)}


def _suites_beside(answers: "pd.DataFrame") -> list[str]:
    """The suites of the answers, and those that the same plug-in registered."""
    own = list(answers["suite"].unique())
    modules = {BENCHMARKS.get(name).__module__ for name in own if name in BENCHMARKS}
    kin = [name for name in BENCHMARKS.names() if BENCHMARKS.get(name).__module__ in modules]
    return [*kin, *own]


def _cell(
    answers: "pd.DataFrame",
    block: Block,
    row: Mapping[str, Any],
    seed: int,
    missing: Mapping[str, str],
) -> dict[str, Any]:
    """What is measured of a row in the suite of its benchmark, or the reason why nothing is."""
    part = answers[answers["suite"] == row["suite"]]
    if row["benchmark"].endswith(LONG):
        part = part[part["duration"] == LONG.strip().lower()]
    reason = _reason(part, row, missing)
    if reason:
        return {"reason": reason, "twin": ""}
    cell = {"reason": "", "twin": "", **_measured(part, row["variant"], block.default, seed)}
    control = control_name(row["variant"])
    if control in set(part["variant"]):
        facts = _measured(part, control, DEFAULT, seed)
        cell |= {"twin": control, **{f"twin_{key}": value for key, value in facts.items()}}
    return cell


def _reason(part: "pd.DataFrame", row: Mapping[str, Any], missing: Mapping[str, str]) -> str:
    """Why a cell has no measurement; empty where it has one."""
    if row["variant"] in missing:
        return f"needs {missing[row['variant']]}"
    if not row["suite"]:
        return f"no suite stands for {row['benchmark']}"
    if part.empty:
        return f"{row['suite']} not evaluated"
    return "" if row["variant"] in set(part["variant"]) else "variant not evaluated"


def _measured(part: "pd.DataFrame", variant: str, default: str, seed: int) -> dict[str, float]:
    """Accuracy, cost and difference to ``default`` in one suite, all training seeds together.

    Both are means over groups where the benchmark's are (MLVU).
    """
    over = mean_over(part["suite"].iloc[0])
    rows = part[part["variant"] == variant]
    rows = rows.assign(tokens_per_frame=rows["tokens_used"] / rows["num_frames"])
    means = {"tokens": "tokens_used", "tokens_per_frame": "tokens_per_frame"}
    means |= {"budget": "budget", "binding": "budget_bound", "words": "correct_words"}
    share = summarise(rows, [], means=means, over=over).iloc[0]
    percent = [100 * share[name] for name in ("accuracy", "low", "high")]
    share["words"] = 100 * share["words"]
    facts = dict(zip(_SHARE, (*percent, *share[["n", *means]]), strict=True))
    if variant == default:
        return facts
    change = difference_of(part, variant, default, seed)
    points = [100 * value for value in (change.difference, change.low, change.high)]
    return facts | dict(zip(_DIFFERENCE, (*points, change.p_value), strict=True))


def _text(value: float, digits: int = 1) -> str:
    return ABSENT if np.isnan(value) else f"{value:.{digits}f}"


def _spans(table: "pd.DataFrame", middle: str, low: str, high: str, sign: str) -> list[str]:
    """``41.2 (35.0 to 47.9)`` per row; "-" where there is no number."""
    numbers = table[[middle, low, high]].itertuples(index=False, name=None)
    return [
        ABSENT if np.isnan(a) else f"{a:{sign}.1f} ({b:{sign}.1f} to {c:{sign}.1f})"
        for a, b, c in numbers
    ]
