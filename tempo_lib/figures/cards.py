"""How the miniature's parts learned, and what each of them can do.

Colours and dashes of a kind are the same in all pictures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from tempo_lib.figures.curves import loss_scale, smoothed
from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)

KIND_LOOKS = {  # colour and dashes: two kinds of one hue differ in their line
    "needle": (VERMILLION, "-"),
    "attribute": (ORANGE, "-"),
    "grounding": (BLUE, "-"),
    "after": (GREEN, "-"),
    "before": (GREEN, "--"),
    "counting": (PURPLE, "-"),
    "comparison": (SKY, "-"),
    "global": (BLACK, "--"),
    "caption": (GREY, ":"),
}
TARGETS = {"needle": 0.95, "after": 0.8, "before": 0.8}  # of the base decoder, on transcripts
STAGE_LOOKS = (  # colour, marker, filled: a stage is told by all three
    (GREY, "o", False),
    (SKY, "s", True),
    (ORANGE, "D", True),
    (BLUE, "o", True),
    (VERMILLION, "^", True),
)
OVERALL = "all"


def decoder_learning(history: pd.DataFrame, preset: str | None = None) -> DescribedFigure:
    """Accuracy of each kind at the longest transcript yet, above the length of that transcript.

    ``history``: columns step, longest (segments), loss, and one a kind. ValueError when empty.
    """
    kinds = [kind for kind in history.columns if kind in KIND_LOOKS]
    if history.empty or not kinds:
        raise ValueError("the card holds no learning curve; train the base decoder again")
    with new_figure(6.6) as fig:
        upper, lower = fig.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        for kind in kinds:
            colour, dashes = KIND_LOOKS[kind]
            style: dict[str, Any] = {
                "color": colour,
                "linestyle": dashes,
                "linewidth": 2,
                "label": kind,
            }
            upper.plot(history["step"], history[kind], **style)
        upper.set(ylim=(-0.02, 1.04))
        upper.set_ylabel("accuracy in training\n(running mean)")
        upper.set_title(f"The base decoder learns to read transcripts{made_by(preset)}")
        upper.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        lower.plot(history["step"], history["longest"], color=BLUE, linewidth=2)
        lower.set_yscale("log", base=2)
        lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        lower.set_ylabel("longest transcript\n(segments)")
        lower.set_xlabel("optimiser step")
        for ax in (upper, lower):
            light_grid(ax)
        last = history.iloc[-1]
        reached = ", ".join(f"{kind} {last[kind]:.2f}" for kind in kinds if pd.notna(last[kind]))
        fig.alt_text = (
            f"Learning curve of the base decoder over {last['step']:.0f} steps: transcripts grow "
            f"to {last['longest']:.0f} segments. Accuracies in training at the end: {reached}."
        )
    return fig


def base_curves(losses: Mapping[str, pd.DataFrame], preset: str | None = None) -> DescribedFigure:
    """Losses of the base compressor and its like: a row a part, a panel a phase.

    ``losses``: part -> columns phase, step, loss. ValueError without any part.
    """
    if not losses:
        raise ValueError("no losses to draw")
    phases = list(dict.fromkeys(name for table in losses.values() for name in table["phase"]))
    with new_figure(0.6 + 2.6 * len(losses)) as fig:
        grid = np.atleast_2d(fig.subplots(len(losses), len(phases), squeeze=False))
        sentences = []
        for row, (part, table) in zip(grid, losses.items(), strict=True):
            for ax, phase in zip(row, phases, strict=True):
                found = table[table["phase"] == phase]
                if found.empty and not table.empty:  # a phase that this part goes without
                    ax.set_axis_off()
                    continue
                sentences.append(_curve(ax, found, f"{part.replace('_', ' ')}: {phase}"))
        title = f"Training losses of the models that look{made_by(preset)}"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = "Training losses. " + " ".join(sentences)
    return fig


def accuracy_by_length(table: pd.DataFrame, preset: str | None = None) -> DescribedFigure:
    """A panel a kind: accuracy of the base decoder over the length of transcripts.

    ``table``: columns segments, kind, accuracy, n. Dashed: the target, where a kind has one.
    """
    kinds = list(dict.fromkeys(table["kind"]))
    num_rows = -(-len(kinds) // 3)
    lengths = sorted(table["segments"].unique())
    with new_figure(0.9 + 2.1 * num_rows) as fig:
        panels = fig.subplots(num_rows, 3, sharex=True, sharey=True, squeeze=False)
        for place, ax in enumerate(panels.flat):
            if place >= len(kinds):
                ax.set_axis_off()
                continue
            kind = kinds[place]
            rows = table[table["kind"] == kind]
            ax.plot(rows["segments"], rows["accuracy"], "-o", color=BLUE, linewidth=2)
            if kind in TARGETS:
                ax.axhline(TARGETS[kind], color=BLACK, linewidth=1, linestyle=(0, (5, 3)))
            ax.set_title(f"{kind} (n = {rows['n'].min():.0f} or more)", fontsize=12)
            ax.set_xscale("log", base=2)
            ax.set_xticks(lengths, [f"{length:.0f}" for length in lengths])
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.set_ylim(-0.04, 1.06)
            light_grid(ax)
        fig.supxlabel("segments of the transcript", fontsize=12)
        fig.supylabel("accuracy (share right)", fontsize=12)
        title = f"The base decoder on held-out transcripts{made_by(preset)}; dashed: target"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        longest = table[table["segments"] == lengths[-1]]
        told = ", ".join(f"{row.kind} {row.accuracy:.2f}" for row in longest.itertuples())
        fig.alt_text = (
            f"Accuracy of the base decoder by kind at {', '.join(map(str, lengths))} segments. "
            f"At {lengths[-1]}: {told}."
        )
    return fig


def accuracy_by_stage(
    table: pd.DataFrame,
    suite: str,
    preset: str | None = None,
    variants: Sequence[str] | None = None,
) -> DescribedFigure:
    """Accuracy with 95 % intervals after every stage, over all questions and by kind.

    ``table``: columns variant, kind, n, accuracy, low, high, floor; kind "all" is the suite.
    ``variants`` are those that have a look, also where the table lacks some (None: the table's),
    so that one means the same in pictures of several suites. Dots: always the commonest answer.
    ValueError for more variants than there are looks.
    """
    asked = list(dict.fromkeys(table["variant"]))
    places = list(asked if variants is None else variants)
    if len(places) > len(STAGE_LOOKS):
        raise ValueError(f"at most {len(STAGE_LOOKS)} variants fit, got {', '.join(places)}")
    names = [name for name in places if name in asked]
    kinds = [OVERALL, *(kind for kind in KIND_LOOKS if kind in set(table["kind"]))]
    with new_figure(5.4) as fig:
        ax = fig.subplots()
        x = np.arange(len(kinds))
        for name in names:
            rows = table[table["variant"] == name].set_index("kind").reindex(kinds)
            _points(ax, rows, x, places.index(name))
        floors = table.groupby("kind")["floor"].max().reindex(kinds)
        dotted: dict[str, Any] = {
            "color": BLACK,
            "linewidth": 2,
            "linestyle": ":",
            "label": "commonest answer",
        }
        ax.hlines(floors, x - 0.45, x + 0.45, **dotted)
        sizes = table.groupby("kind")["n"].max().reindex(kinds)
        labels = [f"{kind}\nn={size:.0f}" for kind, size in zip(kinds, sizes, strict=True)]
        ax.set_xticks(x, labels)
        ax.axvspan(-0.5, 0.5, color="#F2F2F2", zorder=0)
        ax.set(xlim=(-0.5, len(kinds) - 0.5), ylim=(-0.04, 1.04))
        ax.set_ylabel("accuracy (share right)")
        light_grid(ax)
        ax.set_title(f"{suite}{made_by(preset)}: after each stage; bars: 95 % intervals")
        fig.legend(loc="outside lower center", ncols=6, columnspacing=1.2, handletextpad=0.4)
        whole = table[table["kind"] == OVERALL].set_index("variant")
        told = "; ".join(
            f"{name} {whole.loc[name, 'accuracy']:.2f} ({whole.loc[name, 'low']:.2f} to "
            f"{whole.loc[name, 'high']:.2f})"
            for name in names
        )
        fig.alt_text = f"Accuracy on {suite} after each stage, whole memories. Over all: {told}."
    return fig


def _points(ax: Axes, rows: pd.DataFrame, x: np.ndarray, place: int) -> None:
    colour, marker, filled = STAGE_LOOKS[place]
    at = x + (place - (len(STAGE_LOOKS) - 1) / 2) * 0.16
    ax.vlines(at, rows["low"], rows["high"], color=colour, linewidth=2)
    name = rows["variant"].dropna().iloc[0]
    face = colour if filled else "white"
    look: dict[str, Any] = {"markeredgecolor": colour, "markerfacecolor": face, "markersize": 7}
    ax.plot(at, rows["accuracy"], marker=marker, linestyle="none", label=name, **look)


def _curve(ax: Axes, records: pd.DataFrame, title: str) -> str:
    """Draw one phase; return its sentence of the description."""
    ax.set_title(title, fontsize=12)
    ax.set_xlabel("optimiser step")
    ax.set_ylabel("loss")
    if records.empty:
        ax.text(0.5, 0.5, "no losses recorded", transform=ax.transAxes, ha="center", color=GREY)
        ax.set(xticks=[], yticks=[])
        return f"{title} has no recorded losses."
    mean = smoothed(records["loss"])
    ax.plot(records["step"], records["loss"], color=SKY, linewidth=0.8)
    ax.plot(records["step"], mean, color=BLUE, linewidth=2.2)
    loss_scale(ax, records["loss"])
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    light_grid(ax)
    start, end = records["loss"].iloc[0], float(mean.iloc[-1])
    return f"{title}: from {start:.2f} to {end:.2f} in {len(records)} steps."
