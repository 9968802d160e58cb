"""Figures A and B: how tokens spread over segments, and how much of a budget is used."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    DASHES,
    GREEN,
    GREY,
    MUTED,
    VERMILLION,
    DescribedFigure,
    light_grid,
    new_figure,
)

ROW_INCHES, HEAD_INCHES = 2.7, 1.2
HEADROOM = 1.32  # above k_max in Figure B; a line beyond it is named with an arrow instead
SPREAD = 0.3  # segments to either side, by chance: samples of one length would hide each other
DARK_GREEN = "#00664B"  # of small words: GREEN is too light for text
PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # grid lines end beside words


def token_distribution(
    bins: pd.DataFrame, shapes: pd.DataFrame, *, preset: str | None = None
) -> DescribedFigure:
    """Figure A: percent of segments by their tokens; one row per budget, one column per suite.

    ``bins``: suite, role (of the budget), low, high (tokens), share; ``shapes``: one row per panel
    of the same segments. The dashed line is the median; words say how many keep no more than k_min.
    """

    def panel(ax: Axes, rows: pd.DataFrame) -> None:
        shape = _matching(shapes, rows)
        middle, width = (rows["low"] + rows["high"]) / 2, rows["high"] - rows["low"] + 1
        colours = np.where(rows["low"] <= shape["k_min"], GREY, VERMILLION)
        ax.bar(middle, 100 * rows["share"], 0.9 * width, color=colours)
        ax.axvline(shape["median"], color=BLUE, linewidth=2, linestyle=DASHES, label="median")
        for colour, label in ((GREY, "k_min or less"), (VERMILLION, "more than k_min")):
            ax.plot([], [], color=colour, linewidth=8, label=label)
        words = (
            f"k_min: {100 * shape['at_k_min']:.0f} %\nmedian {shape['median']:g}\n"
            f"skewness {shape['skewness']:.1f}"
        )
        ax.text(0.98, 0.97, words, transform=ax.transAxes, ha="right", va="top", bbox=PLATE)
        ax.set_ylim(0, 100 * bins["share"].max() * 1.05)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    lines = [
        f"{row.suite}, budget {row.role}: median {row.median:g}, {100 * row.at_k_min:.0f} % with "
        f"at most {row.k_min}, {100 * row.at_k_max:.0f} % with {row.k_max}, mean skewness "
        f"{row.skewness:.2f}."
        for row in shapes.itertuples()
    ]
    return _grid(
        bins,
        panel,
        title="Tokens per segment: how ATA spreads them over the segments",
        labels=("tokens per segment", "segments (%)"),
        preset=preset,
        alt_text=f"Histograms of memory tokens per segment, {len(lines)} panels. {' '.join(lines)}",
    )


def budget_use(
    questions: pd.DataFrame, use: pd.DataFrame, *, preset: str | None = None
) -> DescribedFigure:
    """Figure B: tokens per segment of every question against the segments of its video.

    ``questions``: one row per question, ``use``: one row per panel, both of the same segments. A
    red dot is a question, the grey spine the quartiles, the green dashed line the capacity of the
    whole suite, the black line what each length leaves room for.
    """
    top = HEADROOM * float(questions["k_max"].max()) if len(questions) else 1.0

    def panel(ax: Axes, rows: pd.DataFrame) -> None:
        found = _matching(use, rows)
        _dots(ax, rows)
        _own_capacity(ax, rows)
        _spine(ax, found)
        _suite_capacity(ax, found["line"], top)
        ax.set_ylim(0, top)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))

    lines = [
        f"{row.suite}, budget {row.role}: median {row.q50:.1f} (quartiles {row.q25:.1f} to "
        f"{row.q75:.1f}), suite's capacity {row.line:.1f}, {100 * row.used:.0f} % of the own "
        f"capacity used, {100 * row.full:.0f} % of questions use the whole budget."
        for row in use.itertuples()
    ]
    return _grid(
        questions,
        panel,
        title="Budget use: tokens per segment of every question",
        labels=("segments of the video", "tokens per segment"),
        preset=preset,
        alt_text=f"Tokens per segment of every question, {len(lines)} panels. {' '.join(lines)}",
    )


def _grid(
    frame: pd.DataFrame,
    panel: Callable[[Axes, pd.DataFrame], None],
    *,
    title: str,
    labels: tuple[str, str],
    preset: str | None,
    alt_text: str,
) -> DescribedFigure:
    """Panels of a frame with columns suite and role: rows are budgets, columns suites."""
    if frame.empty:
        raise ValueError("no segments, so there is nothing to draw")
    suites, budgets = (list(dict.fromkeys(frame[name])) for name in ("suite", "role"))
    with new_figure(HEAD_INCHES + ROW_INCHES * len(budgets), title, preset) as fig:
        shape = (len(budgets), len(suites))
        axes = fig.subplots(*shape, squeeze=False, sharey=True, sharex="col")
        for (row, column), ax in np.ndenumerate(axes):
            rows = frame[frame["suite"].eq(suites[column]) & frame["role"].eq(budgets[row])]
            if len(rows):
                panel(ax, rows)
            ax.set(title=suites[column] if row == 0 else "", xlabel="", ylabel="")
            light_grid(ax)
        for ax, budget in zip(axes[:, 0], budgets, strict=True):
            ax.set_ylabel(f"budget {budget}\n{labels[1]}")
        for ax in axes[-1]:
            ax.set_xlabel(labels[0])
        fig.legend_below(axes[0, 0])
        fig.alt_text = alt_text
    return fig


def _dots(ax: Axes, rows: pd.DataFrame) -> None:
    few = len(rows) <= 60
    aside = np.random.default_rng(0).uniform(-SPREAD, SPREAD, len(rows))
    style: dict[str, Any] = {"color": VERMILLION, "linewidth": 0, "legend": False}
    style |= {"alpha": 0.85 if few else 0.5, "s": 36 if few else 16}
    x, y = rows["num_segments"] + aside, rows["tokens_per_segment"]
    sns.scatterplot(x=x, y=y, ax=ax, label="a question", **style)


def _own_capacity(ax: Axes, rows: pd.DataFrame) -> None:
    """What the budget and k_max leave room for, by the number of segments."""
    first, last = rows["num_segments"].min() - 0.5, rows["num_segments"].max() + 0.5
    lengths = np.linspace(first, last, 50)
    limit = np.minimum(rows["k_max"].iloc[0], rows["budget"].iloc[0] / lengths)
    ax.plot(lengths, limit, color=BLACK, linewidth=1.5, label="its own capacity")
    ax.set_xlim(first - 0.05 * (last - first), last + 0.2 * (last - first))


def _spine(ax: Axes, found: pd.Series) -> None:
    """Quartiles at the right edge: a grey bar from the first to the third, a tick at the second."""
    across = ax.get_yaxis_transform()
    bar: dict[str, Any] = {"color": MUTED, "linewidth": 7, "label": "quartiles"}
    ax.plot([0.94, 0.94], [found["q25"], found["q75"]], transform=across, **bar)
    ax.plot([0.9, 0.98], [found["q50"]] * 2, transform=across, color=BLACK, linewidth=2)


def _suite_capacity(ax: Axes, line: float, top: float) -> None:
    """The dashed line and its number, in a corner that no question reaches."""
    is_inside = line <= top
    at = line if is_inside else 2 * top  # outside, but in the legend
    ax.axhline(at, color=GREEN, linewidth=2, linestyle=DASHES, label="capacity of the suite")
    words = f"suite {line:.1f}" if is_inside else f"suite {line:.1f} \N{UPWARDS ARROW}"
    ax.text(0.03, 0.98, words, transform=ax.transAxes, color=DARK_GREEN, va="top", bbox=PLATE)


def _matching(table: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """The one row of ``table`` for the suite and the role of the budget of ``rows``."""
    place = rows.iloc[0]
    found = table[(table["suite"] == place["suite"]) & (table["role"] == place["role"])]
    if len(found) != 1:
        raise ValueError(
            f"need one row of numbers for {place['suite']} at budget {place['role']}, got "
            f"{len(found)}; compute them from the same segments"
        )
    return found.iloc[0]
