"""``tempo doctor``: is all well here? What a bug report needs, and a short self-test.

With ``--parity``: does this machine compute what the release computed?
"""

import json
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tempo_lib.cli import health
from tempo_lib.cli.common import InputError, bad_input, check_parent, printable, screen

if TYPE_CHECKING:
    from rich.console import Console

REPORT_WIDTH = 130  # columns, so that a file or a pipe gets one line per row
ON_SCREEN = Path("-")  # as the file of --json


def doctor(
    parity: Annotated[
        bool,
        typer.Option("--parity", help="Compare this machine's numbers with the recorded release."),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The recorded data of the release.",
            show_default="tests/data/golden of the checkout",
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the report there as JSON; - prints it."),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the parity report there as a page (PARITY.md)."),
    ] = None,
    self_test: Annotated[
        bool,
        typer.Option("--self-test/--no-self-test", help="Answer a question about a drawn clip."),
    ] = True,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read the weights of large checkpoints too.")
    ] = False,
) -> int:
    """Say what is installed and what a model would run on, and try it; a bug report needs this.

    Versions, device, readers and codecs, disk space, checkpoints with their health, a self-test of
    a few seconds. Exit code 1 if one of them is not in order. With --parity instead: recompute what
    the release was recorded to compute, and print each quantity's difference and tolerance. Exit
    code 1 if one is out of tolerance, 2 if the records are missing.

    Examples:

    * tempo doctor --json report.json
    * tempo doctor --parity --markdown PARITY.md
    """
    if json_file is not None and json_file != ON_SCREEN:
        check_parent("--json", json_file)
    if parity:
        return run_parity(data, json_file, markdown)
    if data or markdown:
        raise InputError("--data and --markdown go with --parity")
    with redirect_stdout(sys.stderr):  # libraries may print
        sections = findings_of_all(self_test, deep)
    problems = [found for findings in sections.values() for found in findings if found.problem]
    if json_file != ON_SCREEN:
        print_sections(sections)
    if json_file is not None:
        document = {
            title: {found.name: found.value for found in findings}
            for title, findings in sections.items()
        }
        named = {"problems": [f"{found.name}: {found.value}" for found in problems]}
        write_report({**document, **named}, json_file)
    return 1 if problems else 0


def findings_of_all(self_test: bool, deep: bool) -> dict[str, list[health.Finding]]:
    """Every section with its findings."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    parts = {
        "Versions": health.versions(),
        "Device": health.device(),
        "Video readers": health.readers(),
        "Disk": health.disk(),
        "Checkpoints": health.checkpoints(deep),
        **({"Self-test": health.self_test()} if self_test else {}),
    }
    return {title: list(findings) for title, findings in parts.items()}


def print_sections(sections: dict[str, list[health.Finding]]) -> None:
    """One line per finding, those that are not in order in red."""
    from rich.markup import escape

    console = screen()
    for title, findings in sections.items():
        console.print(f"[bold]{title}[/bold]")
        for name, value, problem in findings:
            line = escape(printable(f"  {name:<26}{value}"))
            console.print(line, style="bold red" if problem else "")


def write_report(document: object, file: Path) -> None:
    """The document as JSON into ``file``, or alone on standard output."""
    text = json.dumps(document, indent=1) + "\n"
    if file == ON_SCREEN:
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8")


def run_parity(data: Path | None, json_file: Path | None, markdown_file: Path | None) -> int:
    """Print the parity report and write the files that are named; 1 if a row is out of tolerance.

    InputError (exit code 2) when the recorded data or the place to write to is missing.
    """
    from transformers.utils import logging

    from tempo_lib.parity import report as parity
    from tempo_lib.parity.records import MissingDataError

    if markdown_file is not None:
        check_parent("--markdown", markdown_file)
    logging.disable_progress_bar()
    with bad_input(MissingDataError, OSError):
        made = parity.make_report(data)
    if json_file != ON_SCREEN:
        console = screen()
        console.width = max(console.width, REPORT_WIDTH)
        cells = [row.cells for row in made.rows]
        print_rows(console, "Recorded cases", parity.CASE_HEADER, cells)
        cells = [row.cells for row in made.tables]
        print_rows(console, "Function tables", parity.TABLE_HEADER, cells)
        verdict = "ok" if made.ok else f"{made.num_bad} rows are not in order"
        console.print(f"parity: {verdict}")
    if json_file is not None:
        write_report(parity.as_json(made), json_file)
    if markdown_file is not None:
        markdown_file.write_text(parity.as_markdown(made))
    return 0 if made.ok else 1


def print_rows(
    console: "Console", title: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> None:
    """A table on the screen; the last column says whether the row is in order."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE)
    for name in header:
        table.add_column(name)
    for cells in rows:
        in_order = cells[-1] in ("ok", "stated")
        table.add_row(*map(escape, cells), style="" if in_order else "bold red")
    console.print(table)
