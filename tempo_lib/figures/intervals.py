"""Forest plots: rows of points with intervals, published and measured side by side.

``forest`` draws every result of this project that is a number with an interval: claims, blocks of
the paper's tables, training seeds, overrides, interventions. Each is one call with another frame.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import blended_transform_factory

from tempo_lib.figures.rows import Places, describe_rows, place_rows
from tempo_lib.figures.style import (
    BAND,
    BLACK,
    GREY,
    PALE,
    DescribedFigure,
    SeriesStyle,
    light_grid,
    new_figure,
    require_columns,
    series_styles,
)

LABEL_LETTERS = 32  # of one line of a row's label
PAD = 0.14  # inches between rows
LETTER_POINTS = 7.4  # width of a letter of a text column
TEXT_POINTS = 11.0
NAN = float("nan")
OPTIONAL: dict[str, Any] = {"series": "", "panel": "", "group": "", "hollow": False}
OPTIONAL |= dict.fromkeys(("low", "high", "margin", "threshold"), NAN)


def forest(
    frame: pd.DataFrame,
    *,
    title: str,
    xlabel: str,
    preset: str | None = None,
    styles: Mapping[Any, SeriesStyle] | None = None,
    texts: Mapping[str, str] | None = None,
    bold: Collection[str] = (),
    shaded: Collection[str] = (),
    reference: float | None = 0.0,
    xlim: tuple[float, float] | None = None,
    number: str = "+.1f",
    letters: int = LABEL_LETTERS,
    pad: float = PAD,
) -> DescribedFigure:
    """Rows of points with intervals; several series in a row, several panels beside each other.

    ``frame``: one row per mark, in the order of drawing, with the columns

    * ``row``: label of the row; ``point``: where its mark stands, in the unit of ``xlabel`` (NaN:
      no mark, but texts);
    * ``low``, ``high`` (optional): ends of its interval;
    * ``series`` (optional): which of ``styles`` it has (default: ``series_styles``);
    * ``panel`` (optional): the heading of the panel it stands in; a panel without any point
      holds its texts alone;
    * ``group`` (optional): heading over the rows of one group;
    * ``margin`` (optional): half the width of a grey band around ``reference``, inside which two
      variants count as equal; ``threshold`` (optional): a dotted line that the effect must exceed;
    * ``hollow`` (optional): the mark is drawn empty;
    * the columns named by ``texts`` (column -> heading): words beside the panel at the height of
      the mark and in its colour, empty where there are none; those in ``bold`` are bold.

    ``shaded`` rows stand on grey, ``reference`` is a line across all rows, ``number`` formats the
    points of the alt text; labels are wrapped after ``letters``, rows stand ``pad`` inches apart.
    ValueError for absent columns, no rows, or a series without a style.
    """
    texts = dict(texts or {})
    frame, styles = _complete(frame, styles, texts)
    places = place_rows(frame, styles, letters, pad)
    panels = list(dict.fromkeys(frame["panel"]))
    is_narrow = len(panels) > 2
    head = 0.22 * max(str(words).count("\n") + 1 for words in (*panels, *texts.values()))
    with new_figure(places.height + 1.4 + head, title, preset) as fig:
        axes, has_points = _panels(fig, frame, panels)
        for ax, name in zip(axes, panels, strict=True):
            part = frame[frame["panel"] == name]
            _rows(ax, places, shaded)
            if has_points[name]:
                _guides(ax, part, places, reference)
                _marks(ax, part, places, styles)
                ax.set(title=name, xlabel="" if is_narrow else xlabel)
                _texts(ax, part, places, styles, texts, bold)
            else:
                _texts(ax, part, places, styles, dict.fromkeys(texts, name), bold)
        shown = [ax for ax, name in zip(axes, panels, strict=True) if has_points[name]]
        _limits(shown, xlim, 0.14 if is_narrow else 0.06)  # marks are wide in a narrow panel
        if is_narrow:
            _few_ticks(shown, reference)
        axes[0].set_yticks(list(places.labels.values()), list(places.labels))
        _legend(fig, frame, styles, xlabel if is_narrow else "")
        fig.alt_text = describe_rows(frame, f"{title}: {xlabel}", styles, texts, number)
    return fig


def _complete(
    frame: pd.DataFrame, styles: Mapping[Any, SeriesStyle] | None, texts: Mapping[str, str]
) -> tuple[pd.DataFrame, Mapping[Any, SeriesStyle]]:
    """The frame with every optional column, and a style for each series."""
    require_columns(frame, ["row", "point", *texts])
    frame = frame.assign(**{k: v for k, v in OPTIONAL.items() if k not in frame.columns})
    frame = frame.fillna({"group": ""}).reset_index(drop=True)
    styles = series_styles(frame["series"]) if styles is None else styles
    unknown = sorted(set(map(str, frame["series"])) - set(map(str, styles)))
    if unknown:
        raise ValueError(f"no style for {', '.join(unknown)}; known: {', '.join(map(str, styles))}")
    return frame, styles


def _panels(
    fig: DescribedFigure, frame: pd.DataFrame, panels: list[Any]
) -> tuple[list[Axes], dict[Any, bool]]:
    """Equal axes for panels with points, narrow ones for those that hold texts alone."""
    has_points = frame["point"].notna().groupby(frame["panel"]).any().to_dict()
    if len(panels) > 2:
        fig.get_layout_engine().set(w_pad=0.02, wspace=0.01)  # type: ignore[union-attr, call-arg]
    ratios = [1.0 if has_points[name] else 0.02 for name in panels]
    options: Any = {"sharey": True, "squeeze": False, "width_ratios": ratios}
    axes = list(fig.subplots(1, len(panels), **options)[0])
    for ax, name in zip(axes, panels, strict=True):
        light_grid(ax, "x")
        if not has_points[name]:
            ax.set_xticks([])
            ax.spines["bottom"].set_visible(False)
    return axes, has_points


def _rows(ax: Axes, places: Places, shaded: Collection[str]) -> None:
    """Lines between the rows, headings of groups, and grey behind shaded rows."""
    ax.set_ylim(places.height, 0)
    for row, (top, bottom) in places.spans.items():
        ax.axhline(bottom, color=PALE, linewidth=0.6, zorder=0)
        if row in shaded:
            ax.axhspan(top, bottom, color=BAND, zorder=0, linewidth=0)
    if ax.get_subplotspec().colspan.start == 0:  # type: ignore[union-attr]
        for words, y in places.headings.items():
            edge = blended_transform_factory(ax.figure.transFigure, ax.transData)
            options: dict[str, Any] = {"fontweight": "bold", "va": "center", "transform": edge}
            ax.text(0.01, y, words, **options).set_in_layout(False)  # it may reach over the panels
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _guides(ax: Axes, part: pd.DataFrame, places: Places, reference: float | None) -> None:
    """The reference, bands of equivalence, and what an effect must exceed."""
    if reference is not None:
        ax.axvline(reference, color=BLACK, linewidth=1, zorder=1)
    for row, cells in part.groupby("row", sort=False):
        top, bottom = places.spans[str(row)]
        margin, threshold = cells["margin"].max(), cells["threshold"].max()
        if pd.notna(margin):
            middle = reference or 0.0
            span = (middle - margin, middle + margin)
            ax.fill_betweenx([top + 0.03, bottom - 0.03], *span, color=PALE, linewidth=0, zorder=0)
        if pd.notna(threshold):
            ends = (top + 0.03, bottom - 0.03)
            ax.vlines(threshold, *ends, color=GREY, linewidth=2, linestyle=":")


def _marks(ax: Axes, part: pd.DataFrame, places: Places, styles: Mapping[Any, SeriesStyle]) -> None:
    for name, cells in part.groupby("series", sort=False):
        style = styles[name]
        y = cells.index.map(places.y).to_numpy(float)
        if style.is_bar:
            for middle, cell in zip(y, cells.itertuples(), strict=True):
                top, bottom = places.spans[str(cell.row)]
                ends = [min(top + 0.08, middle), max(bottom - 0.08, middle)]
                ax.fill_betweenx(ends, cell.low, cell.high, color=style.colour, alpha=0.3, zorder=1)
                ax.vlines(cell.point, *ends, color=style.colour, linewidth=3, zorder=2)
            continue
        ax.hlines(y, cells["low"], cells["high"], color=style.colour, linewidth=2, zorder=2)
        for hollow, chosen in cells.assign(y=y).groupby("hollow"):
            marks = style.marks(filled=False if hollow else None)
            ax.plot(chosen["point"], chosen["y"], zorder=3, **marks)


def _texts(
    ax: Axes,
    part: pd.DataFrame,
    places: Places,
    styles: Mapping[Any, SeriesStyle],
    texts: Mapping[str, str],
    bold: Collection[str],
) -> None:
    """Columns of words right of the axes, each at the height of its mark."""
    left = 8.0
    for column, heading in texts.items():
        words = part[column].fillna("").astype(str)
        words = words[words != ""]
        if words.empty:
            continue
        options: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "fontsize": TEXT_POINTS}
        options |= {"xytext": (left, 0), "textcoords": "offset points"}
        for index, text in words.items():
            style = styles[part.loc[index, "series"]]
            colour = BLACK if style.is_bar or len(styles) == 1 else style.colour
            weight = "bold" if text in bold else "normal"
            at = (1, places.y[index])
            ax.annotate(text, at, color=colour, fontweight=weight, va="center", **options)
        options["xytext"] = (left, 6)
        if heading:
            ax.annotate(heading, (1, 0), va="baseline", **options)
        widest = max(len(line) for text in (*words, heading) for line in text.split("\n"))
        left += LETTER_POINTS * widest + 8


def _limits(axes: list[Axes], xlim: tuple[float, float] | None, margin: float) -> None:
    """One range for all panels, so that they compare."""
    if xlim is None:
        for ax in axes:
            ax.margins(x=margin)
            ax.autoscale_view(scaley=False)
        ends = [ax.get_xlim() for ax in axes]
        xlim = (min(low for low, _ in ends), max(high for _, high in ends))
    for ax in axes:
        ax.set_xlim(*xlim)


def _few_ticks(axes: list[Axes], reference: float | None) -> None:
    """The reference and round numbers near the ends that do not touch it: three labels at most."""
    low, high = axes[0].get_xlim()
    step = 10.0 ** np.floor(np.log10((high - low) / 2))
    ends = [step * np.ceil(low / step), step * np.floor(high / step)]
    if reference is not None:
        apart = [end for end in ends if abs(end - reference) > 0.3 * (high - low)]
        ends = sorted({*apart, reference})
    for ax in axes:
        ax.set_xticks(ends)


def _legend(
    fig: DescribedFigure, frame: pd.DataFrame, styles: Mapping[Any, SeriesStyle], note: str
) -> None:
    """One entry per series that is drawn; nothing for a single series without a note."""
    present = [style for name, style in styles.items() if name in set(frame["series"])]
    if len(present) < 2 and not note:
        return
    handles = [
        Patch(facecolor=style.colour, alpha=0.4)
        if style.is_bar
        else Line2D([], [], **style.marks())
        for style in present
    ]
    names = [style.label for style in present]
    options: Any = {"loc": "outside lower center", "ncols": min(len(names), 5)}
    fig.legend(handles, names, title=note or None, columnspacing=1.5, **options)
