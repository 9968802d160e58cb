"""A gap in accuracy between two runs, step by step: what each change gained and lost."""

import pandas as pd

from tempo_lib.figures.style import (
    BLUE,
    GREY,
    MUTED,
    VERMILLION,
    DescribedFigure,
    light_grid,
    new_figure,
)

WIDTH = 0.6
HEIGHT_INCHES = 4.6


def explained_gap(steps: pd.DataFrame, *, preset: str | None = None) -> DescribedFigure:
    """One pair of bars per change, from the accuracy before it to the one after it.

    ``steps``: columns step, before, after, gained and lost (percent and points). Blue goes up by
    what only the later run has right, red comes down by what only the earlier one has.
    """
    first, last = steps["before"].iloc[0], steps["after"].iloc[-1]
    title = f"{abs(last - first):.1f} points between two runs, change by change"
    with new_figure(HEIGHT_INCHES, title, preset) as fig:
        ax = fig.subplots()
        places = range(1, len(steps) + 1)
        half, top = WIDTH / 2, steps["before"] + steps["gained"]
        gains, losses = (
            {"width": half, "align": "edge", "color": colour} for colour in (BLUE, VERMILLION)
        )
        left = [place - half for place in places]
        ax.bar(left, steps["gained"], bottom=steps["before"], label="right only after", **gains)
        ax.bar(places, -steps["lost"], bottom=top, label="right only before", **losses)
        ends = [0, len(steps) + 1]
        ax.bar(ends, [first, last], width=WIDTH, color=GREY, label="accuracy of the run")
        for place, height in [*zip(ends, (first, last), strict=True)]:
            ax.annotate(f"{height:.1f}", (place, height), ha="center", va="bottom")
        heights = [first, *steps["after"]]
        ax.hlines(
            heights,
            [i - half for i in range(len(heights))],
            [i + 1 + half for i in range(len(heights))],
            color=MUTED,
            linewidth=0.8,
        )
        names = ["run A", *(f"{s.step}\n{s.after - s.before:+.1f}" for s in steps.itertuples())]
        ax.set_xticks([0, *places, len(steps) + 1], [*names, "run B"])
        ax.set_ylabel("accuracy in %")
        light_grid(ax)
        fig.legend_below(ax)
        parts = [
            f"{s.step} {s.after - s.before:+.1f} ({s.gained:.1f} gained, {s.lost:.1f} lost)"
            for s in steps.itertuples()
        ]
        fig.alt_text = f"From {first:.1f} to {last:.1f} % in steps: {', '.join(parts)}."
    return fig
