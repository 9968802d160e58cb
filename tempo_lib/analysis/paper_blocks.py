"""Which variants make Tables 1 and 2 of the paper, in its order and words, and what they cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tempo_lib.evaluation.jobs import find_models
from tempo_lib.evaluation.records import compression_digest
from tempo_lib.evaluation.variants import VARIANTS, Variant, get_variant, matched_name, sweep_name
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.claims import Scaling
from tempo_lib.statistics.claims_table import missing_part

if TYPE_CHECKING:
    import pandas as pd

DEFAULT = "ata"
TEMPO = "Tempo"  # the group of Table 1 whose rows can be measured


@dataclass(frozen=True, kw_only=True)
class Block:
    """``name``: the published item and the result; ``default``: the row all are compared to.

    ``rows``: (the paper's words, variant) in the paper's order. ``source``: of its claims.
    """

    name: str
    title: str
    source: str
    rows: tuple[tuple[str, str], ...]
    default: str = DEFAULT


def _ablation(title: str, default_row: str) -> Block:
    """A block of Table 2: the variants that quote its rows, then the default in its own words."""
    letter = title[0]
    prefix = f"{letter}: "
    quoted = [(row.paper_row or "", row.name) for row in VARIANTS.values()]
    rows = [(text.removeprefix(prefix), name) for text, name in quoted if text.startswith(prefix)]
    return Block(
        name=f"table2{letter.lower()}",
        title=title,
        source=f"2{letter}",
        rows=(*rows, (default_row, DEFAULT)),
    )


def _budgets(scaling: Scaling) -> Block:
    """Tempo's rows of Table 1 at the budgets that stand for 4K and 8K."""
    _, low, high, _ = scaling.budgets
    four, eight = (sweep_name(scaling.frames[-1], budget) for budget in (low, high))
    rows = (("Tempo* (4K Budget)", four), ("Tempo* (8K Budget)", eight))
    return Block(name="table1", title=TEMPO, source="Table 1", rows=rows, default=eight)


BLOCKS = {
    block.name: block
    for block in (
        _budgets(Scaling()),
        _ablation("A. Progressive Training Curriculum", "Tempo Default (8K Budget)"),
        _ablation("B. Segment-Level Budget Allocation", "ATA (Adaptive token allocation, Alg. 1)"),
        _ablation(
            "C. Intra-Segment Token Reduction Scheme",
            "Dynamic Head Truncation (Keep first ki tokens)",
        ),
        _ablation(
            "D. Relevance Scoring Source & Zero-Shot Prior",
            "Tempo SVLM Prior (Explicit routing prompt)",
        ),
        _ablation(
            "E. Temporal Continuity (Minimum Token Guarantee)",
            "Minimal Temporal Anchors (kmin = 4)",
        ),
    )
}


def get_block(name: str) -> Block:
    """Block ``table1`` or ``table2a`` .. ``table2e``; ValueError listing them."""
    if name not in BLOCKS:
        raise ValueError(f"unknown table {name!r}; known tables: {', '.join(BLOCKS)}")
    return BLOCKS[name]


def block_variants(name: str, models: Mapping[int, Tempo]) -> tuple[list[str], dict[str, str]]:
    """Variants to ask for a table, twins at equal tokens included, and what others lack.

    The default and ATA, which twins are matched to, come first.
    """
    block = get_block(name)
    rows = [variant for _, variant in block.rows]
    twins = [twin for twin in map(twin_name, rows) if twin]
    missing = {
        row: part
        for row in dict.fromkeys([block.default, *rows, *twins])
        for part in [missing_part(get_variant(row), models.values())]
        if part is not None
    }
    named = dict.fromkeys([block.default, *rows, *twins])
    return [row for row in named if row not in missing], missing


def twin_name(variant: str) -> str:
    """The variant to compare at ATA's tokens; empty where another budget is the very question."""
    if variant not in VARIANTS:
        return ""
    return matched_name(variant)


def count_compressions(answers: "pd.DataFrame", models: Mapping[int, Tempo]) -> int:
    """How often the compressor reads a question to give these answers, records or none.

    Variants share a compression if compressor, prompt and frames agree. Scores under another
    prompt than that of the memories take a second one; foreign judges are not counted. The
    variant that twins are matched to must be among the answers.
    """
    total = 0
    for model_seed, model in models.items():
        part = answers[answers["model_seed"] == model_seed]
        rows = [get_variant(name) for name in part["variant"].unique()]
        digests = {
            name: compression_digest(found) for name, found in find_models(model, rows, {}).items()
        }
        keys = part[["suite", "question_id", "num_frames"]]
        total += len(
            {
                (digests[row.checkpoint], prompt, *key)
                for row in rows
                for key in keys[part["variant"] == row.name].itertuples(index=False, name=None)
                for prompt in _prompts(row)
            }
        )
    return total


def _prompts(row: Variant) -> set[str]:
    """Prompts under which the variant's own compressor reads."""
    return {row.prompt, row.score_prompt} if row.score_source == "tempo" else {row.prompt}
