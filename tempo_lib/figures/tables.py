"""Tables of the paper as pictures: published and measured side by side, row by row.

Accuracies of the paper and of the miniature belong to other models and other videos, so Table 2
draws differences to the default row and writes accuracies as numbers.
"""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from tempo_lib.evaluation.published import LONG
from tempo_lib.figures.intervals import NAN, forest
from tempo_lib.figures.style import STYLES, DescribedFigure

OURS = "Tempo"  # the group of Table 1 whose rows are measured
LETTERS_BELOW = 88  # of a line below the axes: more leave the picture


def ablation_table(
    table: pd.DataFrame, title: str, default: str = "ata", preset: str | None = None
) -> DescribedFigure:
    """A block of Table 2: rows of the paper, a panel per benchmark, differences to the default.

    ``table``: columns of ``analysis`` for a block. Beside each mark stands the accuracy, measured
    ones with half of their 95 % interval. Rows that use ATA's tokens anyway have no token-matched
    mark of their own. ValueError for a table where nothing is measured.
    """
    if table["measured"].isna().all():
        raise ValueError(f"nothing of {title!r} was measured; evaluate one suite and variant")
    heads = _headings(table)
    rows = [mark for cell in table.to_dict("records") for mark in _cell(cell, heads)]
    frame = pd.concat([pd.DataFrame(rows), _tokens(table)], ignore_index=True)
    measured = frame[frame["series"] == "measured"].groupby("panel")["point"].count()
    frame.loc[frame["panel"].map(measured).fillna(0) == 0, "point"] = NAN
    return forest(
        frame,
        title=f"Table 2 {title}",
        xlabel=fill(
            "Marks: difference to the default row (shaded), in points, with 95 % intervals. "
            f"Numbers: accuracy (%). {_budget_in_words(table, default)}",
            LETTERS_BELOW,
        ),
        preset=preset,
        styles={name: STYLES[name] for name in ("published", "measured", "token-matched")},
        texts={"accuracy": ""},
        shaded=[_label(cell) for cell in table.to_dict("records") if cell["variant"] == default],
        letters=20,
    )


def comparison(table: pd.DataFrame, preset: str | None = None) -> DescribedFigure:
    """Table 1: every row with its published accuracies, and those that are measured.

    ``table``: columns of ``analysis`` for Table 1. Below each row of Tempo stand the tokens per
    frame that it really uses. ValueError where nothing was measured.
    """
    if table["measured"].isna().all():
        raise ValueError("nothing of Table 1 was measured; evaluate at least one suite")
    rows: list[dict[str, Any]] = []
    labels = _models(table)
    for cell, label in zip(table.to_dict("records"), labels, strict=True):
        at = {"row": label, "group": cell["group"], "panel": _two_lines(cell["benchmark"])}
        published = {"point": cell["published"], "accuracy": _number(cell["published"])}
        rows.append({**at, "series": "published", **published})
        if cell["group"] == OURS or not np.isnan(cell["measured"]):
            found = {
                "point": cell["measured"],
                "accuracy": _spread(cell, "measured", "low", "high"),
            }
            ends = {"low": cell["low"], "high": cell["high"]}
            rows.append({**at, "series": "measured", **found, **ends})
        if cell["group"] == OURS:
            at["row"] += ",\ntokens per frame"
            for series, key in (("published", "used"), ("measured", "tokens_per_frame")):
                rows.append({**at, "series": series, "point": NAN, "accuracy": _number(cell[key])})
    costs = table.assign(row=labels, panel="tokens\nper frame", point=NAN, series="published")
    costs = costs.rename(columns={"range": "accuracy"}).drop_duplicates("row")
    return forest(
        pd.concat([pd.DataFrame(rows), costs[[*rows[0]]]], ignore_index=True),
        title="Table 1: long video benchmarks, published and measured",
        xlabel="accuracy (%), measured ones with 95 % intervals",
        preset=preset,
        styles={name: STYLES[name] for name in ("published", "measured")},
        texts={"accuracy": ""},
        shaded=[row["row"] for row in rows if row["group"] == OURS],
        reference=None,
        number=".1f",
        letters=24,
        pad=0.08,
    )


def _budget_in_words(table: pd.DataFrame, default: str) -> str:
    """What the default row's budget is on the suites that were measured, and how far it binds."""
    rows = table[(table["variant"] == default) & table["measured"].notna()]
    rows = rows[~rows["benchmark"].str.endswith(LONG)]
    least, most = rows["budget"].min(), rows["budget"].max()
    tokens = f"{least:.0f}" if least == most else f"{least:.0f} to {most:.0f}"
    share = 100 * np.average(rows["binding"], weights=rows["n"])
    half = "about half of what a median video's segments hold"
    return f"Measured with {tokens} tokens, {half}; they bind for {share:.0f} % of the questions"


def _headings(table: pd.DataFrame) -> dict[str, str]:
    """Benchmark -> its name in two lines, and the number of questions or why there is none."""
    headings = {}
    for benchmark, cells in table.groupby("benchmark", sort=False):
        size = f"n = {cells['n'].max():.0f}"
        if cells["measured"].isna().all():
            size = "not measured" if cells["suite"].any() else "no suite"
        headings[str(benchmark)] = f"{_two_lines(str(benchmark))}\n{size}"
    return headings


def _cell(cell: Mapping[str, Any], headings: Mapping[str, str]) -> list[dict[str, Any]]:
    """Marks of one row and benchmark of Table 2: published, measured, token-matched."""
    at = {"row": _label(cell), "panel": headings[cell["benchmark"]]}
    rows = [{"series": "published", "point": cell["published_difference"]}]
    rows[0]["accuracy"] = _number(cell["published"])
    for series, prefix in (("measured", ""), ("token-matched", "twin_")):
        if series == "measured" or cell["twin"] not in ("", cell["variant"]):
            names = {"point": "difference", "low": "difference_low", "high": "difference_high"}
            mark = {key: cell[f"{prefix}{name}"] for key, name in names.items()}
            mark["accuracy"] = _spread(cell, *(f"{prefix}{n}" for n in ("measured", "low", "high")))
            rows.append({"series": series, **mark})
    return [{**at, **row} for row in rows]


def _tokens(table: pd.DataFrame) -> pd.DataFrame:
    """Texts of the last panel: tokens per video, mean over the questions of all suites."""
    rows = []
    known = table[table["tokens"].notna() & ~table["benchmark"].str.endswith(LONG)]
    for _, cells in known.groupby("variant", sort=False):
        at = {"row": _label(cells.iloc[0].to_dict()), "panel": "tokens\nper video", "point": NAN}
        mean = np.average(cells["tokens"], weights=cells["n"])
        rows.append({**at, "series": "measured", "accuracy": f"{mean:.0f}"})
        controls = cells[cells["twin_tokens"].notna() & (cells["twin"] != cells["variant"])]
        if len(controls):
            mean = np.average(controls["twin_tokens"], weights=controls["twin_n"])
            rows.append({**at, "series": "token-matched", "accuracy": f"{mean:.0f}"})
    return pd.DataFrame(rows)


def _label(cell: Mapping[str, Any]) -> str:
    """The paper's words for a row, its remark on a line of its own, and what is missing."""
    words = str(cell["paper_row"]).replace(" (", "\n(")
    missing = str(cell["reason"])
    return f"{words}\n{missing}" if missing.startswith("needs") else words


def _models(table: pd.DataFrame) -> list[str]:
    """Name and size of every row's model; a value of another size is named with it."""
    notes = table.loc[table["note"].fillna("") != "", ["paper_row", "benchmark", "note"]]
    others = {row.paper_row: f",\n{row.benchmark} {row.note}" for row in notes.itertuples()}
    sizes = table["size"].where(table["size"] != "-", "")
    words = zip(table["paper_row"], sizes, strict=True)
    return [f"{name} {size}".rstrip() + others.get(name, "") for name, size in words]


def _two_lines(benchmark: str) -> str:
    """A narrow panel's heading: LongVideoBench and Video-MME Long take two lines."""
    words = benchmark.replace("-MME Long", "-\nMME Long")
    return words.replace("LongVideoBench", "LongVideo-\nBench")


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.1f}"


def _spread(cell: Mapping[str, Any], value: str, low: str, high: str) -> str:
    """``71.2+-9``: an accuracy with half of its interval."""
    if pd.isna(cell[value]):
        return "-"
    return f"{cell[value]:.1f}\N{PLUS-MINUS SIGN}{(cell[high] - cell[low]) / 2:.0f}"


def styled(table: pd.DataFrame, caption: str) -> Styler:
    """``table`` to be read in a notebook: no index, three digits, "-" for what is absent.

    The same table gives the same HTML: identifiers are not random.
    """
    rules: Any = [
        {"selector": "td, th", "props": "text-align: left; padding: 0.2em 0.8em"},
        {"selector": "caption", "props": "font-weight: bold; text-align: left"},
    ]
    shown = Styler(table, uuid="table", cell_ids=False, caption=caption, precision=3, na_rep="-")
    return shown.hide(axis="index").set_table_styles(rules)
