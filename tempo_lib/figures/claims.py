"""The paper's claims at a glance: is the test fair, what was measured, what the paper has.

One line per claim, in the paper's order. The verdict is that over trainings once there are enough
of them, before that of the weights at hand on other videos.
"""

import math
import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tempo_lib.figures.style import (
    BAND,
    BLACK,
    BLUE,
    GREEN,
    GREY,
    MUTED,
    PALE,
    SKY,
    STYLES,
    VERMILLION,
    DescribedFigure,
    light_grid,
    new_figure,
    require_columns,
)

ROW_INCHES, REST_INCHES = 0.37, 2.0
TEXT_POINTS, LABEL_LETTERS, REASON_LETTERS = 11.5, 33, 20
COLUMN_INCHES = {"fair test?": 1.65, "trainings": 0.8, "verdict": 1.3}
TICKS = (-80, -40, -10, -5, 0, 5, 10, 40, 80)
LINEAR_TO = 10  # points; effects beyond are drawn on a logarithmic scale
OFFSET = 0.27  # of a row: the paper's mark above, that at equal tokens below
# Shape and word say the same as the colour.
MARKED = {
    "shown": ("\N{HEAVY CHECK MARK} shown", BLUE),
    "reversed": ("\N{HEAVY BALLOT X} reversed", VERMILLION),
    "not shown": ("\N{WHITE CIRCLE} not shown", BLACK),
    "not testable here": ("\N{EN DASH} not testable", GREY),
}
NEEDED = (
    *("family", "claim", "says", "source", "unit", "compared", "n", "effect", "low", "high"),
    *("published", "verdict", "why", "num_seeds", "with_sign", "next_low", "next_high"),
    "seeds_verdict",
)


def claims_forest(
    table: pd.DataFrame, preset: str | None = None, family: str = "all"
) -> DescribedFigure:
    """The measured claims of the paper about accuracy in ``family``, with their verdicts.

    ``table``: of ``claims_table``. A mark is the effect as the paper compares (empty where the
    test is not fair), with the 95 % interval for other videos or, of several trainings, the
    prediction interval of a new one; strokes are the suites, which stand alone where they lie on
    different sides. ValueError without any row.
    """
    require_columns(table, NEEDED)
    lines = _lines(table, family)
    if lines.empty:
        raise ValueError(
            f"no claim of family {family!r} was measured; evaluate variants that a claim compares"
        )
    num_seeds = int(lines["num_seeds"].max())
    title = f"What the paper claims, and what {_trainings(num_seeds)} of the miniature show"
    title = title.replace("training of the miniature show", "training of the miniature shows")
    suites = table[(table["family"] != "all") & (table["n"] > 0)]
    matched = _of_way(table[table["family"] == family], "token-matched")
    with new_figure(REST_INCHES + ROW_INCHES * len(lines), title, preset) as fig:
        ax = fig.subplots()
        _frame(ax, lines)
        for place, row in enumerate(lines.to_dict("records")):
            alone = suites[(suites["claim"] == row["claim"])]
            alone = alone[alone["compared"] == row["compared"]]
            _draw(ax, place, row, 100 * alone["effect"].to_numpy(float))
            if row["claim"] in matched.index:
                point = 100 * matched.loc[row["claim"], "effect"]
                style = {**STYLES["token-matched"].marks(), "markersize": 5}
                ax.plot(point, place + OFFSET, zorder=3, **style)
        _limits(ax, lines, suites)
        _columns(ax, lines, num_seeds)
        low, high = int(lines["n"].min()), int(lines["n"].max())
        size = f"{low}" if low == high else f"{low} to {high}"
        ax.set_xlabel(f"effect (points of accuracy)\nn = {size} pairs of predictions")
        _legend(fig, num_seeds)
        fig.alt_text = f"{title}. {' '.join(map(_sentence, lines.to_dict('records')))}"
    return fig


def _lines(table: pd.DataFrame, family: str) -> pd.DataFrame:
    """The rows to draw: effects in points, interval and verdict as they are shown."""
    rows = table[(table["family"] == family) & (table["unit"] == "accuracy")]
    rows = rows[(rows["n"] > 0) & (rows["source"] != "beyond")]
    rows = _of_way(rows, "as the paper").reset_index()
    is_over = rows["num_seeds"] > 1
    judged = rows["seeds_verdict"].isin([*MARKED]) & is_over
    return rows.assign(
        point=100 * rows["effect"],
        start=100 * rows["low"].mask(is_over & rows["effect"].notna(), rows["next_low"]),
        stop=100 * rows["high"].mask(is_over & rows["effect"].notna(), rows["next_high"]),
        shown=rows["verdict"].mask(judged, rows["seeds_verdict"]),
    )


def _of_way(rows: pd.DataFrame, compared: str) -> pd.DataFrame:
    return rows[rows["compared"] == compared].set_index("claim")


def _frame(ax: Axes, lines: pd.DataFrame) -> None:
    """Labels, a light line per row, and grey behind what cannot be tested."""
    light_grid(ax, "x")
    ax.set_ylim(len(lines) - 0.5, -0.5)
    labels = [
        textwrap.fill(f"{row.says} ({row.source})", LABEL_LETTERS) for row in lines.itertuples()
    ]
    ax.set_yticks(range(len(lines)), labels, fontsize=TEXT_POINTS, linespacing=0.95)
    ax.spines["left"].set_visible(False)
    ax.axvline(0, color=BLACK, linewidth=1, zorder=1)
    for place, row in enumerate(lines.itertuples()):
        ax.axhline(place + 0.5, color=PALE, linewidth=0.6, zorder=0)
        if row.why:
            ax.axhspan(place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=0)
            ax.get_yticklabels()[place].set_color(MUTED)


def _draw(ax: Axes, place: int, row: dict[str, Any], suites: Any) -> None:
    colour = GREY if row["why"] else BLUE
    paper = {**STYLES["published"].marks(), "marker": "v"}
    ax.plot(100 * row["published"], place - OFFSET, zorder=4, **paper)
    ax.vlines(suites, place - 0.2, place + 0.2, color=colour, linewidth=1.2, zorder=2)
    if math.isnan(row["point"]):
        ax.hlines(place, suites.min(), suites.max(), color=colour, linestyle=":", zorder=1)
        return
    bar = GREY if row["why"] else SKY
    ax.hlines(place, row["start"], row["stop"], color=bar, linewidth=6, alpha=0.45, zorder=2)
    style = {**STYLES["as the paper"].marks(filled=not row["why"]), "markeredgecolor": colour}
    ax.plot(row["point"], place, zorder=5, **{**style, "markersize": 8})


def _limits(ax: Axes, lines: pd.DataFrame, suites: pd.DataFrame) -> None:
    """Wide enough for every mark; a prediction interval that reaches further has an arrow."""
    own = suites[suites["claim"].isin(lines["claim"])]
    shown = [lines["point"], 100 * lines["published"], 100 * own["effect"]]
    values = pd.concat([*shown, 100 * lines["low"], 100 * lines["high"]]).dropna()
    low, high = min(0.0, values.min()), max(0.0, values.max())
    room = 0.06 * (high - low or 1.0)
    low, high = low - room, high + room
    ax.set_xscale("symlog", linthresh=LINEAR_TO, linscale=1.0)
    ax.set_xlim(low, high)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    ax.set_xticks(ticks, [f"{tick:+d}" if tick else "0" for tick in ticks])
    ax.minorticks_off()
    for place, row in enumerate(lines.itertuples()):
        for end, marker, is_out in (
            (low, "<", row.start < low),
            (high, ">", row.stop > high),
        ):
            if is_out:
                ax.plot(end, place, marker=marker, color=SKY, markersize=8, clip_on=False, zorder=2)


def _columns(ax: Axes, lines: pd.DataFrame, num_seeds: int) -> None:
    """Words right of the panel, below their headings: reason, trainings, verdict."""
    left = 12.0
    heads = {"trainings": "paper's\nsign in", "verdict": "verdict", "fair test?": "fair test?"}
    for name, inches in COLUMN_INCHES.items():
        options: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
        options |= {"va": "center", "fontsize": TEXT_POINTS, "linespacing": 0.95}
        for place, row in enumerate(lines.to_dict("records")):
            text, colour = _cell(name, row)
            weight = "bold" if name == "verdict" and not row["why"] else "normal"
            at: dict[str, Any] = {
                "xy": (1, place),
                "xycoords": ax.get_yaxis_transform(),
                "xytext": (left, 0),
            }
            ax.annotate(text, color=colour, fontweight=weight, **at, **options)
        head: dict[str, Any] = {"xy": (1, 1), "xycoords": "axes fraction", "xytext": (left, 5)}
        options |= {"va": "bottom", "color": MUTED}
        ax.annotate(heads[name], **head, **options)
        left += 72 * inches
    note = (
        "one training:\nno statement about others"
        if num_seeds == 1
        else "verdicts and intervals:\nover trainings"
    )
    options |= {"xytext": (12.0, -8), "va": "top", "color": MUTED}
    ax.annotate(note, xy=(1, 0), xycoords="axes fraction", **options)


def _cell(name: str, row: dict[str, Any]) -> tuple[str, str]:
    if name == "trainings":
        few = row["num_seeds"] < 2
        return f"{row['with_sign']:.0f} of {row['num_seeds']:.0f}", GREY if few else BLACK
    if name == "verdict":
        return MARKED[row["shown"]]
    if row["why"]:
        return textwrap.fill(f"no: {row['why']}", REASON_LETTERS), MUTED
    return ("yes; suites differ" if math.isnan(row["point"]) else "yes"), GREEN


def _legend(fig: DescribedFigure, num_seeds: int) -> None:
    interval = "95 %, other videos" if num_seeds < 2 else "95 %, a new training"
    ours = STYLES["as the paper"].marks()
    paper = {**STYLES["published"].marks(), "marker": "v"}
    handles = {
        "measured": Line2D([], [], **ours),
        interval: Line2D([], [], color=SKY, linewidth=6, alpha=0.45),
        "one suite": Line2D([], [], color=BLUE, linestyle="none", marker="|", markersize=12),
        "at equal tokens": Line2D([], [], **STYLES["token-matched"].marks()),
        "the paper": Line2D([], [], **paper),
    }
    options: dict[str, Any] = {"loc": "outside lower center", "ncols": 5, "columnspacing": 1.2}
    fig.legend(list(handles.values()), list(handles), handletextpad=0.5, **options)


def _trainings(num: int) -> str:
    return "one training" if num < 2 else f"{num} trainings"


def _sentence(row: dict[str, Any]) -> str:
    said = [f"{row['says']} ({row['source']}):"]
    if math.isnan(row["point"]):
        said.append("suites differ,")
    else:
        said.append(f"{row['point']:+.1f} ({row['start']:+.1f} to {row['stop']:+.1f}),")
    if not math.isnan(row["published"]):
        said.append(f"the paper {100 * row['published']:+.1f},")
    if row["num_seeds"] > 1:
        said.append(f"{row['with_sign']:.0f} of {row['num_seeds']:.0f} trainings,")
    reason = f" ({row['why']})" if row["why"] else ""
    return f"{' '.join(said)} {row['shown']}{reason}."
