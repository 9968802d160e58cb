"""Accuracies of several series side by side in groups, such as kinds of questions."""

from collections.abc import Mapping, Sequence
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
    series_styles,
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
    """Upright intervals: the groups side by side, each series at its own place among ``styles``.

    ``table``: columns group, series, point and, where known, low and high. ``labels``: group ->
    what stands below it, in order; ``baseline``: group -> height of a grey stroke across it.
    """
    x = pd.Series(range(len(labels)), index=list(labels), dtype=float)
    for place, name in enumerate(styles):
        rows = table[table["series"] == name].set_index("group").reindex(x.index)
        if rows["point"].isna().all():
            continue
        at = x + (place - (len(styles) - 1) / 2) * 0.8 / len(styles)
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
        fig.alt_text = _by_kind(ours, table, styles)
        suites = [] if suite is None else suite.split(", ")
        where = f" on {len(suites)} suites" if len(suites) > 2 else f" on {suite}" if suite else ""
        ours.set_title(f"Measured{where}{made_by(preset)}; bars: 95 % intervals")
        if paper is not None:
            published = paper.rename(columns={"variant": "series", "value": "point"})
            labels = {name: name for name in paper["benchmark"].unique()}
            published = published.rename(columns={"benchmark": "group"})
            grouped_intervals(theirs[0], published, styles, labels)
            theirs[0].set_ylabel("accuracy (%)")
            theirs[0].margins(y=0.12)
            theirs[0].set_title("Published, Tempo-6B: other benchmarks, no intervals given")
            fig.alt_text += " A second panel shows the published numbers of Tempo-6B."
        fig.legend_below(ours, 3)
    return fig


def accuracy_by_stage(
    table: pd.DataFrame,
    suite: str,
    preset: str | None = None,
    variants: Sequence[str] | None = None,
) -> DescribedFigure:
    """Accuracy with 95 % intervals after every stage, over all questions and by kind.

    ``table``: as for ``head_against_tail``. ``variants`` are those that have a style, also where
    the table lacks some (None: the table's), so that one is drawn alike in pictures of several
    suites. ValueError for more variants than there are styles.
    """
    styles = series_styles(table["variant"] if variants is None else variants)
    with new_figure(5.4, f"Accuracy on {suite} after each stage", preset) as fig:
        ax = fig.subplots()
        fig.alt_text = f"On {suite} after each stage. {_by_kind(ax, table, styles)}"
        ax.set_title("Whole memories; bars: 95 % intervals")
        fig.legend_below(ax, 6, columnspacing=1.2, handletextpad=0.4)
    return fig


def _by_kind(ax: Axes, table: pd.DataFrame, styles: Mapping[str, SeriesStyle]) -> str:
    """Draw accuracies by kind, all questions first; return the description."""
    sizes = table.groupby("kind", sort=False)["n"].max()
    kinds = sorted(sizes.index, key=lambda kind: kind != OVERALL)
    labels = {kind: f"{kind}\nn = {sizes[kind]:.0f}" for kind in kinds}
    floor = table.groupby("kind")["floor"].first() if "floor" in table.columns else None
    names = {"variant": "series", "kind": "group", "accuracy": "point"}
    grouped_intervals(ax, table.rename(columns=names), styles, labels, floor)
    ax.axvspan(-0.5, 0.5, color=BAND, zorder=0)
    ax.set(ylim=(-0.04, 1.04), ylabel="accuracy (share right)")
    found = [
        f"{styles[row.variant].label} {row.accuracy:.2f} ({row.low:.2f} to {row.high:.2f})"
        for row in table[table["kind"] == OVERALL].itertuples()
    ]
    return (
        "Accuracy with 95 % intervals, over all questions and by kind. Over all: "
        f"{'; '.join(found)}."
    )
