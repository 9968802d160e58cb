"""Segments of one video on the axis of time: tokens as bars, scores as a line, key frames on top.

Shape suffixes: N segments.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import ConnectionPatch
from matplotlib.ticker import MaxNLocator

from tempo_lib.figures.style import BLACK, BLUE, DASHES, GREEN, GREY, PALE, VERMILLION
from tempo_lib.video.clip import Video, VideoStream
from tempo_lib.video.moments import pick_frames, segment_edges

SEGMENTS_PER_KEY_FRAME = 8
MIN_KEY_FRAMES, MAX_KEY_FRAMES = 7, 10  # ten leave room for their times at 12 pt
HEADROOM = 1.18  # above k_max on the left axis and above 1 on the right one, so that they meet
FEW = "#A6A6A6"
FLAT_RANGE = 0.05  # of scores: below it, min-max makes a difference that is hardly there look whole


@dataclass(frozen=True)
class Segments:
    """What a model decided about the segments of one video, each (N,), and the bounds it kept."""

    counts_N: np.ndarray
    scores_N: np.ndarray
    seconds_N: np.ndarray
    relevant_N: np.ndarray  # bool: the segment shows what the question is about
    k_min: int | None = None
    k_max: int | None = None

    @property
    def edges(self) -> np.ndarray:
        """Borders (N + 1,) in seconds."""
        return segment_edges(self.seconds_N)

    @property
    def many_N(self) -> np.ndarray:
        """Where more is kept than halfway between the bounds (0 and the most where unknown)."""
        low = 0 if self.k_min is None else self.k_min
        high = self.counts_N.max() if self.k_max is None else self.k_max
        return self.counts_N > (float(low) + float(high)) / 2

    def key_frames(self) -> list[int]:
        """Segments whose frames are shown: those with most tokens, and one relevant at least."""
        chosen = key_segments(self.counts_N, self.scores_N)
        return with_relevant(chosen, self.counts_N, self.relevant_N)


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


def with_relevant(chosen: list[int], counts_N: np.ndarray, relevant_N: np.ndarray) -> list[int]:
    """Key segments, the nearest of them replaced by the fullest relevant one if they lack any."""
    places = np.flatnonzero(relevant_N)
    if not len(places) or set(places.tolist()) & set(chosen):
        return chosen
    best = int(max(places, key=lambda place: counts_N[place]))
    nearest = min(chosen, key=lambda place: abs(place - best))
    return sorted(best if place == nearest else place for place in chosen)


def draw_tokens(ax: Axes, segments: Segments) -> None:
    """Tokens of every segment as bars between its borders; relevant segments stand on green."""
    edges, counts_N, many_N = segments.edges, segments.counts_N, segments.many_N
    widths = np.diff(edges)
    gap = 0.12 if 1 < len(counts_N) <= 150 else 0.0  # thin bars would drown in white
    for mask_N, colour, label in (
        (many_N, VERMILLION, "many tokens"),
        (~many_N, FEW, "few tokens"),
    ):
        left = (edges[:-1] + widths * gap / 2)[mask_N]
        ax.bar(left, counts_N[mask_N], widths[mask_N] * (1 - gap), align="edge", color=colour)
        ax.plot([], [], color=colour, linewidth=8, label=label)
    limits = {"k_min": segments.k_min, "k_max": segments.k_max}
    given = {name: value for name, value in limits.items() if value is not None}
    for value in given.values():
        ax.axhline(value, color=BLACK, linewidth=1, linestyle=DASHES)
    if given:  # named in the legend: a label on the line would hide bars
        label = ", ".join(f"{name} = {value}" for name, value in given.items())
        ax.plot([], [], color=BLACK, linewidth=1, linestyle=DASHES, label=label)
    top = max(counts_N.max(), segments.k_max or 0)
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0, top * HEADROOM))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_ylabel("memory tokens\nper segment")
    mark_relevant(ax, segments)


def mark_relevant(ax: Axes, segments: Segments) -> None:
    """A green band behind every relevant segment, and a triangle on top that survives printing."""
    edges, relevant_N = segments.edges, segments.relevant_N
    for place in np.flatnonzero(relevant_N):
        ax.axvspan(edges[place], edges[place + 1], color=GREEN, alpha=0.25, linewidth=0, zorder=0)
    centres = ((edges[:-1] + edges[1:]) / 2)[relevant_N]
    if len(centres):
        top = np.full(len(centres), 0.965 * ax.get_ylim()[1])
        style: dict[str, Any] = {"color": GREEN, "markersize": 9, "linestyle": "none"}
        ax.plot(centres, top, marker="v", label="relevant segment", clip_on=False, **style)


def draw_scores(ax: Axes, segments: Segments) -> None:
    """Relevance scores on a right axis of their own, named in the legend of ``ax``."""
    right = ax.twinx()
    if words := flat_warning(segments.scores_N):
        at: dict[str, Any] = {"transform": ax.transAxes, "va": "top", "fontweight": "bold"}
        ax.text(0.01, 0.99, words, color=VERMILLION, **at)
    marker = "o" if len(segments.seconds_N) <= 64 else None
    style: dict[str, Any] = {"color": BLUE, "linewidth": 1.5, "marker": marker, "markersize": 4}
    right.plot(segments.seconds_N, segments.scores_N, **style)
    ax.plot([], [], label="relevance score (right axis)", **style)
    right.set(ylim=(0, HEADROOM), yticks=(0, 0.25, 0.5, 0.75, 1))
    right.set_yticklabels(["0", "", "0.5", "", "1"])
    right.set_ylabel("relevance score\n(0 to 1)", color=BLUE)
    right.tick_params(axis="y", colors=BLUE)
    right.spines["right"].set(visible=True, color=BLUE)


def flat_warning(scores_N: np.ndarray) -> str:
    """What to say where min-max scaling stretches scores that hardly differ; "" where they do."""
    low, high = float(np.min(scores_N)), float(np.max(scores_N))
    if high - low >= FLAT_RANGE or len(scores_N) < 2:
        return ""
    return f"nearly flat scores ({low:.3f} to {high:.3f}), stretched by min-max: no discovery"


def draw_key_frames(strip: Axes, ax: Axes, video: Video | VideoStream, segments: Segments) -> None:
    """Frames of the key segments on ``strip``, each joined to its place in ``ax``.

    A red border marks a segment with many tokens, a grey one the others.
    """
    chosen = segments.key_frames()
    strip.set_axis_off()
    strip.set_xlim(0, 1)
    frames = pick_frames(video, [float(segments.seconds_N[i]) for i in chosen])
    cell = 1 / len(chosen)
    for place, (index, frame_HW3) in enumerate(zip(chosen, frames, strict=True)):
        is_many, second = segments.many_N[index], float(segments.seconds_N[index])
        box = strip.inset_axes((place * cell + 0.04 * cell, 0.16, 0.92 * cell, 0.68))
        box.imshow(frame_HW3)
        box.set(xticks=[], yticks=[], anchor="S")
        box.set_title(f"{second:.0f} s", fontsize=12, loc="center", pad=4)
        colour = VERMILLION if is_many else GREY
        box.spines[:].set(visible=True, color=colour, linewidth=4 if is_many else 2.5)
        join(box, ax, second, VERMILLION if is_many else PALE)


def join(box: Axes, ax: Axes, second: float, colour: str) -> None:
    """A line from the foot of a picture to its time on the axis below."""
    ends: dict[str, Any] = {"xyA": (0.5, 0.0), "coordsA": box.transAxes}
    ends |= {"xyB": (second, 1.0), "coordsB": ax.get_xaxis_transform()}
    box.figure.add_artist(ConnectionPatch(color=colour, linewidth=1.2, **ends))
