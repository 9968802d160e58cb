"""The world in numbers: lengths, questions, floors by guessing, and mixes of questions."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    SKY,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    new_figure,
)
from tempo_lib.miniature.world.questions import KINDS, LETTERS
from tempo_lib.miniature.world.scenes import FPS

CHANCE = 1 / len(LETTERS)
MOST_SHARES = 12  # parts of a bar: later answers are drawn as one


def world_numbers(
    lengths: pd.DataFrame, askable: pd.DataFrame, guesses: pd.DataFrame
) -> DescribedFigure:
    """Four panels from the tables of ``analysis.world_facts``.

    How long scenes last, how many questions of each kind a video can answer, what guessing
    gives, and how the right answers are spread.
    """
    with new_figure(8.6) as fig:
        panels = fig.subplots(2, 2, width_ratios=(1, 1.25))
        _lengths(panels[0, 0], lengths)
        _askable(panels[0, 1], askable)
        _guesses(panels[1, 0], guesses)
        _spread(panels[1, 1], guesses)
        title = "The world in numbers"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe(lengths, askable, guesses)
    return fig


def suite_mixes(table: pd.DataFrame) -> DescribedFigure:
    """Share of each kind: a panel per suite, the real benchmark's beside the suite's own.

    ``table``: columns suite, benchmark, kind, real, ours (shares in 0..1), real_n, n.
    """
    with new_figure(7.6) as fig:
        suites = list(table["suite"].unique())
        panels = np.atleast_1d(fig.subplots(-(-len(suites) // 2), 2, sharex=True, sharey=True)).flat
        for suite, ax in zip(suites, panels, strict=False):
            rows = table[table["suite"] == suite].set_index("kind").reindex(list(KINDS))
            y = np.arange(len(rows))
            real_n, n = int(rows["real_n"].iloc[0]), int(rows["n"].iloc[0])
            benchmark = rows["benchmark"].iloc[0]
            ax.barh(y - 0.2, rows["real"], 0.38, color=GREY, label="real benchmark, mapped")
            ax.barh(y + 0.2, rows["ours"], 0.38, color=BLUE, label="the suite, as drawn")
            ax.set_yticks(y, list(rows.index))
            ax.set_ylim(len(rows) - 0.5, -0.5)  # shared: inverting it twice would undo it
            ax.set_title(
                f"{suite} (n = {n})\nafter {benchmark} ({real_n} types counted)", fontsize=12
            )
            light_grid(ax, "x")
        for ax in fig.axes[-2:]:
            ax.set_xlabel("share of questions")
        handles, labels = fig.axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=2)
        title = "Which questions the suites ask"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        gap = (table["real"] - table["ours"]).abs()
        worst = table.loc[gap.idxmax()]
        fig.alt_text = (
            "Shares of eight kinds of questions in four suites beside the real benchmarks' shares. "
            f"They differ most for {worst['kind']} in {worst['suite']}: {worst['real']:.2f} real, "
            f"{worst['ours']:.2f} in the suite."
        )
    return fig


def _lengths(ax: Axes, lengths: pd.DataFrame) -> None:
    x = np.arange(len(lengths))
    ax.bar(x, lengths["share"], color=BLUE, width=0.7)
    ticks = [
        f"{frames:.0f}\n({seconds:g} s)"
        for frames, seconds in zip(lengths["frames"], lengths["seconds"], strict=True)
    ]
    ax.set_xticks(x, ticks)
    ax.set_xlabel("frames of a scene")
    ax.set_ylabel("share of scenes")
    ax.set_title("Length of scenes")
    light_grid(ax)


def _askable(ax: Axes, askable: pd.DataFrame) -> None:
    """Numbers on shades: average questions of a kind that a video of a length can answer."""
    grid = askable.pivot(index="kind", columns="frames", values="mean").reindex(list(KINDS))
    values = grid.to_numpy(float)
    ax.imshow(values, cmap="Blues", vmin=0, vmax=1.6 * np.nanmax(values), aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        ax.text(column, row, f"{value:.1f}", ha="center", va="center", color=BLACK)
    ax.set_yticks(np.arange(len(grid)), list(grid.index))
    ax.set_xticks(np.arange(len(grid.columns)), [f"{frames / FPS:.0f}" for frames in grid.columns])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("length of the video (seconds)")
    ax.set_title("Questions a video can answer (mean)")


def _guesses(ax: Axes, guesses: pd.DataFrame) -> None:
    y = np.arange(len(guesses))
    ax.barh(y, guesses["floor"], 0.6, color=SKY, label="commonest answer")
    ax.plot(guesses["letter"], y, "D", color=VERMILLION, markersize=7, label="one letter of four")
    coin = guesses["coin"].notna()
    ax.plot(
        *(guesses["coin"][coin], y[coin.to_numpy()], "s"),
        color=ORANGE,
        markersize=8,
        label="one of the two named",
    )
    ax.axvline(CHANCE, color=BLACK, linewidth=1, linestyle=(0, (5, 3)))
    ax.set_yticks(y, list(guesses.index))
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel("share right by guessing")
    ax.set_title("Floors")
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.17), ncols=1)
    light_grid(ax, "x")


def _spread(ax: Axes, guesses: pd.DataFrame) -> None:
    """A bar a kind, cut by the shares of its answers; the commonest stands left."""
    for row, shares in enumerate(guesses["shares"]):
        parts = [*shares[:MOST_SHARES]]
        left = 0.0
        for number, share in enumerate(parts):
            shade = SKY if number % 2 else BLUE
            ax.barh(row, share, 0.6, left=left, color=shade, edgecolor="white", linewidth=0.5)
            left += share
        if left < 1 - 1e-9:
            ax.barh(row, 1 - left, 0.6, left=left, color="#EEEEEE")
    ax.set_yticks(
        np.arange(len(guesses)),
        [f"{kind} ({number})" for kind, number in guesses["answers"].items()],
    )
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"share of questions; pale: after the {MOST_SHARES} commonest")
    ax.set_title("How right answers are spread (different ones)")
    ax.tick_params(length=0)


def _describe(lengths: pd.DataFrame, askable: pd.DataFrame, guesses: pd.DataFrame) -> str:
    mean = float((lengths["seconds"] * lengths["share"]).sum())
    longest = askable[askable["frames"] == askable["frames"].max()].set_index("kind")["mean"]
    can = ", ".join(f"{kind} {value:.1f}" for kind, value in longest.items())
    floors = ", ".join(f"{kind} {floor:.2f}" for kind, floor in guesses["floor"].items())
    return (
        f"Four panels. A scene lasts {mean:.1f} s on average. Questions that a video of "
        f"{askable['frames'].max() / FPS:.0f} s can answer: {can}. Always giving the commonest "
        f"answer is right for: {floors}."
    )
