"""``tempo reproduce``: the batch run; failed jobs become a short report."""

from pathlib import Path
from typing import Annotated

import typer

from tempo_lib.cli.common import (
    DEFAULT_PRESET,
    FromScratchOption,
    InputError,
    NumQuestionsOption,
    PresetOption,
    bad_input,
    check_parent,
    needs_extra,
)


def reproduce(
    preset: PresetOption = DEFAULT_PRESET,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="One result, or a notebook's name or number.", show_default="all"
        ),
    ] = None,
    from_scratch: FromScratchOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    cores: Annotated[
        int | None,
        typer.Option(metavar="N", help="Jobs at a time, one core each.", show_default="all cores"),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Snakemake's executor, as slurm.", show_default="here"),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="All pictures and tables on one page.")
    ] = None,
    num_questions: NumQuestionsOption = 0,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Put results of a part of the questions into figures/ too."),
    ] = False,
    parts: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Jobs that share the answers of each suite."),
    ] = 1,
) -> int:
    """Make every table and figure: train or keep a model, evaluate the suites, run the notebooks.

    Prints its plan with expected times first. What is up to date is not made again.

    Examples:

    * tempo reproduce --from-scratch
    * tempo reproduce --only table2c --dry-run
    * tempo reproduce --num-questions 60
    * tempo reproduce --executor slurm --cores 10
    * tempo reproduce --preset 6b --dry-run
    * tempo reproduce --preset 6b --executor slurm --cores 32 --parts 8
    """
    with needs_extra("notebooks"):
        from tempo_lib.checkpoints.folders import CheckpointError
        from tempo_lib.reproduce import batch

    if report is not None:
        if report.suffix != ".html":
            raise InputError(f"--report {report}: the page is HTML, so call it {report.stem}.html")
        check_parent("--report", report)
    with bad_input(ValueError, CheckpointError):
        made = batch.make_batch(
            preset, only, from_scratch, cores, executor, num_questions, publish, parts
        )
        return batch.reproduce(made, dry_run, report)
