"""Table 2 C as a picture: which memory tokens to keep, first or last, fixed or dynamic."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

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

OVERALL = "all"  # the kind under which a table holds the accuracy over all questions


@dataclass(frozen=True)
class Look:
    label: str
    colour: str
    marker: str
    filled: bool


# Colour tells which end is kept, filling whether the counts are dynamic.
LOOKS = {
    "head-fixed": Look("head, fixed", BLUE, "o", False),
    "tail-fixed": Look("tail, fixed", VERMILLION, "s", False),
    "ata": Look("head, dynamic (ATA)", BLUE, "o", True),
    "tail-dynamic": Look("tail, dynamic", VERMILLION, "s", True),
    "merge": Look("merge, dynamic", GREEN, "D", True),
}


def head_against_tail(
    table: pd.DataFrame,
    paper: pd.DataFrame | None = None,
    *,
    preset: str | None = None,
    suite: str | None = None,
) -> DescribedFigure:
    """Accuracy with 95 % intervals per scheme, over all questions and by kind of question.

    ``table`` has one row per (variant, kind) with columns variant, kind, n, accuracy, low, high
    in 0..1; kind "all" is the whole suite; an optional column ``floor`` holds the accuracy of
    always giving the commonest answer. ``paper`` (benchmark, variant, value in percent) goes into
    a panel of its own: other benchmarks, another model. ValueError for unknown variants.
    """
    unknown = sorted(set(table["variant"]) - set(LOOKS))
    if unknown:
        raise ValueError(f"unknown variants {unknown}; this figure knows {', '.join(LOOKS)}")
    with new_figure(4.6 if paper is None else 7.6) as fig:
        if paper is None:
            ours = fig.subplots()
        else:
            ours, theirs = fig.subplots(2, 1, height_ratios=(1.35, 1))
            _published(theirs, paper)
        _measured(ours, table)
        names = [] if suite is None else suite.split(", ")
        # all four do not fit on a line, and together they are all there are
        where = f" on {suite}" if 0 < len(names) < 3 else f" on {len(names)} suites" * bool(names)
        ours.set_title(f"Measured{where}{made_by(preset)}; bars: 95 % intervals")
        handles, labels = ours.get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=3, columnspacing=1.5)
        title = "Which memory tokens of a segment to keep (Table 2 C)"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe(table, paper)
    return fig


def _offsets(num_schemes: int) -> np.ndarray:
    return (np.arange(num_schemes) - (num_schemes - 1) / 2) * 0.8 / max(num_schemes, 1)


def _measured(ax: Axes, table: pd.DataFrame) -> None:
    kinds = [OVERALL, *(kind for kind in table["kind"].unique() if kind != OVERALL)]
    schemes = [name for name in LOOKS if name in set(table["variant"])]
    for name, offset in zip(schemes, _offsets(len(schemes)), strict=True):
        rows = table[table["variant"] == name].set_index("kind").reindex(kinds)
        x = np.arange(len(kinds)) + offset
        accuracy = rows["accuracy"].to_numpy(float)
        ax.vlines(x, rows["low"], rows["high"], color=LOOKS[name].colour, linewidth=2)
        _points(ax, x, accuracy, LOOKS[name])
    if "floor" in table.columns:
        floors = table.groupby("kind")["floor"].first().reindex(kinds)
        half = 0.44
        x = np.arange(len(kinds))
        ax.hlines(floors, x - half, x + half, color=GREY, linewidth=2, label="commonest answer")
    sizes = table.groupby("kind")["n"].max().reindex(kinds)
    names = ["all questions", *kinds[1:]]
    labels = [f"{name}\nn = {size:.0f}" for name, size in zip(names, sizes, strict=True)]
    ax.set_xticks(np.arange(len(kinds)), labels)
    ax.axvspan(-0.5, 0.5, color="#F2F2F2", zorder=0)
    ax.set(xlim=(-0.5, len(kinds) - 0.5), ylim=(-0.04, 1.04))
    ax.set_ylabel("accuracy (share right)")
    light_grid(ax)


def _published(ax: Axes, paper: pd.DataFrame) -> None:
    benchmarks = list(paper["benchmark"].unique())
    schemes = [name for name in LOOKS if name in set(paper["variant"])]
    for name, offset in zip(schemes, _offsets(len(schemes)), strict=True):
        rows = paper[paper["variant"] == name].set_index("benchmark").reindex(benchmarks)
        _points(ax, np.arange(len(benchmarks)) + offset, rows["value"].to_numpy(float), LOOKS[name])
    ax.set_xticks(np.arange(len(benchmarks)), benchmarks)
    ax.set_xlim(-0.5, len(benchmarks) - 0.5)
    ax.set_ylabel("accuracy (%)")
    ax.margins(y=0.12)
    ax.set_title("Published, Tempo-6B: other benchmarks, no intervals given", color=BLACK)
    light_grid(ax)


def _points(ax: Axes, x: np.ndarray, y: np.ndarray, look: Look) -> None:
    face = look.colour if look.filled else "white"
    ax.plot(
        *(x, y),
        linestyle="none",
        marker=look.marker,
        markersize=8,
        markeredgewidth=1.8,
        markeredgecolor=look.colour,
        markerfacecolor=face,
        label=look.label,
        zorder=3,
    )


def _describe(table: pd.DataFrame, paper: pd.DataFrame | None) -> str:
    rows = table[table["kind"] == OVERALL].set_index("variant")
    found = [
        f"{look.label} {rows.loc[name, 'accuracy']:.2f} "
        f"({rows.loc[name, 'low']:.2f} to {rows.loc[name, 'high']:.2f})"
        for name, look in LOOKS.items()
        if name in rows.index
    ]
    lower = "" if paper is None else " A second panel shows the published numbers of Tempo-6B."
    return (
        "Accuracy of schemes that keep different memory tokens, with 95 % intervals, over all "
        f"questions and by kind. Over all: {'; '.join(found)}.{lower}"
    )
