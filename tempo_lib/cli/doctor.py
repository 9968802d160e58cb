"""``tempo doctor``: what is installed, what a model would run on, which checkpoints are here.

With ``--parity``: does this machine compute what the release computed?
"""

import importlib.util
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tempo_lib.cli.common import InputError, bad_input, check_parent, screen

if TYPE_CHECKING:
    from rich.console import Console

FLASH_HINT = 'pip install --no-build-isolation "flash-attn>=2.8.3,<3" (needs a CUDA toolkit)'
REPORT_WIDTH = 130  # columns, so that a file or a pipe gets one line per row
READER_MODULES = {"pyav": "av", "decord": "decord"}


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
        typer.Option("--json", metavar="FILE", help="Write the parity report there, as JSON."),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there as a page (PARITY.md).")
    ] = None,
) -> int:
    """Say what is installed, what a model would run on, and which checkpoints are here.

    With --parity: recompute what the release was recorded to compute, and print each quantity's
    difference and tolerance. Exit code 1 if one is out of tolerance, 2 if the records are missing.

    Examples:

    * tempo doctor
    * tempo doctor --parity --markdown PARITY.md
    """
    if parity:
        return run_parity(data, json_file, markdown)
    if data or json_file or markdown:
        raise InputError("--data, --json and --markdown go with --parity")
    from rich.markup import escape

    console = screen()
    sections = {
        "Versions": versions(),
        "Device": device(),
        "Video readers": readers(),
        "Checkpoints": checkpoints(),
    }
    for title, lines in sections.items():
        console.print(f"[bold]{title}[/bold]")
        for name, value in lines:
            console.print(f"  {escape(f'{name:<24}')}{escape(value)}")
    return 0


def run_parity(data: Path | None, json_file: Path | None, markdown_file: Path | None) -> int:
    """Print the parity report and write the files that are named; 1 if a row is out of tolerance.

    InputError (exit code 2) when the recorded data or the place to write to is missing.
    """
    from transformers.utils import logging

    from tempo_lib.parity import report as parity
    from tempo_lib.parity.records import MissingDataError

    for option, file in (("--json", json_file), ("--markdown", markdown_file)):
        if file is not None:
            check_parent(option, file)
    logging.disable_progress_bar()
    with bad_input(MissingDataError, OSError):
        made = parity.make_report(data)
    console = screen()
    console.width = max(console.width, REPORT_WIDTH)
    cells = [row.cells for row in made.rows]
    print_rows(console, "Recorded cases", parity.CASE_HEADER, cells)
    cells = [row.cells for row in made.tables]
    print_rows(console, "Function tables", parity.TABLE_HEADER, cells)
    verdict = "ok" if made.ok else f"{made.num_bad} rows are not in order"
    console.print(f"parity: {verdict}")
    if json_file is not None:
        json_file.write_text(json.dumps(parity.as_json(made), indent=1) + "\n")
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


def versions() -> Iterator[tuple[str, str]]:
    """Python, and every library that results depend on."""
    import platform

    from tempo_lib.provenance import LIBRARIES, library_versions

    yield "python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    installed = library_versions()
    for library in LIBRARIES:
        yield library, installed.get(library, "not installed")


def device() -> Iterator[tuple[str, str]]:
    """Where ``device="auto"`` puts a model, and with which attention."""
    import os

    import torch

    from tempo_lib.model.attention import resolve_attention

    on_gpu = torch.cuda.is_available()
    yield "device", torch.cuda.get_device_name(0) if on_gpu else "cpu"
    yield "threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    yield "attention", resolve_attention("auto")
    has_flash = importlib.util.find_spec("flash_attn") is not None
    missing = "not installed; optional" + (f": {FLASH_HINT}" if on_gpu else ", for GPUs only")
    yield "flash-attn", "installed" if has_flash else missing


def readers() -> Iterator[tuple[str, str]]:
    """Each reader by importing it: a wheel that is there may still not load."""
    from tempo_lib.video.readers import READERS

    for reader in READERS:
        try:
            importlib.import_module(READER_MODULES[reader])
        except (ImportError, OSError) as error:
            yield reader, f"not usable: {' '.join(str(error).split())}"
        else:
            yield reader, "usable"


def checkpoints() -> Iterator[tuple[str, str]]:
    """Own or shipped folders of the miniature; of the paper's scale what the hub's cache holds."""
    from huggingface_hub import try_to_load_from_cache

    from tempo_lib.checkpoints.folders import BASE_MODELS, stage_names
    from tempo_lib.config import load_preset, preset_names

    for preset_name in preset_names():
        preset = load_preset(preset_name)
        if preset.miniature is not None:
            for name in (*BASE_MODELS, *stage_names(preset)):
                yield f"{preset_name} {name}", _found(preset_name, name)
            continue
        weights = preset.weights
        for hub_id in (weights.checkpoint, weights.base_compressor, weights.base_decoder):
            if hub_id is not None:
                path = try_to_load_from_cache(hub_id, "config.json")
                found = str(Path(path).parent) if isinstance(path, str) else ""
                yield (
                    f"{preset_name} {hub_id.split('/')[-1]}",
                    found or f"not in the cache: {hub_id}",
                )


def _found(preset: str, name: str) -> str:
    from tempo_lib.checkpoints.folders import CheckpointError, find_checkpoint

    try:
        return str(find_checkpoint(preset, name))
    except CheckpointError:
        return "missing; made by tempo train --preset tiny --from-scratch"
