"""Effects of many trainings: one mark per seed, and the interval of their mean."""

import numpy as np
import pandas as pd

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    SKY,
    DescribedFigure,
    light_grid,
    new_figure,
    require_columns,
)
from tempo_lib.statistics.seeds import over_trainings

SPREAD = 0.16  # of a row: how far marks are moved apart


def marks_by_seed(
    frame: pd.DataFrame, *, title: str, xlabels: dict[str, str], preset: str | None = None
) -> DescribedFigure:
    """A panel per ``xlabels`` (panel -> its axis), a row per group, a mark per seed.

    ``frame``: panel, row, seed, value, is_guess. A seed at the guessing level has an open mark and
    is left out of the mean, whose bar is Student's 95 % interval over seeds. ValueError for absent
    columns or no rows.
    """
    require_columns(frame, ["panel", "row", "seed", "value", "is_guess"])
    rows = frame.groupby("panel")["row"].nunique()
    said = []
    with new_figure(1.7 + 0.8 * rows.max(), title, preset) as fig:
        axes = fig.subplots(1, len(xlabels), squeeze=False)[0]
        for ax, (panel, xlabel) in zip(axes, xlabels.items(), strict=True):
            part = frame[frame["panel"] == panel]
            names = list(dict.fromkeys(part["row"]))
            ax.axvline(0, color=BLACK, linewidth=1, zorder=1)
            for place, name in enumerate(names):
                cells = part[part["row"] == name]
                y = place + SPREAD * np.linspace(-1, 1, len(cells))
                face = [("white" if guess else BLUE) for guess in cells["is_guess"]]
                ax.scatter(cells["value"], y, s=36, c=face, edgecolors=BLUE, zorder=3)
                kept = cells.loc[~cells["is_guess"].astype(bool), "value"].tolist()
                if kept:
                    found = over_trainings(kept)
                    ends = (place - 0.34, place + 0.34)
                    ax.fill_betweenx(ends, found.low, found.high, color=SKY, alpha=0.45, zorder=1)
                    ax.vlines(found.mean, *ends, color=BLUE, linewidth=3, zorder=2)
                    interval = f"({found.low:+.2f} to {found.high:+.2f})" if found.num > 1 else ""
                    said.append(f"{panel}, {name}: {found.mean:+.2f} {interval} n = {found.num}")
            ax.set_yticks(range(len(names)), names)
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.set(title=panel, xlabel=xlabel)
            light_grid(ax, "x")
        fig.alt_text = f"{title}. Means with 95 % intervals over seeds. {'; '.join(said)}."
    return fig
