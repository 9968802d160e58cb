"""Every claim as one row: its effect with an interval, and its verdict in words."""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREY,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)
from tempo_lib.statistics.findings import AS_PAPER, REVERSED, SHOWN, TOKEN_MATCHED

LABEL_LETTERS = 34  # a line of a claim's words
ROW_INCHES = 0.52
HEAD_INCHES = 1.7  # title, headings, axis and legend
BAND = "#EAEAEA"  # where a difference counts as none
VERDICT_PLACES = {AS_PAPER: 14, TOKEN_MATCHED: 116}  # points right of the axes
HEADINGS = {AS_PAPER: "as the paper", TOKEN_MATCHED: "equal tokens"}


@dataclass(frozen=True)
class Look:
    """Colour, form and filling: two ways of comparing differ in all three."""

    label: str
    colour: str
    marker: str
    filled: bool
    offset: float  # in rows


LOOKS = {
    AS_PAPER: Look("as in the paper", BLUE, "o", True, -0.16),
    TOKEN_MATCHED: Look("at equal tokens", VERMILLION, "D", False, 0.16),
}


def claims_forest(
    table: pd.DataFrame, preset: str | None = None, family: str = "all"
) -> DescribedFigure:
    """A row a claim: difference of accuracies in points, both ways of comparing, and verdicts.

    ``table``: rows of ``claims_table``; of those, differences of accuracy in ``family`` that were
    asked are drawn. Grey bands: within them two variants count as alike; dotted: what a collapse
    must exceed; below the grey line: policies beyond the paper. ValueError without any row.
    """
    rows = table[(table["family"] == family) & (table["unit"] == "accuracy") & (table["n"] > 0)]
    names = list(dict.fromkeys(rows["claim"]))
    if not names:
        raise ValueError(
            f"no claim of family {family!r} was asked; ask variants that a claim compares"
        )
    with new_figure(HEAD_INCHES + ROW_INCHES * len(names)) as fig:
        ax = fig.subplots()
        _frame(ax, rows, names)
        for compared, look in LOOKS.items():
            _marks(ax, rows[rows["compared"] == compared], names, look)
            _verdicts(ax, rows[rows["compared"] == compared], names, compared)
        handles, labels = ax.get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=2)
        title = f"What the paper claims, measured here{made_by(preset)}"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe(rows, names, family)
    return fig


def _frame(ax: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    """Axes, words of the claims, the line of no difference, and what each claim must exceed."""
    firsts = rows.drop_duplicates("claim").set_index("claim").loc[names]
    labels = [
        textwrap.fill(f"{says} ({source})", LABEL_LETTERS)
        for says, source in zip(firsts["says"], firsts["source"], strict=True)
    ]
    ax.set_yticks(np.arange(len(names)), labels)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.axvline(0, color=BLACK, linewidth=1)
    needs = 100 * firsts["needs"].to_numpy(float)
    for place, (need, expects) in enumerate(zip(needs, firsts["expects"], strict=True)):
        if expects == "alike":
            ax.fill_betweenx([place - 0.45, place + 0.45], -need, need, color=BAND, zorder=0)
        elif need > 0:
            ax.vlines(need, place - 0.4, place + 0.4, color=GREY, linewidth=2, linestyle=":")
    beyond = (firsts["source"] == "beyond").tolist()
    if True in beyond[1:]:
        ax.axhline(beyond.index(True) - 0.5, color=GREY, linewidth=1)
    sizes = sorted({int(size) for size in rows["n"]})
    asked = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    ax.set_xlabel(f"difference of accuracy (points), 95 % interval\nn = {asked} pairs of answers")
    light_grid(ax, "x")
    ax.spines["left"].set_visible(False)


def _marks(ax: Axes, rows: pd.DataFrame, names: list[str], look: Look) -> None:
    y = np.array([names.index(name) for name in rows["claim"]], dtype=float) + look.offset
    effect, low, high = (100 * rows[key].to_numpy(float) for key in ("effect", "low", "high"))
    ax.hlines(y, low, high, color=look.colour, linewidth=2)
    style: dict[str, Any] = {
        "marker": look.marker,
        "markersize": 7,
        "markeredgewidth": 1.8,
        "markeredgecolor": look.colour,
        "markerfacecolor": look.colour if look.filled else "white",
    }
    ax.plot(effect, y, linestyle="none", label=look.label, zorder=3, **style)


def _verdicts(ax: Axes, rows: pd.DataFrame, names: list[str], compared: str) -> None:
    """A column of words beside the axes, under its heading."""
    options: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "va": "center"}
    options |= {"xytext": (VERDICT_PLACES[compared], 0), "textcoords": "offset points"}
    words = dict(zip(rows["claim"], rows["verdict"], strict=True))
    for index, name in enumerate(names):
        weight = "bold" if words.get(name) in (SHOWN, REVERSED) else "normal"
        ax.annotate(words.get(name, "-"), (1, index), fontweight=weight, **options)
    colour = LOOKS[compared].colour
    ax.annotate(HEADINGS[compared], (1, -0.75), fontweight="bold", color=colour, **options)


def _describe(rows: pd.DataFrame, names: list[str], family: str) -> str:
    told = []
    for name in names:
        parts = rows[rows["claim"] == name]
        found = [
            f"{row.compared} {100 * row.effect:+.1f} points ({100 * row.low:+.1f} to "
            f"{100 * row.high:+.1f}), {row.verdict}"
            for row in parts.itertuples()
        ]
        told.append(f"{parts['says'].iloc[0]}: {'; '.join(found)}.")
    where = "all suites together" if family == "all" else family
    return f"Differences of accuracy with 95 % intervals, {where}. {' '.join(told)}"
