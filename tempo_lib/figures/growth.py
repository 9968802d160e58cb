"""How time and memory grow with frames, questions and tokens, measured and predicted."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tempo_lib.analysis.growth import AXES, powers
from tempo_lib.figures.style import (
    BLUE,
    DASHES,
    ORANGE,
    DescribedFigure,
    light_grid,
    new_figure,
    require_columns,
)

HEIGHT_INCHES = 8.0
TITLE = "How the cost of answering grows"
COLOURS = (BLUE, ORANGE)
PANELS = (
    *(("frames", "seconds"), ("frames", "megabytes")),
    *(("questions", "seconds"), ("budget", "seconds")),
)
WORDS = {"seconds": ("CPU seconds", "predicted"), "megabytes": ("peak MB", "held")}
PREDICTED = {"seconds": "operations at one rate", "megabytes": "pixels and features alone"}


def growth(table: pd.DataFrame, *, preset: str | None = None) -> DescribedFigure:
    """Four panels of ``growth_table``, logarithmic: marks are measured, dashes predicted."""
    require_columns(table, ("model", "axis", "value", "seconds", "megabytes", "predicted", "held"))
    grows = powers(table)
    with new_figure(HEIGHT_INCHES, TITLE, preset) as fig:
        axes = fig.subplots(2, 2).flat
        for ax, (axis, measure) in zip(axes, PANELS, strict=True):
            _panel(ax, table[table["axis"] == axis], axis, measure, grows)
        fig.alt_text = f"{TITLE}. " + "; ".join(
            f"{model}, {axis}: seconds to the power {row['seconds']:.2f}, "
            f"{row['last']:.2f} at the end, operations {row['operations']:.2f}"
            for (model, axis), row in grows.iterrows()
        )
    return fig


def _panel(ax: Axes, points: pd.DataFrame, axis: str, measure: str, grows: pd.DataFrame) -> None:
    words, predicted = WORDS[measure]
    for colour, (model, rows) in zip(COLOURS, points.groupby("model", sort=False), strict=False):
        power = grows.loc[(model, axis), measure]
        label = f"{model}: power {power:.2f}"
        ax.plot(rows["value"], rows[measure], "o-", color=colour, label=label)
        ax.plot(rows["value"], rows[predicted], linestyle=DASHES, color=colour)
    ax.plot([], [], linestyle=DASHES, color="black", label=PREDICTED[measure])
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(sorted(points["value"].unique()))
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for each in (ax.xaxis, ax.yaxis):
        each.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        each.set_minor_formatter(NullFormatter())
    ax.set_xlabel(AXES[axis])
    ax.set_ylabel(words)
    ax.legend(fontsize=10)
    light_grid(ax, "both")
