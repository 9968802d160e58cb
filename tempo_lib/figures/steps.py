"""Mechanisms step by step: scores to token counts, and what a second question computes again.

Shape suffixes: N segments, L positions of one segment's sequence.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    DASHES,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    DescribedFigure,
    light_grid,
    new_figure,
    require_columns,
    series_styles,
)

STEP_COLUMNS = ("score", "scaled", "ideal", "anchor", "share", "remainder")
PLACE_COLUMNS = ("place", "scaled")
MOST_LABELLED = 12  # segments: beyond it numbers over the bars would touch
MOST_POLICIES = 3
HEADROOM = 1.28  # room for a number over a bar that reaches k_max
PARTS = {"anchor": GREY, "share": ORANGE, "remainder": GREEN}
PART_WORDS = ("anchor (k_min)", "share of the rest", "remainder, one each")
SHADES = ("#FFE9B8", "#CFE8F7", "#F3DCE9")  # behind bars of any colour above
READ_WORDS = {"fresh": "read afresh for each question", "reused": "prefix kept and used again"}


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

    ``table``: one row per segment with STEP_COLUMNS: the score, its min-max scaled value, the
    count of Eq. 3, and the kept count in three parts. ``marked``: name -> segments (from 0) that
    are shaded. ValueError for absent columns, a broken budget or a segment that is not there.
    """
    require_columns(table, STEP_COLUMNS)
    kept_N, ideal_N = table[list(PARTS)].sum(axis=1).to_numpy(), table["ideal"].to_numpy()
    kept, ideal = int(kept_N.sum()), int(ideal_N.sum())
    if kept > budget:
        raise ValueError(f"{kept} tokens are kept, but the budget is {budget}")
    rule = "the ideal counts stay" if ideal <= budget else "the rest is shared out (Eq. 4)"
    fits = "they fit" if ideal <= budget else f"{ideal - budget} too many"
    with new_figure(8.4, title, preset) as fig:
        axes = fig.subplots(4, 1, sharex=True)
        _shade(axes, marked or {}, len(table))
        _unit_bars(axes[0], table["score"].to_numpy(float), "score", SKY)
        _unit_bars(axes[1], table["scaled"].to_numpy(float), "scaled score", BLUE)
        limits = (k_min, k_max)
        _stack(axes[2], [table["anchor"], table["ideal"] - table["anchor"]], limits, ideal_N)
        _stack(axes[3], [table[part] for part in PARTS], limits, ideal_N)
        axes[0].set_title("1. Relevance score of each segment (Eq. 2)")
        axes[1].set_title("2. Min-max scaled: the lowest becomes 0, the highest 1")
        axes[2].set_title(
            f"3. Ideal counts (Eq. 3): {ideal} tokens, the budget is {budget}: {fits}"
        )
        axes[3].set_title(f"4. Kept: {rule}, {kept} tokens of {budget}")
        axes[3].set(xlabel="segment", xlim=(0.4, len(table) + 0.6))
        axes[3].xaxis.set_major_locator(MaxNLocator(14, integer=True))
        _legend(fig, table, marked or {}, limits)
        fig.alt_text = _describe(table, kept_N, budget, title)
    return fig


def around_the_scene(
    table: pd.DataFrame,
    policies: Sequence[str],
    *,
    k_min: int,
    k_max: int,
    preset: str | None = None,
) -> DescribedFigure:
    """Scores and tokens of the scene a question is about, and of what lies before and after it.

    ``table``: one row per segment and question, with ``place`` (0: the scene of the question, -1:
    the segment before it), ``scaled`` (its score, min-max scaled) and the tokens under each of
    ``policies``, at most three. Points are means. ValueError for absent columns or too many.
    """
    require_columns(table, (*PLACE_COLUMNS, *policies))
    if not 1 <= len(policies) <= MOST_POLICIES:
        raise ValueError(f"1 to {MOST_POLICIES} policies are drawn, got {len(policies)}")
    means = table.groupby("place")[["scaled", *policies]].mean()
    with new_figure(4.4, "The scene of the question and its neighbours", preset) as fig:
        left, right = fig.subplots(1, 2)
        colours = [BLUE if place == 0 else SKY for place in means.index]
        left.bar(means.index, means["scaled"], 0.7, color=colours)
        left.set(ylim=(0, 1.12), ylabel="scaled score (mean)", title="Relevance of each segment")
        for name, style in series_styles(policies).items():
            right.plot(means.index, means[name], label=name, **style.curve())
        _bounds(right, (k_min, k_max), "k_min and k_max")
        right.set(ylim=(0, 1.12 * k_max), ylabel="tokens per segment (mean)")
        right.set_title("What each segment keeps")
        right.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        for ax in (left, right):
            ax.set_xticks(means.index, [_place_words(place) for place in means.index])
            ax.set_xlabel("segment, counted from the scene")
            light_grid(ax)
        fig.legend_below(right)
        places = [
            f"{_place_words(int(place))}: score {row['scaled']:.2f}, "
            + ", ".join(f"{name} {row[name]:.1f} tokens" for name in policies)
            for place, row in means.iterrows()
        ]
        fig.alt_text = f"Mean scaled score and tokens around the scene. {'; '.join(places)}."
    return fig


def tokens_read(table: pd.DataFrame, *, preset: str | None = None) -> DescribedFigure:
    """Tokens that the compressor has read after each question, with and without a kept prefix.

    ``table``: one row per question in order, with ``question`` (1, 2, ...) and the tokens read
    for it alone, ``fresh`` and ``reused``. ValueError for absent columns or no question.
    """
    require_columns(table, ("question", *READ_WORDS))
    totals, place = table[list(READ_WORDS)].cumsum(), table["question"]
    fresh, reused = (int(totals[name].iloc[-1]) for name in READ_WORDS)
    first, last = (table["question"].iloc[i] for i in (0, -1))
    with new_figure(4.8, "Tokens that the compressor reads", preset) as fig:
        ax = fig.subplots()
        ax.fill_between(
            place, totals["reused"], totals["fresh"], color=SKY, alpha=0.25, linewidth=0
        )
        marks = {"markersize": 7 if len(table) <= 40 else 0}  # many would melt into a band
        for (name, label), (colour, marker) in zip(READ_WORDS.items(), _READ, strict=True):
            line: dict[str, Any] = {"color": colour, "marker": marker, "linewidth": 2, **marks}
            sns.lineplot(x=place, y=totals[name], ax=ax, label=label, legend=False, **line)
        times = f"{fresh / reused:.1f} times as many"
        ax.set_title(f"After question {last}: {fresh:,} against {reused:,}, {times}")
        ax.set(xlabel="questions about one video", ylabel="tokens read in all")
        ax.set(xlim=(first - 0.4, last + 0.4), ylim=(0, 1.06 * fresh))
        ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        light_grid(ax)
        fig.legend_below(ax)
        fig.alt_text = (
            f"Tokens that the compressor has read against the number of questions. Read afresh: "
            f"{int(totals['fresh'].iloc[0]):,} after the first and {fresh:,} after {last}. "
            f"With the prefix kept: {int(totals['reused'].iloc[0]):,} and {reused:,}."
        )
    return fig


_READ = ((VERMILLION, "o"), (BLUE, "s"))


def gap_by_position(
    gaps: Sequence[float] | np.ndarray, prefix_length: int, *, preset: str | None = None
) -> DescribedFigure:
    """How far the states of one segment differ between two questions, position by position.

    ``gaps`` (L,): the largest absolute difference at each position; the first ``prefix_length``
    hold system prompt and video. ValueError unless 0 < prefix_length < L.
    """
    gaps_L = np.asarray(gaps, float)
    if not 0 < prefix_length < len(gaps_L):
        raise ValueError(
            f"prefix_length must lie inside the {len(gaps_L)} positions, got {prefix_length}"
        )
    before, after = gaps_L[:prefix_length].max(), gaps_L[prefix_length:].max()
    with new_figure(3.8, "Hidden states under two questions, compared", preset) as fig:
        ax = fig.subplots()
        position_L = np.arange(1, len(gaps_L) + 1)
        colours = np.where(position_L <= prefix_length, GREY, VERMILLION)
        ax.bar(position_L, gaps_L, 0.85, color=colours)
        ax.axvline(prefix_length + 0.5, color=BLACK, linewidth=1.2, linestyle=DASHES)
        top = 1.2 * max(after, before) or 1.0
        ax.set(xlim=(0, len(gaps_L) + 1), ylim=(0, top))
        ax.set(xlabel="position in the segment's sequence", ylabel="largest difference")
        shared = f"at most {before:.2g}" if before else "no difference"
        words = f"system prompt and video:\n{shared}"
        box = {"facecolor": "white", "edgecolor": "none"}  # the grid ends beside the words
        ax.text((prefix_length + 1) / 2, 0.5 * top, words, ha="center", va="center", bbox=box)
        ax.set_title(f"From the question on: at most {after:.2g}")
        light_grid(ax)
        fig.alt_text = (
            f"Largest difference of hidden states under two questions at {len(gaps_L)} positions. "
            f"The first {prefix_length}, system prompt and video, differ by at most {before:.2g}; "
            f"those from the question on by at most {after:.2g}."
        )
    return fig


def _shade(axes: np.ndarray, marked: Mapping[str, Sequence[int]], num_segments: int) -> None:
    if len(marked) > len(SHADES):
        raise ValueError(f"at most {len(SHADES)} groups can be marked, got {', '.join(marked)}")
    for (name, segments), shade in zip(marked.items(), SHADES, strict=False):
        for segment in segments:
            if not 0 <= segment < num_segments:
                raise ValueError(f"{name} marks segment {segment} of {num_segments}")
            for ax in axes:
                ax.axvspan(segment + 0.5, segment + 1.5, color=shade, linewidth=0, zorder=0)


def _unit_bars(ax: Axes, values_N: np.ndarray, words: str, colour: str) -> None:
    ax.bar(np.arange(1, len(values_N) + 1), values_N, 0.72, color=colour)
    ax.set(ylim=(0, HEADROOM), yticks=(0, 0.5, 1), yticklabels=("0", "0.5", "1"), ylabel=words)
    _numbers(ax, values_N, [f"{value:.2f}" for value in values_N])
    light_grid(ax)


def _stack(
    ax: Axes, parts: Sequence[pd.Series], limits: tuple[int, int], ideal_N: np.ndarray
) -> None:
    """Parts on top of each other, named by their sum; a dotted box up to the ideal where less."""
    x, top_N = np.arange(1, len(ideal_N) + 1), np.zeros(len(ideal_N))
    for part, colour in zip(parts, PARTS.values(), strict=False):
        ax.bar(x, part, 0.72, bottom=top_N, color=colour)
        top_N = top_N + part.to_numpy(float)
    lost = top_N < ideal_N
    box: dict[str, Any] = {"facecolor": "none", "edgecolor": BLACK, "linestyle": ":"}
    ax.bar(x[lost], (ideal_N - top_N)[lost], 0.72, bottom=top_N[lost], linewidth=1.2, **box)
    _bounds(ax, limits)
    ax.set(ylim=(0, HEADROOM * limits[1]), ylabel="tokens")
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    pairs = zip(top_N, ideal_N, strict=True)
    words = [f"{got:.0f} of {ideal}" if got < ideal else f"{got:.0f}" for got, ideal in pairs]
    _numbers(ax, np.maximum(top_N, ideal_N), words)
    light_grid(ax)


def _numbers(ax: Axes, heights_N: np.ndarray, words: Sequence[str]) -> None:
    if len(words) > MOST_LABELLED:
        return
    options: dict[str, Any] = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center"}
    for place, (height, word) in enumerate(zip(heights_N, words, strict=True), start=1):
        ax.annotate(word, (place, height), va="bottom", **options)


def _bounds(ax: Axes, limits: tuple[int, int], label: str | None = None) -> None:
    for limit in limits:
        ax.axhline(limit, color=BLACK, linewidth=1, linestyle=DASHES, label=label)
        label = None


def _legend(
    fig: DescribedFigure,
    table: pd.DataFrame,
    marked: Mapping[str, Sequence[int]],
    limits: tuple[int, int],
) -> None:
    """One entry for everything that is drawn, and none for what is not."""
    ax = fig.axes[0]
    for (part, colour), label in zip(PARTS.items(), PART_WORDS, strict=True):
        if table[part].any():
            ax.plot([], [], color=colour, linewidth=8, label=label)
    if (table[list(PARTS)].sum(axis=1) < table["ideal"]).any():
        ax.plot([], [], color=BLACK, linewidth=1.2, linestyle=":", label="not kept")
    for name, shade in zip(marked, SHADES, strict=False):
        ax.plot([], [], color=shade, linewidth=8, label=name)
    label = "k_min = {}, k_max = {}".format(*limits)
    ax.plot([], [], color=BLACK, linewidth=1, linestyle=DASHES, label=label)
    fig.legend_below(ax, 3)


def _place_words(place: int) -> str:
    return "scene" if place == 0 else f"{place:+d}"


def _describe(table: pd.DataFrame, kept_N: np.ndarray, budget: int, title: str) -> str:
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
