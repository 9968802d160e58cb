"""``tempo bench``: ours against a reference mode, in one program."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tempo_lib.cli.common import (
    CheckpointOption,
    InputError,
    check_parent,
    load_model,
    needs_extra,
    screen,
)

if TYPE_CHECKING:
    from tempo_lib.model.tempo import Tempo

GPU, MID = "gpu", "mid"
SIZES = ("tiny", MID)
ABOUT_GPU = "Time, memory and utilisation of the 6B shapes on a GPU (--preset tiny rehearses it)."


def bench(
    case: Annotated[
        str | None, typer.Argument(metavar="CASE", help="One of --list, or gpu.")
    ] = None,
    list_cases: Annotated[bool, typer.Option("--list", help="Name the cases.")] = False,
    rounds: Annotated[
        int, typer.Option(metavar="N", min=1, help="Times that all sides run, in turns.")
    ] = 3,
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Threads of torch.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", "--json", metavar="FILE", help="Write every number there as JSON."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Only write the page of all committed measurements."),
    ] = None,
    checkpoint: CheckpointOption = None,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=2.0, help="Length of the drawn film.")
    ] = 32.0,
    most: Annotated[
        int, typer.Option("--most-frames", metavar="N", min=1, help="Where growth ends.")
    ] = 512,
    num_questions: Annotated[
        int, typer.Option(metavar="N", min=1, help="Where several are put at once.")
    ] = 4,
    size: Annotated[
        str,
        typer.Option(metavar="S", help="tiny: the shipped weights; mid: 48 M random ones."),
    ] = "tiny",
    preset: Annotated[
        str, typer.Option(metavar="P", help="Of the case gpu: 6b, or tiny on a processor.")
    ] = "6b",
) -> int:
    """Measure a case: ours and a mode that works as the release does, in turns.

    Prints processor seconds, ratios with their range, peak memory and the largest difference of
    the results. The case gpu is another: it has no reference, and writes --out after each part.

    Examples:

    * tempo bench second-question --rounds 5 --out second.json
    * tempo bench gpu --out gpu.json
    """
    from tempo_lib.bench.harness import case_names

    if list_cases:
        for name, what in {**case_names(), GPU: ABOUT_GPU}.items():
            print(f"{name:16} {what}")
        return 0
    for option, path in (("--out", out), ("--page", page)):
        if path is not None:
            check_parent(option, path)
    if page is not None:
        write_page(page)
        return 0
    if case == GPU:
        return run_gpu(preset, out)
    if case not in case_names():
        wrong = "name a case" if case is None else f"unknown case {case!r}"
        raise InputError(f"{wrong}; known: {', '.join(case_names())}, {GPU}")
    if size not in SIZES or (size == MID and checkpoint is not None):
        raise InputError(f"--size {size}: expected {' or '.join(SIZES)}, mid without --checkpoint")
    sizes = {"seconds": seconds, "most": most, "num_questions": num_questions, "size": size}
    document = run(case, checkpoint, rounds, threads, sizes)
    show(document)
    if out is not None:
        out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def run(
    name: str, checkpoint: str | None, rounds: int, threads: int, sizes: dict[str, Any]
) -> dict[str, Any]:
    """The document of a case; InputError where a library that it needs is absent."""
    import torch

    from tempo_lib.bench.report import run_case

    torch.set_num_threads(threads)

    def load() -> "Tempo":
        if sizes["size"] == MID:
            from tempo_lib.bench.mid import mid_model

            return mid_model()
        return load_model(None, checkpoint).model

    with redirect_stdout(sys.stderr), needs_extra("all"):  # libraries may print
        return run_case(name, load, rounds, **sizes)


def show(document: dict[str, Any]) -> None:
    """The table, and the two numbers that matter."""
    from rich.table import Table

    from tempo_lib.bench.report import HEADER, table

    drawn = Table(title=document["what"], title_justify="left", box=None, padding=(0, 2))
    for heading in HEADER:
        drawn.add_column(heading, justify="right")
    for cells in table(document):
        drawn.add_row(*cells)
    out = screen()
    out.print(drawn)
    out.print(f"ratio {document['ratio']:.4g}")
    if document["max_abs_diff"] is not None:
        out.print(f"max_abs_diff {document['max_abs_diff']:.3g}")
    for axis, powers in document["grows_with_power"].items():
        grown = ", ".join(f"{side} {power:.2f}" for side, power in powers.items())
        out.print(f"seconds grow with {axis} to the power: {grown}")


def write_page(page: Path) -> None:
    """BENCHMARKS.md, from what is committed."""
    from tempo_lib.bench.report import as_markdown, read_documents
    from tempo_lib.provenance import manifest_path

    page.write_text(as_markdown(read_documents(manifest_path("measurements"))), encoding="utf-8")


def run_gpu(preset: str, out: Path | None) -> int:
    """The GPU suite; exit code 1 where a part failed, which the others survive."""
    from tempo_lib.bench.gpu.scale import SCALES
    from tempo_lib.bench.gpu.suite import run_suite

    if preset not in SCALES:
        raise InputError(f"no GPU suite of preset {preset!r}; known: {', '.join(SCALES)}")
    import torch

    if SCALES[preset].device == "cuda" and not torch.cuda.is_available():
        raise InputError("no GPU here; `tempo bench gpu --preset tiny` rehearses it on a processor")

    def write(document: dict[str, Any]) -> None:
        if out is not None:
            out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    with redirect_stdout(sys.stderr), needs_extra("all"):
        parts = run_suite(preset, write)["parts"]
    for name, found in parts.items():
        print(f"{name}: {found.get('error', 'done')}, {found.get('part_seconds', 0)} s")
        for key, value in found.items():
            if isinstance(value, float) and not key.startswith("part_"):
                print(f"  {key} {value:.4g}")
    return 1 if any("error" in found for found in parts.values()) else 0
