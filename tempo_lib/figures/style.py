"""The look of all figures, and a figure that carries its own description.

Colours are those of Okabe and Ito (2008), which stay apart for colour-blind readers; fonts are
12 pt at 10 inches of width, which can be read on a slide.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH_INCHES = 10.0
SCREEN_DPI = 100  # in notebooks; saved files choose their own
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, GREY, PALE = "#56B4E9", "#CC79A7", "#222222", "#8C8C8C", "#DDDDDD"
TITLE_POINTS = 14
RULES: Any = {  # matplotlib types every key as a literal
    "font.size": 12,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
    "text.parse_math": False,  # a question may hold a dollar sign
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # text stays text
}


class DescribedFigure(Figure):
    """A matplotlib figure with ``alt_text``, which travels in the files it is saved to.

    It belongs to no global list of open figures, and notebooks show it under any backend.
    """

    alt_text: str = ""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Like ``Figure.savefig``; the description goes into the file's own metadata."""
        suffix = Path(fname).suffix if isinstance(fname, str | Path) else ".png"
        kind = str(options.get("format") or suffix.lstrip(".") or "png").lower()
        field = {"png": "Description", "svg": "Description", "pdf": "Subject"}.get(kind)
        if field is not None and self.alt_text:
            options["metadata"] = {**(options.get("metadata") or {}), field: self.alt_text}
        with rc_context(RULES):  # some rules are read only while writing
            super().savefig(fname, **options)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook shows: the picture, and its description where there is none."""
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=SCREEN_DPI, metadata={"Software": None})
        shown = {"image/png": stream.getvalue(), "text/plain": self.alt_text}
        return shown, {"image/png": {"alt": self.alt_text}}


@contextmanager
def new_figure(height_inches: float) -> Iterator[DescribedFigure]:
    """A figure of the common width, drawn under the common rules inside the ``with`` block.

    Raises ValueError at the end of the block when no ``alt_text`` was set.
    """
    with rc_context(RULES):
        fig = DescribedFigure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
        yield fig
    if not fig.alt_text:
        raise ValueError("a figure needs alt_text: one or two sentences a blind reader can use")


def made_by(preset: str | None) -> str:
    """The part of a title that says at which scale a result was made; empty when unknown."""
    return "" if preset is None else f" (preset {preset})"


def printable(text: str) -> str:
    """``text`` on one line, without control characters: no font draws them, no XML holds them."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def light_grid(ax: Axes, axis: str = "y") -> None:
    ax.grid(True, axis=axis)  # type: ignore[arg-type]
    ax.tick_params(length=0)
