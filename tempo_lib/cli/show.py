"""What the commands print for people, and the pictures of ``tempo ask --plot``."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tempo_lib.cli.asking import Asked, Drawer
from tempo_lib.cli.errors import InputError, needs_extra
from tempo_lib.model.tempo import Answer
from tempo_lib.provenance import FIGURE_DPI
from tempo_lib.video.clip import Video

PLOT_SUFFIXES = (".png", ".pdf", ".svg")
NUM_TOP_SEGMENTS = 5
MINIATURE_NOTE = (
    "Note: this is the miniature (preset tiny). It only knows the drawn world it was trained on, "
    "so its answers on real footage mean nothing; sampling, token allocation and budget are real."
)


def screen() -> Console:
    """Standard output without guesses at colours for numbers, and without broken lines."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def print_asked(console: Console, asked: Asked) -> None:
    """Question, answer, cost and the highest-scoring segments of one case."""
    console.print(Text(f"{asked.case.video}: {asked.case.question}", style="bold"))
    if asked.answer is None:
        console.print(Text("  no answer, see the error above\n"))
        return
    console.print(Text(f"  {asked.answer.text or '(an empty answer)'}", style="green"))
    console.print(Text(f"  {cost_line(asked)}"))
    if len(asked.answer.scores):
        console.print(top_segments(asked.answer, timed=asked.duration_seconds is not None))
    console.print()


def cost_line(asked: Asked) -> str:
    """Such as: 118 of 512 memory tokens, 30 segments, 60 frames, 30.0 s."""
    answer = asked.answer
    if answer is None or asked.num_frames == 0:
        return "no video, 0 memory tokens"
    used = f"{answer.tokens_used} of {answer.budget} memory tokens"
    if answer.tokens_used > answer.budget:
        used = f"{answer.tokens_used} memory tokens (all; the budget of {answer.budget} is off)"
    parts = [used, _count(len(answer.counts), "segment"), _count(asked.num_frames, "frame")]
    if asked.duration_seconds is not None:
        parts.append(f"{asked.duration_seconds:.1f} s")
    return ", ".join(parts)


def top_segments(answer: Answer, timed: bool) -> Table:
    """The highest-scoring segments: centre in seconds, relevance score, tokens kept."""
    table = Table(box=None, padding=(0, 2), pad_edge=True, title_justify="left")
    for heading in ("segment at" if timed else "segment", "score", "tokens"):
        table.add_column(heading, justify="right")
    order = answer.scores.argsort(descending=True, stable=True)[:NUM_TOP_SEGMENTS].tolist()
    for index in order:
        place = f"{float(answer.seconds[index]):.1f} s" if timed else str(index + 1)
        table.add_row(place, f"{float(answer.scores[index]):.3f}", str(int(answer.counts[index])))
    return table


def check_plot(path: Path, has_video: bool) -> None:
    """InputError for a picture that could not be drawn or written; cheap, so done first."""
    if path.suffix.lower() not in PLOT_SUFFIXES:
        raise InputError(f"--plot {path}: the name must end in {', '.join(PLOT_SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--plot {path}: the folder {path.parent} does not exist")
    if not has_video:
        raise InputError("--plot draws the segments of a video; there is none to draw")


def plot_path(path: Path, index: int, total: int) -> Path:
    """``FILE.png`` of a single question; ``FILE-1.png``, ``FILE-2.png`` of several."""
    return path if total == 1 else path.with_name(f"{path.stem}-{index + 1}{path.suffix}")


def drawer(path: Path, total: int, k_min: int, k_max: int, preset: str) -> Drawer:
    """A function that writes the allocation picture of each answered case."""
    with needs_extra("notebooks"):
        from tempo_lib import figures

    def draw(index: int, answer: Answer, video: Video | None, question: str) -> None:
        if video is None:
            return
        fig = figures.allocation(
            answer, video=video, question=question, k_min=k_min, k_max=k_max, preset=preset
        )
        target = plot_path(path, index, total)
        fig.savefig(target, dpi=FIGURE_DPI)
        print(f"wrote {target}", file=sys.stderr)

    return draw


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
