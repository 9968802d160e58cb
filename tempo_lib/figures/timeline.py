"""Where the memory tokens of one answer went: key frames above, tokens and scores below.

Shape suffixes: N segments, G key frames.
"""

import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import ConnectionPatch
from matplotlib.ticker import MaxNLocator

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    made_by,
    new_figure,
    printable,
)
from tempo_lib.video.clip import Video, VideoStream

if TYPE_CHECKING:
    from tempo_lib.model.tempo import Answer  # torch is not needed to redraw

SEGMENTS_PER_KEY_FRAME = 8
MIN_KEY_FRAMES, MAX_KEY_FRAMES = 7, 10  # ten leave room for their times at 12 pt
HEADROOM = 1.18  # above k_max on the left axis and above 1 on the right one, so that they meet
DASHES = (0, (5, 3))
WORDS_MANY, WORDS_FEW = "many tokens", "few tokens"


def allocation(
    answer: "Answer",
    video: Video | VideoStream | None = None,
    question: str | None = None,
    *,
    k_min: int | None = None,
    k_max: int | None = None,
    preset: str | None = None,
) -> DescribedFigure:
    """Tokens per segment over time, the scores behind them, and key frames on top.

    Red marks segments that kept more than halfway from ``k_min`` to ``k_max`` (from 0 to the
    largest count where these are not given); grey the others. Key frames show the segment with
    most tokens of each stretch of about eight. ValueError for an answer without segments.
    """
    counts_N, seconds_N = answer.counts.cpu().numpy(), answer.seconds.cpu().numpy()
    if not len(counts_N):
        raise ValueError("the answer has no segments, so there is no allocation to draw")
    scores_N = answer.scores.float().cpu().numpy()
    edges = segment_edges(seconds_N)
    many_N = counts_N > halfway(counts_N, k_min, k_max)
    with new_figure(6.0 if video is not None else 4.2) as fig:
        if video is None:
            strip, ax = None, fig.subplots()
        else:
            strip, ax = fig.subplots(2, 1, height_ratios=(1, 1.9))
        bars(ax, edges, counts_N, many_N, k_min, k_max)
        score_line(ax, seconds_N, scores_N)
        if strip is not None and video is not None:
            chosen = key_segments(counts_N, scores_N)
            key_frame_strip(strip, ax, video, chosen, seconds_N, edges, many_N)
        _heading(fig, ax if strip is None else strip, answer, question, preset)
        fig.alt_text = _describe(answer, question, seconds_N, many_N)
    return fig


def segment_edges(seconds_N: np.ndarray) -> np.ndarray:
    """Borders (N + 1,) in seconds of segments whose centres are ``seconds_N``.

    Neighbours meet halfway; the first and the last are as wide as what they touch.
    """
    if len(seconds_N) == 1:
        half = max(float(seconds_N[0]), 0.5)  # one window from 0; an image has no width of its own
        return np.array([seconds_N[0] - half, seconds_N[0] + half])
    middles = (seconds_N[1:] + seconds_N[:-1]) / 2
    first, last = 2 * seconds_N[0] - middles[0], 2 * seconds_N[-1] - middles[-1]
    return np.concatenate([[first], middles, [last]])


def key_segments(counts_N: np.ndarray, scores_N: np.ndarray) -> list[int]:
    """One segment per stretch of about SEGMENTS_PER_KEY_FRAME: most tokens, then highest score."""
    num_segments = len(counts_N)
    num_stretches = round(num_segments / SEGMENTS_PER_KEY_FRAME)
    num_stretches = min(max(num_stretches, MIN_KEY_FRAMES), MAX_KEY_FRAMES, num_segments)
    borders = np.linspace(0, num_segments, num_stretches + 1).round().astype(int)
    return [
        max(range(start, stop), key=lambda i: (counts_N[i], scores_N[i]))
        for start, stop in pairwise(borders.tolist())
    ]


def pick_frames(video: Video | VideoStream, wanted_seconds: list[float]) -> list[np.ndarray]:
    """The frames (H, W, 3) nearest to increasing times; a stream is decoded once."""
    assert video.seconds is not None  # both kinds of video fill it in
    places = [int(np.abs(video.seconds - second).argmin()) for second in wanted_seconds]
    found: dict[int, np.ndarray] = {}
    for place, window_1HW3 in enumerate(video.windows(1, 1)):
        if place in places:
            found[place] = window_1HW3[0].copy()
    return [found[place] for place in places]


def halfway(counts_N: np.ndarray, k_min: int | None, k_max: int | None) -> float:
    """Tokens above which a segment kept many: the middle of the bounds (else 0 and the most)."""
    low = 0 if k_min is None else k_min
    high = counts_N.max() if k_max is None else k_max
    return (float(low) + float(high)) / 2


def bars(
    ax: Axes,
    edges: np.ndarray,
    counts_N: np.ndarray,
    many_N: np.ndarray,
    k_min: int | None,
    k_max: int | None,
) -> None:
    """Tokens of every segment as bars between its borders, ``edges`` (N + 1,) in seconds."""
    widths = np.diff(edges)
    gap = 0.12 if 1 < len(counts_N) <= 150 else 0.0  # thin bars would drown in white
    for mask_N, colour, label in (
        (many_N, VERMILLION, WORDS_MANY),
        (~many_N, "#A6A6A6", WORDS_FEW),
    ):
        left = (edges[:-1] + widths * gap / 2)[mask_N]
        ax.bar(left, counts_N[mask_N], widths[mask_N] * (1 - gap), align="edge", color=colour)
        ax.plot([], [], color=colour, linewidth=8, label=label)
    limits = {"k_min": k_min, "k_max": k_max}
    given = {name: value for name, value in limits.items() if value is not None}
    for value in given.values():
        ax.axhline(value, color=BLACK, linewidth=1, linestyle=DASHES)
    if given:  # named in the legend: a label on the line would hide bars
        label = ", ".join(f"{name} = {value}" for name, value in given.items())
        ax.plot([], [], color=BLACK, linewidth=1, linestyle=DASHES, label=label)
    top = max(counts_N.max(), k_max or 0)
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0, top * HEADROOM))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_xlabel("time in the video (seconds)")
    ax.set_ylabel("memory tokens\nper segment")


def score_line(ax: Axes, seconds_N: np.ndarray, scores_N: np.ndarray) -> None:
    """Relevance scores on a right axis of their own; then the legend of all that ``ax`` holds."""
    twin = ax.twinx()
    marker = "o" if len(seconds_N) <= 64 else None
    style: dict[str, Any] = {"color": BLUE, "linewidth": 1.5, "marker": marker, "markersize": 4}
    twin.plot(seconds_N, scores_N, **style)
    ax.plot([], [], label="relevance score (right axis)", **style)
    twin.set(
        ylim=(0, HEADROOM), yticks=(0, 0.25, 0.5, 0.75, 1), yticklabels=["0", "", "0.5", "", "1"]
    )
    twin.set_ylabel("relevance score\n(0 to 1)", color=BLUE)
    twin.tick_params(axis="y", colors=BLUE)
    twin.spines["right"].set(visible=True, color=BLUE)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=4, columnspacing=1.5)


def key_frame_strip(
    strip: Axes,
    ax: Axes,
    video: Video | VideoStream,
    chosen: list[int],
    seconds_N: np.ndarray,
    edges: np.ndarray,
    many_N: np.ndarray,
) -> None:
    """Frames of the segments ``chosen`` on ``strip``, each joined to its place in ``ax``."""
    strip.set_axis_off()
    strip.set_xlim(0, 1)
    frames = pick_frames(video, [float(seconds_N[i]) for i in chosen])
    cell = 1 / len(chosen)
    for place, (index, frame_HW3) in enumerate(zip(chosen, frames, strict=True)):
        box = strip.inset_axes((place * cell + 0.04 * cell, 0.16, 0.92 * cell, 0.68))
        box.imshow(frame_HW3)
        box.set(xticks=[], yticks=[], anchor="S")
        box.set_title(f"{seconds_N[index]:.0f} s", fontsize=12, loc="center", pad=4)
        colour = VERMILLION if many_N[index] else GREY
        box.spines[:].set(visible=True, color=colour, linewidth=4 if many_N[index] else 2.5)
        line = ConnectionPatch(
            xyA=(0.5, 0.0),
            coordsA=box.transAxes,
            xyB=(float(seconds_N[index]), 1.0),
            coordsB=ax.get_xaxis_transform(),
            color=colour if many_N[index] else PALE,
            linewidth=1.2,
        )
        strip.figure.add_artist(line)


def _heading(
    fig: DescribedFigure, top: Axes, answer: "Answer", question: str | None, preset: str | None
) -> None:
    """The question in bold, below it the answer and what it cost."""
    words = (
        f"Memory tokens of one answer{made_by(preset)}" if question is None else printable(question)
    )
    bold = textwrap.fill(words, 72, max_lines=2, placeholder=" ...")
    fig.suptitle(bold, x=0.01, ha="left", fontsize=TITLE_POINTS, fontweight="bold")
    given = textwrap.shorten(printable(answer.text), 80, placeholder=" ...") or "(nothing)"
    segments = "1 segment" if len(answer.counts) == 1 else f"{len(answer.counts)} segments"
    used = f"{answer.tokens_used} of {answer.budget} memory tokens on {segments}{made_by(preset)}"
    top.set_title(f"Answer: {given}\n{used}", fontsize=12, pad=10)


def _describe(
    answer: "Answer", question: str | None, seconds_N: np.ndarray, many_N: np.ndarray
) -> str:
    """The description: what was asked and answered, the cost, and where most tokens went."""
    counts_N = answer.counts.cpu().numpy()
    top = np.argsort(-counts_N, kind="stable")[:3]
    places = ", ".join(f"{counts_N[i]} at {seconds_N[i]:.1f} s" for i in top)
    asked = "" if question is None else f"Question: {printable(question)} "
    given = printable(answer.text) or "(nothing)"
    return (
        f"Memory tokens per segment over time. {asked}Answer: {given} "
        f"The answer used {answer.tokens_used} of {answer.budget} tokens on {len(counts_N)} "
        f"segments; {int(many_N.sum())} kept many. Most tokens: {places}."
    )
