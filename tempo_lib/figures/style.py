"""The common style of all figures, and a figure that carries its own description.

Theme and palette are seaborn's ("ticks", "colorblind"), which stay apart for colour-blind readers;
fonts are 12 pt at 10 inches of width, which can be read on a slide. Every figure is drawn inside
``new_figure``, so importing this module changes no global matplotlib setting.
"""

import io
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from tempo_lib.provenance import PAPER_PRESET, is_rehearsal

WIDTH_INCHES = 10.0
COLUMN_INCHES, COLUMN_POINTS = 3.4, 6.0  # of a two-column page: its width, its smallest letters
TITLE_LETTERS = 9.0  # of a bold title, per inch
SCREEN_DPI = 100  # in notebooks; saved files choose their own
_PALETTE = sns.color_palette("colorblind").as_hex()
BLUE, ORANGE, GREEN, VERMILLION, PURPLE = _PALETTE[:5]
SKY = _PALETTE[9]
BLACK, MUTED, GREY, PALE, BAND = "#222222", "#666666", "#8C8C8C", "#DDDDDD", "#F0F0F0"
DASHES = (0, (5, 3))
TITLE_POINTS = 14
RULES: Any = {  # matplotlib types every key as a literal
    **sns.axes_style("ticks"),
    **sns.plotting_context("notebook"),
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
    "text.parse_math": False,  # a question may hold a dollar sign
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "xtick.major.size": 4,
    "ytick.major.size": 4,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "lines.solid_capstyle": "butt",  # an interval ends where it ends
    "patch.force_edgecolor": False,
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # text stays text
}


@dataclass(frozen=True, kw_only=True)
class SeriesStyle:
    """The style of one series in every figure: label, colour, marker, filling and line.

    ``is_bar``: ``forest`` draws its interval as a bar behind the marks of the other series.
    """

    label: str
    colour: str
    marker: str = "o"
    filled: bool = True
    line: Any = "-"
    is_bar: bool = False

    def marks(self, filled: bool | None = None) -> dict[str, Any]:
        """Options of ``Axes.plot`` for marks without a line; ``filled`` overrides the style's."""
        face = self.colour if (self.filled if filled is None else filled) else "white"
        size = {"markersize": 7, "markeredgewidth": 1.6, "markeredgecolor": self.colour}
        return {"marker": self.marker, "linestyle": "none", "markerfacecolor": face, **size}

    def curve(self) -> dict[str, Any]:
        """Options of ``Axes.plot`` for a line with marks."""
        return {**self.marks(), "linestyle": self.line, "color": self.colour, "linewidth": 2}


def _style(label: str, colour: str, marker: str, filled: bool = True) -> SeriesStyle:
    return SeriesStyle(label=label, colour=colour, marker=marker, filled=filled)


# Colour of a reduction scheme says which end is kept, filling whether the counts are dynamic.
STYLES: dict[str, SeriesStyle] = {
    "published": _style("published", MUTED, "s"),
    "measured": _style("measured", BLUE, "o"),
    "as the paper": _style("as in the paper", BLUE, "o"),
    "token-matched": _style("token-matched", VERMILLION, "D", filled=False),
    "pooled": SeriesStyle(label="pooled, 95 % interval", colour=SKY, is_bar=True),
    "head-fixed": _style("head, fixed", BLUE, "o", filled=False),
    "tail-fixed": _style("tail, fixed", VERMILLION, "s", filled=False),
    "ata": _style("head, dynamic (ATA)", BLUE, "o"),
    "tail-dynamic": _style("tail, dynamic", VERMILLION, "s"),
    "merge": _style("merge, dynamic", GREEN, "D"),
    "majority": _style("majority-class baseline", GREY, "|"),
}
_CYCLE = [
    *zip((VERMILLION, BLUE, GREEN, PURPLE, ORANGE, BLACK), "osD^vP", strict=True),
    *zip((SKY, GREY, VERMILLION, BLUE), "os^D", strict=True),
]
_LINES = ("-", "--", ":", "-.")


def series_styles(
    names: Iterable[Any], labels: Sequence[str] | None = None
) -> dict[Any, SeriesStyle]:
    """A style for each of ``names``, in order; no two share both colour and marker.

    ``labels``: words of the legend (the names). ValueError for none, or more than there are.
    """
    keys = list(dict.fromkeys(names))
    if not 1 <= len(keys) <= len(_CYCLE):
        raise ValueError(f"a figure shows 1 to {len(_CYCLE)} series, got {len(keys)}")
    words = [str(key) for key in keys] if labels is None else labels
    return {
        key: SeriesStyle(label=label, colour=colour, marker=marker, line=_LINES[place % 4])
        for place, (key, label, (colour, marker)) in enumerate(
            zip(keys, words, _CYCLE, strict=False)
        )
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

    def save_column(self, fname: Any, **options: Any) -> None:
        """Save it laid out anew, so narrow that at 3.4 inches no text is below 6 points."""
        words = [text for text in self.findobj(Text) if text.get_visible() and text.get_text()]
        smallest = min((float(text.get_fontsize()) for text in words), default=12.0)
        wide, high = self.get_size_inches()
        title = self.get_suptitle()
        narrow = min(wide, COLUMN_INCHES * smallest / COLUMN_POINTS)
        self.set_size_inches(narrow, high)
        if title and self._suptitle is not None:  # type: ignore[attr-defined]
            self._suptitle.set_text(textwrap.fill(title, int(TITLE_LETTERS * narrow)))  # type: ignore[attr-defined]
        with warnings.catch_warnings():  # where panels are too many for a column, they touch
            warnings.filterwarnings("ignore", message="constrained_layout not applied")
            self.savefig(fname, **options)
        self.set_size_inches(wide, high)
        if title and self._suptitle is not None:  # type: ignore[attr-defined]
            self._suptitle.set_text(title)  # type: ignore[attr-defined]

    def legend_below(self, ax: Axes, num_columns: int = 4, **options: Any) -> None:
        """Every label of ``ax`` once, in one legend below all panels."""
        found = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        options = {"columnspacing": 1.5, "ncols": min(num_columns, len(found)), **options}
        self.legend(list(found.values()), list(found), loc="outside lower center", **options)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook shows: the picture, and its description where there is none."""
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=SCREEN_DPI, metadata={"Software": None})
        shown = {"image/png": stream.getvalue(), "text/plain": self.alt_text}
        return shown, {"image/png": {"alt": self.alt_text}}


@contextmanager
def new_figure(
    height_inches: float, title: str | None = None, preset: str | None = None
) -> Iterator[DescribedFigure]:
    """A figure of the common width, drawn under the common rules inside the ``with`` block.

    ``title`` with ``preset`` stands in bold at its top left. Raises ValueError at the end of the
    block when no ``alt_text`` was set.
    """
    with rc_context(RULES):
        fig = DescribedFigure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
        if title is not None:
            words = f"{title}{made_by(preset)}"
            fig.suptitle(words, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        yield fig
    if not fig.alt_text:
        raise ValueError("a figure needs alt_text: one or two sentences a blind reader can use")


def made_by(preset: str | None) -> str:
    """The part of a title that says at which scale a result was made; empty when unknown."""
    if preset is not None and is_rehearsal(preset):
        return " (REHEARSAL)"  # short: a title must not push it off the page
    names = {"tiny": "miniature", PAPER_PRESET: "Tempo-6B"}
    return "" if preset is None else f" ({names.get(preset, f'preset {preset}')})"


def printable(text: str) -> str:
    """``text`` on one line, without control characters: no font draws them, no XML holds them."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def light_grid(ax: Axes, axis: str = "y") -> None:
    ax.grid(True, axis=axis)  # type: ignore[arg-type]
    ax.tick_params(length=0)


def require_columns(table: pd.DataFrame, needed: Iterable[str]) -> None:
    """ValueError, naming them, for columns that ``table`` lacks, or for a table without rows."""
    names = list(needed)
    absent = [name for name in names if name not in table.columns]
    if absent or table.empty:
        lacks = f"lacks {', '.join(absent)}" if absent else "has no rows"
        raise ValueError(f"the table {lacks}; the figure needs {', '.join(names)}")
