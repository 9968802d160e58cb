"""Adaptive Token Allocation as bars: scores to counts in four steps, and who stands beside whom.

Shape suffixes: N segments.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)

STEP_COLUMNS = ("score", "scaled", "ideal", "anchor", "share", "remainder")
PLACE_COLUMNS = ("place", "scaled")
MOST_LABELLED = 12  # segments: beyond it numbers over the bars would touch
HEADROOM = 1.28  # room for a number over a bar that reaches k_max
DASHES = (0, (5, 3))
PARTS = {"anchor": GREY, "share": ORANGE, "remainder": GREEN}
SHADES = ("#FFE9B8", "#CFE8F7", "#F3DCE9")  # behind bars of any colour above
POLICY_LOOKS = ((VERMILLION, "o", "-"), (BLUE, "s", "--"), (GREEN, "D", ":"))


def ata_steps(
    table: pd.DataFrame,
    *,
    budget: int,
    k_min: int,
    k_max: int,
    marked: Mapping[str, Sequence[int]] | None = None,
    title: str = "From scores to token counts",
    preset: str | None = None,
) -> DescribedFigure:
    """Four panels over one axis of segments, so that a segment is followed from top to bottom.

    ``table``: one row a segment with STEP_COLUMNS: the score, its min-max scaled value, the count
    of Eq. 3, and the kept count in three parts. ``marked``: name -> segments (from 0) that are
    shaded. ValueError for absent columns, a broken budget or a segment that is not there.
    """
    _check_columns(table, STEP_COLUMNS)
    kept_N = table[list(PARTS)].sum(axis=1).to_numpy()
    if kept_N.sum() > budget:
        raise ValueError(f"{kept_N.sum()} tokens are kept, but the budget is {budget}")
    with new_figure(8.4) as fig:
        axes = fig.subplots(4, 1, sharex=True)
        _shade(axes, marked or {}, len(table))
        _unit_panel(axes[0], table["score"].to_numpy(float), "score", SKY)
        _unit_panel(axes[1], table["scaled"].to_numpy(float), "scaled score", BLUE)
        axes[0].set_title("1. Relevance score of each segment (Eq. 2)")
        axes[1].set_title("2. Min-max scaled: the lowest becomes 0, the highest 1")
        ideal_N = table["ideal"].to_numpy()
        _stacked(axes[2], table["anchor"], ideal_N - table["anchor"], limits=(k_min, k_max))
        axes[2].set_title(_ideal_words(int(ideal_N.sum()), budget))
        parts = [table[part] for part in PARTS]
        _stacked(axes[3], *parts, limits=(k_min, k_max), of_N=ideal_N)
        _outline(axes[3], ideal_N, kept_N)
        axes[3].set_title(_kept_words(int(ideal_N.sum()), int(kept_N.sum()), budget))
        axes[3].set_xlabel("segment")
        _segment_ticks(axes[3], len(table))
        axes[3].set_xlim(0.4, len(table) + 0.6)
        _legend(fig, table, marked or {}, (k_min, k_max))
        heading = f"{title}{made_by(preset)}"
        fig.suptitle(heading, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe_steps(table, kept_N, budget, title)
    return fig


def around_the_asked(
    table: pd.DataFrame,
    policies: Sequence[str],
    *,
    k_min: int,
    k_max: int,
    preset: str | None = None,
) -> DescribedFigure:
    """Scores and tokens of the asked scene and of what lies before and after it.

    ``table``: one row a segment and question, with ``place`` (0: the asked scene, -1: the segment
    before it), ``scaled`` (its score, min-max scaled) and the tokens under each of ``policies``,
    at most three. Points are means. ValueError for absent columns or too many policies.
    """
    _check_columns(table, (*PLACE_COLUMNS, *policies))
    if not 1 <= len(policies) <= len(POLICY_LOOKS):
        raise ValueError(f"1 to {len(POLICY_LOOKS)} policies are drawn, got {len(policies)}")
    means = table.groupby("place")[["scaled", *policies]].mean()
    with new_figure(4.4) as fig:
        left, right = fig.subplots(1, 2)
        left.bar(means.index, means["scaled"], 0.7, color=np.where(means.index == 0, BLUE, SKY))
        left.set(ylim=(0, 1.12), ylabel="scaled score (mean)", title="What the compressor says")
        for name, (colour, marker, line) in zip(policies, POLICY_LOOKS, strict=False):
            style: Any = {"color": colour, "marker": marker, "linestyle": line}
            right.plot(means.index, means[name], markersize=8, linewidth=2, label=name, **style)
        for limit in (k_min, k_max):
            right.axhline(limit, color=BLACK, linewidth=1, linestyle=DASHES)
        right.plot([], [], color=BLACK, linewidth=1, linestyle=DASHES, label="k_min and k_max")
        right.set(ylim=(0, 1.12 * k_max), ylabel="tokens per segment (mean)")
        right.set_title("What each segment keeps")
        right.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        for ax in (left, right):
            ax.set_xticks(means.index, [_place_words(place) for place in means.index])
            ax.set_xlabel("segment, counted from the asked scene")
            light_grid(ax)
        fig.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        heading = f"The asked scene and its neighbours{made_by(preset)}"
        fig.suptitle(heading, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe_places(means, policies)
    return fig


def _check_columns(table: pd.DataFrame, needed: Sequence[str]) -> None:
    absent = [name for name in needed if name not in table.columns]
    if absent or table.empty:
        lacks = f"lacks {', '.join(absent)}" if absent else "has no rows"
        raise ValueError(f"the table {lacks}; the figure needs {', '.join(needed)}")


def _shade(axes: np.ndarray, marked: Mapping[str, Sequence[int]], num_segments: int) -> None:
    if len(marked) > len(SHADES):
        raise ValueError(f"at most {len(SHADES)} groups can be marked, got {', '.join(marked)}")
    for (name, segments), shade in zip(marked.items(), SHADES, strict=False):
        for segment in segments:
            if not 0 <= segment < num_segments:
                raise ValueError(f"{name} marks segment {segment} of {num_segments}")
            for ax in axes:
                ax.axvspan(segment + 0.5, segment + 1.5, color=shade, linewidth=0, zorder=0)


def _unit_panel(ax: Axes, values_N: np.ndarray, words: str, colour: str) -> None:
    x = np.arange(1, len(values_N) + 1)
    ax.bar(x, values_N, 0.72, color=colour)
    ax.set(ylim=(0, HEADROOM), yticks=(0, 0.5, 1), yticklabels=("0", "0.5", "1"), ylabel=words)
    _numbers(ax, values_N, [f"{value:.2f}" for value in values_N])
    light_grid(ax)


def _stacked(
    ax: Axes, *parts: pd.Series, limits: tuple[int, int], of_N: np.ndarray | None = None
) -> None:
    """Bars of several parts on top of each other, named by their sum, or "sum of wanted"."""
    bottom_N = np.zeros(len(parts[0]))
    x = np.arange(1, len(bottom_N) + 1)
    for part, colour in zip(parts, PARTS.values(), strict=False):
        ax.bar(x, part, 0.72, bottom=bottom_N, color=colour)
        bottom_N = bottom_N + np.asarray(part, float)
    for limit in limits:
        ax.axhline(limit, color=BLACK, linewidth=1, linestyle=DASHES)
    ax.set(ylim=(0, HEADROOM * limits[1]), ylabel="tokens")
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    wanted_N = bottom_N if of_N is None else of_N
    pairs = zip(bottom_N, wanted_N, strict=True)
    words = [f"{got:.0f} of {wanted}" if got < wanted else f"{got:.0f}" for got, wanted in pairs]
    _numbers(ax, np.maximum(bottom_N, wanted_N), words)
    light_grid(ax)


def _numbers(ax: Axes, heights_N: np.ndarray, words: Sequence[str]) -> None:
    if len(words) > MOST_LABELLED:
        return
    for place, (height, word) in enumerate(zip(heights_N, words, strict=True), start=1):
        offset: Any = {"xytext": (0, 2), "textcoords": "offset points"}
        ax.annotate(word, (place, height), ha="center", va="bottom", **offset)


def _segment_ticks(ax: Axes, num_segments: int) -> None:
    if num_segments <= MOST_LABELLED:
        ax.set_xticks(range(1, num_segments + 1))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(14, integer=True))


def _outline(ax: Axes, ideal_N: np.ndarray, kept_N: np.ndarray) -> None:
    """Dotted boxes up to the ideal counts, where less was kept."""
    lost = np.flatnonzero(kept_N < ideal_N)
    height = (ideal_N - kept_N)[lost]
    style: Any = {"facecolor": "none", "edgecolor": BLACK, "linestyle": ":", "linewidth": 1.2}
    ax.bar(lost + 1, height, 0.72, bottom=kept_N[lost], **style)


def _legend(
    fig: DescribedFigure,
    table: pd.DataFrame,
    marked: Mapping[str, Sequence[int]],
    limits: tuple[int, int],
) -> None:
    """One entry for everything that is drawn, and none for what is not."""
    ax = fig.axes[0]
    words = ("anchor (k_min)", "share of the rest", "remainder, one each")
    for (part, colour), label in zip(PARTS.items(), words, strict=True):
        if table[part].any():
            ax.plot([], [], color=colour, linewidth=8, label=label)
    if (table[list(PARTS)].sum(axis=1) < table["ideal"]).any():
        ax.plot([], [], color=BLACK, linewidth=1.2, linestyle=":", label="not kept")
    for name, shade in zip(marked, SHADES, strict=False):
        ax.plot([], [], color=shade, linewidth=8, label=name)
    label = "k_min = {}, k_max = {}".format(*limits)
    ax.plot([], [], color=BLACK, linewidth=1, linestyle=DASHES, label=label)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)


def _ideal_words(ideal: int, budget: int) -> str:
    verdict = "they fit" if ideal <= budget else f"{ideal - budget} too many"
    return f"3. Ideal counts (Eq. 3): {ideal} tokens, the budget is {budget}: {verdict}"


def _kept_words(ideal: int, kept: int, budget: int) -> str:
    rule = "the ideal counts stay" if ideal <= budget else "the rest is shared out (Eq. 4)"
    return f"4. Kept: {rule}, {kept} tokens of {budget}"


def _place_words(place: int) -> str:
    return "asked" if place == 0 else f"{place:+d}"


def _describe_steps(table: pd.DataFrame, kept_N: np.ndarray, budget: int, title: str) -> str:
    top = [int(i) for i in np.argsort(-kept_N, kind="stable")[:3]]
    score_N, ideal_N = table["score"].to_numpy(), table["ideal"].to_numpy()
    most = ", ".join(
        f"segment {i + 1} (score {score_N[i]:.2f}, ideal {ideal_N[i]}, kept {kept_N[i]})"
        for i in top
    )
    return (
        f"{title}. Bars for {len(table)} segments in four steps: score, scaled score, ideal count, "
        f"kept count. The ideal counts sum to {ideal_N.sum()}, the budget is {budget}, "
        f"{kept_N.sum()} are kept. Most tokens: {most}."
    )


def _describe_places(means: pd.DataFrame, policies: Sequence[str]) -> str:
    places = [
        f"{_place_words(int(place))}: score {row['scaled']:.2f}, "
        + ", ".join(f"{name} {row[name]:.1f} tokens" for name in policies)
        for place, row in means.iterrows()
    ]
    return f"Mean scaled score and tokens around the asked scene. {'; '.join(places)}."
