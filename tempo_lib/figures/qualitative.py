"""Figure C: question, key frames, allocation and prediction of a few videos, one below another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    made_by,
    new_figure,
    printable,
)
from tempo_lib.figures.ten_videos import (
    MOST_LETTERS,
    RIGHT,
    WRONG,
    _columns,
    _mark_relevant,
    _with_relevant,
    _write,
)
from tempo_lib.figures.timeline import (
    bars,
    halfway,
    key_frame_strip,
    key_segments,
    segment_edges,
)
from tempo_lib.video.clip import Video, VideoStream

if TYPE_CHECKING:
    from tempo_lib.evaluation.records import Record  # torch is not needed to redraw

HEAD_INCHES, STRIP_INCHES, BARS_INCHES, REST_INCHES = 0.3, 1.35, 1.5, 1.0


def qualitative_examples(
    records: Sequence["Record"],
    films: Sequence[Video | VideoStream],
    *,
    k_min: int,
    k_max: int,
    preset: str | None = None,
) -> DescribedFigure:
    """A block a record: question, options, prediction and verdict; key frames; tokens over time.

    A red border marks a key frame whose segment kept more than halfway from ``k_min`` to
    ``k_max``, a grey one the others. ``films``: the videos that the records tell of, in that
    order. ValueError without records, or for another number of films.
    """
    if not records or len(records) != len(films):
        raise ValueError(f"need a film a record, got {len(films)} for {len(records)}")
    heads = [_lines(record, number) for number, record in enumerate(records, start=1)]
    ratios = [(HEAD_INCHES * len(lines), STRIP_INCHES, BARS_INCHES) for lines in heads]
    height = REST_INCHES + sum(map(sum, ratios))
    with new_figure(height) as fig:
        panels = fig.subplots(3 * len(records), 1, height_ratios=np.concatenate(ratios).tolist())
        blocks = panels.reshape(len(records), 3)
        for block, lines, record, film in zip(blocks, heads, records, films, strict=True):
            _write(block[0], lines)
            _block(block[1], block[2], record, film, k_min, k_max)
        panels[-1].set_xlabel("time in the video (seconds)")
        handles, labels = _legend(panels[2::3])
        fig.legend(handles, labels, loc="outside lower center", ncols=4, columnspacing=1.5)
        title = f"Where the tokens of {len(records)} questions went{made_by(preset)}"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        told = (_describe(record, number) for number, record in enumerate(records, start=1))
        fig.alt_text = f"{title}. {' '.join(told)}"
    return fig


def _block(
    strip: Axes, ax: Axes, record: "Record", film: Video | VideoStream, k_min: int, k_max: int
) -> None:
    counts_N, scores_N, seconds_N, relevant_N = _columns(record)
    edges = segment_edges(seconds_N)
    many_N = counts_N > halfway(counts_N, k_min, k_max)
    bars(ax, edges, counts_N, many_N, k_min, k_max)
    _mark_relevant(ax, edges, relevant_N)
    ax.set_xlabel("")
    ax.set_ylabel("tokens")
    chosen = _with_relevant(key_segments(counts_N, scores_N), counts_N, relevant_N)
    key_frame_strip(strip, ax, film, chosen, seconds_N, edges, many_N)


def _lines(record: "Record", number: int) -> list[tuple[str, str, int, str]]:
    """Words, colour, size and weight: question, options if any, prediction and verdict, cost."""
    text, *options = record.question.split("\n")
    lines = [(f"{number}. {printable(text)}", BLACK, 12, "bold")]
    if options:
        lines.append(("     ".join(map(printable, options)), BLACK, 12, "normal"))
    given = printable(record.prediction) or "(nothing)"
    shown = given if len(given) <= MOST_LETTERS else given[:MOST_LETTERS] + " ..."
    truth = "" if record.correct else f" (right: {printable(record.answer)})"
    verdict, colour = (RIGHT, BLUE) if record.correct else (WRONG, VERMILLION)
    lines.append((f"Prediction: {shown}   {verdict}{truth}", colour, 12, "bold"))
    cost = f"{record.tokens_used} of {record.budget} tokens on {record.num_segments} segments"
    return [*lines, (f"{record.kind}: {cost}", "#5F5F5F", 12, "normal")]


def _legend(panels: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    """Every label of any block once, in the order of first use."""
    found: dict[str, Any] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _describe(record: "Record", number: int) -> str:
    counts_N, _, seconds_N, _ = _columns(record)
    top = np.argsort(-counts_N, kind="stable")[:3]
    most = ", ".join(f"{counts_N[i]} at {seconds_N[i]:.0f} s" for i in top)
    verdict = "right" if record.correct else "wrong"
    given = printable(record.prediction) or "(nothing)"
    return (
        f"{number}: {printable(record.question)} Prediction: {given} ({verdict}). "
        f"{record.tokens_used} of {record.budget} tokens on {record.num_segments} segments; most: "
        f"{most}."
    )
