"""Accuracies of one suite as a grid to read: variants by kinds of question."""

from typing import TYPE_CHECKING

from tempo_lib.statistics.summaries import ALL

if TYPE_CHECKING:
    import pandas as pd


def accuracy_grid(table: "pd.DataFrame", suite: str = ALL) -> "pd.DataFrame":
    """Accuracies by variant, suite and kind, of one suite: percent with its interval.

    ``table``: of ``summarise(answers, ["variant"], ["suite", "kind"], {"tokens": "tokens_used"})``.
    """
    part = table[table["suite"] == suite]
    if part.empty:
        known = ", ".join(dict.fromkeys(table["suite"]))
        raise ValueError(f"no accuracies of suite {suite!r}; the table holds {known}")
    values = (part[name] * 100 for name in ("accuracy", "low", "high"))
    shown = [f"{a:.1f} ({low:.0f} to {high:.0f})" for a, low, high in zip(*values, strict=True)]
    sizes = part.groupby("kind")["n"].max()
    part = part.assign(shown=shown, column=[f"{kind}, n = {sizes[kind]}" for kind in part["kind"]])
    order = {"index": part["variant"].unique(), "columns": part["column"].unique()}
    grid = part.pivot(index="variant", columns="column", values="shown").reindex(**order)
    whole = part[part["kind"] == ALL].set_index("variant")
    grid.insert(0, "tokens", whole["tokens"].round(1))
    grid.columns.name = None
    return grid
