"""Front-loading under changed conditions: which factor carries it, and when it appears."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tempo_lib.analysis.condition_list import BASELINE, CONDITIONS, get_condition
from tempo_lib.analysis.condition_verdicts import last_rows
from tempo_lib.analysis.front_loading import MEAGRE
from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)
from tempo_lib.statistics.summaries import ALL as ALL_KINDS

SEED_LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (PURPLE, "^"), (BLACK, "v"))
ENDS = (("head", BLUE, "-"), ("tail", VERMILLION, "--"))


def index_by_condition(summary: pd.DataFrame, *, preset: str | None = None) -> DescribedFigure:
    """The index after the last step, a mark a seed with its 95 % interval, a row a condition.

    ``summary``: rows of ``condition_summary.summarise``. Beside it the accuracy of whole memories,
    for an index of a model that learned little says little. ValueError without rows, for unknown
    conditions, or more seeds than there are marks.
    """
    rows = last_rows(summary)
    seeds = _seeds(rows)
    names = [name for name in CONDITIONS if name in set(map(_known, rows["condition"]))]
    with new_figure(2.1 + 0.52 * len(names)) as fig:
        left, right = fig.subplots(1, 2, sharey=True, width_ratios=(1.9, 1))
        left.axvline(0, color=GREY, linewidth=1.5)
        _baseline(left, rows, "index")
        _baseline(right, rows, "whole")
        for place, seed in enumerate(seeds):
            part = rows[rows["seed"] == seed]
            y = part["condition"].map(names.index) + _beside(place, len(seeds))
            _marks(left, part, y, SEED_LOOKS[place], f"seed {seed}")
            colour, marker = SEED_LOOKS[place]
            right.plot(part["whole"], y, marker, color=colour, markersize=8)
        for ax in (left, right):
            ax.set_ylim(len(names) - 0.45, -0.55)
            light_grid(ax, "x")
            for edge in np.arange(len(names) - 1) + 0.5:
                ax.axhline(edge, color=PALE, linewidth=0.6)
        left.set_yticks(range(len(names)), names)
        left.set_xlabel("index: (head - tail) / (head + tail)")
        left.set_title("Index with 95 % interval; open: hardly any answers")
        right.set(xlabel="accuracy (share right)", xlim=(-0.04, 1.04))
        right.set_title("All memories kept")
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=6)
        _title(fig, f"One thing changed in training{made_by(preset)}, n = {rows['n'].max()}")
        fig.alt_text = _describe_conditions(rows, names)
    return fig


def front_loading_over_steps(
    summary: pd.DataFrame, *, condition: str = BASELINE, preset: str | None = None
) -> DescribedFigure:
    """Index, and the accuracies of heads and tails, over the steps of stage 1; a line a seed.

    ``summary`` as for ``index_by_condition``. ValueError where the condition was not measured.
    """
    rows = summary[(summary["kind"] == ALL_KINDS) & (summary["condition"] == condition)]
    if rows.empty:
        known = ", ".join(map(str, summary["condition"].unique()))
        raise ValueError(f"no measurements of {condition!r}; there are {known or 'none'}")
    seeds = _seeds(rows)
    reach = float(rows["step"].max())
    with new_figure(4.8) as fig:
        left, right = fig.subplots(1, 2)
        left.axhline(0, color=GREY, linewidth=1.5)
        for place, seed in enumerate(seeds):
            part = rows[rows["seed"] == seed].sort_values("step")
            colour, marker = SEED_LOOKS[place]
            x = part["step"] + 0.012 * reach * _beside(place, len(seeds)) * 4
            left.vlines(x, part["low"], part["high"], color=colour, linewidth=2, alpha=0.5)
            left.plot(x, part["index"], color=colour, linewidth=2, zorder=2)
            _faces(left, x, part["index"], _is_meagre(part), SEED_LOOKS[place], f"seed {seed}")
            for name, hue, dashes in ENDS:
                look: Any = {"color": hue, "linestyle": dashes, "marker": marker}
                label = f"{name}, seed {seed}"
                right.plot(part["step"], part[name], markersize=7, linewidth=2, label=label, **look)
        left.set(xlabel="steps of stage 1", ylabel="index: (head - tail) / (head + tail)")
        left.set_title("Index with 95 % interval; open: hardly any answers")
        low, high = _around(rows)
        left.set_ylim(low, high + 0.25 * (high - low))  # room for the legend
        left.legend(loc="upper left", ncols=3, columnspacing=1.0, handletextpad=0.3)
        right.set(xlabel="steps of stage 1", ylabel="accuracy (share right)")
        right.set_title(f"What it is made of: mean over k, n = {rows['n'].max()}")
        right.set_ylim(0, max(0.1, 1.45 * float(rows[["head", "tail"]].to_numpy().max())))
        right.legend(loc="upper left", ncols=2)
        for ax in (left, right):
            light_grid(ax)
        _title(fig, f"When front-loading appears: {condition}{made_by(preset)}")
        fig.alt_text = _describe_steps(rows, condition)
    return fig


def _seeds(rows: pd.DataFrame) -> list[int]:
    """The seeds in ``rows``; ValueError for none, or more than there are marks for."""
    seeds = sorted(rows["seed"].unique())
    if not 1 <= len(seeds) <= len(SEED_LOOKS):
        raise ValueError(f"the figure shows 1 to {len(SEED_LOOKS)} seeds, got {len(seeds)}")
    return seeds


def _known(name: str) -> str:
    return get_condition(name).name


def _beside(place: int, count: int) -> float:
    """Where the ``place``-th of ``count`` marks lies around the middle of its row."""
    return 0.22 * (place - (count - 1) / 2)


def _is_meagre(part: pd.DataFrame) -> pd.Series:
    return part[["head", "tail"]].max(axis=1) < MEAGRE


def _baseline(ax: Axes, rows: pd.DataFrame, column: str) -> None:
    value = rows.loc[rows["condition"] == BASELINE, column].mean()
    if not np.isnan(value):
        label = "mean of the baseline"
        ax.axvline(value, color=GREY, linewidth=1.8, linestyle=(0, (4, 3)), label=label)


def _around(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits that hold every known interval, and 0, with a margin."""
    values = np.append(rows[["low", "high", "index"]].to_numpy(float), [-0.1, 0.1])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low - 0.07 * (high - low), high + 0.07 * (high - low)


def _marks(ax: Axes, part: pd.DataFrame, y: pd.Series, look: tuple[str, str], label: str) -> None:
    ax.hlines(y, part["low"], part["high"], color=look[0], linewidth=2.2)
    _faces(ax, part["index"], y, _is_meagre(part), look, label)


def _faces(
    ax: Axes, x: pd.Series, y: pd.Series, is_meagre: pd.Series, look: tuple[str, str], label: str
) -> None:
    """Marks, open where hardly anything was answered; one label for both kinds."""
    colour, marker = look
    for chosen, face in ((~is_meagre, colour), (is_meagre, "white")):
        style: Any = {"markersize": 8, "markeredgewidth": 2, "markerfacecolor": face, "zorder": 3}
        named = label if face == colour else None
        ax.plot(x[chosen], y[chosen], marker, color=colour, label=named, **style)


def _title(fig: DescribedFigure, title: str) -> None:
    fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")


def _describe_conditions(rows: pd.DataFrame, names: list[str]) -> str:
    said = []
    for name in names:
        values = rows.loc[rows["condition"] == name, "index"]
        known = ", ".join("none" if np.isnan(v) else f"{v:+.2f}" for v in values)
        said.append(f"{name} {known}")
    return f"Front-loading index after training, one value a seed: {'; '.join(said)}."


def _describe_steps(rows: pd.DataFrame, condition: str) -> str:
    means = rows.groupby("step")[["head", "tail", "index"]].mean()
    said = [
        f"step {step} head {row['head']:.2f}, tail {row['tail']:.2f}, index "
        + ("none" if np.isnan(row["index"]) else f"{row['index']:+.2f}")
        for step, row in means.iterrows()
    ]
    return f"Heads and tails over the training of {condition}, means of seeds: {'; '.join(said)}."
