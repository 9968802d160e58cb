"""What the paper publishes, as data: always shown as published, never mixed with measurements.

One CSV an item lies in ``data_manifests/paper``. The header of each quotes the lines of the paper
that it was copied from; a test compares both with the paper's text.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tempo_lib.provenance import manifest_path

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = (
    *("table1", "table2a", "table2b", "table2c", "table2d", "table2e"),
    *("tablea", "tableb", "tokens_per_frame", "fig1c", "fig3"),
)
LONG = " Long"  # ends the name of a benchmark's part: its longest videos
QUOTE = "# > "  # begins a header line that quotes the paper


def load_published(name: str) -> "pd.DataFrame":
    """The numbers of one item, in the paper's order; ValueError listing the known names.

    Accuracies are percent as printed. What the paper does not state is NaN in a column of
    numbers and empty in a column of text.
    """
    import pandas as pd

    table = pd.read_csv(_path(name), comment="#")
    words = table.select_dtypes(exclude="number").columns
    table[words] = table[words].fillna("")
    return table


def published_benchmark(suite: str) -> str:
    """The paper's benchmark that a suite stands for, by its name; empty where there is none.

    ``mini-videomme`` and ``videomme`` stand for ``Video-MME``.
    """
    plain = suite.removeprefix("mini-")
    names = dict.fromkeys(load_published("table1")["benchmark"])
    return next((name for name in names if re.sub(r"\W", "", name).lower() == plain), "")


def source_lines(name: str) -> list[str]:
    """The lines of the paper that stand behind the item, in ASCII; ValueError as above."""
    lines = _path(name).read_text(encoding="ascii").splitlines()
    return [line.removeprefix(QUOTE) for line in lines if line.startswith(QUOTE)]


def _path(name: str) -> Path:
    if name not in PUBLISHED:
        raise ValueError(f"unknown published item {name!r}; known items: {', '.join(PUBLISHED)}")
    return manifest_path(f"paper/{name}.csv")
