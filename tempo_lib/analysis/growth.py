"""How time and memory grow, measured by ``tempo bench growth``, beside the cost model's count."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

AXES = {"frames": "frames of the video", "questions": "questions", "budget": "memory tokens read"}
MEASURES = ("seconds", "megabytes", "operations")


def growth_table(documents: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per measured point of each document; ValueError for one without predictions.

    ``model``: its size; ``axis`` and ``value``: what grows, and to what; ``seconds`` of a
    processor with ``least`` and ``most`` of its rounds, ``reference`` those of the reference mode;
    ``megabytes`` above what was held before. ``operations`` and ``held`` megabytes are predicted;
    ``predicted`` seconds are operations at the rate of the model's longest video.
    """
    tables = [_of_one(document) for document in documents]
    return pd.concat(tables, ignore_index=True)


def _of_one(document: Mapping[str, Any]) -> pd.DataFrame:
    points = [row for row in document["pairs"] if "axis" in row]
    if not points or any("predicted" not in row for row in points):
        raise ValueError(f"{document['made_by']}: no predictions beside its points; measure anew")
    rows = []
    for row in points:
        ours, reference = (row["sides"][side] for side in ("ours", "reference"))
        seconds, memory = ours["cpu_seconds"], ours["peak_megabytes"]
        rows.append(
            {
                "model": document["sizes"].get("size", document["preset"]),
                "axis": row["axis"],
                "value": row["size"],
                **dict(zip(("seconds", "least", "most"), seconds.values(), strict=True)),
                "reference": reference["cpu_seconds"]["median"],
                "megabytes": np.nan if memory is None else memory["median"],
                "operations": row["predicted"]["operations"],
                "held": row["predicted"].get("megabytes", np.nan),
            }
        )
    table = pd.DataFrame(rows)
    longest = table[table["axis"] == "frames"].nlargest(1, "value").iloc[0]
    table["predicted"] = table["operations"] * longest["seconds"] / longest["operations"]
    return table


def powers(table: pd.DataFrame) -> pd.DataFrame:
    """Per model and axis, the power of its size that each measure grows with (1: linear).

    ``last``: of the seconds between the two largest sizes, where what is constant weighs least.
    """
    found = []
    for (model, axis), points in table.groupby(["model", "axis"], sort=False):
        row = {"model": model, "axis": axis}
        row |= {name: _power(points["value"], points[name]) for name in MEASURES}
        ends = points.nlargest(2, "value")
        found.append({**row, "last": _power(ends["value"], ends["seconds"])})
    return pd.DataFrame(found).set_index(["model", "axis"]).round(2)


def _power(sizes: "pd.Series[float]", values: "pd.Series[float]") -> float:
    """Slope of the logarithms; NaN for fewer than two points or where one was not measured."""
    if len(sizes) < 2 or not (values > 0).all():
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
