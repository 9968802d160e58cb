"""Blocks of Table 2 as pictures: published and measured numbers, and what a row changes.

Heights of accuracies cannot be compared, as model and videos are others; so what is drawn is
the difference to the default row, published beside measured, and accuracies stand as numbers.
"""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    made_by,
    new_figure,
)

POINTS = 11.5  # of the words and numbers in cells
MUTED = "#666666"  # dark enough to be read in letters
BAND = "#F0F0F0"  # behind the default row, as in the paper
LABEL_LETTERS = 28
# inches: of a row with marks, a line of words, the headings, axis and legend; of the columns
ROW, LINE, TOP, FOOT = 1.02, 0.19, 0.72, 1.65
LABELS, NARROW, TOKENS = 2.55, 1.0, 0.75
FIRST_LINE, SECOND_LINE = 0.17, 0.39  # inches below the top of a row
NUMBER_PLACES = (8, 40, 77)  # points right of a column's left edge: published, measured, interval


@dataclass(frozen=True, kw_only=True)
class Look:
    """Where the numbers of one series stand, and how its marks differ from the others'."""

    label: str
    value: str
    low: str | None
    high: str | None
    colour: str
    marker: str
    filled: bool
    inches: float  # below the top of a row


LOOKS = (
    Look(
        label="published",
        value="published_difference",
        low=None,
        high=None,
        colour=MUTED,
        marker="s",
        filled=True,
        inches=0.59,
    ),
    Look(
        label="measured",
        value="difference",
        low="difference_low",
        high="difference_high",
        colour=BLUE,
        marker="o",
        filled=True,
        inches=0.73,
    ),
    Look(
        label="measured at equal tokens",
        value="twin_difference",
        low="twin_difference_low",
        high="twin_difference_high",
        colour=VERMILLION,
        marker="D",
        filled=False,
        inches=0.87,
    ),
)


def ablation_table(
    table: pd.DataFrame, title: str, default: str = "ata", preset: str | None = None
) -> DescribedFigure:
    """One row per row of the block, one column per benchmark, in the order of ``table``.

    ``table``: as ``analysis.paper_tables.paper_table`` gives it. A cell holds the published
    accuracy (grey), the measured one (bold) with half of its 95 % interval, below it that at
    equal tokens, and the three differences to the default. Rows that spend ATA's tokens anyway
    have no mark of their own at equal tokens. ValueError for a table where nothing is measured.
    """
    if table["measured"].isna().all():
        raise ValueError(f"nothing of {title!r} was measured; ask at least one suite and variant")
    rows = list(dict.fromkeys(table["variant"]))
    benchmarks = list(dict.fromkeys(table["benchmark"]))
    heights = [_height(table[table["variant"] == name], default) for name in rows]
    tops = np.cumsum([0.0, *heights])
    measured = [table.loc[table["benchmark"] == b, "measured"].notna().any() for b in benchmarks]
    with new_figure(TOP + tops[-1] + FOOT) as fig:
        fig.get_layout_engine().set(w_pad=0, wspace=0)  # type: ignore[union-attr, call-arg]
        wide = fig.get_figwidth() - LABELS - TOKENS - NARROW * measured.count(False)
        widths = [wide / sum(measured) if drawn else NARROW for drawn in measured]
        ratios = (LABELS, *widths, TOKENS)
        words, *panels, costs = fig.subplots(1, len(ratios), width_ratios=ratios)
        limits = _limits(table)
        for ax in (words, *panels, costs):
            _background(ax, tops, rows.index(default) if default in rows else None)
        _labels(words, table, tops, default)
        for ax, benchmark, drawn in zip(panels, benchmarks, measured, strict=True):
            _column(ax, table[table["benchmark"] == benchmark], tops, drawn)
            if drawn:
                _axis(ax, limits)
        _tokens(costs, table, tops)
        handles, labels = panels[measured.index(True)].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=3, title=_explanation())
        heading = f"Table 2 {title}{made_by(preset)}"
        fig.suptitle(heading, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe(table, title)
    return fig


def _explanation() -> str:
    return (
        "Numbers: accuracy in percent, published (grey) and measured (bold, \u00b1 half of the "
        "95 % interval);\nsecond line: measured with as many tokens as ATA spends. "
        "Marks: difference to the default (shaded), in points"
    )


def _height(cells: pd.DataFrame, default: str) -> float:
    """Inches of a row: room for its marks, or for its words where it has none."""
    if cells["difference"].notna().any():
        return ROW
    return max(2, len(_words(cells, default))) * LINE + 0.14


def _limits(table: pd.DataFrame) -> tuple[float, float]:
    """A range for all panels that holds every mark, every interval and zero."""
    drawn = table[table["measured"].notna()]
    names = [name for look in LOOKS for name in (look.value, look.low, look.high) if name]
    values = np.append(drawn[names].to_numpy(float).ravel(), 0.0)
    low, high = np.nanmin(values), np.nanmax(values)
    pad = 0.08 * max(high - low, 1.0)
    return low - pad, high + pad


def _background(ax: Axes, tops: np.ndarray, shaded: int | None) -> None:
    ax.set(ylim=(tops[-1], -TOP), yticks=[], xticks=[])
    ax.patch.set_visible(False)  # a long word may reach over the edge
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    for edge in tops[1:-1]:
        ax.axhline(edge, color=PALE, linewidth=0.8)
    if shaded is not None:
        ax.axhspan(tops[shaded], tops[shaded + 1], color=BAND, zorder=0)


def _write(ax: Axes, y: float, points: float, text: str, **look: Any) -> None:
    """Text at a height in inches and a distance in points from the left edge of the axes."""
    written = ax.annotate(
        *(text, (0, y)),
        xycoords=ax.get_yaxis_transform(),
        xytext=(points, 0),
        textcoords="offset points",
        fontsize=POINTS,
        **{"va": "center", **look},
    )
    written.set_in_layout(False)  # columns keep their widths, whatever stands in them


def _words(cells: pd.DataFrame, default: str) -> list[tuple[str, str, str]]:
    """Lines of a row's label with colour and weight: the paper's words, and what is missing."""
    name, _, detail = cells["paper_row"].iloc[0].partition(" (")
    weight = "bold" if cells["variant"].iloc[0] == default else "normal"
    lines = [(line, BLACK, weight) for line in textwrap.wrap(name, LABEL_LETTERS)]
    if detail:
        lines += [(line, MUTED, "normal") for line in textwrap.wrap(f"({detail}", LABEL_LETTERS)]
    lacking = [reason for reason in cells["reason"] if reason.startswith("needs")]
    return lines + [(line, VERMILLION, "normal") for line in lacking[:1]]


def _labels(ax: Axes, table: pd.DataFrame, tops: np.ndarray, default: str) -> None:
    for top, (_, cells) in zip(tops, table.groupby("variant", sort=False), strict=False):
        for number, (line, colour, weight) in enumerate(_words(cells, default)):
            y = top + FIRST_LINE + LINE * number
            _write(ax, y, 4, line, color=colour, fontweight=weight)


def _column(ax: Axes, cells: pd.DataFrame, tops: np.ndarray, drawn: bool) -> None:
    """One benchmark: its name and n, then numbers and, where measured, marks row by row."""
    _write_heading(ax, cells, drawn)
    published, measured, spread = NUMBER_PLACES
    for top, cell in zip(tops, cells.to_dict("records"), strict=False):
        first, second = top + FIRST_LINE, top + SECOND_LINE
        _write(ax, first, published, f"{cell['published']:.1f}", color=MUTED)
        if np.isnan(cell["measured"]):
            _write(ax, first, measured, "-", color=BLUE)
            continue
        bold = {"color": BLUE, "fontweight": "bold"}
        _write(ax, first, measured, f"{cell['measured']:.1f}", **bold)
        _write(ax, first, spread, _half(cell, "low", "high"), color=BLUE)
        if _has_twin(cell):
            _write(ax, second, measured, f"{cell['twin_measured']:.1f}", color=VERMILLION)
            _write(ax, second, spread, _half(cell, "twin_low", "twin_high"), color=VERMILLION)
        elif cell["twin"] and not np.isnan(cell["difference"]):
            _write(ax, second, published, "same tokens", color=VERMILLION)
    if drawn:
        changed = tops[: len(cells)][cells["difference"].notna()]
        ax.vlines(np.zeros(len(changed)), changed + 0.5, changed + ROW - 0.06, color=GREY)
        for look in LOOKS:
            _marks(ax, cells, tops, look)


def _write_heading(ax: Axes, cells: pd.DataFrame, drawn: bool) -> None:
    """The benchmark's name, broken where the column is narrow, and n or why there is none."""
    name = cells["benchmark"].iloc[0]
    size = f"n = {cells['n'].max():.0f}"
    if not drawn:
        name = {"LongVideoBench": "LongVideo-\nBench"}.get(name, name.replace(" ", "\n"))
        size = "not asked" if cells["suite"].any() else "no suite"
    _heading(ax, f"{name}\n{size}")


def _heading(ax: Axes, text: str) -> None:
    _write(ax, -0.1, NUMBER_PLACES[0], text, va="bottom")


def _half(cell: dict[str, Any], low: str, high: str) -> str:
    return f"\u00b1{(cell[high] - cell[low]) / 2:.0f}"


def _has_twin(cell: dict[str, Any]) -> bool:
    return bool(cell["twin"]) and cell["twin"] != cell["variant"]


def _marks(ax: Axes, cells: pd.DataFrame, tops: np.ndarray, look: Look) -> None:
    """Differences of one series; the default row has none, nor a row without a twin of its own."""
    shown = cells["difference"].notna().to_numpy()
    if look.value.startswith("twin"):
        shown = shown & np.array([_has_twin(cell) for cell in cells.to_dict("records")])
    rows, y = cells[shown], tops[: len(cells)][shown] + look.inches
    if look.low is not None and look.high is not None:
        ax.hlines(y, rows[look.low], rows[look.high], color=look.colour, linewidth=2)
    ax.plot(
        *(rows[look.value].to_numpy(float), y),
        linestyle="none",
        marker=look.marker,
        markersize=6,
        markeredgewidth=1.6,
        markeredgecolor=look.colour,
        markerfacecolor=look.colour if look.filled else "white",
        label=look.label,
        zorder=3,
    )


def _axis(ax: Axes, limits: tuple[float, float]) -> None:
    ax.set_xlim(*limits)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.tick_params(axis="x", labelsize=POINTS, length=3)
    ax.spines["bottom"].set_visible(True)
    ax.set_xlabel("points", fontsize=POINTS)


def _tokens(ax: Axes, table: pd.DataFrame, tops: np.ndarray) -> None:
    """Tokens a video, mean over the questions of all suites; below, those of the twin."""
    _heading(ax, "tokens\na video")
    for top, (_, cells) in zip(tops, table.groupby("variant", sort=False), strict=False):
        known = cells[cells["tokens"].notna()]
        if known.empty:
            _write(ax, top + FIRST_LINE, 8, "-", color=BLUE)
            continue
        mean = np.average(known["tokens"], weights=known["n"])
        _write(ax, top + FIRST_LINE, 8, f"{mean:.0f}", color=BLUE, fontweight="bold")
        twins = known[[_has_twin(cell) for cell in known.to_dict("records")]]
        if len(twins):
            mean = np.average(twins["twin_tokens"], weights=twins["n"])
            _write(ax, top + SECOND_LINE, 8, f"{mean:.0f}", color=VERMILLION)


def _describe(table: pd.DataFrame, title: str) -> str:
    told = []
    for cell in table[table["measured"].notna()].to_dict("records"):
        text = f"{cell['measured']:.1f} ({cell['low']:.1f} to {cell['high']:.1f})"
        if _has_twin(cell):
            text += f", at equal tokens {cell['twin_measured']:.1f}"
        place = f"{cell['paper_row']}, {cell['benchmark']}"
        told.append(f"{place}: published {cell['published']:.1f}, measured {text}.")
    return (
        f"{title}: accuracy in percent with 95 % intervals, and differences to the default. "
        f"{' '.join(told)}"
    )
