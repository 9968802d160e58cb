"""``tempo allocation``: Figures A and B as numbers, from saved records alone."""

from contextlib import redirect_stdout
from pathlib import Path
from sys import stderr
from typing import TYPE_CHECKING, Annotated

import typer

from tempo_lib.cli.common import (
    DEFAULT_PRESET,
    InputError,
    PresetOption,
    bad_input,
    check_parent,
    needs_extra,
    screen,
)

if TYPE_CHECKING:
    import pandas as pd

# Column -> heading: Figure A's shape, then Figure B's use of the capacity.
SHOWN = {
    "suite": "suite",
    "budget": "budget",
    "n": "questions",
    "segments": "segments",
    "mean": "tokens/segment",
    "median": "median",
    "at_k_min": "at k_min",
    "at_k_max": "at k_max",
    "skewness": "skewness",
    "line": "capacity/segment",
    "above": "above it",
    "full": "budget full",
    "used": "capacity used",
}


def allocation(
    preset: PresetOption = DEFAULT_PRESET,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="S", help="May be repeated.", show_default="every suite of the preset"
        ),
    ] = None,
    budget: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Allocate again under it; may be repeated.",
            show_default="as it was recorded",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write all columns there.")
    ] = None,
) -> int:
    """How ATA spread its tokens, by suite and budget: no model, no video, no GPU.

    Reads the records that `tempo evaluate --variant ata` left in runs/PRESET/evaluations, also
    those that were copied from another machine. Shares are of segments (at k_min, at k_max) and of
    questions (above the suite's mean capacity, budget full); intervals are in the file.

    Example:

    * tempo allocation --preset 6b --budget 4096 --budget 8192 --out allocation.csv
    """
    with needs_extra("notebooks"):
        from tempo_lib.evaluation.benchmark import benchmark_names
        from tempo_lib.fingerprint import write_atomic

    if out is not None:
        check_parent("--out", out)
    with bad_input(), redirect_stdout(stderr):
        table = statistics(preset, suite or benchmark_names(preset), budget or [])
    shown = table[list(SHOWN)].rename(columns=SHOWN).round(3)
    screen().print(shown.to_string(index=False), markup=False)
    if out is not None:
        write_atomic(out, table.to_csv(index=False))
    return 0


def statistics(preset: str, suites: list[str], budgets: list[int]) -> "pd.DataFrame":
    """``shapes`` and ``budget_use`` of every suite, side by side; InputError for two capacities."""
    import pandas as pd

    from tempo_lib.analysis import allocation as stats
    from tempo_lib.analysis import what_if

    saved = [what_if.saved_records(preset, name) for name in suites]
    capacities = {kept.facts["limits"]["k_max"] for kept in saved}
    if len(capacities) > 1:
        raise InputError(f"the suites were evaluated under different k_max: {sorted(capacities)}")
    records = [record for kept in saved for record in kept.records.values()]
    (k_max,) = capacities
    chosen: list[int | None] = [*budgets] or [None]
    parts = [what_if.reallocate(records, k_max, one) for one in chosen]
    segments = pd.concat(parts, ignore_index=True)
    use = stats.budget_use(stats.per_question(segments))
    own = [name for name in use.columns if name not in ("n", "segments", "mean")]
    return stats.shapes(segments).merge(use[own], on=list(stats.GROUP))
