"""Table 1 as a picture: published models, and Tempo's two budgets measured at the preset at hand.

A dot a number, its value beside it. Measured values stand in a group of their own: model and
videos are others, so only the two budgets may be compared there.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    PALE,
    TITLE_POINTS,
    DescribedFigure,
    made_by,
    new_figure,
)

POINTS = 11.5
MUTED = "#666666"  # dark enough to be read in letters
BAND = "#F0F0F0"  # behind Tempo's rows, as in the paper
OURS = "Tempo"  # the group of the table whose rows are measured
LINE, TOP, FOOT = 0.232, 0.5, 1.05  # inches: of a row, of the headings, of the axes' numbers
LABELS, TOKENS = 2.45, 0.72  # inches of the columns of words
HEADINGS = {"LongVideoBench": "LongVideo-\nBench", "Video-MME Long": "Video-MME\nLong"}
TICKS = (25, 75)
NUMBERS = 0.56  # share of a column that is kept for the values in words


def comparison(table: pd.DataFrame, preset: str | None = None) -> DescribedFigure:
    """Every row of Table 1 with its published values, then Tempo's budgets as measured.

    ``table``: as ``analysis.paper_tables.comparison_table`` gives it. Below each row of Tempo
    stands what it really spends, in tokens per frame. ValueError where nothing was measured.
    """
    if table["measured"].isna().all():
        raise ValueError("nothing of Table 1 was measured; ask at least one suite")
    lines = _lines(table, preset)
    benchmarks = list(dict.fromkeys(table["benchmark"]))
    with new_figure(TOP + LINE * len(lines) + FOOT) as fig:
        fig.get_layout_engine().set(w_pad=0, wspace=0)  # type: ignore[union-attr, call-arg]
        width = (fig.get_figwidth() - LABELS - TOKENS) / len(benchmarks)
        ratios = (LABELS, TOKENS, *(width for _ in benchmarks))
        words, costs, *panels = fig.subplots(1, len(ratios), width_ratios=ratios)
        limits = _limits(table)
        for ax in (words, costs, *panels):
            _background(ax, lines)
        _labels(words, costs, lines)
        for ax, benchmark in zip(panels, benchmarks, strict=True):
            _column(ax, benchmark, lines, limits)
        fig.supxlabel(
            "accuracy (%): published (grey), measured (blue) with its 95 % interval", fontsize=12
        )
        heading = f"Table 1: long video benchmarks, published and measured{made_by(preset)}"
        fig.suptitle(heading, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe(table)
    return fig


def _lines(table: pd.DataFrame, preset: str | None) -> list[dict[str, Any]]:
    """What stands in each line: a heading, a row of values, or tokens per frame."""
    found: list[dict[str, Any]] = []
    for group, rows in table.groupby("group", sort=False):
        found.append({"kind": "heading", "label": f"{group}, published"})
        for _, cells in rows.groupby(["paper_row", "size"], sort=False):
            first = cells.iloc[0]
            line = {"label": _model(cells), "cells": _by_benchmark(cells)}
            found.append({"kind": "published", "cost": first["range"], **line})
            if group == OURS:
                found.append({"kind": "used", **line, "label": "   tokens per frame used"})
    found.append({"kind": "heading", "label": f"Tempo, measured{made_by(preset)}"})
    for name, cells in table[table["group"] == OURS].groupby("paper_row", sort=False):
        budget = cells["variant"].iloc[0].rpartition("-b")[2]
        line = {"cells": _by_benchmark(cells), "label": f"{name}: {budget}"}
        found.append({"kind": "measured", **line})
        found.append({"kind": "spent", **line, "label": "   tokens per frame used"})
    return found


def _model(cells: pd.DataFrame) -> str:
    """Name and size of a published model; a value of another size is named with it."""
    first = cells.iloc[0]
    size = "" if first["size"] == "-" else f" {first['size']}"
    others = cells[cells["note"] != ""]
    notes = [f", {b} {note}" for b, note in zip(others["benchmark"], others["note"], strict=True)]
    return f"{first['paper_row']}{size}{''.join(notes)}"


def _by_benchmark(cells: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {cell["benchmark"]: cell for cell in cells.to_dict("records")}


def _limits(table: pd.DataFrame) -> tuple[float, float]:
    """A range for all columns that holds every value and interval."""
    values = table[["published", "measured", "low", "high"]].to_numpy(float)
    low, high = np.nanmin(values), np.nanmax(values)
    pad = 0.08 * (high - low)
    return low - 2.5 * pad, high + pad


def _background(ax: Axes, lines: list[dict[str, Any]]) -> None:
    ax.set(ylim=(len(lines), -TOP / LINE), yticks=[], xticks=[])
    ax.patch.set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    for y, line in enumerate(lines):
        if line["kind"] == "heading":
            ax.axhline(y + 0.02, color=PALE, linewidth=1)
        elif OURS in line["label"] or line["kind"] in ("used", "spent"):
            ax.axhspan(y, y + 1, color=BAND, zorder=0)


def _write(ax: Axes, x: float, y: float, text: str, **look: Any) -> None:
    """Text in line ``y``, ``x`` in shares of the column's width."""
    place = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": POINTS}
    written = ax.text(x, y + 0.5, text, **{**place, **look})
    written.set_in_layout(False)  # columns keep their widths, whatever stands in them


def _labels(words: Axes, costs: Axes, lines: list[dict[str, Any]]) -> None:
    _write(costs, 0.0, -1.5, "tokens a\nframe")
    for y, line in enumerate(lines):
        muted = line["kind"] in ("used", "spent")
        weight = "bold" if line["kind"] == "heading" else "normal"
        colour = MUTED if muted else BLACK
        _write(words, 0.02, y, line["label"], fontweight=weight, color=colour)
        _write(costs, 0.0, y, line.get("cost", ""), color=MUTED)


def _column(
    ax: Axes, benchmark: str, lines: list[dict[str, Any]], limits: tuple[float, float]
) -> None:
    """Dots and values of one benchmark, line by line; "-" where there is none."""
    low, high = limits
    ax.set_xlim(low, low + (high - low) / (1 - NUMBERS))
    _write(ax, 0.04, -1.5, HEADINGS.get(benchmark, benchmark))
    for y, line in enumerate(lines):
        if line["kind"] != "heading":
            _cell(ax, y, line["kind"], line["cells"][benchmark])
    ax.set_xticks([tick for tick in TICKS if low <= tick <= high])
    ax.tick_params(axis="x", labelsize=POINTS, length=3)


def _cell(ax: Axes, y: int, kind: str, cell: dict[str, Any]) -> None:
    key = {"published": "published", "used": "used", "measured": "measured"}.get(kind)
    value = cell[key or "tokens_per_frame"]
    at = 1 - NUMBERS + 0.02
    if np.isnan(value):
        _write(ax, at, y, "-", color=MUTED)
        return
    if kind in ("used", "spent"):
        _write(ax, at, y, f"{value:.1f}", color=MUTED)
        return
    if kind == "published":
        ax.plot(value, y + 0.5, "s", color=MUTED, markersize=5)
        _write(ax, at, y, f"{value:.1f}", color=MUTED)
        return
    ax.hlines(y + 0.5, cell["low"], cell["high"], color=BLUE, linewidth=2)
    ax.plot(value, y + 0.5, "o", color=BLUE, markersize=6)
    _write(ax, at, y, f"{value:.1f}", color=BLUE, fontweight="bold")
    half = (cell["high"] - cell["low"]) / 2
    _write(ax, at + 0.3, y, f"\u00b1{half:.0f}", color=BLUE)


def _describe(table: pd.DataFrame) -> str:
    told = [
        f"{cell['paper_row']}, {cell['benchmark']}: published {cell['published']:.1f}, measured "
        f"{cell['measured']:.1f} ({cell['low']:.1f} to {cell['high']:.1f}) with "
        f"{cell['tokens_per_frame']:.1f} tokens per frame."
        for cell in table[table["measured"].notna()].to_dict("records")
    ]
    others = table.loc[table["group"] != OURS, ["paper_row", "size"]].drop_duplicates()
    return (
        f"Accuracy in percent of {len(others)} published models and of Tempo at two budgets. "
        f"{' '.join(told)}"
    )
