"""Figures 1c and 3: accuracy against tokens per frame, and against the frames that are read.

Measured and published numbers never share a panel: other benchmarks, another model.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MultipleLocator, NullLocator

from tempo_lib.analysis.scaling import benchmark_of, paper_budget
from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)

OURS = "Tempo"  # begins the names of the paper's own models
POINT = "o"
PUBLISHED_SPAN = 3.0  # points of accuracy in each small panel of Figure 3, so that they compare
TICKS = (2, 4, 8, 16, 32, 64, 128)  # tokens per frame


@dataclass(frozen=True)
class Look:
    """Colour and form of the line of one budget."""

    colour: str
    marker: str


LOOKS = (
    *(Look(VERMILLION, "s"), Look(BLUE, "o"), Look(GREEN, "D"), Look(PURPLE, "^")),
    *(Look(ORANGE, "v"), Look(BLACK, "P")),
)


def accuracy_by_tokens(
    points: pd.DataFrame, published: pd.DataFrame, *, preset: str | None = None
) -> DescribedFigure:
    """Figure 1c: the measured points of one suite, and the published ones in a panel of their own.

    ``points``: rows of ``at_most_frames``. A mark stands at the tokens really used, a dotted
    line leads to the upper bound (Eq. 5). ``published``: model, tokens_per_frame and value in
    percent; a model without tokens is a line across. ValueError for several suites or none.
    """
    suites = list(dict.fromkeys(points["suite"]))
    if len(suites) != 1:
        raise ValueError(f"the figure shows one suite, got {', '.join(suites) or 'none'}")
    _check_budgets(points)
    with new_figure(5.4) as fig:
        ours, theirs = fig.subplots(1, 2, width_ratios=(1, 1.15))
        _measured_tokens(ours, points)
        ours.set_title(f"Measured on {suites[0]}{made_by(preset)}")
        _published_tokens(theirs, published)
        theirs.set_title(f"Published, {benchmark_of(suites[0])}: no intervals given")
        fig.legend(*ours.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        title = "Accuracy against tokens per frame"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe_tokens(points, published)
    return fig


def accuracy_by_frames(
    points: pd.DataFrame,
    published: pd.DataFrame,
    *,
    lengths: dict[str, float] | None = None,
    preset: str | None = None,
) -> DescribedFigure:
    """Figure 3: a panel a suite with a line a budget; below, what the paper's text publishes.

    ``points``: rows of ``scaling_points``; ``lengths``: suite -> mean frames of its videos, a
    dotted line: caps beyond it read hardly more. ``published``: benchmark, max_frames, budget and
    value in percent. ValueError without points or for more budgets than there are looks.
    """
    suites, budgets = list(dict.fromkeys(points["suite"])), _check_budgets(points)
    looks = dict(zip(budgets, LOOKS, strict=False))
    with new_figure(7.6) as fig:
        grid = fig.subplots(2, len(suites), height_ratios=(1.9, 1), squeeze=False)
        for column, suite in enumerate(suites):
            ours, theirs = grid[:, column]
            _lines(ours, points[points["suite"] == suite], looks, (lengths or {}).get(suite))
            ours.set_title(f"{suite}{made_by(preset)}")
            _published_frames(theirs, published, benchmark_of(suite), looks)
        _same_height(grid[0])
        grid[0, 0].set_ylabel("accuracy (%), 95 % interval")
        grid[1, 0].set_ylabel("accuracy (%)")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=min(4, len(budgets)))
        title = "Accuracy against the most frames that are read, a line a budget"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe_frames(points, suites)
    return fig


def _check_budgets(points: pd.DataFrame) -> list[int]:
    budgets = sorted(set(points["budget"]))
    if not 1 <= len(budgets) <= len(LOOKS):
        raise ValueError(f"a figure shows 1 to {len(LOOKS)} budgets, got {len(budgets)}")
    return budgets


def _measured_tokens(ax: Axes, points: pd.DataFrame) -> None:
    for row, look in zip(points.itertuples(), LOOKS, strict=False):
        x, y, bound = row.tokens_per_frame, 100 * row.accuracy, row.bound
        ax.vlines(x, 100 * row.low, 100 * row.high, color=look.colour, linewidth=2, alpha=0.55)
        ax.hlines(y, x, bound, color=look.colour, linewidth=1.2, linestyle=":")
        ax.plot(bound, y, "|", color=look.colour, markersize=10, markeredgewidth=1.5)
        style: Any = {"color": look.colour, "marker": look.marker, "linestyle": "none"}
        ax.plot(x, y, markersize=9, label=_budget_words(row.budget), **style)
    widest = points[["bound", "tokens_per_frame"]].to_numpy().max()
    ax.set(xlim=(0, 1.08 * widest), ylim=_around(points))
    sizes = int(points["n"].max())
    ax.set_xlabel(
        f"memory tokens per frame, n = {sizes}\nbars: 95 % intervals; dotted: upper bound"
    )
    ax.set_ylabel("accuracy (%)")
    light_grid(ax)


def _published_tokens(ax: Axes, published: pd.DataFrame) -> None:
    known = published[published["tokens_per_frame"].notna() & published["value"].notna()]
    best = known["value"].max()
    for row in known.itertuples():
        is_ours = str(row.model).startswith(OURS)
        colour = BLUE if is_ours else GREY
        ax.plot(row.tokens_per_frame, row.value, POINT, color=colour, markersize=9)
        is_right = row.tokens_per_frame > TICKS[-3]
        up = 0 if not is_ours else 6 if row.value == best else -6  # ours lie close together
        place: Any = {"xytext": (-9 if is_right else 9, up), "textcoords": "offset points"}
        place |= {"ha": "right" if is_right else "left", "va": "center"}
        weight = "bold" if is_ours else "normal"
        text = f"{row.model} {row.value:.1f}"
        ax.annotate(text, (row.tokens_per_frame, row.value), fontweight=weight, **place)
    for row in published[published["tokens_per_frame"].isna()].itertuples():
        ax.axhline(row.value, color=GREY, linewidth=1, linestyle="--")
        across = ax.get_yaxis_transform()
        ax.text(0.99, row.value, f"{row.model} {row.value:.1f}", transform=across, **_ABOVE)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(TICKS))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set(xlim=(1.6, 160))
    ax.set_xlabel("upper bound of tokens per frame, log scale\ndashed lines: tokens not published")
    ax.margins(y=0.1)
    light_grid(ax)


_ABOVE: Any = {"ha": "right", "va": "bottom"}


def _lines(ax: Axes, points: pd.DataFrame, looks: dict[int, Look], length: float | None) -> None:
    caps = sorted(set(points["max_frames"]))
    for number, (budget, look) in enumerate(looks.items()):
        rows = points[points["budget"] == budget].sort_values("max_frames")
        shift = 2 ** (0.07 * (number - (len(looks) - 1) / 2))  # so that intervals stand apart
        x = rows["max_frames"].to_numpy(float) * shift
        y, low, high = (100 * rows[name].to_numpy(float) for name in ("accuracy", "low", "high"))
        ax.vlines(x, low, high, color=look.colour, linewidth=1.5, alpha=0.55)
        style: Any = {"color": look.colour, "marker": look.marker, "markersize": 7}
        ax.plot(x, y, linewidth=2, label=_budget_words(budget), **style)
    if length is not None:
        ax.axvline(length, color=GREY, linewidth=1.5, linestyle=":")
        words = f" mean video: {length:.0f} frames"
        side: Any = {"ha": "right" if length > np.sqrt(caps[0] * caps[-1]) else "left"}
        text = words.strip() + " " if side["ha"] == "right" else words
        ax.text(length, 0.015, text, transform=ax.get_xaxis_transform(), color="#5F5F5F", **side)
    _frames_axis(ax, caps)
    sizes = int(points["n"].max())
    ax.set_xlabel(f"most frames read (log scale), n = {sizes}")
    light_grid(ax)


def _published_frames(
    ax: Axes, published: pd.DataFrame, benchmark: str, looks: dict[int, Look]
) -> None:
    """The published points of a benchmark, or of its part whose name begins alike."""
    rows = published[published["benchmark"].str.startswith(benchmark)]
    names = ", ".join(dict.fromkeys(rows["benchmark"])) or benchmark
    ax.set_title(f"Published, {names}")
    ax.set_xlabel("most frames read (log scale)")
    if rows.empty:
        ax.text(0.5, 0.5, "no numbers in the text", transform=ax.transAxes, ha="center")
        ax.set(xticks=[], yticks=[])
        return
    by_paper = {paper_budget(budget): look for budget, look in looks.items()}
    for row in rows.itertuples():
        look = by_paper.get(row.budget, Look(GREY, "o"))
        style: Any = {"marker": look.marker, "markerfacecolor": "white", "markeredgewidth": 1.8}
        ax.plot(row.max_frames, row.value, color=look.colour, markersize=8, **style)
        label = f"  {row.budget // 1024}K: {row.value:.1f}"
        ax.annotate(label, (row.max_frames, row.value), va="center", ha="left")
    _frames_axis(ax, [512, 1024, 2048])
    ax.set_xlim(512, 4096)
    middle = (rows["value"].min() + rows["value"].max()) / 2
    ax.set_ylim(middle - PUBLISHED_SPAN / 2, middle + PUBLISHED_SPAN / 2)
    ax.yaxis.set_major_locator(MultipleLocator(1))
    light_grid(ax)


def _frames_axis(ax: Axes, caps: list[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(caps))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    ax.set_xlim(caps[0] / 1.35, caps[-1] * 1.35)


def _same_height(panels: np.ndarray) -> None:
    limits = np.array([ax.get_ylim() for ax in panels])
    for ax in panels:
        ax.set_ylim(max(limits[:, 0].min(), -4), min(limits[:, 1].max(), 104))


def _around(points: pd.DataFrame) -> tuple[float, float]:
    """Limits of percents that hold all intervals, at least ten points apart."""
    low, high = 100 * points["low"].min(), 100 * points["high"].max()
    span = max(high - low, 10)
    return max(low - 0.08 * span, -3), min(high + 0.08 * span, 103)


def _budget_words(budget: int) -> str:
    paper = paper_budget(budget)
    stands = "" if paper is None else f" (as {paper // 1024}K)"
    return f"{budget} tokens{stands}"


def _percent(row: Any) -> str:
    return f"{100 * row.accuracy:.1f} % ({100 * row.low:.0f} to {100 * row.high:.0f})"


def _describe_tokens(points: pd.DataFrame, published: pd.DataFrame) -> str:
    found = [
        f"budget {row.budget}: {_percent(row)} at {row.tokens_per_frame:.2f} tokens per frame"
        for row in points.itertuples()
    ]
    told = [f"{row.model} {row.value:.1f} %" for row in published.itertuples()]
    return (
        f"Accuracy against tokens per frame, with 95 % intervals. Measured on "
        f"{points['suite'].iloc[0]}: {'; '.join(found)}. Published: {'; '.join(told)}."
    )


def _describe_frames(points: pd.DataFrame, suites: list[str]) -> str:
    told = []
    for suite in suites:
        for budget, rows in points[points["suite"] == suite].groupby("budget"):
            found = ", ".join(
                f"{row.max_frames} frames {_percent(row)}" for row in rows.itertuples()
            )
            told.append(f"{suite}, budget {budget}: {found}.")
    return f"Accuracy against the most frames read, with 95 % intervals. {' '.join(told)}"
