"""Figures A and B: how tokens spread over segments, and how much of a budget is used."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)

DASHES = (0, (5, 3))
ROW_INCHES = 2.7
HEAD_INCHES = 1.2
HEADROOM = 1.32  # above k_max in Figure B; a line beyond it is named with an arrow instead
SPREAD = 0.3  # segments to either side, by chance: samples of one length would hide each other
DARK_GREEN = "#00664B"  # of small words: GREEN is too light for text


def token_distribution(
    bins: pd.DataFrame, shapes: pd.DataFrame, *, preset: str | None = None
) -> DescribedFigure:
    """Figure A: percent of segments by their tokens; a row a budget, a column a suite.

    ``bins``: rows of ``distribution``, ``shapes``: those of ``shapes``, of the same segments. The
    dashed line is the median; words say how many segments hold no more than k_min.
    """
    grid = _Grid(bins, preset, "Tokens per segment: how ATA spreads them over the segments")

    def panel(ax: Axes, rows: pd.DataFrame) -> None:
        shape = _matching(shapes, rows)
        width = rows["high"] - rows["low"] + 1
        at_k_min = rows["low"] <= shape["k_min"]
        colours = np.where(at_k_min, GREY, VERMILLION)
        middle = (rows["low"] + rows["high"]) / 2
        ax.bar(middle, 100 * rows["share"], 0.9 * width, color=colours)
        ax.axvline(shape["median"], color=BLUE, linewidth=2, linestyle=DASHES, label="median")
        for colour, label in ((GREY, "k_min or less"), (VERMILLION, "more than k_min")):
            ax.plot([], [], color=colour, linewidth=8, label=label)
        lines = (
            f"k_min: {100 * shape['at_k_min']:.0f} %",
            f"median {shape['median']:g}",
            f"skewness {shape['skewness']:.1f}",
        )
        ax.text(0.98, 0.97, "\n".join(lines), transform=ax.transAxes, ha="right", va="top")
        ax.set_ylim(0, 100 * bins["share"].max() * 1.05)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    fig = grid.draw(panel, "tokens per segment", "segments (%)")
    fig.alt_text = _describe_shapes(shapes)
    return fig


def budget_use(
    asked: pd.DataFrame, use: pd.DataFrame, *, preset: str | None = None
) -> DescribedFigure:
    """Figure B: tokens per segment of every sample against its segments; rows and columns as in A.

    ``asked``: rows of ``per_question``, ``use``: rows of ``budget_use``. A red dot is a sample,
    the grey spine the quartiles, the green dashed line the capacity of the whole data set, the
    black line what each length leaves room for.
    """
    grid = _Grid(asked, preset, "Budget use: tokens per segment of every question")
    top = HEADROOM * float(asked["k_max"].max())

    def panel(ax: Axes, rows: pd.DataFrame) -> None:
        found = _matching(use, rows)
        _samples(ax, rows)
        _spine(ax, found)
        _capacity_line(ax, found["line"], top)
        ax.set_ylim(0, top)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))

    fig = grid.draw(panel, "segments of the video", "tokens per segment")
    fig.alt_text = _describe_use(use)
    return fig


class _Grid:
    """Panels of a frame with columns suite and budget: a row a budget, a column a suite."""

    def __init__(self, frame: pd.DataFrame, preset: str | None, title: str) -> None:
        if frame.empty:
            raise ValueError("no segments, so there is nothing to draw")
        self.frame = frame
        self.title = f"{title}{made_by(preset)}"
        self.suites = list(dict.fromkeys(frame["suite"]))
        self.budgets = list(dict.fromkeys(frame["budget"]))

    def draw(
        self, panel: Callable[[Axes, pd.DataFrame], None], below: str, beside: str
    ) -> DescribedFigure:
        with new_figure(HEAD_INCHES + ROW_INCHES * len(self.budgets)) as fig:
            shape = (len(self.budgets), len(self.suites))
            axes = fig.subplots(*shape, squeeze=False, sharey=True, sharex="col")
            for row, budget in enumerate(self.budgets):
                for column, suite in enumerate(self.suites):
                    ax = axes[row, column]
                    of_panel = self.frame["suite"].eq(suite) & self.frame["budget"].eq(budget)
                    if of_panel.any():
                        panel(ax, self.frame[of_panel])
                    ax.set_title(suite if row == 0 else "")
                    light_grid(ax)
                axes[row, 0].set_ylabel(f"budget {budget}\n{beside}")
            for ax in axes[-1]:
                ax.set_xlabel(below)
            handles, labels = axes[0, 0].get_legend_handles_labels()
            fig.legend(handles, labels, loc="outside lower center", ncols=4, columnspacing=1.5)
            look: Any = {"fontsize": TITLE_POINTS, "fontweight": "bold", "x": 0.01, "ha": "left"}
            fig.suptitle(self.title, **look)
            fig.alt_text = self.title
        return fig


def _samples(ax: Axes, rows: pd.DataFrame) -> None:
    few = len(rows) <= 60
    style: Any = {"color": VERMILLION, "alpha": 0.85 if few else 0.5, "linestyle": "none"}
    size = 6 if few else 4
    aside = np.random.default_rng(0).uniform(-SPREAD, SPREAD, len(rows))
    ax.plot(
        *(rows["num_segments"] + aside, rows["tokens_per_segment"]),
        marker="o",
        markersize=size,
        markeredgewidth=0,
        label="a question",
        **style,
    )
    room = rows.groupby("num_segments")["capacity_per_segment"].first().sort_index()
    first, last = room.index.min() - 0.5, room.index.max() + 0.5
    budget, k_max = rows["budget"].iloc[0], rows["k_max"].iloc[0]
    lengths = np.linspace(first, last, 50)
    limit = np.minimum(k_max, budget / lengths)
    ax.plot(lengths, limit, color=BLACK, linewidth=1.5, label="its own capacity")
    span = last - first
    ax.set_xlim(first - 0.05 * span, last + 0.2 * span)


def _spine(ax: Axes, found: pd.Series) -> None:
    """Quartiles at the right edge: a grey bar from the first to the third, a tick at the second."""
    across = ax.get_yaxis_transform()
    ax.plot(
        *([0.94, 0.94], [found["q25"], found["q75"]]),
        transform=across,
        color="#7A7A7A",
        linewidth=7,
        solid_capstyle="butt",
        label="quartiles",
    )
    ax.plot([0.9, 0.98], [found["q50"]] * 2, transform=across, color=BLACK, linewidth=2)


def _capacity_line(ax: Axes, line: float, top: float) -> None:
    """The dashed line and its number, in a corner that no sample reaches."""
    is_inside = line <= top
    at = line if is_inside else 2 * top  # outside, but in the legend
    ax.axhline(at, color=GREEN, linewidth=2, linestyle=DASHES, label="capacity of the suite")
    words = f"suite {line:.1f}" if is_inside else f"suite {line:.1f} \N{UPWARDS ARROW}"
    ax.text(0.03, 0.98, words, transform=ax.transAxes, color=DARK_GREEN, va="top")


def _matching(table: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """The one row of ``table`` for the suite and the budget of ``rows``."""
    place = rows.iloc[0]
    found = table[(table["suite"] == place["suite"]) & (table["budget"] == place["budget"])]
    if len(found) != 1:
        raise ValueError(
            f"need one row of numbers for {place['suite']} at budget {place['budget']}, got "
            f"{len(found)}; compute them from the same segments"
        )
    return found.iloc[0]


def _describe_shapes(shapes: pd.DataFrame) -> str:
    told = [
        f"{row.suite}, budget {row.budget}: median {row.median:g}, {100 * row.at_k_min:.0f} % with "
        f"at most {row.k_min}, {100 * row.at_k_max:.0f} % with {row.k_max}, mean skewness "
        f"{row.skewness:.2f}."
        for row in shapes.itertuples()
    ]
    return f"Histograms of memory tokens per segment, {len(told)} panels. {' '.join(told)}"


def _describe_use(use: pd.DataFrame) -> str:
    told = [
        f"{row.suite}, budget {row.budget}: median {row.q50:.1f} (quartiles {row.q25:.1f} to "
        f"{row.q75:.1f}), suite's capacity {row.line:.1f}, {100 * row.used:.0f} % of the own "
        f"capacity used, {100 * row.full:.0f} % of questions spend the whole budget."
        for row in use.itertuples()
    ]
    return f"Tokens per segment of every question, {len(told)} panels. {' '.join(told)}"
