"""Questions about videos as pictures: one prediction, a few examples, and many at a glance.

Right and wrong are said in words and by a mark, so nothing rests on colour alone.
"""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    MUTED,
    VERMILLION,
    DescribedFigure,
    made_by,
    new_figure,
    printable,
)
from tempo_lib.figures.timeline import (
    FEW,
    HEADROOM,
    Segments,
    draw_key_frames,
    draw_scores,
    draw_tokens,
    mark_relevant,
)
from tempo_lib.video.clip import Video, VideoStream

if TYPE_CHECKING:
    from tempo_lib.evaluation.records import Record  # torch is not needed to redraw
    from tempo_lib.model.tempo import Answer

RIGHT, WRONG = "\N{HEAVY CHECK MARK} right", "\N{HEAVY BALLOT X} wrong"
LINE_INCHES, STRIP_INCHES, BARS_INCHES, REST_INCHES = 0.3, 1.5, 2.0, 1.0
MARGIN_LINES = 0.4  # above the words of a block
TITLE_CHARACTERS = 48  # a small panel is that wide
MOST_LETTERS = 44  # of a prediction, and of an answer; longer ones are cut

_Film = Video | VideoStream
_Line = tuple[str, str, str]  # words, colour, weight


@dataclass(frozen=True)
class _Block:
    """One question of a page: words above, then key frames (with a film), then the segments."""

    lines: list[_Line]
    segments: Segments
    film: _Film | None
    alt_text: str


def allocation(
    answer: "Answer",
    video: _Film | None = None,
    question: str | None = None,
    *,
    k_min: int | None = None,
    k_max: int | None = None,
    preset: str | None = None,
) -> DescribedFigure:
    """Tokens per segment over time, the scores behind them, and key frames on top.

    Red marks segments that kept more than halfway from ``k_min`` to ``k_max`` (from 0 to the
    largest count where these are not given); grey the others. ValueError without segments.
    """
    counts_N = answer.counts.cpu().numpy()
    if not len(counts_N):
        raise ValueError("the answer has no segments, so there is no allocation to draw")
    columns = (counts_N, answer.scores.float().cpu().numpy(), answer.seconds.cpu().numpy())
    segments = Segments(*columns, np.zeros(len(counts_N), dtype=bool), k_min, k_max)
    title = "Memory tokens of one prediction" if question is None else printable(question)
    given = printable(answer.text) or "(nothing)"
    num = "1 segment" if len(counts_N) == 1 else f"{len(counts_N)} segments"
    cost = f"{answer.tokens_used} of {answer.budget} memory tokens on {num}"
    shown = textwrap.shorten(given, 80, placeholder=" ...")
    lines = [(f"Prediction: {shown}", BLACK, "bold"), (f"{cost}{made_by(preset)}", MUTED, "normal")]
    lead = "" if question is None else f"Question: {printable(question)} "
    text = (
        f"Memory tokens per segment over time. {lead}Prediction: {given} {cost}; "
        f"{int(segments.many_N.sum())} kept many; {_most(segments)}."
    )
    bold = textwrap.fill(title, 72, max_lines=2, placeholder=" ...")
    return _page([_Block(lines, segments, video, text)], bold, text)


def video_page(
    record: "Record",
    video: _Film,
    *,
    number: int,
    k_min: int | None = None,
    k_max: int | None = None,
    preset: str | None = None,
) -> DescribedFigure:
    """Question, prediction, key frames, and tokens and scores of every segment of one video.

    ``video`` is the file of the record. ValueError for a record without segments.
    """
    block = _block(record, video, number, k_min, k_max, preset)
    return _page([block], None, f"Video {block.alt_text}")


def qualitative_examples(
    records: Sequence["Record"],
    films: Sequence[_Film],
    *,
    k_min: int,
    k_max: int,
    preset: str | None = None,
) -> DescribedFigure:
    """Figure C: question, options, prediction, key frames and tokens over time, per record.

    ``films``: the videos of the records, in their order. ValueError without records, or for
    another number of films.
    """
    if not records or len(records) != len(films):
        raise ValueError(f"need one film per record, got {len(films)} for {len(records)}")
    pairs = enumerate(zip(records, films, strict=True), start=1)
    blocks = [_block(record, film, number, k_min, k_max) for number, (record, film) in pairs]
    title = f"Where the tokens of {len(records)} questions went{made_by(preset)}"
    return _page(blocks, title, f"{title}. {' '.join(block.alt_text for block in blocks)}")


def videos_at_a_glance(
    records: Sequence["Record"], *, k_max: int | None = None, preset: str | None = None
) -> DescribedFigure:
    """A small panel per record, two in a row: question, verdict, tokens and relevant segments.

    ValueError without records.
    """
    if not records:
        raise ValueError("no records, so there is nothing to show")
    num_rows = -(-len(records) // 2)
    num_right = sum(record.correct for record in records)
    title = f"{len(records)} videos, one question each: {num_right} predictions right"
    with new_figure(1.0 + 2.3 * num_rows, title, preset) as fig:
        panels = np.atleast_2d(fig.subplots(num_rows, 2))
        for place, ax in enumerate(panels.flat):
            if place < len(records):
                _small_panel(ax, records[place], place + 1, k_max)
            else:
                ax.set_axis_off()
        for ax in panels[-1]:
            ax.set_xlabel("time in the video (seconds)")
        fig.supylabel("memory tokens per segment", fontsize=12)
        sentences = "; ".join(_exchange(record, n) for n, record in enumerate(records, start=1))
        fig.alt_text = f"{title}. {sentences}."
    return fig


def _page(blocks: Sequence[_Block], title: str | None, alt_text: str) -> DescribedFigure:
    """Blocks below each other, with one legend for all of them."""
    heights = [
        height
        for block in blocks
        for height in (
            LINE_INCHES * (len(block.lines) + MARGIN_LINES),
            *((STRIP_INCHES,) if block.film is not None else ()),
            BARS_INCHES,
        )
    ]
    with new_figure(REST_INCHES + sum(heights), title) as fig:
        panels = iter(fig.subplots(len(heights), 1, height_ratios=heights))
        for block in blocks:
            _write(next(panels), block.lines)
            strip = next(panels) if block.film is not None else None
            ax = next(panels)
            draw_tokens(ax, block.segments)
            draw_scores(ax, block.segments)
            if strip is not None and block.film is not None:
                draw_key_frames(strip, ax, block.film, block.segments)
        ax.set_xlabel("time in the video (seconds)")
        # a block with relevant segments names everything that is drawn
        labelled = (panel for panel in fig.axes if panel.get_legend_handles_labels()[1])
        fullest = max(labelled, key=lambda ax: len(ax.get_legend_handles_labels()[1]))
        fig.legend_below(fullest, 4 if len(fullest.get_legend_handles_labels()[1]) < 5 else 3)
        fig.alt_text = alt_text
    return fig


def _block(
    record: "Record",
    film: _Film,
    number: int,
    k_min: int | None,
    k_max: int | None,
    preset: str | None = None,
) -> _Block:
    text, *options = record.question.split("\n")
    lines = [(f"{number}. {printable(text)}", BLACK, "bold")]
    if options:
        lines.append(("     ".join(map(printable, options)), BLACK, "normal"))
    verdict, colour = (RIGHT, BLUE) if record.correct else (WRONG, VERMILLION)
    answer = _cut(_readable(record.answer))
    words = f"Prediction: {_cut(_given(record))}   {verdict} (answer: {answer})"
    lines.append((words, colour, "bold"))
    cost = f"{record.tokens_used} of {record.budget} tokens on {record.num_segments} segments"
    found = "" if record.auc is None else f"; relevance AUC {record.auc:.2f}"
    lines.append((f"{record.kind}: {cost}{found}{made_by(preset)}", MUTED, "normal"))
    segments = _segments(record, k_min, k_max)
    relevant = ", ".join(f"{s:.1f} s" for s in segments.seconds_N[segments.relevant_N])
    alt_text = (
        f"{_exchange(record, number)}. {cost}; {_most(segments)}; relevant segments: "
        f"{relevant or 'none marked'}."
    )
    return _Block(lines, segments, film, alt_text)


def _segments(record: "Record", k_min: int | None, k_max: int | None) -> Segments:
    """A question about the whole video has no relevant segments."""
    if not record.counts:
        raise ValueError(f"the record of {record.question_id} has no segments to draw")
    relevant_N = np.array(record.relevant or [0] * len(record.counts), dtype=bool)
    counts_N, scores_N = np.array(record.counts), np.array(record.scores)
    return Segments(counts_N, scores_N, np.array(record.seconds), relevant_N, k_min, k_max)


def _write(head: Axes, lines: Sequence[_Line]) -> None:
    head.set_axis_off()
    head.set(xlim=(0, 1), ylim=(0, 1))
    for place, (words, colour, weight) in enumerate(lines):
        options: dict[str, Any] = {"color": colour, "fontsize": 12, "fontweight": weight}
        height = 1 - (place + MARGIN_LINES) / (len(lines) + MARGIN_LINES)
        head.text(0, height, words, va="top", **options)


def _small_panel(ax: Axes, record: "Record", number: int, k_max: int | None) -> None:
    segments = _segments(record, None, k_max)
    top = max(int(segments.counts_N.max()), k_max or 0) * HEADROOM
    ax.stairs(segments.counts_N, segments.edges, fill=True, color=FEW)
    ax.set(xlim=(segments.edges[0], segments.edges[-1]), ylim=(0, top))
    mark_relevant(ax, segments)
    verdict, colour = (RIGHT, BLUE) if record.correct else (WRONG, VERMILLION)
    question = printable(record.question.split("\n")[0])
    title = textwrap.fill(f"{number}. {question}", TITLE_CHARACTERS)
    ax.set_title(title, fontsize=12, pad=27)
    label = f"{verdict}: {_cut(_given(record))}"
    if not record.correct:
        label = _cut(f"{label} (right: {_readable(record.answer)})", 2 * MOST_LETTERS)
    ax.text(0, 1.07, label, transform=ax.transAxes, color=colour, fontweight="bold")


def _given(record: "Record") -> str:
    return _readable(record.prediction) or "(nothing)"


def _readable(text: str) -> str:
    """One line, and a timestamp in words: the models' own spelling is for tokenizers."""
    return re.sub(r"\s*<([\d.]+) seconds>", r" at \1 s", printable(text))


def _cut(text: str, most: int = MOST_LETTERS) -> str:
    return text if len(text) <= most else text[: most - 4] + " ..."


def _most(segments: Segments) -> str:
    top = np.argsort(-segments.counts_N, kind="stable")[:3]
    places = (f"{segments.counts_N[i]} at {segments.seconds_N[i]:.1f} s" for i in top)
    return f"most tokens: {', '.join(places)}"


def _exchange(record: "Record", number: int) -> str:
    verdict = "right" if record.correct else "wrong"
    return (
        f"{number}: {printable(record.question)} Answer: {printable(record.answer)} "
        f"Prediction: {_given(record)} ({verdict})"
    )
