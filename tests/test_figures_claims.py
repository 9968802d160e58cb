"""The forest of claims: every effect, its interval and its verdict are in the picture."""

import math

import numpy as np
import pandas as pd
import pytest

from tempo_lib import figures
from tempo_lib.figures.claims import LOOKS


def row(claim, compared, effect, verdict, **more):
    facts = {"family": "all", "claim": claim, "says": f"{claim} helps", "source": "2B"}
    facts |= {"unit": "accuracy", "expects": "ahead", "needs": 0.0, "compared": compared}
    facts |= {"n": 40, "effect": effect, "low": effect - 0.05, "high": effect + 0.05}
    return {**facts, "verdict": verdict, **more}


def table():
    nothing = {"n": 0, "low": math.nan, "high": math.nan}
    return pd.DataFrame(
        [
            row("uniform", "as the paper", 0.2, "shown"),
            row("uniform", "token-matched", -0.1, "reversed"),
            row("collapse", "as the paper", 0.15, "shown", needs=0.1),
            row("same", "as the paper", 0.0, "not shown", expects="alike", needs=0.03, n=20),
            row("merge", "as the paper", math.nan, "not asked", **nothing),
            row("skewed", "ATA alone", 2.0, "shown", unit="skewness"),
            row("uniform", "as the paper", 0.9, "shown", family="mini-mlvu"),
            row("own", "as the paper", 0.01, "not shown", source="beyond"),
        ]
    )


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_two_ways_of_comparing_differ_in_colour_form_and_filling():
    looks = list(LOOKS.values())
    for name in ("colour", "marker", "filled", "offset"):
        assert len({getattr(look, name) for look in looks}) == len(looks)


def test_a_row_a_claim_with_effects_in_points():
    ax = figures.claims_forest(table(), "tiny").axes[0]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    expected = ["uniform helps (2B)", "collapse helps (2B)", "same helps (2B)"]
    assert labels == [*expected, "own helps (beyond)"]
    marks = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(marks["as in the paper"].get_xdata(), [20, 15, 0, 1])
    np.testing.assert_allclose(marks["at equal tokens"].get_xdata(), [-10])
    y = marks["at equal tokens"].get_ydata()
    np.testing.assert_allclose(y, [LOOKS["token-matched"].offset])
    ends = [seg[:, 0].tolist() for lines in ax.collections for seg in _segments(lines)]
    assert any(np.allclose(pair, [-15, -5]) for pair in ends)
    assert any(np.allclose(pair, [10, 10]) for pair in ends)  # what a collapse must exceed


def _segments(lines):
    return lines.get_segments() if "LineCollection" in type(lines).__name__ else []


def test_verdicts_stand_in_words_beside_their_rows():
    ax = figures.claims_forest(table()).axes[0]
    words = texts(ax)
    assert words[:4] == ["shown", "shown", "not shown", "not shown"]
    assert words[4] == "as the paper"
    assert words[5:9] == ["reversed", "-", "-", "-"]


def test_sizes_and_description_say_what_is_drawn():
    fig = figures.claims_forest(table(), "tiny")
    assert "n = 20 to 40" in fig.axes[0].get_xlabel()
    assert "preset tiny" in fig.get_suptitle()
    assert "uniform helps: as the paper +20.0 points (+15.0 to +25.0), shown; token-matched" in (
        fig.alt_text
    )
    assert "skewed" not in fig.alt_text and "merge" not in fig.alt_text


def test_one_suite_can_be_drawn_alone_and_an_empty_one_is_refused():
    fig = figures.claims_forest(table(), family="mini-mlvu")
    assert "mini-mlvu" in fig.alt_text and "+90.0" in fig.alt_text
    with pytest.raises(ValueError, match="no claim of family 'mini-lvbench'"):
        figures.claims_forest(table(), family="mini-lvbench")


def test_the_forest_keeps_to_the_size_of_slides_and_nothing_is_cut_off():
    fig = figures.claims_forest(table())
    assert fig.get_figwidth() == 10
    sizes = [t.get_fontsize() for t in fig.findobj(lambda a: hasattr(a, "get_fontsize"))]
    assert min(sizes) >= 12
    fig.draw_without_rendering()
    right = max(text.get_window_extent().x1 for text in fig.axes[0].texts)
    assert right <= fig.bbox.x1
