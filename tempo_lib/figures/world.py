"""Pictures of the miniature's world: who and what is in it, and one story with its time.

Shape suffixes: S scenes, T frames, H height, W width; h, w as the model reads them.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import ConnectionPatch

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    SKY,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    new_figure,
)
from tempo_lib.miniature.world.captions import describe
from tempo_lib.miniature.world.scenes import FPS, Story

COLUMNS = 6
MOST_SCENES = 12  # of a strip: more have no room for their names at 12 pt
PLACE_COLOURS = {
    "beach": ORANGE,
    "forest": GREEN,
    "desert": VERMILLION,
    "city": GREY,
    "snow": SKY,
    "night": BLUE,
}


def contact_sheet(
    story: Story, drawn_SHW3: np.ndarray, read_Shw3: np.ndarray, title: str | None = None
) -> DescribedFigure:
    """Scenes of a story side by side, as drawn and, right below, as the model reads them.

    One picture a scene in both arrays (uint8), in the story's order. ValueError where their
    numbers differ.
    """
    names = [describe(scene) for scene in story.scenes]
    if not len(names) == len(drawn_SHW3) == len(read_Shw3):
        raise ValueError(
            f"{len(names)} scenes, but {len(drawn_SHW3)} pictures as drawn and {len(read_Shw3)} "
            "as read"
        )
    num_rows = -(-len(names) // COLUMNS)
    sizes = [f"{pictures.shape[2]} x {pictures.shape[1]}" for pictures in (drawn_SHW3, read_Shw3)]
    with new_figure(0.8 + 3.5 * num_rows) as fig:
        grid = np.atleast_2d(fig.subplots(2 * num_rows, COLUMNS))
        for place, ax in enumerate(grid.flat):
            row, column = divmod(place, COLUMNS)
            index = row // 2 * COLUMNS + column
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if column == 0:
                size = sizes[row % 2]
                ax.set_ylabel(f"as drawn\n{size}" if row % 2 == 0 else f"as read\n{size}")
            if index >= len(names):
                continue
            ax.imshow((read_Shw3 if row % 2 else drawn_SHW3)[index], interpolation="nearest")
            if row % 2 == 0:
                ax.set_title(_two_lines(names[index]), fontsize=12, loc="center", pad=4)
        fig.suptitle(
            title or "The miniature's world, and what the model sees of it",
            fontsize=TITLE_POINTS,
            fontweight="bold",
            x=0.01,
            ha="left",
        )
        fig.alt_text = (
            f"{len(names)} scenes of the drawn world, each as drawn ({sizes[0]} pixels) and below "
            f"as the model reads it ({sizes[1]}): {'; '.join(names)}."
        )
    return fig


def story_strip(
    story: Story, frames_THW3: np.ndarray, window: int, title: str | None = None
) -> DescribedFigure:
    """One story: a frame of every scene above, the scenes on the axis of time below.

    Dotted lines part the segments of ``window`` frames that the compressor reads one by one.
    ValueError for frames that are not the story's, or more than MOST_SCENES scenes.
    """
    if len(frames_THW3) != story.num_frames or len(story.scenes) > MOST_SCENES:
        raise ValueError(
            f"a strip shows up to {MOST_SCENES} scenes with all their frames; got "
            f"{len(story.scenes)} scenes, {len(frames_THW3)} of {story.num_frames} frames"
        )
    with new_figure(3.9) as fig:
        strip, ax = fig.subplots(2, 1, height_ratios=(2.2, 1))
        _bands(ax, story, window)
        _pictures(strip, ax, story, frames_THW3)
        fig.suptitle(
            title or f"One story of {story.num_frames / FPS:.0f} seconds",
            fontsize=TITLE_POINTS,
            fontweight="bold",
            x=0.01,
            ha="left",
        )
        told = [
            f"{describe(scene)} from {start / FPS:.0f} to {stop / FPS:.0f} s"
            for scene, (start, stop) in zip(story.scenes, pairwise(story.starts), strict=True)
        ]
        fig.alt_text = f"A story as a strip of frames over time: {'; '.join(told)}."
    return fig


def _two_lines(name: str) -> str:
    """``red star\\n47 beach``, ``empty\\nbeach``: two lines fit over a small picture."""
    words = name.split()
    middle = len(words) // 2
    return f"{' '.join(words[:middle])}\n{' '.join(words[middle:])}"


def _bands(ax: Axes, story: Story, window: int) -> None:
    """Scenes as bands of their place's colour and name."""
    for scene, (start, stop) in zip(story.scenes, pairwise(story.starts), strict=True):
        left, width = start / FPS, (stop - start) / FPS
        colour = PLACE_COLOURS[scene.place]
        ax.barh(
            0.0,
            width,
            left=left,
            height=1.0,
            color=colour,
            alpha=0.45,
            edgecolor="white",
            linewidth=3,
        )
        ax.text(left + width / 2, 0, scene.place, ha="center", va="center", color=BLACK)
    for border in range(window, story.num_frames, window):
        ax.axvline(border / FPS, ymax=0.25, color=BLACK, linewidth=1.2, linestyle=":")
    ax.set(xlim=(0, story.num_frames / FPS), ylim=(-0.5, 0.5), yticks=[])
    ax.set_xlabel(f"time (seconds); dotted lines: segments of {window} frames")
    ax.spines["left"].set_visible(False)


def _pictures(strip: Axes, ax: Axes, story: Story, frames_THW3: np.ndarray) -> None:
    strip.set_axis_off()
    strip.set_xlim(0, 1)
    cell = 1 / len(story.scenes)
    spans: Sequence[tuple[int, int]] = list(pairwise(story.starts))
    for place, (scene, (start, stop)) in enumerate(zip(story.scenes, spans, strict=True)):
        middle = (start + stop) // 2
        box = strip.inset_axes((place * cell + 0.04 * cell, 0.12, 0.92 * cell, 0.56))
        box.imshow(frames_THW3[middle])
        box.set(xticks=[], yticks=[], anchor="S")
        name = "(empty)" if scene.actor is None else f"{scene.actor} {scene.code}"
        box.set_title(name.replace(" ", "\n"), fontsize=12, loc="center", pad=4)
        colour = PLACE_COLOURS[scene.place]
        box.spines[:].set(visible=True, color=colour, linewidth=2.5)
        line = ConnectionPatch(
            xyA=(0.5, 0.0),
            coordsA=box.transAxes,
            xyB=(middle / FPS, 1.0),
            coordsB=ax.get_xaxis_transform(),
            color=PALE,
            linewidth=1.5,
        )
        strip.figure.add_artist(line)
