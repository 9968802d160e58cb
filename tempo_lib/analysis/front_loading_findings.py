"""The sentences of the lesson on front-loading, each with the experiment that judges it."""

from typing import TYPE_CHECKING

from tempo_lib.analysis.attention_maps import attention_halves
from tempo_lib.analysis.front_loading import HEAD, area_difference, judged, stage_steps
from tempo_lib.analysis.knockout import (
    BACKWARDS,
    WHOLE,
    block_difference,
    gradient_halves,
    half_blocks,
    named_block,
)
from tempo_lib.analysis.probes import ProbeData, probe_halves
from tempo_lib.statistics.intervals import Difference
from tempo_lib.statistics.summaries import ALL as ALL_KINDS

if TYPE_CHECKING:
    import pandas as pd

PHENOMENON, CONTENT = "the phenomenon", "where the content sits"
LOOKING, NEED, TIME = "what the memories look at", "what the answer needs", "when it appears"
RIVALS = {  # scheme: what it keeps
    "tail": "tails",
    "every": "every m-th memory",
    "random": "randomly kept memories",
    "merge": "merged memories",
}
TARGET_WORDS = {"patches": "the frames", "query": "the question", "memory": "memories"}
BEFORE = "Before any stage, the first half of the positions tells more of the segment"
IN_ORDER = "Memories in their order answer more than in reverse"
LAST_STEP = "The head's lead grows from stage2 to stage3"

Row = tuple[str, str, Difference]


def all_findings(
    answers: "pd.DataFrame",
    data: ProbeData,
    untrained: ProbeData,
    shares: "pd.DataFrame",
    knocked: "pd.DataFrame",
    pulls: "pd.DataFrame",
    by_checkpoint: "pd.DataFrame",
    seed: int,
) -> "pd.DataFrame":
    """Every sentence of the lesson, judged together: rows of ``front_loading.judged``.

    ``answers``: slices of the last checkpoint; ``by_checkpoint``: of all of them; ``data`` and
    ``untrained``: memories of the last one and of "base"; ``shares``: ``story_attention``;
    ``knocked``: ``knockout_answers`` of ``half_blocks``; ``pulls``: ``gradient_shares``.
    """
    rows = [
        *head_rows(answers, seed),
        *content_rows(data, seed),
        *looking_rows(shares, seed),
        *need_rows(knocked, pulls, seed),
        (TIME, BEFORE, probe_halves(untrained, seed)[ALL_KINDS]),
        *stage_rows(by_checkpoint, seed),
    ]
    return judged(rows)


def head_rows(answers: "pd.DataFrame", seed: int) -> list[Row]:
    """Heads against every other scheme that was asked, tails first."""
    asked = set(answers["scheme"])
    return [
        (PHENOMENON, f"Heads answer more than {what}", area_difference(answers, seed, HEAD, name))
        for name, what in RIVALS.items()
        if name in asked
    ]


def content_rows(data: ProbeData, seed: int) -> list[Row]:
    """Probes: over all attributes, then each."""
    rows = []
    for name, measured in probe_halves(data, seed).items():
        what = "the segment" if name == ALL_KINDS else name
        rows.append((CONTENT, f"The first half of the positions tells more of {what}", measured))
    return rows


def looking_rows(shares: "pd.DataFrame", seed: int) -> list[Row]:
    """Attention, by target. Later memories have more memories before them to look at."""
    says = "The first half of the positions looks more at"
    return [
        (LOOKING, f"{says} {words}", attention_halves(shares, target, seed))
        for target, words in TARGET_WORDS.items()
    ]


def need_rows(knocked: "pd.DataFrame", pulls: "pd.DataFrame", seed: int) -> list[Row]:
    """Knock-outs and gradients of the two halves, and the order of whole memories."""
    capacity = int(knocked["last"].max()) + 1
    first, second = (named_block(block)["block"] for block in half_blocks(capacity)[:2])
    lost = block_difference(knocked, second, first, seed)
    in_order = block_difference(knocked, WHOLE, BACKWARDS, seed)
    says = "The right answer depends more on the first half (gradients)"
    return [
        (NEED, "Losing the first half costs more than losing the second", lost),
        (NEED, says, gradient_halves(pulls, seed)),
        (NEED, IN_ORDER, in_order),
    ]


def stage_rows(by_checkpoint: "pd.DataFrame", seed: int) -> list[Row]:
    """The head's lead over the tail, from each checkpoint to the next one."""
    return [
        (TIME, f"The head's lead grows from {step}", measured)
        for step, measured in stage_steps(by_checkpoint, seed).items()
    ]
