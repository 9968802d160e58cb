"""How the parts of a model learned, and what each of them can do: losses and accuracies.

Colour and dashes of a kind of question are the same in all pictures.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from statsmodels.stats.proportion import proportion_confint

from tempo_lib.config import Preset, StageNumbers
from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    DASHES,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    DescribedFigure,
    light_grid,
    new_figure,
)

NUM_PARTS = 4  # compressor, memory tokens, projector, decoder (rows of Table A)
SMOOTHING_SHARE = 0.05  # of a run's steps: wide enough to see a trend in noisy batches
WIDE_RANGE = 1000  # of losses, largest to smallest: beyond it there is no room for more labels
KIND_LINES = {  # colour and dashes: two kinds of one hue differ in their line
    "needle": (VERMILLION, "-"),
    "attribute": (ORANGE, "-"),
    "companion": (ORANGE, "--"),
    "grounding": (BLUE, "-"),
    "after": (GREEN, "-"),
    "before": (GREEN, "--"),
    "counting": (PURPLE, "-"),
    "comparison": (SKY, "-"),
    "global": (BLACK, "--"),
    "caption": (GREY, ":"),
}
TARGETS = {"needle": 0.95, "after": 0.8, "before": 0.8}  # of the base decoder, on transcripts
NUM_COLUMNS = 2  # of panels, one per stage


def loss_curves(losses_by_stage: Mapping[int, pd.DataFrame], preset: Preset) -> DescribedFigure:
    """A panel per stage: loss of every step and its running mean, and what trains (Table A).

    ``losses_by_stage`` maps a stage to its records with columns step and loss (nats per answer
    token). A stage without records gets an empty panel that says so. ValueError for a preset
    without training and for losses that no logarithmic axis can hold.
    """
    if preset.training is None:
        raise ValueError(f"preset {preset.name} has no training configuration to draw")
    num_rows = -(-len(preset.stages) // NUM_COLUMNS)
    with new_figure(3.4 * num_rows, "Training loss, stage by stage", preset.name) as fig:
        panels = list(fig.subplots(num_rows, NUM_COLUMNS, squeeze=False).flat)
        for ax in panels[len(preset.stages) :]:
            ax.set_axis_off()
        described: list[str] = []
        for stage, ax in zip(preset.stages, panels, strict=False):
            numbers = preset.training.stages[stage]
            ax.set_title(f"Stage {stage}: {numbers.name}\n{_trains(numbers)}")
            records = losses_by_stage.get(stage)
            described.append(_losses(ax, records, f"Stage {stage}", labelled=not described))
            ax.set_ylabel("loss (nats per token)")
        fig.alt_text = f"Training loss of {len(described)} stages. {' '.join(described)}"
    return fig


def base_curves(losses: Mapping[str, pd.DataFrame], preset: str | None = None) -> DescribedFigure:
    """Losses of the base compressor and its like: a row per part, a panel per phase.

    ``losses``: part -> columns phase, step, loss. ValueError without any part.
    """
    if not losses:
        raise ValueError("no losses to draw")
    phases = list(dict.fromkeys(name for table in losses.values() for name in table["phase"]))
    title = "Training losses of the base compressor and the reranker"
    with new_figure(0.6 + 2.6 * len(losses), title, preset) as fig:
        grid = fig.subplots(len(losses), len(phases), squeeze=False)
        described: list[str] = []
        for row, (part, table) in zip(grid, losses.items(), strict=True):
            for ax, phase in zip(row, phases, strict=True):
                found = table[table["phase"] == phase]
                if found.empty and not table.empty:  # a phase that this part goes without
                    ax.set_axis_off()
                    continue
                name = f"{part.replace('_', ' ')}: {phase}"
                ax.set_title(name, fontsize=12)
                described.append(_losses(ax, found, name))
        fig.alt_text = "Training losses. " + " ".join(described)
    return fig


def smoothed(losses: pd.Series) -> pd.Series:
    """Running mean of the last SMOOTHING_SHARE of the steps (an odd number, at least 1)."""
    width = 2 * (int(len(losses) * SMOOTHING_SHARE) // 2) + 1
    # of this step and those before it: a centred mean would rise before the loss does
    return losses.rolling(width, min_periods=1).mean()


def decoder_learning(history: pd.DataFrame, preset: str | None = None) -> DescribedFigure:
    """Accuracy of each kind at the longest transcript yet, above the length of that transcript.

    ``history``: columns step, longest (segments), loss, and one per kind. ValueError when empty.
    """
    kinds = [kind for kind in history.columns if kind in KIND_LINES]
    if history.empty or not kinds:
        raise ValueError("the summary holds no learning curve; train the base decoder again")
    with new_figure(6.6, "The base decoder learns to read transcripts", preset) as fig:
        upper, lower = fig.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        for kind in kinds:
            colour, dashes = KIND_LINES[kind]
            line = {"color": colour, "linestyle": dashes, "linewidth": 2}
            upper.plot(history["step"], history[kind], label=kind, **line)
        upper.set(ylim=(-0.02, 1.04), ylabel="accuracy in training\n(running mean)")
        upper.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        lower.plot(history["step"], history["longest"], color=BLUE, linewidth=2)
        lower.set_yscale("log", base=2)
        lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        lower.set(ylabel="longest transcript\n(segments)", xlabel="optimiser step")
        for ax in (upper, lower):
            light_grid(ax)
        last = history.iloc[-1]
        reached = ", ".join(f"{kind} {last[kind]:.2f}" for kind in kinds if pd.notna(last[kind]))
        fig.alt_text = (
            f"Learning curve of the base decoder over {last['step']:.0f} steps: transcripts grow "
            f"to {last['longest']:.0f} segments. Accuracies in training at the end: {reached}."
        )
    return fig


def accuracy_by_length(table: pd.DataFrame, preset: str | None = None) -> DescribedFigure:
    """A panel per kind: accuracy of the base decoder over the length of transcripts.

    ``table``: columns segments, kind, accuracy, n. Dashed: the target, where a kind has one.
    """
    kinds = list(dict.fromkeys(table["kind"]))
    num_rows = -(-len(kinds) // 3)
    lengths = sorted(table["segments"].unique())
    title = "The base decoder on held-out transcripts (95 % intervals; dashed: target)"
    with new_figure(0.9 + 2.1 * num_rows, title, preset) as fig:
        panels = list(fig.subplots(num_rows, 3, sharex=True, sharey=True, squeeze=False).flat)
        for ax in panels[len(kinds) :]:
            ax.set_axis_off()
        for kind, ax in zip(kinds, panels, strict=False):
            rows = table[table["kind"] == kind]
            right = (rows["accuracy"] * rows["n"]).round()
            ends = proportion_confint(right, rows["n"], method="wilson")
            ax.vlines(rows["segments"], *ends, color=BLUE, linewidth=2, alpha=0.5)
            ax.plot(rows["segments"], rows["accuracy"], "-o", color=BLUE, linewidth=2)
            if kind in TARGETS:
                ax.axhline(TARGETS[kind], color=BLACK, linewidth=1, linestyle=DASHES)
            ax.set_title(f"{kind} (n = {rows['n'].min():.0f} or more)", fontsize=12)
            ax.set_xscale("log", base=2)
            ax.set_xticks(lengths, [f"{length:.0f}" for length in lengths])
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.set_ylim(-0.04, 1.06)
            light_grid(ax)
        fig.supxlabel("segments of the transcript", fontsize=12)
        fig.supylabel("accuracy (share right)", fontsize=12)
        longest = table[table["segments"] == lengths[-1]]
        values = ", ".join(f"{row.kind} {row.accuracy:.2f}" for row in longest.itertuples())
        fig.alt_text = (
            f"Accuracy of the base decoder by kind at {', '.join(map(str, lengths))} segments. "
            f"At {lengths[-1]}: {values}."
        )
    return fig


def _trains(numbers: StageNumbers) -> str:
    if len(numbers.trainable) == NUM_PARTS:
        return "trains all parts"
    return "trains " + " and ".join(part.replace("_", " ") for part in numbers.trainable)


def _losses(ax: Axes, records: pd.DataFrame | None, name: str, labelled: bool = False) -> str:
    """Draw the losses of one run on a logarithmic axis; its sentence of the description."""
    ax.set(xlabel="optimiser step", ylabel="loss")
    if records is None or records.empty:
        ax.text(0.5, 0.5, "no losses recorded", transform=ax.transAxes, ha="center", color=GREY)
        ax.set(xticks=[], yticks=[])
        return f"{name} has no recorded losses."
    losses = records["loss"]
    if not (np.isfinite(losses) & (losses > 0)).all():
        raise ValueError(f"{name} has a loss that is not a positive finite number")
    mean = smoothed(losses)
    last = float(mean.iloc[-1])
    ax.set_xlabel(f"optimiser step (of {len(records)})")
    ax.plot(records["step"], losses, color=SKY, linewidth=0.8, label="each step")
    ax.plot(records["step"], mean, color=BLUE, linewidth=2.2, label="running mean")
    ax.set_yscale("log")
    is_wide = losses.max() > WIDE_RANGE * losses.min()  # then one label per decade
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0,) if is_wide else (1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    light_grid(ax)
    end = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "color": BLUE}
    ax.annotate(f"{last:.2f}", (records["step"].iloc[-1], last), **end)
    if labelled:
        ax.legend(loc="lower left")
    return f"{name}: from {losses.iloc[0]:.2f} to {last:.2f} in {len(records)} steps."
