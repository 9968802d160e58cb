"""The published whole-suite result that a notebook opens with, read from ``figures/<preset>/``."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from tempo_lib.figures.style import WIDTH_INCHES
from tempo_lib.figures.tables import styled
from tempo_lib.provenance import Run

SCREEN_PIXELS = round(90 * WIDTH_INCHES)  # of a page: the file has more


@dataclass(frozen=True)
class PublishedResult:
    """Picture, table and provenance of a result; all empty where none is published."""

    name: str
    preset: str
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    facts: dict[str, Any] = field(default_factory=dict)
    png: bytes = b""

    @property
    def caption(self) -> str:
        """What it is and where it comes from, in one line."""
        if not self.facts:
            return f"no published result of preset {self.preset}: `tempo reproduce` makes one"
        day, commit = self.facts["finished"][:10], self.facts["commit"][:7]
        return f"Published: whole suites, figures/{self.preset}/{self.name}, {day}, code {commit}"

    @property
    def findings(self) -> list[str]:
        """The sentences that the result was published with."""
        return [words for words in self.facts.get("findings", []) if isinstance(words, str)]

    def shown(
        self, readable: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table
    ) -> "Styler | PublishedResult":
        """The table as ``readable`` gives it, under its caption; itself where there is none."""
        return self if self.table.empty else styled(readable(self.table), self.caption)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook shows: the picture at the size of a page, with its description."""
        if not self.png:
            return {"text/plain": self.caption}, {}
        alt = f"{self.caption}. {self.facts.get('alt_text', '')}"
        return {"image/png": self.png, "text/plain": alt}, {"image/png": {"alt": alt}}


def published_result(run: Run) -> PublishedResult:
    """What a batch run published under the name of ``run``."""
    files = {suffix: run.figures_dir / f"{run.name}.{suffix}" for suffix in ("json", "csv", "png")}
    if not all(path.is_file() for path in files.values()):
        return PublishedResult(run.name, run.preset)
    facts = json.loads(files["json"].read_text(encoding="utf-8"))
    return PublishedResult(
        run.name, run.preset, pd.read_csv(files["csv"]), facts, _for_a_page(files["png"])
    )


def _for_a_page(path: Any) -> bytes:
    """The picture, narrowed to a page, in few colours: notebooks carry it."""
    from PIL import Image

    with Image.open(path) as picture:
        height = round(picture.height * SCREEN_PIXELS / picture.width)
        small = picture.convert("RGB").resize((SCREEN_PIXELS, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.quantize(128).save(stream, "png", optimize=True)
    return stream.getvalue()
