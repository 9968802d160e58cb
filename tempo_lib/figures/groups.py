"""Accuracies of several series side by side in groups, such as kinds of questions."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BAND,
    GREY,
    STYLES,
    DescribedFigure,
    SeriesStyle,
    light_grid,
    made_by,
    new_figure,
)

OVERALL = "all"  # the kind under which a table holds the accuracy over all questions
SCHEMES = ("head-fixed", "tail-fixed", "ata", "tail-dynamic", "merge")


def grouped_intervals(
    ax: Axes,
    table: pd.DataFrame,
    styles: Mapping[Any, SeriesStyle],
    labels: Mapping[Any, str],
    baseline: Mapping[Any, float] | None = None,
) -> None:
    """Upright intervals: the groups side by side, in each of them the series in order of styles.

    ``table``: columns group, series, point and, where known, low and high. ``labels``: group ->
    what stands below it, in order; ``baseline``: group -> height of a grey stroke across it.
    """
    x = pd.Series(range(len(labels)), index=list(labels), dtype=float)
    present = [name for name in styles if name in set(table["series"])]
    for place, name in enumerate(present):
        rows = table[table["series"] == name].set_index("group").reindex(x.index)
        at = x + (place - (len(present) - 1) / 2) * 0.8 / len(present)
        if "low" in rows.columns:
            ax.vlines(at, rows["low"], rows["high"], color=styles[name].colour, linewidth=2)
        ax.plot(at, rows["point"], label=styles[name].label, zorder=3, **styles[name].marks())
    if baseline is not None:
        heights, label = x.index.map(baseline), STYLES["majority"].label
        ax.hlines(heights, x - 0.44, x + 0.44, color=GREY, linewidth=2, label=label)
    ax.set_xticks(x, list(labels.values()))
    ax.set_xlim(-0.5, len(x) - 0.5)
    light_grid(ax)


def head_against_tail(
    table: pd.DataFrame,
    paper: pd.DataFrame | None = None,
    *,
    preset: str | None = None,
    suite: str | None = None,
) -> DescribedFigure:
    """Accuracy with 95 % intervals per reduction scheme, over all questions and by kind.

    ``table``: one row per (variant, kind) with columns variant, kind, n, accuracy, low, high in
    0..1, optionally the majority-class baseline ``floor``; kind "all" is the whole suite. ``paper``
    (benchmark, variant, value in percent) goes into a panel of its own: other benchmarks, another
    model. ValueError for unknown variants.
    """
    unknown = sorted(set(table["variant"]) - set(SCHEMES))
    if unknown:
        raise ValueError(f"unknown variants {unknown}; this figure knows {', '.join(SCHEMES)}")
    styles = {name: STYLES[name] for name in SCHEMES}
    title = "Which memory tokens of a segment to keep (Table 2 C)"
    with new_figure(4.6 if paper is None else 7.6, title) as fig:
        ratios = (1.0,) if paper is None else (1.35, 1)
        ours, *theirs = fig.subplots(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0]
        names = {"variant": "series", "kind": "group", "accuracy": "point"}
        first = sorted(table["kind"].unique(), key=lambda kind: kind != OVERALL)
        sizes = table.groupby("kind")["n"].max()
        labels = {k: f"{'all' if k == OVERALL else k}\nn = {sizes[k]:.0f}" for k in first}
        floor = table.groupby("kind")["floor"].first() if "floor" in table.columns else None
        grouped_intervals(ours, table.rename(columns=names), styles, labels, floor)
        ours.axvspan(-0.5, 0.5, color=BAND, zorder=0)
        ours.set(ylim=(-0.04, 1.04), ylabel="accuracy (share right)")
        suites = [] if suite is None else suite.split(", ")
        where = (
            f" on {suite}" if 0 < len(suites) < 3 else f" on {len(suites)} suites" * bool(suites)
        )
        ours.set_title(f"Measured{where}{made_by(preset)}; bars: 95 % intervals")
        for ax in theirs:
            assert paper is not None
            names = {"variant": "series", "benchmark": "group", "value": "point"}
            grouped_intervals(
                ax,
                paper.rename(columns=names),
                styles,
                {name: name for name in paper["benchmark"].unique()},
            )
            ax.set_ylabel("accuracy (%)")
            ax.margins(y=0.12)
            ax.set_title("Published, Tempo-6B: other benchmarks, no intervals given")
        fig.legend_below(ours, 3)
        fig.alt_text = _describe_schemes(table[table["kind"] == OVERALL], paper is not None)
    return fig


def _describe_schemes(rows: pd.DataFrame, has_paper: bool) -> str:
    found = [
        f"{STYLES[row.variant].label} {row.accuracy:.2f} ({row.low:.2f} to {row.high:.2f})"
        for row in rows.itertuples()
    ]
    lower = " A second panel shows the published numbers of Tempo-6B." if has_paper else ""
    return (
        "Accuracy of schemes that keep different memory tokens, with 95 % intervals, over all "
        f"questions and by kind. Over all: {'; '.join(found)}.{lower}"
    )
