"""What the stages of a training read: the mix of images, videos and texts, published and own."""

import re

import pandas as pd
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)

COLOURS = {"Image": BLUE, "Video": ORANGE, "Text": GREEN, "Mixed": GREY}
MIXES = ("published", "own")  # columns of the table
UNITS = {"": 1.0, "K": 1e3, "M": 1e6}
ROW_INCHES = 0.6


def mixture_bars(table: pd.DataFrame, *, preset: str | None = None) -> DescribedFigure:
    """Shares of a stage's samples by kind, their number beside: published left, own right.

    ``table``: that of ``mixture_table``: columns row, stage, published, own. A mixture without
    counts has no bar.
    """
    with new_figure(ROW_INCHES * table["stage"].nunique() + 2.2, "What each stage reads") as fig:
        left, right = fig.subplots(1, 2, sharey=True)
        said = [
            f"{name}: {_bars(ax, table, name)}"
            for ax, name in zip((left, right), MIXES, strict=True)
        ]
        left.set(title="Tempo-6B, as published (Table B)", xlabel="% of the samples")
        right.set(title=f"Own mixture{made_by(preset)}", xlabel="% of images, clips, transcripts")
        left.invert_yaxis()
        fig.legend_below(left)
        fig.alt_text = f"What each stage reads, in percent of its samples. {'. '.join(said)}."
    return fig


def amount(text: str) -> float:
    """The number of a printed count: "~2.00M", "558,000", 0 for a dash or nothing."""
    found = re.fullmatch(r"~?([\d,.]+)([KM]?)(?: \(.*\))?", text.strip())
    return float(found[1].replace(",", "")) * UNITS[found[2]] if found else 0.0


def _bars(ax: Axes, table: pd.DataFrame, column: str) -> str:
    """Draw one panel; returns it in words."""
    counts = table.assign(count=table[column].map(amount)).pivot(
        index="stage", columns="row", values="count"
    )
    counts = counts.reindex(columns=list(COLOURS)).fillna(0.0)
    totals = counts.sum(axis=1)
    shares = 100 * counts.div(totals.where(totals > 0, 1.0), axis=0)
    base = pd.Series(0.0, index=shares.index)
    for name, colour in COLOURS.items():
        ax.barh(range(len(shares)), shares[name], left=base, color=colour, label=name)
        base = base + shares[name]
    for place, total in enumerate(totals):
        ax.annotate(f"{total:,.0f}" if total else "no counts", (102, place), va="center")
    ax.set_yticks(range(len(shares)), [f"stage {stage}" for stage in shares.index])
    ax.set_xlim(0, 135)
    ax.set_xticks([0, 50, 100])
    light_grid(ax, "x")
    parts = [
        f"stage {stage} "
        + " ".join(f"{name.lower()} {row[name]:.0f}" for name in COLOURS if row[name])
        for stage, row in shares.iterrows()
    ]
    return "; ".join(parts)
