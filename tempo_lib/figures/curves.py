"""Training curves of the four stages."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tempo_lib.config import Preset, StageNumbers
from tempo_lib.figures.style import (
    BLUE,
    GREY,
    SKY,
    TITLE_POINTS,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)

NUM_PARTS = 4  # compressor, memory tokens, projector, decoder (rows of Table A)
SMOOTHING_SHARE = 0.05  # of a stage's steps: wide enough to see a trend in noisy batches
WIDE_RANGE = 1000  # of losses, largest to smallest: beyond it there is no room for more labels


def loss_curves(losses_by_stage: Mapping[int, pd.DataFrame], preset: Preset) -> DescribedFigure:
    """Four panels: loss of every step and its running mean, and what trains (Table A).

    ``losses_by_stage`` maps a stage to its records with columns ``step`` and ``loss`` (nats per
    answer token). A stage without records gets an empty panel that says so. ValueError for a
    preset without training and for losses that no logarithmic axis can hold.
    """
    from tempo_lib.training.stages import STAGE_NAMES, STAGES, stage_numbers

    sentences = []
    with new_figure(6.8) as fig:
        panels = fig.subplots(2, 2).flat
        for stage, ax in zip(STAGES, panels, strict=True):
            numbers = stage_numbers(preset, stage)
            name = STAGE_NAMES[stage]
            ax.set_title(f"Stage {stage}: {name}\n{_trains(numbers)}")
            sentences.append(_curve(ax, stage, losses_by_stage.get(stage)))
        title = f"Training loss, stage by stage{made_by(preset.name)}"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = "Training loss of four stages. " + " ".join(sentences)
    return fig


def smoothed(losses: pd.Series) -> pd.Series:
    """Centred running mean over SMOOTHING_SHARE of the steps (an odd number, at least 1)."""
    width = 2 * (int(len(losses) * SMOOTHING_SHARE) // 2) + 1
    return losses.rolling(width, center=True, min_periods=1).mean()


def loss_scale(ax: Axes, losses: pd.Series) -> None:
    """A logarithmic axis whose labels do not touch: a label a decade where there are many."""
    ax.set_yscale("log")
    is_wide = losses.max() > WIDE_RANGE * losses.min()
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0,) if is_wide else (1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _trains(numbers: StageNumbers) -> str:
    if len(numbers.trainable) == NUM_PARTS:
        return "trains all parts"
    return "trains " + " and ".join(part.replace("_", " ") for part in numbers.trainable)


def _curve(ax: Axes, stage: int, records: pd.DataFrame | None) -> str:
    """Draw one stage; return its sentence of the description."""
    ax.set_xlabel("optimiser step")
    ax.set_ylabel("loss (nats per token)")
    if records is None or records.empty:
        ax.text(0.5, 0.5, "no losses recorded", transform=ax.transAxes, ha="center", color=GREY)
        ax.set(xticks=[], yticks=[])
        return f"Stage {stage} has no recorded losses."
    if not (np.isfinite(records["loss"]) & (records["loss"] > 0)).all():
        raise ValueError(f"stage {stage} has a loss that is not a positive finite number")
    mean = smoothed(records["loss"])
    last = float(mean.iloc[-1])
    ax.set_xlabel(f"optimiser step (of {len(records)})")
    ax.plot(records["step"], records["loss"], color=SKY, linewidth=0.8, label="each step")
    ax.plot(records["step"], mean, color=BLUE, linewidth=2.2, label="running mean")
    loss_scale(ax, records["loss"])
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    light_grid(ax)
    ax.annotate(
        *(f"{last:.2f}", (records["step"].iloc[-1], last)),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=BLUE,
    )
    if stage == 0:
        ax.legend(loc="lower left")
    return (
        f"Stage {stage}: from {records['loss'].iloc[0]:.2f} to {last:.2f} in {len(records)} steps."
    )
