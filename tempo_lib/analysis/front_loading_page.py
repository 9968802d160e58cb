"""What the experiments of lesson 40 show together: a table of statements, and one page of it.

Every number and verdict on the page is computed.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.analysis.ablation import (
    BACKWARDS,
    WHOLE,
    block_difference,
    gradient_halves,
    half_blocks,
    named_block,
)
from tempo_lib.analysis.attention import attention_halves
from tempo_lib.analysis.front_loading import (
    FEW_ANSWERS,
    HEAD,
    FrontLoading,
    area_difference,
    findings,
    lead_by_step,
)
from tempo_lib.analysis.probes import ProbeData, probe_halves
from tempo_lib.analysis.short_training import attention_verdict
from tempo_lib.statistics.intervals import Difference
from tempo_lib.statistics.summaries import ALL

if TYPE_CHECKING:
    import pandas as pd

PHENOMENON, CONTENT = "the phenomenon", "where the content is"
ATTENTION, NEED, TIME = "attention targets", "what the answer needs", "when it appears"
PICTURES: Mapping[str, str | None] = {  # topic -> its picture, under it on the page
    PHENOMENON: "front_loading_curves",
    CONTENT: "front_loading_probes",
    ATTENTION: "front_loading_attention",
    NEED: None,
    TIME: "front_loading_stages",
}
BASELINES = {  # scheme: what it keeps
    "tail": "tails",
    "every": "every m-th memory",
    "random": "randomly kept memories",
    "merge": "merged memories",
}
TARGET_WORDS = {"patches": "the frames", "query": "the question", "memory": "memories"}
BEFORE = "Before any stage, the first half of the positions holds more of the segment"
IN_ORDER = "Memories in their order answer more than in reverse"
LEAD = "The head's lead grows from"
CAUSES = {  # suspected cause -> beginning of the last statement that tests it
    "causal attention alone": BEFORE,
    "the decoder's habit (the last stage trains the decoder alone)": LEAD,
    "the position in the decoder": IN_ORDER,
}
INTRODUCTION = (
    "Do the first memory tokens of a segment hold more than the last ones? Made by notebook 40. "
    "Effects are points of accuracy with 95 % intervals over videos (of attention and gradients: "
    "points of their share); verdicts are corrected for the number of statements (Holm). *Not "
    "shown* is about the evidence, not about the truth."
)
NOT_DECIDED = (
    "Causal attention is in every model of these stages; lesson 43 takes it away in short "
    "trainings. There a memory's place and its own learned vector are separated, too.",
    "A linear probe finds what is linearly readable, not what a decoder of several layers unpacks.",
    "Attention is not use. The ablations test use, for these questions only.",
    "One training run and one world: the intervals are over videos, not over training seeds.",
)

Row = tuple[str, str, Difference]


def all_findings(
    answers: "pd.DataFrame",
    data: ProbeData,
    untrained: ProbeData,
    shares: "pd.DataFrame",
    ablated: "pd.DataFrame",
    gradients: "pd.DataFrame",
    by_checkpoint: "pd.DataFrame",
    seed: int,
) -> "pd.DataFrame":
    """Every statement of the lesson, judged together: rows of ``front_loading.findings``.

    ``answers``: slices of the last checkpoint; ``by_checkpoint``: of all of them, in the order of
    training; ``data`` and ``untrained``: memories of the last one and of "base"; ``shares``:
    ``clip_attention``; ``ablated``: ``ablated_answers`` of ``half_blocks``; ``gradients``:
    ``gradient_shares``.
    """
    half = "The first half of the positions"
    rows: list[Row] = []
    for scheme in [name for name in BASELINES if name in set(answers["scheme"])]:
        statement = f"Heads answer more than {BASELINES[scheme]}"
        rows.append((PHENOMENON, statement, area_difference(answers, seed, HEAD, scheme)))
    for name, measured in probe_halves(data, seed).items():
        what = "the segment" if name == ALL else name
        rows.append((CONTENT, f"{half} holds more of {what}", measured))
    for target, words in TARGET_WORDS.items():
        # later memories have more memories before them to attend to
        attended = attention_halves(shares, target, seed)
        rows.append((ATTENTION, f"{half} attends more to {words}", attended))
    rows += _need_rows(ablated, gradients, seed)
    rows.append((TIME, BEFORE, probe_halves(untrained, seed)[ALL]))
    steps = lead_by_step(by_checkpoint, seed).items()
    rows += [(TIME, f"{LEAD} {step}", measured) for step, measured in steps]
    return findings(rows)


def _need_rows(ablated: "pd.DataFrame", gradients: "pd.DataFrame", seed: int) -> list[Row]:
    """Ablations and gradients of the two halves, and the order of whole memories."""
    blocks = half_blocks(int(ablated["last"].max()) + 1)[:2]
    first, second = (named_block(block)["block"] for block in blocks)
    lost = block_difference(ablated, second, first, seed)
    statement = "The right answer depends more on the first half (gradient x input)"
    return [
        (NEED, "Losing the first half costs more than losing the second", lost),
        (NEED, statement, gradient_halves(gradients, seed)),
        (NEED, IN_ORDER, block_difference(ablated, WHOLE, BACKWARDS, seed)),
    ]


def page(
    where: str,
    table: "pd.DataFrame",
    index: FrontLoading,
    by_kind: "pd.DataFrame",
    stages: "pd.DataFrame",
    alt_texts: Mapping[str, str],
    interventions: "pd.DataFrame | None" = None,
) -> str:
    """The lesson as Markdown: findings by topic, possible causes, what stays open.

    ``where``: preset and suite; ``table``: ``all_findings``; the index over all questions,
    ``by_kind`` of question and by checkpoint (``stages``); ``alt_texts``: the description of each
    picture, by its name; ``interventions``: ``short_training.compare_with_baseline``, if there is
    one. ValueError for a picture without description, or findings without a test of a cause.
    """
    absent = [name for name in PICTURES.values() if name and not alt_texts.get(name)]
    if absent:
        raise ValueError(f"pictures without a description: {', '.join(absent)}")
    first = table[table["topic"] == PHENOMENON].iloc[0]
    lines = [
        f"# Semantic front-loading ({where})\n\n{INTRODUCTION}\n",
        f"**Front-loading is {first['verdict']}**: heads against tails of equal size "
        f"{100 * first['effect']:+.1f} points.\n",
        f"**Index:** {index_words(index)} (1: tails answer nothing; 0: both ends answer alike). "
        f"Heads answer {index.head:.1%} on average over k, tails {index.tail:.1%}; "
        f"{index.n} questions about {index.num_videos} videos.\n",
    ]
    for topic, picture in PICTURES.items():
        points = sentences(table[table["topic"] == topic])
        points += _stage_lines(stages) if topic == TIME else []
        lines += _section(topic, points)
        lines += [f"![{alt_texts[picture]}]({picture}.png)\n"] if picture else []
    lines += _section("possible causes", cause_sentences(table, by_kind))
    if interventions is not None:
        lines += _section("trainings with one thing changed", intervention_sentences(interventions))
    return "\n".join([*lines, *_section("what is not decided here", NOT_DECIDED)])


def sentences(table: "pd.DataFrame") -> list[str]:
    """``statement: verdict, effect (low to high, n).`` for rows of ``all_findings``, in points."""
    return [
        f"{row.statement}: **{row.verdict}**, {100 * row.effect:+.1f} points "
        f"({100 * row.low:+.1f} to {100 * row.high:+.1f}, n = {row.n})."
        for row in table.itertuples()
    ]


def cause_sentences(table: "pd.DataFrame", by_kind: "pd.DataFrame") -> list[str]:
    """One line per suspected cause with its test, then the task's: do kinds of question differ?

    ValueError for findings that lack the test of a cause.
    """
    found = []
    for cause, beginning in CAUSES.items():
        rows = table[table["statement"].str.startswith(beginning)]
        if rows.empty:
            raise ValueError(f"findings lack a test of: {beginning}")
        row = rows.iloc[-1]
        found.append(f"{_capital(cause)}: **{row['verdict']}**. {row['statement']}.")
    kinds = by_kind[(by_kind["kind"] != ALL) & by_kind["index"].notna()]
    if len(kinds) < 2:
        return [*found, "The task: fewer than two kinds of question have an index."]
    low, high = kinds.loc[kinds["index"].idxmin()], kinds.loc[kinds["index"].idxmax()]
    verdict = "shown" if kinds["low"].max() > kinds["high"].min() else "not shown"
    ends = f"{low['index']:+.2f} ({low['kind']}) to {high['index']:+.2f} ({high['kind']})"
    return [*found, f"The task: **{verdict}**. The index of {len(kinds)} kinds runs from {ends}."]


def intervention_sentences(table: "pd.DataFrame") -> list[str]:
    """The verdict on causal attention, then one line per row of ``compare_with_baseline``."""
    verdict = attention_verdict(table)
    lines = [f"They are **{verdict}** the paper's explanation, causal attention."]
    for row in table.to_dict("records"):
        index = "no index" if np.isnan(row["index"]) else f"index {row['index']:+.2f}"
        state = f"{index}, {row['end']}, whole memories {row['whole']:.0%}"
        line = f"{row['condition']} ({row['factor']}, {row['num_seeds']} seeds): {state}"
        if row["effect"]:
            line += f"; the head's lead against the baseline: **{row['effect']}**"
        if not np.isnan(row["change"]):
            line += f", {100 * row['change']:+.1f} points"
        if not np.isnan(row["change_low"]):
            low, high = 100 * row["change_low"], 100 * row["change_high"]
            line += f" ({low:+.1f} to {high:+.1f} over seeds)"
        lines.append(f"{line}.")
    return lines


def index_words(index: FrontLoading) -> str:
    """``+0.21 (+0.10 to +0.33)``, and whether it rests on few answers."""
    if np.isnan(index.index):
        return "none, neither end answered anything"
    text = f"{index.index:+.2f} ({index.low:+.2f} to {index.high:+.2f})"
    few = max(index.head, index.tail) < FEW_ANSWERS
    return f"{text}, hardly anything answered" if few else text


def _section(heading: str, points: Sequence[str]) -> list[str]:
    return [f"## {_capital(heading)}\n", *(f"* {point}" for point in points), ""]


def _stage_lines(stages: "pd.DataFrame") -> list[str]:
    rows = stages.to_dict("records")
    names = [row.pop("checkpoint") for row in rows]
    found = [index_words(FrontLoading(**row)) for row in rows]
    return [f"Index at {name}: {words}." for name, words in zip(names, found, strict=True)]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
