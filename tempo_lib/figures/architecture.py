"""Tempo at a glance: the way from a video to an answer, and what its two models read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle

from tempo_lib.config import Preset
from tempo_lib.figures.style import (
    BAND,
    BLACK,
    BLUE,
    GREEN,
    GREY,
    MUTED,
    ORANGE,
    PURPLE,
    DescribedFigure,
    made_by,
    new_figure,
)

COLOURS = {
    "prompt": GREY,
    "timestamp": PURPLE,
    "vision": ORANGE,
    "question": GREEN,
    "memory": BLUE,
}
PER_LINE = 64  # tokens in a line of a sequence
LINE_INCHES = 0.3
BOX_WIDTH, BOX_HEIGHT = 0.165, 0.32
COLUMNS = (0.085, 0.295, 0.5, 0.705, 0.915)  # centres of the boxes
TOP, MIDDLE, BOTTOM = 0.8, 0.5, 0.2
ARROWS = (
    ("video", "compressor"),
    ("question", "compressor"),
    ("compressor", "memories"),
    ("compressor", "scores"),
    ("memories", "kept"),
    ("scores", "ATA"),
    ("ATA", "kept"),
    ("kept", "decoder"),
    ("decoder", "answer"),
)


def way_of_a_question(preset: Preset) -> DescribedFigure:
    """Boxes and arrows: segments, compressor, scores and memories, ATA, decoder, answer."""
    title = "From a video and a question to an answer"
    with new_figure(3.6, title, preset.name) as fig:
        ax = fig.subplots()
        ax.set_axis_off()
        ax.set(xlim=(0, 1), ylim=(0, 1))
        boxes = {name: _box(ax, *box) for name, box in _boxes(preset).items()}
        for first, second in ARROWS:
            ends = [boxes[name] for name in (first, second)]
            (xa, ya), (xb, yb) = (
                (box.get_x() + BOX_WIDTH / 2, box.get_y() + BOX_HEIGHT / 2) for box in ends
            )
            clip: Any = dict(zip(("patchA", "patchB"), ends, strict=True))
            style: Any = {
                "arrowstyle": "-|>",
                "mutation_scale": 16,
                "color": MUTED,
                "linewidth": 1.6,
            }
            ax.add_patch(FancyArrowPatch((xa, ya), (xb, yb), shrinkA=0, shrinkB=2, **clip, **style))
        fig.alt_text = f"{title}: " + "; ".join(f"{a} to {b}" for a, b in ARROWS) + "."
    return fig


def _boxes(preset: Preset) -> dict[str, tuple[float, float, str]]:
    """Name -> centre and words, with the preset's numbers."""
    numbers, window = preset.allocation, preset.video.window
    first, second, third, fourth, fifth = COLUMNS
    return {
        "video": (first, TOP, f"video,\n{window} frames\na segment"),
        "question": (first, BOTTOM, "question"),
        "compressor": (second, MIDDLE, "compressor\n(Qwen3-VL),\nby segment"),
        "memories": (third, TOP, f"{numbers.k_max} memories\na segment"),
        "scores": (third, BOTTOM, "Yes/No logits:\nscore s of each\nsegment"),
        "kept": (fourth, TOP, "first k of each,\nbehind its\ntimestamp"),
        "ATA": (
            fourth,
            BOTTOM,
            f"ATA: k from\n{numbers.k_min} to {numbers.k_max}, {numbers.budget:,}\nin all",
        ),
        "decoder": (fifth, TOP, "decoder\n(Qwen3) reads it\nand the question"),
        "answer": (fifth, BOTTOM, "answer"),
    }


def token_strips(
    sequences: Mapping[str, Sequence[str]], *, preset: str | None = None
) -> DescribedFigure:
    """Every token of a sequence as one cell in the colour of its kind, in lines of 64.

    ``sequences``: heading -> kinds of its tokens, of ``COLOURS``.
    """
    lines = {name: -(-len(kinds) // PER_LINE) for name, kinds in sequences.items()}
    height = sum(LINE_INCHES * count + 0.75 for count in lines.values()) + 0.9
    title = f"What the two models read{made_by(preset)}"
    with new_figure(height, title) as fig:
        axes = fig.subplots(len(sequences), 1, height_ratios=list(lines.values()), squeeze=False)
        for ax, (name, kinds) in zip(axes[:, 0], sequences.items(), strict=True):
            _strip(ax, kinds)
            ax.set_title(f"{name}: {len(kinds)} tokens")
        keys = [Patch(color=colour, label=kind) for kind, colour in COLOURS.items()]
        fig.legend(handles=keys, loc="outside lower center", ncols=len(keys))
        counted = {name: Counter(kinds) for name, kinds in sequences.items()}
        fig.alt_text = f"{title}. " + "; ".join(
            f"{name}: " + ", ".join(f"{count[kind]} {kind}" for kind in COLOURS if count[kind])
            for name, count in counted.items()
        )
    return fig


def _box(ax: Axes, x: float, y: float, words: str) -> Rectangle:
    corner = (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2)
    box = Rectangle(corner, BOX_WIDTH, BOX_HEIGHT, facecolor=BAND, edgecolor=GREY)
    ax.add_patch(box)
    ax.text(x, y, words, ha="center", va="center", color=BLACK, fontsize=12)
    return box


def _strip(ax: Axes, kinds: Sequence[str]) -> None:
    for place, kind in enumerate(kinds):
        line, column = divmod(place, PER_LINE)
        ax.add_patch(Rectangle((column, line + 0.08), 0.86, 0.84, color=COLOURS[kind]))
    ax.set(xlim=(0, PER_LINE), ylim=(-(-len(kinds) // PER_LINE), 0))
    ax.set_axis_off()
