"""``tempo ask``: its options, and what it prints."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tempo_lib.cli.answering import (
    Case,
    CasesError,
    Outcome,
    Reading,
    answer_all,
    as_record,
    case,
    check_reading,
    read_cases,
)
from tempo_lib.cli.common import (
    OF_CHECKPOINT,
    BaseCompressorOption,
    BudgetOption,
    CheckpointOption,
    DebugNumericsOption,
    InputError,
    Loaded,
    SafeOption,
    SalvageOption,
    SetOption,
    bad_input,
    checked_layers,
    load_model,
    printable,
    screen,
)
from tempo_lib.cli.plot import check_plot, draw, plot_path

if TYPE_CHECKING:
    from rich.table import Table

    from tempo_lib.model.tempo import Answer

NUM_TOP_SEGMENTS = 5
MINIATURE_NOTE = (
    "Note: this is the miniature (preset tiny). It only knows the drawn world it was trained on, "
    "so its answers on real footage mean nothing; sampling, token allocation and budget are real."
)


def ask(
    video: Annotated[
        str | None,
        typer.Argument(
            metavar="VIDEO",
            help="A video, an image or a folder of frames; the word none: no video.",
        ),
    ] = None,
    questions: Annotated[
        list[str] | None, typer.Argument(metavar="QUESTION", help="One question or several.")
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Questions about many videos: a list of {video_path, query}, paths as seen from "
            "FILE.",
        ),
    ] = None,
    budget: BudgetOption = None,
    k_min: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Fewest tokens per segment.", show_default=OF_CHECKPOINT
        ),
    ] = None,
    adaptive: Annotated[
        bool,
        typer.Option(
            "--adaptive/--no-adaptive",
            help="Share tokens out by score; off: every segment keeps all, whatever the budget.",
        ),
    ] = True,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="P",
            help="The scale: tiny (CPU) or 6b (GPU).",
            show_default="the checkpoint's, without one tiny",
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    base_compressor: BaseCompressorOption = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Longest answer in tokens.", show_default=OF_CHECKPOINT
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(metavar="F", help="Frames to take per second.", show_default=OF_CHECKPOINT),
    ] = None,
    max_frames: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Most frames to take of a video.", show_default=OF_CHECKPOINT
        ),
    ] = None,
    reader: Annotated[str, typer.Option(metavar="R", help="auto, pyav or decord.")] = "auto",
    timestamps: Annotated[
        str,
        typer.Option(
            metavar="T", help="auto, release (place / fps) or pts (the file's own times)."
        ),
    ] = "auto",
    salvage: SalvageOption = False,
    square_pixels: Annotated[
        bool, typer.Option("--square-pixels", help="Stretch an anamorphic film as a player does.")
    ] = False,
    safe: SafeOption = False,
    overrides: SetOption = None,
    debug_numerics: DebugNumericsOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document, nothing else.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the allocation as .png, .pdf or .svg; several questions: FILE-1, FILE-2.",
        ),
    ] = None,
) -> int:
    """Ask questions about a video, which is decoded and encoded once.

    With --json, one question gives an object; several, or --cases, give a list in their order. A
    broken video among cases gives a record with "error", the others go on, the exit code is 2.

    Examples:

    * tempo ask clip.mp4 "When is the red star seen?" "Which place is seen most?"
    * tempo ask --cases questions.json --budget 256 --json
    """
    gathered = gather(video, questions or [], cases)
    if plot is not None:
        has_video = any(one.path is not None for one in gathered)
        check_plot([plot_path(plot, i, gathered) for i in range(len(gathered))], has_video)
    reading = Reading(
        reader=reader,
        timestamps=timestamps,
        salvage=salvage,
        square_pixels=square_pixels,
        safe=safe,
    )
    check_reading(reading)
    numbers = {
        "allocation.budget": budget,
        "allocation.k_min": k_min,
        "generation.max_new_tokens": max_new_tokens,
        "video.fps": fps,
        "video.max_frames": max_frames,
    }
    changed = [f"{path}={value}" for path, value in numbers.items() if value is not None]
    outcomes: dict[int, Outcome] = {}
    unwritten: list[str] = []
    with redirect_stdout(sys.stderr):  # libraries may print; only results go to standard output
        loaded = load_model(preset, checkpoint, base_compressor, [*(overrides or []), *changed])
        answers = answer_all(loaded.model, gathered, adaptive, reading, holds=plot is not None)
        with checked_layers(loaded.model, debug_numerics):
            for index, outcome, frames in answers:
                outcomes[index] = outcome
                if plot is not None and outcome.answer is not None and frames is not None:
                    target = plot_path(plot, index, gathered)
                    unwritten += draw(outcome.answer, frames, outcome.case, loaded, target)
    in_order = [outcomes[index] for index in range(len(gathered))]
    code = report(in_order, loaded, adaptive, as_json, from_file=cases is not None)
    for problem in unwritten:  # after the answers, which it must not cost
        print(f"error: {problem}", file=sys.stderr)
    return 2 if unwritten else code


def gather(video: str | None, questions: list[str], cases_file: Path | None) -> list[Case]:
    """The cases that the arguments mean; InputError when they do not go together."""
    if cases_file is not None:
        if video is not None:
            raise InputError("give either a VIDEO and its questions or --cases FILE, not both")
        with bad_input(CasesError):
            return read_cases(cases_file)
    if not video:
        raise InputError("give a VIDEO and a QUESTION, or --cases FILE; see tempo ask --help")
    if not questions:
        raise InputError(f"no question about {video}; see tempo ask --help")
    found = [case(video, question) for question in questions]
    for one in found:
        if one.problem is not None:
            raise InputError(one.problem)
    return found


def report(
    outcomes: list[Outcome], loaded: Loaded, adaptive: bool, as_json: bool, from_file: bool
) -> int:
    """Print every outcome, errors on stderr; returns 2 when a case of a file had no answer.

    InputError when the only video cannot be read, before anything is printed.
    """
    errors = list(dict.fromkeys(one.error for one in outcomes if one.error is not None))
    if not from_file and len(errors) == 1 and all(one.answer is None for one in outcomes):
        raise InputError(errors[0])
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    losses = [f"{one.case.video}: {one.salvaged}" for one in outcomes if one.salvaged is not None]
    for loss in dict.fromkeys(losses):
        print(f"note: {loss}", file=sys.stderr)
    if as_json:
        records = [as_record(one, loaded, adaptive) for one in outcomes]
        print(json.dumps(records if from_file or len(records) > 1 else records[0], indent=1))
    else:
        for one in outcomes:
            print_outcome(one)
        if loaded.preset == "tiny":
            screen().print(MINIATURE_NOTE, style="dim")
    return 2 if errors else 0


def print_outcome(outcome: Outcome) -> None:
    """Question, answer, cost and the highest-scoring segments of one case."""
    from rich.text import Text

    console, answer = screen(), outcome.answer
    heading = printable(f"{outcome.case.video}: {outcome.case.question}")
    console.print(Text(heading, style="bold"))
    if answer is None:
        console.print(Text("  no answer, see the error above\n"))
        return
    console.print(Text(f"  {printable(answer.text) or '(an empty answer)'}", style="green"))
    console.print(Text(f"  {cost_line(outcome, answer)}"))
    if len(answer.scores):
        console.print(top_segments(answer, timed=outcome.duration_seconds is not None))
    console.print()


def cost_line(outcome: Outcome, answer: "Answer") -> str:
    """Such as: 118 of 512 memory tokens, 30 segments, 60 frames, 30.0 s."""
    if outcome.num_frames == 0:
        return "no video, 0 memory tokens"
    used = f"{answer.tokens_used} of {answer.budget} memory tokens"
    if answer.tokens_used > answer.budget:
        used = f"{answer.tokens_used} memory tokens (all; the budget of {answer.budget} is off)"
    counted = {"segment": len(answer.counts), "frame": outcome.num_frames}
    parts = [used, *(f"{n} {thing}{'' if n == 1 else 's'}" for thing, n in counted.items())]
    if outcome.duration_seconds is not None:
        parts.append(f"{outcome.duration_seconds:.1f} s")
    return ", ".join(parts)


def top_segments(answer: "Answer", timed: bool) -> "Table":
    """The highest-scoring segments: centre in seconds, relevance score, tokens kept."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2), pad_edge=True, title_justify="left")
    for heading in ("segment at" if timed else "segment", "score", "tokens"):
        table.add_column(heading, justify="right")
    order = answer.scores.argsort(descending=True, stable=True)[:NUM_TOP_SEGMENTS].tolist()
    for index in order:
        place = f"{float(answer.seconds[index]):.1f} s" if timed else str(index + 1)
        table.add_row(place, f"{float(answer.scores[index]):.3f}", str(int(answer.counts[index])))
    return table
