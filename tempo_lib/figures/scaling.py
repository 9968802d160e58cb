"""Figures 1c and 3: accuracy against tokens per frame, and against the frames that are read.

Measured and published numbers never share a panel: other benchmarks, another model.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MultipleLocator, NullLocator

from tempo_lib.evaluation.published import published_benchmark
from tempo_lib.figures.style import (
    BLUE,
    GREY,
    MUTED,
    DescribedFigure,
    SeriesStyle,
    light_grid,
    made_by,
    new_figure,
    series_styles,
)

OURS = "Tempo"  # begins the names of the paper's own models
MOST_BUDGETS = 6
PUBLISHED_SPAN = 3.0  # points of accuracy in each small panel of Figure 3, so that they compare
PUBLISHED_FRAMES = [512, 1024, 2048]
OWN_TICKS = [0.125, 0.25, 0.5, 1, 2, 4, 8]  # of what is measured
TICKS = (2, 4, 8, 16, 32, 64, 128)  # tokens per frame


def accuracy_by_tokens(
    points: pd.DataFrame,
    published: pd.DataFrame,
    others: pd.DataFrame | None = None,
    *,
    preset: str | None = None,
) -> DescribedFigure:
    """Figure 1c: the measured points of one suite, and the published ones in a panel of their own.

    ``points``: one row per budget with suite, role, accuracy, low, high, n, tokens_per_frame and
    its upper ``bound`` (Eq. 5), to which a dotted line leads. ``published``: model,
    tokens_per_frame and value in percent; a model without tokens is a line across. ``others``:
    label, accuracy, low, high, tokens_per_frame of baselines and of whole memories, measured on the
    same suite. ValueError for several suites.
    """
    suites = list(dict.fromkeys(points["suite"]))
    if len(suites) != 1:
        raise ValueError(f"the figure shows one suite, got {', '.join(suites) or 'none'}")
    styles = _styles(points)
    with new_figure(5.4, "Accuracy against tokens per frame") as fig:
        ours, theirs = fig.subplots(1, 2, width_ratios=(1, 1.15))
        for row in points.itertuples():
            _measured_tokens(ours, row, styles[row.role])
        shown = points if others is None else pd.concat([points, others])
        _other_ways(ours, others)
        _log_axis(ours, OWN_TICKS, _log_limits(shown[["bound", "tokens_per_frame"]]))
        ours.set(ylim=_around(shown), ylabel="accuracy (%)")
        size = f"memory tokens per frame (log scale), n = {points['n'].max():.0f}"
        ours.set_xlabel(f"{size}\nbars: 95 % intervals; dotted: upper bound")
        ours.set_title(f"Measured on {suites[0]}{made_by(preset)}")
        _published_tokens(theirs, published)
        theirs.set_title(f"Published, {published_benchmark(suites[0])}: no intervals given")
        for ax in (ours, theirs):
            light_grid(ax)
        fig.legend_below(ours)
        found = [
            f"budget {row.role}: {_percent(row)} at {row.tokens_per_frame:.2f} tokens per frame"
            for row in points.itertuples()
        ]
        for row in () if others is None else others.itertuples():
            found.append(f"{row.label} {_percent(row)} at {row.tokens_per_frame:.2f}")
        sentences = [f"{row.model} {row.value:.1f} %" for row in published.itertuples()]
        fig.alt_text = (
            f"Accuracy against tokens per frame, with 95 % intervals. Measured on {suites[0]}: "
            f"{'; '.join(found)}. Published: {'; '.join(sentences)}."
        )
    return fig


def accuracy_by_frames(
    points: pd.DataFrame,
    published: pd.DataFrame,
    *,
    lengths: dict[str, float] | None = None,
    preset: str | None = None,
) -> DescribedFigure:
    """Figure 3: one panel per suite, one line per budget; below, what the paper's text publishes.

    ``points``: suite, role, budget, max_frames, n, accuracy, low, high; ``lengths``: suite -> mean
    frames of its videos, a dotted line: caps beyond it read hardly more. ``published``:
    benchmark, max_frames, budget and value in percent. ValueError without points or for more
    budgets than a figure shows.
    """
    styles = _styles(points)
    suites, sentences = list(dict.fromkeys(points["suite"])), []
    title = "Accuracy against the most frames that are read, one line per budget"
    with new_figure(7.6, title) as fig:
        grid = fig.subplots(2, len(suites), height_ratios=(1.9, 1), squeeze=False)
        for (ours, theirs), suite in zip(grid.T, suites, strict=True):
            rows = points[points["suite"] == suite]
            _lines(ours, rows, styles)
            if lengths and suite in lengths:
                _mean_length(ours, lengths[suite], max(rows["max_frames"]))
            ours.set_title(f"{suite}{made_by(preset)}")
            _published_frames(theirs, published, published_benchmark(suite), styles)
            for role, line in rows.groupby("role", sort=False):
                found = (f"{row.max_frames} frames {_percent(row)}" for row in line.itertuples())
                sentences.append(f"{suite}, budget {role}: {', '.join(found)}.")
        limits = np.array([ax.get_ylim() for ax in grid[0]])
        for ax in grid[0]:
            ax.set_ylim(max(limits[:, 0].min(), -4), min(limits[:, 1].max(), 104))
        grid[0, 0].set_ylabel("accuracy (%)\nbands: 95 %, largest and smallest budget")
        grid[1, 0].set_ylabel("accuracy (%)")
        fig.legend_below(grid[0, 0])
        intro = "Accuracy against the most frames read, with 95 % intervals."
        fig.alt_text = f"{intro} {' '.join(sentences)}"
    return fig


def _styles(points: pd.DataFrame) -> dict[str, SeriesStyle]:
    """A style per budget, the smallest first, labelled with its tokens on the suites."""
    ordered = points.sort_values("budget")
    roles = list(dict.fromkeys(ordered["role"]))
    if not 1 <= len(roles) <= MOST_BUDGETS:
        raise ValueError(f"a figure shows 1 to {MOST_BUDGETS} budgets, got {len(roles)}")
    labels = []
    for role in roles:
        tokens = ordered.loc[ordered["role"] == role, "budget"]
        most, least = f"{tokens.max():.0f}", f"{tokens.min():.0f}"
        words = f"{most} tokens" if most == least else f"{least} to {most} tokens"
        labels.append(words if role == most else f"{words} (as {role})")
    return series_styles(roles, labels)


def _measured_tokens(ax: Axes, row: Any, style: SeriesStyle) -> None:
    """The point at the tokens really used, its interval, and a dotted line to the upper bound."""
    x, y = row.tokens_per_frame, 100 * row.accuracy
    ax.vlines(x, 100 * row.low, 100 * row.high, color=style.colour, linewidth=2, alpha=0.55)
    ax.hlines(y, x, row.bound, color=style.colour, linewidth=1.2, linestyle=":")
    ax.plot(row.bound, y, "|", color=style.colour, markersize=10, markeredgewidth=1.5)
    ax.plot(x, y, label=style.label, **{**style.marks(), "markersize": 9})


def _other_ways(ax: Axes, others: pd.DataFrame | None) -> None:
    """Grey squares with their intervals and names: other policies, and all tokens."""
    for number, row in enumerate(() if others is None else others.itertuples()):
        x, y = row.tokens_per_frame, 100 * row.accuracy
        ax.vlines(x, 100 * row.low, 100 * row.high, color=GREY, linewidth=1.2, alpha=0.5)
        ax.plot(x, y, "s", color=MUTED, markersize=8)
        up = 10 if number % 2 else -10  # points often lie on each other
        place: Any = {"xytext": (-8, up), "textcoords": "offset points", "ha": "right"}
        ax.annotate(row.label, (x, y), va="center", color=MUTED, fontsize=12, **place)


def _log_limits(values: pd.DataFrame) -> tuple[float, float]:
    """Limits that hold all tokens per frame, with room for names on the left."""
    return float(np.nanmin(values.to_numpy())) / 1.6, 1.25 * float(np.nanmax(values.to_numpy()))


def _published_tokens(ax: Axes, published: pd.DataFrame) -> None:
    known = published[published["tokens_per_frame"].notna() & published["value"].notna()]
    best = known["value"].max()
    for row in known.itertuples():
        is_ours = str(row.model).startswith(OURS)
        ax.plot(row.tokens_per_frame, row.value, "o", color=BLUE if is_ours else GREY, markersize=9)
        is_right = row.tokens_per_frame > TICKS[-3]
        up = 0 if not is_ours else 6 if row.value == best else -6  # ours lie close together
        place: Any = {"xytext": (-9 if is_right else 9, up), "textcoords": "offset points"}
        place |= {"ha": "right" if is_right else "left", "va": "center"}
        weight = "bold" if is_ours else "normal"
        text = f"{row.model} {row.value:.1f}"
        ax.annotate(text, (row.tokens_per_frame, row.value), fontweight=weight, **place)
    above: Any = {"ha": "right", "va": "bottom", "transform": ax.get_yaxis_transform()}
    for row in published[published["tokens_per_frame"].isna()].itertuples():
        ax.axhline(row.value, color=GREY, linewidth=1, linestyle="--")
        ax.text(0.99, row.value, f"{row.model} {row.value:.1f}", **above)
    _log_axis(ax, TICKS, (1.6, 160))
    ax.set_xlabel("upper bound of tokens per frame, log scale\ndashed lines: tokens not published")
    ax.margins(y=0.1)


def _lines(ax: Axes, points: pd.DataFrame, styles: Mapping[str, SeriesStyle]) -> None:
    for number, (role, style) in enumerate(reversed(list(styles.items()))):
        rows = points[points["role"] == role].sort_values("max_frames")
        x = rows["max_frames"].to_numpy(float)
        y, low, high = (100 * rows[name].to_numpy(float) for name in ("accuracy", "low", "high"))
        if number in (0, len(styles) - 1):  # of the largest budget and the smallest: else a thicket
            ax.fill_between(x, low, high, color=style.colour, alpha=0.12, linewidth=0)
        # where budgets do not bind their lines coincide: the smaller lies thinner on top
        size = {"linewidth": 9.0 - 7.0 * number / max(len(styles) - 1, 1), "markersize": 7}
        ax.plot(x, y, label=style.label, **{**style.curve(), "linestyle": "-", **size})
    caps = sorted(set(points["max_frames"]))
    _log_axis(ax, caps, (caps[0] / 1.35, caps[-1] * 1.35))
    ax.set_xlabel(f"most frames read (log scale), n = {points['n'].max():.0f}")
    light_grid(ax)


def _mean_length(ax: Axes, length: float, most: int) -> None:
    """A dotted line at the frames of a mean video, with its words on the side that has room."""
    ax.axvline(length, color=GREY, linewidth=1.5, linestyle=":")
    is_right = length > np.sqrt(ax.get_xlim()[0] * most)
    side: Any = {"ha": "right" if is_right else "left", "color": MUTED}
    words = f"mean video: {length:.0f} frames"
    at = length / 1.05 if is_right else 1.05 * length
    ax.text(at, 0.015, words, transform=ax.get_xaxis_transform(), **side)


def _published_frames(
    ax: Axes, published: pd.DataFrame, benchmark: str, styles: Mapping[str, SeriesStyle]
) -> None:
    """The published points of a benchmark, or of its part whose name begins alike."""
    rows = published[published["benchmark"].str.startswith(benchmark)]
    names = ", ".join(dict.fromkeys(rows["benchmark"])) or benchmark
    ax.set(title=f"Published, {names}", xlabel="most frames read (log scale)")
    if rows.empty:
        ax.text(0.5, 0.5, "no numbers in the text", transform=ax.transAxes, ha="center")
        ax.set(xticks=[], yticks=[])
        return
    unknown = SeriesStyle(label="", colour=GREY)
    for row in rows.itertuples():
        marks = styles.get(f"{row.budget // 1024}K", unknown).marks(filled=False)
        ax.plot(row.max_frames, row.value, **marks)
        label = f"  {row.budget // 1024}K: {row.value:.1f}"
        ax.annotate(label, (row.max_frames, row.value), va="center", ha="left")
    _log_axis(ax, PUBLISHED_FRAMES, (512, 4096))
    middle = (rows["value"].min() + rows["value"].max()) / 2
    ax.set_ylim(middle - PUBLISHED_SPAN / 2, middle + PUBLISHED_SPAN / 2)
    ax.yaxis.set_major_locator(MultipleLocator(1))
    light_grid(ax)


def _log_axis(ax: Axes, ticks: Any, limits: tuple[float, float]) -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlim(*limits)


def _around(points: pd.DataFrame) -> tuple[float, float]:
    """Limits of percents that hold all intervals, at least ten points apart."""
    low, high = 100 * points["low"].min(), 100 * points["high"].max()
    span = max(high - low, 10)
    return max(low - 0.08 * span, -3), min(high + 0.08 * span, 103)


def _percent(row: Any) -> str:
    return f"{100 * row.accuracy:.1f} % ({100 * row.low:.0f} to {100 * row.high:.0f})"
