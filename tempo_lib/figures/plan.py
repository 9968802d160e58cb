"""What the stages of a training cost: hours on a machine, and the memory of a GPU."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BLUE,
    GREEN,
    GREY,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    DescribedFigure,
    light_grid,
    new_figure,
)

if TYPE_CHECKING:
    from tempo_lib.training.plan import Machine

HEIGHT_INCHES = 4.4
HOURS = {"computing": BLUE, "decoding": ORANGE}
COLOURS = (BLUE, GREEN, PURPLE, SKY, GREY)


def training_plan(
    rows: Sequence[dict[str, Any]], machine: "Machine", *, preset: str | None = None
) -> DescribedFigure:
    """Hours of each stage beside the gigabytes on one GPU.

    ``rows``: those of ``plan_stage``, one per stage. Computing and decoding go on side by side, so
    a stage takes the longer of the two.
    """
    title = f"What the training costs on {machine.num_gpus} GPUs"
    stages = [f"stage {row['stage']}" for row in rows]
    hours = pd.DataFrame([hours_of(row, machine) for row in rows], index=stages)
    memory = pd.DataFrame([row["gigabytes"] for row in rows], index=stages)
    with new_figure(HEIGHT_INCHES, title, preset) as fig:
        left, right = fig.subplots(1, 2)
        _side_by_side(left, hours)
        left.set_title("Hours: the longer bar decides")
        _stacked(right, memory)
        right.axvline(machine.gigabytes, color=MUTED, linestyle="--", linewidth=1.2)
        right.set_title(f"GB on a GPU of {machine.gigabytes:g}")
        for ax in (left, right):
            ax.invert_yaxis()
            light_grid(ax, "x")
        right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
        left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
        fig.alt_text = f"{title}. " + "; ".join(
            f"{stage}: {hours.loc[stage, 'computing']:.1f} hours of computing, "
            f"{hours.loc[stage, 'decoding']:.1f} of decoding, {memory.loc[stage].sum():.0f} GB"
            for stage in stages
        )
    return fig


def hours_of(row: dict[str, Any], machine: "Machine") -> dict[str, float]:
    """Hours that a stage computes and decodes on the whole machine."""
    cores = machine.num_gpus * machine.cores_per_gpu
    return {
        "computing": row["gpu_hours"] / machine.num_gpus,
        "decoding": row["decode_core_hours"] / cores,
    }


def _side_by_side(ax: Axes, hours: pd.DataFrame) -> None:
    for place, (name, colour) in enumerate(HOURS.items()):
        at = [i + 0.38 * place - 0.19 for i in range(len(hours))]
        bars = ax.barh(at, hours[name], height=0.36, color=colour, label=name)
        ax.bar_label(bars, fmt="%.1f", padding=3)
    ax.set_yticks(range(len(hours)), list(hours.index))
    ax.margins(x=0.14)


def _stacked(ax: Axes, memory: pd.DataFrame) -> None:
    base = pd.Series(0.0, index=memory.index)
    for name, colour in zip(memory.columns, COLOURS, strict=False):
        bars = ax.barh(range(len(memory)), memory[name], left=base, color=colour, label=name)
        base = base + memory[name]
    ax.bar_label(bars, [f"{total:.1f}" for total in base], padding=3)
    ax.set_yticks(range(len(memory)), [])
