"""One question on one video as a page, and many of them at a glance.

Blue is the score, bars are tokens, green marks the segments that show an asked actor; right
and wrong are said in words and by a mark, so nothing rests on colour alone.
"""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    made_by,
    new_figure,
    printable,
)
from tempo_lib.figures.timeline import (
    HEADROOM,
    bars,
    halfway,
    key_frame_strip,
    key_segments,
    score_line,
    segment_edges,
)
from tempo_lib.video.clip import Video, VideoStream

if TYPE_CHECKING:
    from tempo_lib.evaluation.records import Record  # torch is not needed to redraw

RIGHT, WRONG = "\N{HEAVY CHECK MARK} right", "\N{HEAVY BALLOT X} wrong"
LINE_POINTS = 12
TITLE_CHARACTERS = 48  # a small panel is that wide
MOST_LETTERS = 60  # of an answer; longer ones are cut


def video_page(
    record: "Record",
    video: Video | VideoStream,
    *,
    number: int,
    k_min: int | None = None,
    k_max: int | None = None,
    preset: str | None = None,
) -> DescribedFigure:
    """Question, answers, key frames, and tokens and scores of every segment of one video.

    ``video`` is the file that the record tells of. ValueError for a record without segments.
    """
    counts_N, scores_N, seconds_N, relevant_N = _columns(record)
    edges = segment_edges(seconds_N)
    many_N = counts_N > halfway(counts_N, k_min, k_max)
    lines = _lines(record, number, preset)
    with new_figure(5.8 + 0.28 * len(lines)) as fig:
        head, strip, ax = fig.subplots(3, 1, height_ratios=(0.15 * len(lines), 1, 1.9))
        _write(head, lines)
        bars(ax, edges, counts_N, many_N, k_min, k_max)
        _mark_relevant(ax, edges, relevant_N)
        score_line(ax, seconds_N, scores_N)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, columnspacing=1.5)
        chosen = _with_relevant(key_segments(counts_N, scores_N), counts_N, relevant_N)
        key_frame_strip(strip, ax, video, chosen, seconds_N, edges, many_N)
        fig.alt_text = _describe(record, number)
    return fig


def videos_at_a_glance(
    records: Sequence["Record"], *, k_max: int | None = None, preset: str | None = None
) -> DescribedFigure:
    """A small panel a record, two in a row: question, verdict, tokens and asked segments.

    ValueError without records.
    """
    if not records:
        raise ValueError("no records, so there is nothing to show")
    num_rows = -(-len(records) // 2)
    with new_figure(1.0 + 2.3 * num_rows) as fig:
        panels = np.atleast_2d(fig.subplots(num_rows, 2))
        for place, ax in enumerate(panels.flat):
            if place >= len(records):
                ax.set_axis_off()
                continue
            _small_panel(ax, records[place], place + 1, k_max)
        for ax in panels[-1]:
            ax.set_xlabel("time in the video (seconds)")
        fig.supylabel("memory tokens per segment", fontsize=LINE_POINTS)
        num_right = sum(record.correct for record in records)
        words = f"{len(records)} videos, one question each: {num_right} answers right"
        fig.suptitle(
            words + made_by(preset),
            fontsize=TITLE_POINTS,
            fontweight="bold",
            x=0.01,
            ha="left",
        )
        told = "; ".join(_in_one_line(record, n) for n, record in enumerate(records, start=1))
        fig.alt_text = f"{words}. {told}."
    return fig


def _columns(record: "Record") -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts, scores, seconds and relevance (N,) each; no segment is relevant where none is known.

    A question about the whole video marks no segment.
    """
    if not record.counts:
        raise ValueError(f"the record of {record.question_id} has no segments to draw")
    relevant = record.relevant or [0] * len(record.counts)
    lists = (record.counts, record.scores, record.seconds)
    counts_N, scores_N, seconds_N = (np.array(values) for values in lists)
    return counts_N, scores_N, seconds_N, np.array(relevant, dtype=bool)


def _with_relevant(chosen: list[int], counts_N: np.ndarray, relevant_N: np.ndarray) -> list[int]:
    """Key segments, the nearest of them replaced by the fullest one that shows an asked actor."""
    places = np.flatnonzero(relevant_N)
    if not len(places) or set(places.tolist()) & set(chosen):
        return chosen
    best = int(max(places, key=lambda place: counts_N[place]))
    nearest = min(chosen, key=lambda place: abs(place - best))
    return sorted(best if place == nearest else place for place in chosen)


def _mark_relevant(ax: Axes, edges: np.ndarray, relevant_N: np.ndarray) -> None:
    """A hatched band behind every asked segment, and a triangle on top that survives printing."""
    label = "shows an asked actor"
    for place in np.flatnonzero(relevant_N):
        ax.axvspan(edges[place], edges[place + 1], color=GREEN, alpha=0.25, linewidth=0, zorder=0)
    centres = ((edges[:-1] + edges[1:]) / 2)[relevant_N]
    low, high = ax.get_ylim()
    top = np.full(len(centres), low + (high - low) * 0.965)
    if len(centres):
        ax.plot(centres, top, "v", color=GREEN, markersize=9, label=label, clip_on=False)


def _lines(record: "Record", number: int, preset: str | None) -> list[tuple[str, str, int, str]]:
    """Words, colour, size and weight: question, options, right answer, Tempo's answer, cost."""
    text, *options = record.question.split("\n")
    lines = [(f"{number}. {printable(text)}", BLACK, TITLE_POINTS, "bold")]
    if options:
        lines.append(("     ".join(map(printable, options)), BLACK, LINE_POINTS, "normal"))
    lines.append((f"Right answer: {printable(record.answer)}", BLACK, LINE_POINTS, "normal"))
    verdict, colour = (RIGHT, BLUE) if record.correct else (WRONG, VERMILLION)
    given = printable(record.prediction) or "(nothing)"
    shown = given if len(given) <= MOST_LETTERS else given[:MOST_LETTERS] + " ..."
    lines.append((f"Tempo's answer: {shown}   {verdict}", colour, LINE_POINTS, "bold"))
    found = "" if record.auc is None else f"; score finds the asked segments: AUC {record.auc:.2f}"
    cost = f"{record.tokens_used} of {record.budget} tokens on {record.num_segments} segments"
    return [*lines, (f"{cost}{found}{made_by(preset)}", BLACK, LINE_POINTS, "normal")]


def _write(head: Axes, lines: list[tuple[str, str, int, str]]) -> None:
    head.set_axis_off()
    head.set(xlim=(0, 1), ylim=(0, 1))
    for place, (words, colour, points, weight) in enumerate(lines):
        look: dict[str, Any] = {"color": colour, "fontsize": points, "fontweight": weight}
        head.text(0, 1 - place / len(lines), words, va="top", **look)


def _small_panel(ax: Axes, record: "Record", number: int, k_max: int | None) -> None:
    counts_N, _, seconds_N, relevant_N = _columns(record)
    edges = segment_edges(seconds_N)
    top = max(int(counts_N.max()), k_max or 0) * HEADROOM
    ax.stairs(counts_N, edges, fill=True, color="#A6A6A6")
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0, top))
    _mark_relevant(ax, edges, relevant_N)
    verdict, colour = (RIGHT, BLUE) if record.correct else (WRONG, VERMILLION)
    question = printable(record.question.split("\n")[0])
    title = textwrap.fill(f"{number}. {question}", TITLE_CHARACTERS)
    ax.set_title(title, fontsize=LINE_POINTS, pad=22)
    given = printable(record.prediction) or "(nothing)"
    shown = given if len(given) <= 40 else given[:38] + " ..."
    label = f"{verdict}: {shown}"
    ax.text(0, 1.03, label, transform=ax.transAxes, color=colour, fontweight="bold")


def _in_one_line(record: "Record", number: int) -> str:
    verdict = "right" if record.correct else "wrong"
    given = printable(record.prediction) or "(nothing)"
    return (
        f"{number}: {printable(record.question)} Right: {printable(record.answer)} Tempo: {given} "
        f"({verdict})"
    )


def _describe(record: "Record", number: int) -> str:
    """The page in words: the exchange, the cost, where most tokens went and where they should."""
    counts_N, _, seconds_N, relevant_N = _columns(record)
    top = np.argsort(-counts_N, kind="stable")[:3]
    most = ", ".join(f"{counts_N[i]} at {seconds_N[i]:.1f} s" for i in top)
    asked = ", ".join(f"{second:.1f} s" for second in seconds_N[relevant_N]) or "none marked"
    return (
        f"Video {_in_one_line(record, number)}. {record.tokens_used} of {record.budget} tokens on "
        f"{record.num_segments} segments; most tokens: {most}; segments that show an asked actor: "
        f"{asked}."
    )
