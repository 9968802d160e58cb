"""What is computed again for a second question, and what is not.

Shape suffixes: L positions of one segment's sequence.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)

COLUMNS = ("question", "fresh", "reused")
NAMES = {"fresh": "read afresh for each question", "reused": "prefix kept and used again"}
DASHES = (0, (5, 3))


def tokens_read(table: pd.DataFrame, *, preset: str | None = None) -> DescribedFigure:
    """Tokens that the compressor has read after each question, with and without a kept prefix.

    ``table``: one row a question in the order asked, with ``question`` (1, 2, ...) and the tokens
    read for it alone, ``fresh`` and ``reused``. ValueError for absent columns or no question.
    """
    absent = [name for name in COLUMNS if name not in table.columns]
    if absent or table.empty:
        lacks = f"lacks {', '.join(absent)}" if absent else "has no question"
        raise ValueError(f"the table {lacks}; the figure needs {', '.join(COLUMNS)}")
    totals = table[["fresh", "reused"]].cumsum()
    asked = table["question"].to_numpy()
    with new_figure(4.8) as fig:
        ax = fig.subplots()
        ax.fill_between(
            asked, totals["reused"], totals["fresh"], color=SKY, alpha=0.25, linewidth=0
        )
        _line(ax, asked, totals["fresh"], VERMILLION, "o", NAMES["fresh"])
        _line(ax, asked, totals["reused"], BLUE, "s", NAMES["reused"])
        fresh, reused = (int(totals[name].iloc[-1]) for name in ("fresh", "reused"))
        times = f"{fresh / reused:.1f} times as many"
        ax.set_title(f"After question {asked[-1]}: {fresh:,} against {reused:,}, {times}")
        ax.set(xlabel="questions asked about one video", ylabel="tokens read in all")
        ax.set_ylim(0, 1.06 * fresh)
        ax.set_xlim(asked[0] - 0.4, asked[-1] + 0.4)
        ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        light_grid(ax)
        fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        title = f"Tokens that the compressor reads{made_by(preset)}"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = (
            f"Tokens that the compressor has read against the number of questions. Read afresh: "
            f"{int(totals['fresh'].iloc[0]):,} after the first and {fresh:,} after {asked[-1]}. "
            f"With the prefix kept: {int(totals['reused'].iloc[0]):,} and {reused:,}."
        )
    return fig


def gap_by_position(
    gaps: Sequence[float] | np.ndarray, prefix_length: int, *, preset: str | None = None
) -> DescribedFigure:
    """How far the states of one segment differ between two questions, position by position.

    ``gaps`` (L,): the largest absolute difference at each position; the first ``prefix_length``
    hold system prompt and video. ValueError unless 0 < prefix_length < L.
    """
    gaps_L = np.asarray(gaps, float)
    if not 0 < prefix_length < len(gaps_L):
        raise ValueError(
            f"prefix_length must lie inside the {len(gaps_L)} positions, got {prefix_length}"
        )
    before, after = gaps_L[:prefix_length].max(), gaps_L[prefix_length:].max()
    with new_figure(3.8) as fig:
        ax = fig.subplots()
        position_L = np.arange(1, len(gaps_L) + 1)
        colours = np.where(position_L <= prefix_length, GREY, VERMILLION)
        ax.bar(position_L, gaps_L, 0.85, color=colours)
        ax.axvline(prefix_length + 0.5, color=BLACK, linewidth=1.2, linestyle=DASHES)
        top = 1.2 * max(after, before) or 1.0
        ax.set(xlim=(0, len(gaps_L) + 1), ylim=(0, top))
        ax.set(xlabel="position in the segment's sequence", ylabel="largest difference")
        middle = (prefix_length + 1) / 2
        shared = f"at most {before:.2g}" if before else "no difference"
        words = f"system prompt and video:\n{shared}"
        box = {"facecolor": "white", "edgecolor": "none"}  # the grid ends beside the words
        ax.text(middle, 0.5 * top, words, ha="center", va="center", color=BLACK, bbox=box)
        ax.set_title(f"From the question on: at most {after:.2g}")
        light_grid(ax)
        title = f"Hidden states under two questions, compared{made_by(preset)}"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = (
            f"Largest difference of hidden states under two questions at {len(gaps_L)} positions. "
            f"The first {prefix_length}, system prompt and video, differ by at most {before:.2g}; "
            f"those from the question on by at most {after:.2g}."
        )
    return fig


def _line(
    ax: Axes, asked: np.ndarray, totals: pd.Series, colour: str, marker: str, label: str
) -> None:
    size = 7 if len(asked) <= 40 else 0  # marks of many questions would melt into a band
    ax.plot(asked, totals, color=colour, marker=marker, markersize=size, linewidth=2, label=label)
