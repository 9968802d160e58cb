"""Semantic front-loading in four pictures: curves, probes, attention and checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import SubFigure
from matplotlib.ticker import NullLocator

from tempo_lib.analysis.front_loading import MEAGRE
from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)

OVERALL = "all"  # the kind under which a table holds the accuracy over all questions
MOST_FRAMES = 6  # memory positions whose attention is laid over the frame
MOST_CELLS_WITH_TEXT = 16  # of a frame: more patches leave no room for 12 points
GAINS = LinearSegmentedColormap.from_list("gains", ["#FFFFFF", "#CFE3F1", BLUE, "#00304F"])
DARK_FROM = 0.58  # of the colour scale: text on darker cells is white


@dataclass(frozen=True)
class Look:
    """How one slice is drawn; dashes and markers tell apart what hues may not."""

    label: str
    colour: str
    marker: str
    dashes: str


LOOKS = {
    "head": Look("head: the first k", BLUE, "o", "-"),
    "tail": Look("tail: the last k", VERMILLION, "s", "-"),
    "every": Look("every m-th", GREEN, "D", "--"),
    "random": Look("random k", ORANGE, "^", ":"),
    "merge": Look("merged into k", PURPLE, "v", "-."),
}
TARGET_LOOKS = {  # target: label, colour, hatch
    "patches": ("patches of the frames", BLUE, ""),
    "query": ("words of the question", ORANGE, "//"),
    "memory": ("earlier memories and itself", SKY, ".."),
    "prompt": ("layout and time tags", PALE, ""),
}


def slice_curves(
    table: pd.DataFrame, *, preset: str | None = None, suite: str | None = None
) -> DescribedFigure:
    """Accuracy over k, the memories kept of every segment, a line a scheme with 95 % intervals.

    ``table``: rows of ``slices.accuracy_by_slice``; its kind "all" is drawn. ValueError for
    unknown schemes or none.
    """
    rows = table[table["kind"] == OVERALL]
    unknown = sorted(set(rows["scheme"]) - set(LOOKS))
    if unknown or rows.empty:
        raise ValueError(f"unknown schemes {unknown}; this figure knows {', '.join(LOOKS)}")
    names = [name for name in LOOKS if name in set(rows["scheme"])]
    with new_figure(5.6) as fig:
        ax = fig.subplots()
        for place, name in enumerate(names):
            shift = 1.03 ** (place - (len(names) - 1) / 2)  # intervals beside each other
            _curve(ax, rows[rows["scheme"] == name].sort_values("k"), LOOKS[name], shift)
        ks = sorted(rows["k"].unique())
        ax.set_xscale("log", base=2)
        ax.set_xticks(ks, map(str, ks))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set(xlabel=f"memories kept of every segment, of {max(ks)}")
        ax.set(ylabel="accuracy (share right)", ylim=_around(rows[["low", "high"]].to_numpy()))
        where = "" if suite is None else f" on {suite}"
        ax.set_title(f"Measured{where}{made_by(preset)}, n = {rows['n'].max()}; bars: 95 %")
        light_grid(ax)
        fig.legend(loc="outside lower center", ncols=3)
        _title(fig, "What the first, the last and other memories of a segment tell")
        fig.alt_text = _describe_curves(rows, names)
    return fig


def probe_heat_map(table: pd.DataFrame, *, preset: str | None = None) -> DescribedFigure:
    """What a linear probe reads at each memory position above its control on shuffled labels.

    ``table``: rows of ``probes.probe_positions``. A row an attribute, a column a position, in
    percent points. ValueError for an attribute that lacks a position.
    """
    gain = table.assign(gain=100 * (table["accuracy"] - table["control"]))
    order = list(dict.fromkeys(table["attribute"]))
    grid = gain.pivot(index="attribute", columns="position", values="gain").loc[order]
    if grid.isna().any(axis=None):
        raise ValueError("an attribute lacks a position; probe all of them at every position")
    num_positions = grid.shape[1]
    with new_figure(1.9 + 0.46 * len(grid)) as fig:
        ax = fig.subplots()
        top = max(float(grid.to_numpy().max()), 1.0)
        image = ax.imshow(grid.to_numpy(), cmap=GAINS, vmin=0, vmax=top, aspect="auto")
        for (row, position), value in np.ndenumerate(grid.to_numpy()):
            if num_positions <= MOST_CELLS_WITH_TEXT:
                colour = "white" if value > DARK_FROM * top else BLACK
                ax.text(position, row, f"{value:.0f}", ha="center", va="center", color=colour)
        ax.set_yticks(range(len(grid)), order)
        ticks = range(0, num_positions, max(1, num_positions // MOST_CELLS_WITH_TEXT))
        ax.set_xticks(ticks, [str(position + 1) for position in ticks])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_xlabel("position of the memory token in its segment (1: the first)")
        bar = fig.colorbar(image, ax=ax, pad=0.015)
        bar.outline.set_visible(False)
        bar.set_label("points above shuffled labels")
        _title(fig, f"What each memory position tells of its segment{made_by(preset)}")
        fig.alt_text = _describe_probes(grid)
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
    with new_figure(5.4) as fig:
        parts: Any = fig.subfigures(1, 2, width_ratios=(1, 1.25))
        _overlays(parts[0], frame_HW3, patches_PRC, positions)
        _targets(parts[1], means)
        _title(fig, f"What the memory tokens look at{made_by(preset)}")
        fig.alt_text = _describe_attention(means, positions)
    return fig


def index_by_checkpoint(table: pd.DataFrame, *, preset: str | None = None) -> DescribedFigure:
    """The front-loading index of each checkpoint, and the accuracies that it is made of.

    ``table``: rows of ``front_loading.stages_table``, in the order of training. An index without
    a direction (nothing was answered) has no mark. ValueError without rows.
    """
    if table.empty:
        raise ValueError("the figure needs at least one checkpoint, got none")
    x = np.arange(len(table))
    with new_figure(4.6) as fig:
        left, right = fig.subplots(1, 2, width_ratios=(1.15, 1))
        left.axhline(0, color=GREY, linewidth=1.5)
        left.vlines(x, table["low"], table["high"], color=BLUE, linewidth=2.5)
        is_meagre = table[["head", "tail"]].max(axis=1) < MEAGRE
        for chosen, face in ((~is_meagre, BLUE), (is_meagre, "white")):
            style: Any = {"markersize": 9, "markeredgewidth": 2, "markerfacecolor": face}
            left.plot(x[chosen], table["index"][chosen], "o", color=BLUE, **style)
        for place, value in zip(x, table["index"], strict=True):
            spot = (place, np.nan_to_num(value))
            said, away = ("none", (-16, 12)) if np.isnan(value) else (f"{value:+.2f}", (9, 0))
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            left.annotate(said, spot, away, textcoords="offset points", va="center", bbox=box)
        left.set(ylabel="index: (head - tail) / (head + tail)")
        left.set_title("Index with 95 % interval; open: hardly any answers")
        left.set_ylim(*_around(np.append(table[["low", "high", "index"]], [-0.1, 0.1])))
        for name in ("head", "tail"):
            look: Any = {"color": LOOKS[name].colour, "marker": LOOKS[name].marker}
            look |= {"markersize": 8, "linewidth": 2, "label": f"{name}, mean over k"}
            right.plot(x, table[name], **look)
        right.set_ylabel("accuracy (share right)")
        right.set_title(f"What it is made of, n = {table['n'].max()}")
        right.set_ylim(0, max(0.1, 1.35 * float(table[["head", "tail"]].to_numpy().max())))
        right.legend(loc="upper left")
        for ax in (left, right):
            ax.set_xticks(x, [name.replace("stage", "stage\n") for name in table["checkpoint"]])
            ax.set_xlim(-0.4, len(table) - 0.3)
            light_grid(ax)
        _title(fig, f"When front-loading appears{made_by(preset)}")
        fig.alt_text = _describe_stages(table)
    return fig


def _title(fig: DescribedFigure, title: str) -> None:
    fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")


def _curve(ax: Axes, rows: pd.DataFrame, look: Look, shift: float) -> None:
    x = rows["k"].to_numpy(float) * shift
    ax.vlines(x, rows["low"], rows["high"], color=look.colour, linewidth=1.6, alpha=0.45)
    style: Any = {"color": look.colour, "marker": look.marker, "linestyle": look.dashes}
    ax.plot(x, rows["accuracy"], markersize=7, linewidth=2, label=look.label, **style)


def _around(values: np.ndarray) -> tuple[float, float]:
    """Limits that hold all known values with a margin."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low - 0.07 * max(high - low, 0.1), high + 0.07 * max(high - low, 0.1)


def _overlays(
    part: SubFigure, frame_HW3: np.ndarray, patches_PRC: np.ndarray, positions: Sequence[int]
) -> None:
    """The frame once a position, dimmed where the position does not look."""
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
        ax.set_title(f"memory {position + 1}", loc="center")
    part.supxlabel("share of its attention to the frame", fontsize=12)


def _targets(part: SubFigure, means: pd.DataFrame) -> None:
    """Stacked bars: where the attention of every position goes."""
    ax = part.subplots()
    base = np.zeros(len(means))
    for target, (label, colour, hatch) in TARGET_LOOKS.items():
        share = means[target].to_numpy(float)
        style: Any = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.6}
        ax.bar(means.index + 1, 100 * share, 0.85, bottom=100 * base, label=label, **style)
        base += share
    ax.set_xticks(range(1, len(means) + 1, max(1, len(means) // 8)))
    ax.set(ylim=(0, 100), xlim=(0.3, len(means) + 0.7))
    ax.set(xlabel="position of the memory token", ylabel="share of its attention (%)")
    ax.set_title("By kind of target")
    part.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=1)


def _describe_curves(rows: pd.DataFrame, names: Sequence[str]) -> str:
    parts = {name: rows[rows["scheme"] == name].sort_values("k") for name in names}
    told = [
        f"{LOOKS[name].label}: "
        + ", ".join(f"{row.accuracy:.2f} at {row.k}" for row in part.itertuples())
        for name, part in parts.items()
    ]
    return f"Accuracy over the memories kept of every segment. {'; '.join(told)}."


def _describe_probes(grid: pd.DataFrame) -> str:
    told = [
        f"{name} {row.iloc[0]:+.0f} at the first, {row.iloc[-1]:+.0f} at the last, most "
        f"({row.max():+.0f}) at {int(row.to_numpy().argmax()) + 1}"
        for name, row in grid.iterrows()
    ]
    said = "Heat map of what a probe reads at each memory position, in points above its control"
    return f"{said}: {'; '.join(told)}."


def _describe_attention(means: pd.DataFrame, positions: Sequence[int]) -> str:
    first, last = 100 * means.iloc[0], 100 * means.iloc[-1]
    told = [
        f"{label} {first[target]:.0f} % at the first, {last[target]:.0f} % at the last"
        for target, (label, *_) in TARGET_LOOKS.items()
    ]
    shown = ", ".join(str(position + 1) for position in positions)
    said = f"A frame with the attention of memories {shown}; beside it, by target"
    return f"{said}: {'; '.join(told)}."


def _describe_stages(table: pd.DataFrame) -> str:
    told = [
        f"{row.checkpoint}: no index, nothing was answered"
        if np.isnan(row.index_value)
        else f"{row.checkpoint}: {row.index_value:+.2f} ({row.low:+.2f} to {row.high:+.2f})"
        for row in table.rename(columns={"index": "index_value"}).itertuples(index=False)
    ]
    return f"Front-loading index by checkpoint, with 95 % intervals. {'; '.join(told)}."
