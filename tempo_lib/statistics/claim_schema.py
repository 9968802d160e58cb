"""What a claim is: a sentence of the paper, the variants that decide it, and when the test is fair.

``claims.yaml`` holds them and explains the fields.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from tempo_lib.evaluation.published import load_published
from tempo_lib.evaluation.variants import get_variant, matched_name

Family = Literal["paper", "beyond", "allocation"]
Expectation = Literal["ahead", "alike", "no worse", "above"]
Check = Literal["budget binds", "tokens differ", "room for an effect"]
AS_PAPER, TOKEN_MATCHED, ALONE = "as the paper", "token-matched", "ATA alone"
WAYS = (AS_PAPER, TOKEN_MATCHED, ALONE)
SUBSET = "Video-MME Long"  # a part of Video-MME: no further benchmark in a mean over them


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Published(_Strict):
    """Two rows of a published table whose difference is the paper's own effect."""

    table: str
    first: str
    second: str
    key: Literal["variant", "model"] = "variant"

    def effect(self) -> float:
        """Mean difference over the four benchmarks, a share; ValueError for an unknown row."""
        table = load_published(self.table)
        table = table[table["benchmark"] != SUBSET]
        sides = [table[table[self.key] == row] for row in (self.first, self.second)]
        if any(side.empty for side in sides):
            raise ValueError(f"{self.table} lacks {self.first} or {self.second}")
        values = [side.set_index("benchmark")["value"] for side in sides]
        return float((values[0] - values[1]).mean()) / 100


class Validity(_Strict):
    """``checks``: what records must show; ``says``: what decides beforehand, in a sentence.

    ``void``: in a few words, why the miniature as it stands cannot test the claim.
    """

    checks: tuple[Check, ...] = ()
    says: str
    void: str = ""


class Claim(_Strict):
    """One claim. ``family``: what Holm corrects over; ``published``: None where no number is."""

    name: str
    statement: str
    source: str
    pair: tuple[str] | tuple[str, str]
    family: Family = "paper"
    token_matched: bool = False
    expects: Expectation = "ahead"
    by: float = 0.0
    margin: float = 0.03
    suite: str | None = None
    unit: str = "accuracy"
    column: str = "correct"
    published: Published | None = None
    validity: Validity = Validity(says="")

    @property
    def needs(self) -> float:
        """The number that the effect is tested against: a margin, or what it must exceed."""
        return self.margin if self.expects in ("alike", "no worse") else self.by

    def variants(self, compared: str) -> tuple[str, ...]:
        """What is compared in this way; empty where the claim is not judged so."""
        if (compared == ALONE) != (len(self.pair) == 1):
            return ()
        if compared != TOKEN_MATCHED:
            return self.pair
        return tuple(map(matched_name, self.pair)) if self.token_matched else ()


@cache
def read_claims() -> tuple[Claim, ...]:
    """All claims as ``claims.yaml`` has them: points of Figure 3 still as ``{few}``, ``{most}``."""
    text = resources.files("tempo_lib.statistics").joinpath("claims.yaml").read_text("utf-8")
    families = yaml.safe_load(text)
    return tuple(Claim(family=name, **row) for name, rows in families.items() for row in rows)


def computation(variant: str) -> object:
    """What makes a variant's answers: equal for two names of one computation.

    Given ATA's tokens to the last, keeping all and a fixed count per segment share them alike.
    """
    try:
        row = get_variant(variant)
    except ValueError:  # planted records, or a plug-in that is not loaded
        return variant
    rule = "fixed" if row.match and row.allocation == "full" else row.allocation
    return replace(row, name="", paper_row=None, beyond_paper=False, allocation=rule)


def comparisons(claims: Sequence[Claim]) -> list[tuple[Claim, str, list[str]]]:
    """Claim, way of comparing and the further names of each computation, in order, each once."""
    rows: dict[object, tuple[Claim, str, list[str]]] = {}
    for compared in WAYS:
        for claim in claims:
            names = claim.variants(compared)
            if not names:
                continue
            sides = tuple(map(computation, names))
            key = (sides, claim.suite, claim.expects, claim.needs, claim.column)
            if key in rows:
                rows[key][2].append(f"{claim.name} ({compared})")
            else:
                rows[key] = (claim, compared, [])
    return list(rows.values())
