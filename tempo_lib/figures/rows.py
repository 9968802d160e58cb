"""The rows of a forest plot: where each of them stands, and what they say in words."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tempo_lib.figures.style import SeriesStyle

LINE, LABEL_LINE, HEADING = 0.205, 0.2, 0.33  # inches: of a series, a label's line, a heading


@dataclass
class Places:
    """Where everything stands, in inches below the top of the axes."""

    y: dict[int, float] = field(default_factory=dict)  # of each row of the frame
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)  # of each row's label
    labels: dict[str, float] = field(default_factory=dict)  # wrapped words -> middle
    headings: dict[str, float] = field(default_factory=dict)
    height: float = 0.0


def place_rows(
    frame: pd.DataFrame, styles: Mapping[Any, SeriesStyle], letters: int, pad: float
) -> Places:
    """Places of the rows of ``forest``'s frame: series of a row below each other, in style order.

    Labels are wrapped after ``letters``; ``pad`` inches part the rows.
    """
    places = Places()
    for group, members in frame.groupby("group", sort=False):
        if group:
            places.headings[str(group)] = places.height + 0.6 * HEADING
            places.height += HEADING
        for row, cells in members.groupby("row", sort=False):
            lines = [name for name in styles if name in set(cells["series"])]
            lines = [name for name in lines if not styles[name].is_bar]
            label = "\n".join(
                line for part in str(row).split("\n") for line in textwrap.wrap(part, letters)
            )
            height = max(LINE * len(lines), LABEL_LINE * (label.count("\n") + 1)) + pad
            middle = places.height + height / 2
            first = middle - LINE * (len(lines) - 1) / 2
            slots = {name: first + LINE * place for place, name in enumerate(lines)}
            places.y |= {i: slots.get(s, middle) for i, s in cells["series"].items()}
            places.spans[str(row)] = (places.height, places.height + height)
            places.labels[label] = middle
            places.height += height
    return places


def describe_rows(
    frame: pd.DataFrame,
    title: str,
    styles: Mapping[Any, SeriesStyle],
    texts: Mapping[str, str],
    number: str,
) -> str:
    """Every row of a forest in words: panel, series, point with its interval, texts."""
    sentences = []
    for row, cells in frame.groupby("row", sort=False):
        parts = []
        for cell in cells.to_dict("records"):
            names = [cell["panel"], styles[cell["series"]].label if len(styles) > 1 else ""]
            said = [_one_line(name) for name in names if name]
            if pd.notna(cell["point"]):
                said.append(f"{cell['point']:{number}}")
            if pd.notna(cell["low"]):
                said.append(f"({cell['low']:{number}} to {cell['high']:{number}})")
            words = [cell[name] for name in texts if pd.notna(cell[name]) and cell[name]]
            said += [_one_line(word) for word in words if str(word) not in said]
            parts.append(" ".join(said))
        sentences.append(f"{_one_line(row)}: {'; '.join(parts)}.")
    return f"{_one_line(title)}. {' '.join(sentences)}"


def _one_line(words: Any) -> str:
    return " ".join(str(words).replace("-\n", "").split())
