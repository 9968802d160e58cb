"""Semantic front-loading in pictures: slices, probes, attention, and when it appears."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.ticker import NullLocator

from tempo_lib.analysis.front_loading import FEW_ANSWERS
from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    DescribedFigure,
    SeriesStyle,
    light_grid,
    new_figure,
    series_styles,
)

OVERALL = "all"  # the kind under which a table holds the accuracy over all questions
MOST_FRAMES = 6  # memory positions whose attention is laid over the frame
MOST_CELLS_WITH_TEXT = 16  # of a frame: more patches leave no room for 12 points
SCHEMES = {
    "head": SeriesStyle(label="head: the first k", colour=BLUE, marker="o"),
    "tail": SeriesStyle(label="tail: the last k", colour=VERMILLION, marker="s"),
    "every": SeriesStyle(label="every m-th", colour=GREEN, marker="D", line="--"),
    "random": SeriesStyle(label="random k", colour=ORANGE, marker="^", line=":"),
    "merge": SeriesStyle(label="merged into k", colour=PURPLE, marker="v", line="-."),
    "best": SeriesStyle(label="best k, by knock-out", colour=BLACK, marker="P"),
}
TARGETS = {  # target: label, colour, hatch
    "patches": ("patches of the frames", BLUE, ""),
    "query": ("tokens of the question", ORANGE, "//"),
    "memory": ("earlier memories and itself", SKY, ".."),
    "prompt": ("layout and timestamps", PALE, ""),
}


def slice_curves(
    table: pd.DataFrame,
    *,
    preset: str | None = None,
    suite: str | None = None,
    title: str = "Accuracy from the first, the last and other memories of a segment",
) -> DescribedFigure:
    """Accuracy over k, the memories kept of every segment, a line per scheme with 95 % intervals.

    ``table``: rows of ``slices.accuracy_by_slice``; its kind "all" is drawn. ValueError for
    unknown schemes or none.
    """
    rows = table[table["kind"] == OVERALL]
    unknown = sorted(set(rows["scheme"]) - set(SCHEMES))
    if unknown or rows.empty:
        raise ValueError(f"unknown schemes {unknown}; this figure knows {', '.join(SCHEMES)}")
    names = [name for name in SCHEMES if name in set(rows["scheme"])]
    described = []
    with new_figure(5.6, title, preset) as fig:
        ax = fig.subplots()
        for place, name in enumerate(names):
            part, style = rows[rows["scheme"] == name].sort_values("k"), SCHEMES[name]
            # intervals stand beside each other
            x = part["k"].to_numpy(float) * 1.03 ** (place - (len(names) - 1) / 2)
            ax.vlines(x, part["low"], part["high"], color=style.colour, linewidth=1.6, alpha=0.45)
            ax.plot(x, part["accuracy"], label=style.label, **style.curve())
            values = ", ".join(f"{row.accuracy:.2f} at {row.k}" for row in part.itertuples())
            described.append(f"{style.label}: {values}")
        ks = sorted(rows["k"].unique())
        ax.set_xscale("log", base=2)
        ax.set_xticks(ks, map(str, ks))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set(xlabel=f"memories kept of every segment, of {max(ks)}")
        ax.set(ylabel="accuracy (share right)", ylim=_around(rows[["low", "high"]].to_numpy()))
        where = "" if suite is None else f"{suite}, "
        ax.set_title(f"{where}n = {rows['n'].max()}; bars: 95 % intervals")
        light_grid(ax)
        fig.legend_below(ax, num_columns=3)
        fig.alt_text = f"Accuracy over the memories kept of every segment. {'; '.join(described)}."
    return fig


def probe_heat_map(table: pd.DataFrame, *, preset: str | None = None) -> DescribedFigure:
    """What a linear probe reads at each memory position above its control on shuffled labels.

    ``table``: rows of ``probes.probe_positions``. A row per attribute, a column per position, in
    percent points. ValueError for an attribute that lacks a position.
    """
    gain = table.assign(gain=100 * (table["accuracy"] - table["control"]))
    order = list(dict.fromkeys(table["attribute"]))
    grid = gain.pivot(index="attribute", columns="position", values="gain").loc[order]
    if grid.isna().any(axis=None):
        raise ValueError("an attribute lacks a position; probe all of them at every position")
    step = max(1, grid.shape[1] // MOST_CELLS_WITH_TEXT)
    shown = grid
    with new_figure(1.9 + 0.46 * len(grid), "Content of each memory position", preset) as fig:
        ax = fig.subplots()
        options: dict[str, Any] = {"annot": step == 1, "fmt": ".0f", "annot_kws": {"size": 12}}
        options |= {"cmap": sns.light_palette(BLUE, as_cmap=True), "vmin": 0}
        options |= {"vmax": max(float(grid.to_numpy().max()), 1.0), "xticklabels": step}
        bar = {"label": "points above shuffled labels", "pad": 0.015}
        sns.heatmap(shown, ax=ax, cbar_kws=bar, **options)
        ax.tick_params(length=0)
        ax.tick_params(axis="x", rotation=0)
        ax.tick_params(axis="y", rotation=0)
        ax.set(xlabel="position of the memory token in its segment (0: the first)", ylabel="")
        described = [
            f"{name} {row.iloc[0]:+.0f} at the first, {row.iloc[-1]:+.0f} at the last, most "
            f"({row.max():+.0f}) at {int(row.to_numpy().argmax())}"
            for name, row in grid.iterrows()
        ]
        what = "Heat map of what a probe reads at each memory position, in points above its control"
        fig.alt_text = f"{what}: {'; '.join(described)}."
    return fig


def attention_over_frame(
    frame_HW3: np.ndarray,
    patches_PRC: np.ndarray,
    positions: Sequence[int],
    shares: pd.DataFrame,
    *,
    preset: str | None = None,
) -> DescribedFigure:
    """Attention of some memory positions laid over the frame, and by kind of target.

    ``patches_PRC``: attention of each of ``positions`` (counted from 0) to the merged patches of
    a frame, summed over the segment's frames. ``shares``: columns position, target, share; means
    are drawn. ValueError for no or too many positions, or maps that do not belong to them.
    """
    if not 1 <= len(positions) <= MOST_FRAMES or len(positions) != len(patches_PRC):
        raise ValueError(
            f"1 to {MOST_FRAMES} positions need a map each, got {len(positions)} positions "
            f"and {len(patches_PRC)} maps"
        )
    means = shares.groupby(["position", "target"])["share"].mean().unstack("target")
    first, last = 100 * means.iloc[0], 100 * means.iloc[-1]
    described = [
        f"{label} {first[target]:.0f} % at the first, {last[target]:.0f} % at the last"
        for target, (label, *_) in TARGETS.items()
    ]
    shown = ", ".join(str(position) for position in positions)
    with new_figure(5.4, "Attention targets of the memory tokens", preset) as fig:
        parts: Any = fig.subfigures(1, 2, width_ratios=(1, 1.25))
        _overlays(parts[0], frame_HW3, patches_PRC, positions)
        _targets(parts[1], means)
        what = f"A frame with the attention of memories {shown}; beside it, by target"
        fig.alt_text = f"{what}: {'; '.join(described)}."
    return fig


def index_over_training(
    table: pd.DataFrame,
    *,
    x: str = "checkpoint",
    xlabel: str = "checkpoint",
    title: str = "When front-loading appears",
    preset: str | None = None,
) -> DescribedFigure:
    """The front-loading index over training, and the accuracies that it is made of.

    ``table``: in the order of training, columns ``x`` (checkpoint, or a number of steps), n, head,
    tail, index, low, high, and seed where there are several: a line each. An index without a
    direction (nothing was answered) has no mark; one of hardly any answers is open. ValueError
    without rows.
    """
    if table.empty:
        raise ValueError("the figure needs at least one checkpoint, got none")
    rows = table if "seed" in table else table.assign(seed="")
    labels = list(dict.fromkeys(rows[x]))
    styles = {"": SeriesStyle(label="", colour=BLUE)}
    if rows["seed"].iloc[0] != "":
        styles = series_styles(rows["seed"], [f"seed {seed}" for seed in rows["seed"].unique()])
    with new_figure(4.8, title, preset) as fig:
        left, right = fig.subplots(1, 2, width_ratios=(1.15, 1))
        left.axhline(0, color=GREY, linewidth=1.5)
        for place, (seed, part) in enumerate(rows.groupby("seed", sort=False)):
            at = part[x].map(labels.index)
            _index(left, part, at + 0.12 * (place - (len(styles) - 1) / 2), styles[seed])
            for end in ("head", "tail"):
                line = {**SCHEMES[end].curve(), "marker": styles[seed].marker, "alpha": 0.85}
                name = " ".join((end, styles[seed].label)).strip()
                right.plot(at, part[end], label=name, **line)
        left.set_ylim(*_around(np.append(rows[["low", "high", "index"]], [-0.1, 0.1])))
        left.set(ylabel="index: (head - tail) / (head + tail)")
        left.set_title("Index with 95 % interval; open: hardly any answers")
        right.set(ylabel="accuracy (share right)", title=f"Mean over k, n = {table['n'].max()}")
        right.set_ylim(0, max(0.1, 1.45 * float(rows[["head", "tail"]].to_numpy().max())))
        right.legend(loc="upper left", ncols=min(2, len(styles)))
        if len(styles) > 1:
            left.legend(loc="best", ncols=len(styles), columnspacing=1.0, handletextpad=0.3)
        else:
            _annotate(left, rows["index"])
        for ax in (left, right):
            ax.set_xticks(range(len(labels)), [str(name) for name in labels])
            ax.set(xlim=(-0.5, len(labels) - 0.5), xlabel=xlabel)
            light_grid(ax)
        described = " ".join(_described(rows, x, styles))
        fig.alt_text = f"Front-loading index over training, with 95 % intervals. {described}"
    return fig


def _index(ax: Axes, part: pd.DataFrame, at: pd.Series, style: SeriesStyle) -> None:
    """The index of one seed with its intervals; open marks where hardly anything was answered."""
    ax.vlines(at, part["low"], part["high"], color=style.colour, linewidth=2)
    ax.plot(at, part["index"], color=style.colour, linewidth=1, alpha=0.5)
    few = part[["head", "tail"]].max(axis=1) < FEW_ANSWERS
    ax.plot(at[~few], part["index"][~few], label=style.label, **style.marks(filled=True))
    ax.plot(at[few], part["index"][few], **style.marks(filled=False))


def _annotate(ax: Axes, index: pd.Series) -> None:
    """The value beside each mark."""
    for place, value in enumerate(index):
        text, away = ("none", (-16, 12)) if np.isnan(value) else (f"{value:+.2f}", (9, 0))
        options: Any = {"textcoords": "offset points", "va": "center"}
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        ax.annotate(text, (place, np.nan_to_num(value)), away, bbox=box, **options)


def _described(rows: pd.DataFrame, x: str, styles: Mapping[Any, SeriesStyle]) -> list[str]:
    """One sentence per row."""
    sentences = []
    for row in rows.to_dict("records"):
        index = "no index, nothing was answered"
        if not np.isnan(row["index"]):
            index = f"{row['index']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"
        name = f"{x} {row[x]}" if isinstance(row[x], int) else row[x]
        ends = f"head {row['head']:.2f}, tail {row['tail']:.2f}"
        label = styles[row["seed"]].label
        sentences.append(f"{' '.join((name, label)).strip()}: {index}, {ends}.")
    return sentences


def _around(values: np.ndarray) -> tuple[float, float]:
    """Limits that hold all known values with a margin."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low - 0.07 * max(high - low, 0.1), high + 0.07 * max(high - low, 0.1)


def _overlays(
    part: SubFigure, frame_HW3: np.ndarray, patches_PRC: np.ndarray, positions: Sequence[int]
) -> None:
    """The frame once per position, dimmed where the position attends little."""
    num_columns = min(2, len(positions))
    grid = part.subplots(-(-len(positions) // num_columns), num_columns, squeeze=False)
    share_PRC = patches_PRC / np.maximum(patches_PRC.sum((1, 2), keepdims=True), 1e-12)
    height, width = frame_HW3.shape[:2]
    for ax in grid.flat[len(positions) :]:
        ax.set_axis_off()
    for ax, position, share_RC in zip(grid.flat, positions, share_PRC, strict=False):
        ax.imshow(frame_HW3, extent=(0, width, height, 0))
        veil_RC4 = np.zeros((*share_RC.shape, 4))
        veil_RC4[..., 3] = 0.65 * (1 - share_RC / share_RC.max())
        ax.imshow(veil_RC4, extent=(0, width, height, 0), interpolation="nearest")
        if share_RC.size <= MOST_CELLS_WITH_TEXT:
            cell = (width / share_RC.shape[1], height / share_RC.shape[0])
            for (row, column), share in np.ndenumerate(share_RC):
                spot = (cell[0] * (column + 0.5), cell[1] * (row + 0.5))
                box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
                ax.text(*spot, f"{100 * share:.0f} %", ha="center", va="center", bbox=box)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"memory {position}", loc="center")
    part.supxlabel("share of its attention to the frame", fontsize=12)


def _targets(part: SubFigure, means: pd.DataFrame) -> None:
    """Stacked bars: where the attention of every position goes."""
    ax = part.subplots()
    base = np.zeros(len(means))
    for target, (label, colour, hatch) in TARGETS.items():
        share = means[target].to_numpy(float)
        style: Any = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.6}
        ax.bar(means.index, 100 * share, 0.85, bottom=100 * base, label=label, **style)
        base += share
    ax.set_xticks(range(0, len(means), max(1, len(means) // 8)))
    ax.set(ylim=(0, 100), xlim=(0.3, len(means) + 0.7))
    ax.set(xlabel="position of the memory token", ylabel="share of its attention (%)")
    ax.set_title("By kind of target")
    part.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=1)
