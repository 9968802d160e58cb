"""One page about front-loading in plain words; every number and verdict in it is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.analysis.condition_summary import find_summary
from tempo_lib.analysis.condition_verdicts import page_lines
from tempo_lib.analysis.front_loading import MEAGRE, FrontLoading
from tempo_lib.analysis.front_loading_findings import (
    BEFORE,
    CONTENT,
    IN_ORDER,
    LAST_STEP,
    LOOKING,
    NEED,
    PHENOMENON,
    TIME,
)
from tempo_lib.statistics.findings import NOT_SHOWN, REVERSED, SHOWN

if TYPE_CHECKING:
    import pandas as pd

REPORT = "front_loading.md"
CURVES, PROBES, ATTENTION = (
    "front_loading_curves",
    "front_loading_probes",
    "front_loading_attention",
)
STAGES = "front_loading_stages"
PICTURES = (CURVES, PROBES, ATTENTION, STAGES)
TOPICS: Mapping[str, str | None] = {  # topic -> its picture, under it on the page
    PHENOMENON: CURVES,
    CONTENT: PROBES,
    LOOKING: ATTENTION,
    NEED: None,
    TIME: STAGES,
}
NOT_DECIDED = (
    "Causal attention is in every model of these stages. What its absence does, lesson 43 asks of "
    "short trainings without it.",
    "A memory's place in the line and its own learned vector change together here. Lesson 43 "
    "parts them, again in short trainings.",
    "A linear probe finds what lies open. Content that only a decoder of several layers can "
    "unpack stays unseen.",
    "Attention is where a token looks, not what it takes along. The knock-outs test that, and "
    "only for the answers asked.",
    "One training run and one world stand behind each number. The intervals are over videos, not "
    "over training seeds.",
)


@dataclass(frozen=True)
class Suspect:
    """One possible cause: the sentence that tests it, and how to read its verdict."""

    name: str
    says: str
    readings: Mapping[str, str]


SUSPECTS = (
    Suspect(
        "causal attention alone",
        BEFORE,
        {
            SHOWN: "the order is there before any training of the memory tokens, so the "
            "architecture can be enough to begin with",
            NOT_SHOWN: "before training, no lead of the earlier positions was found; nothing here "
            "says that the architecture alone makes one",
            REVERSED: "before training, the later positions tell more; an order the other way "
            "has to be learned",
        },
    ),
    Suspect(
        "the decoder's habit",
        LAST_STEP,
        {
            SHOWN: "the last stage trains the decoder alone, and the lead of the head grew: the "
            "decoder adds to it",
            NOT_SHOWN: "the last stage trains the decoder alone, and no growth of the head's lead "
            "was found there",
            REVERSED: "the last stage trains the decoder alone, and the lead of the head shrank: "
            "the decoder learned to read the tail as well",
        },
    ),
    Suspect(
        "the position in the decoder",
        IN_ORDER,
        {
            SHOWN: "the same memories in reverse order answer less, so the decoder expects them "
            "at their places",
            NOT_SHOWN: "no loss was found when the same memories come in reverse order; nothing "
            "here points to their places",
            REVERSED: "the same memories in reverse order answer more, so their places work "
            "against the head",
        },
    ),
)


@dataclass(frozen=True, kw_only=True)
class Results:
    """What the lesson measured: rows of ``all_findings``, the index, the index by kind of
    question and by checkpoint, the description of each picture by its result's name, and rows of
    ``condition_summary.summarise``, None without any."""

    preset: str
    suite: str
    findings: "pd.DataFrame"
    index: FrontLoading
    by_kind: "pd.DataFrame"
    stages: "pd.DataFrame"
    alt_texts: Mapping[str, str]
    conditions: "pd.DataFrame | None" = None


def report(results: Results) -> str:
    """The page as Markdown. ValueError for a picture without description, a topic that the page
    does not know, or a suspect without a test."""
    _check(results)
    index = results.index
    lines = [
        f"# Semantic front-loading (preset {results.preset}, {results.suite})",
        "",
        "Do the first memory tokens of a segment carry more than the last ones? Made by notebook "
        "40; each number below is measured, with its 95 % interval over videos. *Shown* and "
        "*reversed* hold after a correction for the number of sentences; *not shown* speaks of "
        "the evidence, not of the truth. A gradient or an attention has its share for unit, in "
        "points of 100; all else is accuracy.",
        "",
        f"**In one sentence:** {_headline(results)}",
        "",
        f"**Index:** {index_words(index)} (1: tails answer nothing; 0: both ends answer alike). "
        f"Heads answer {index.head:.1%} on average over k, tails {index.tail:.1%}; "
        f"{index.n} questions about {index.num_videos} videos.",
        "",
    ]
    for topic, picture in TOPICS.items():
        lines += _section(results, topic, picture)
    lines += ["## What this says about the cause", ""]
    lines += [f"* {sentence}" for sentence in cause_sentences(results)]
    lines += ["", *page_lines(results.conditions)]
    lines += ["## What is not decided here", ""]
    lines += [f"* {sentence}" for sentence in NOT_DECIDED]
    return "\n".join([*lines, ""])


def write_report(results: Results, folder: Path) -> Path:
    """Write the page into ``folder``, beside its pictures; return its path.

    Measurements of changed conditions join it where the preset has some.
    """
    if results.conditions is None:
        results = replace(results, conditions=find_summary(results.preset))
    path = folder / REPORT
    path.write_text(report(results), encoding="utf-8")
    return path


def index_words(index: FrontLoading) -> str:
    """``+0.21 (+0.05 to +0.36)``; in words where nothing was answered."""
    if np.isnan(index.index):
        return "none, neither end answered anything"
    words = f"{index.index:+.2f} ({index.low:+.2f} to {index.high:+.2f})"
    return words if max(index.head, index.tail) >= MEAGRE else f"{words}, hardly anything answered"


def cause_sentences(results: Results) -> list[str]:
    """One sentence a suspected cause, with the verdict of its test; then the task's."""
    by_says = results.findings.set_index("says")
    found = []
    for suspect in SUSPECTS:
        row = by_says.loc[suspect.says]
        reading = suspect.readings[row["verdict"]]
        found.append(f"{_capital(suspect.name)} ({row['verdict']}): {reading}.")
    return [*found, _task_sentence(results.by_kind)]


def sentences(findings: "pd.DataFrame") -> list[str]:
    """``says: verdict, effect (low to high, n).`` for rows of ``all_findings``, in points."""
    return [
        f"{row.says}: **{row.verdict}**, {100 * row.effect:+.1f} points "
        f"({100 * row.low:+.1f} to {100 * row.high:+.1f}, n = {row.n})."
        for row in findings.itertuples()
    ]


def _check(results: Results) -> None:
    absent = [name for name in PICTURES if not results.alt_texts.get(name)]
    if absent:
        raise ValueError(f"pictures without a description: {', '.join(absent)}")
    unknown = sorted(set(results.findings["topic"]) - set(TOPICS))
    if unknown:
        raise ValueError(f"unknown topics {unknown}; known: {', '.join(TOPICS)}")
    says = set(results.findings["says"])
    untested = [s.says for s in SUSPECTS if s.says not in says]
    if untested or PHENOMENON not in set(results.findings["topic"]):
        raise ValueError(f"findings lack a test of: {', '.join(untested) or PHENOMENON}")


def _headline(results: Results) -> str:
    """From the first sentence about the phenomenon: heads against tails."""
    row = results.findings[results.findings["topic"] == PHENOMENON].iloc[0]
    words = {
        SHOWN: "front-loading is shown: heads answer more than tails of equal size",
        NOT_SHOWN: "front-loading is not shown: heads and tails differ no more than by chance",
        REVERSED: "front-loading is reversed: tails answer more than heads of equal size",
    }
    return f"{words[row['verdict']]} ({100 * row['effect']:+.1f} points)."


def _section(results: Results, topic: str, picture: str | None) -> Sequence[str]:
    rows = results.findings[results.findings["topic"] == topic]
    lines = [f"## {_capital(topic)}", ""]
    lines += [f"* {sentence}" for sentence in sentences(rows)]
    if topic == TIME:
        lines += [f"* Index at {_stage_words(row)}" for row in results.stages.to_dict("records")]
    if picture is not None:
        lines += ["", f"![{results.alt_texts[picture]}]({picture}.png)"]
    return [*lines, ""]


def _stage_words(row: Mapping[str, object]) -> str:
    index = FrontLoading(**{k: v for k, v in row.items() if k != "checkpoint"})  # type: ignore[arg-type]
    return f"{row['checkpoint']}: {index_words(index)}."


def _task_sentence(by_kind: "pd.DataFrame") -> str:
    """Whether the index differs between kinds of questions: do their intervals all overlap?"""
    kinds = by_kind[(by_kind["kind"] != "all") & by_kind["index"].notna()]
    if len(kinds) < 2:
        return "The task (not asked): fewer than two kinds of questions have an index."
    low, high = kinds.loc[kinds["index"].idxmin()], kinds.loc[kinds["index"].idxmax()]
    apart = kinds["low"].max() > kinds["high"].min()
    verdict = "shown" if apart else "not shown"
    words = "do not all overlap" if apart else "all overlap"
    ends = f"{low['index']:+.2f} ({low['kind']}) to {high['index']:+.2f} ({high['kind']})"
    return (
        f"The task ({verdict}): the index runs from {ends}, and the intervals of the "
        f"{len(kinds)} kinds {words}."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
