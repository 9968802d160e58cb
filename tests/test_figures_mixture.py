"""Shares of planted mixtures, and printed counts as numbers."""

import pandas as pd
import pytest

from tempo_lib.figures.mixture import amount, mixture_bars

ROWS = [
    ("Image", 0, "~558K", "1,500"),
    ("Image", 1, "~1.00M", ""),
    ("Video", 1, "~3.00M", "30"),
    ("Text", 1, "-", "10"),
    ("Total", 1, "~4.00M", "40"),
    ("Mixed", 2, "~384K (Mixed)", ""),
]
TABLE = pd.DataFrame(ROWS, columns=["row", "stage", "published", "own"])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("~558K", 558_000),
        ("~2.00M", 2_000_000),
        ("7,000", 7_000),
        ("~384K (Mixed)", 384_000),
        ("-", 0),
        ("", 0),
    ],
)
def test_printed_counts_are_numbers(text, number):
    assert amount(text) == pytest.approx(number)


def test_shares_are_those_of_each_stage_and_totals_are_no_kind_of_their_own():
    fig = mixture_bars(TABLE, preset="tiny")
    published, own = fig.alt_text.split("own: ")
    assert "stage 1 image 25 video 75" in published
    assert "stage 2 mixed 100" in published
    assert "stage 0 image 100; stage 1 video 75 text 25; stage 2" in own
    left, right = fig.axes
    assert [text.get_text() for text in left.texts] == ["558,000", "4,000,000", "384,000"]
    assert [text.get_text() for text in right.texts] == ["1,500", "40", "no counts"]
