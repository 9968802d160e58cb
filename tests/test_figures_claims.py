"""The claims at a glance: fair or not, effects at their places, verdicts in words."""

import math

import numpy as np
import pandas as pd
import pytest
from test_figures_intervals import everything_fits, lines_of, words

from tempo_lib import figures
from tempo_lib.figures.claims import MARKED
from tempo_lib.figures.style import STYLES

NAN = math.nan


def claim(name, effect, verdict, **more):
    facts = {"family": "all", "claim": name, "says": f"{name} helps", "source": "2B"}
    facts |= {"unit": "accuracy", "compared": "as the paper", "n": 40, "effect": effect}
    facts |= {"low": effect - 0.03, "high": effect + 0.02, "published": 0.04, "why": ""}
    facts |= {"num_seeds": 1, "with_sign": 1, "next_low": NAN, "next_high": NAN}
    return {**facts, "verdict": verdict, "seeds_verdict": "one training: no statement", **more}


def claims(**seeds):
    """Five claims of the paper that were measured, on two suites, and what is not drawn."""
    differ = {"low": NAN, "high": NAN}
    rows = [
        claim("uniform", 0.08, "shown"),
        claim("uniform", -0.05, "reversed", compared="token-matched"),
        claim("lost", -0.06, "reversed", n=20),
        claim("void", 0.02, "not testable here", why="budget binds for 35 %", published=NAN),
        claim("dynamic", NAN, "not shown", **differ),
        claim("merge", NAN, "not measured", n=0, **differ),
        claim("skewed", 2.0, "shown", unit="skewness"),
        claim("own", 0.07, "shown", source="beyond"),
        claim("uniform", 0.09, "shown", family="mini-mlvu"),
        claim("uniform", 0.07, "shown", family="mini-lvbench"),
        claim("dynamic", 0.05, "shown", family="mini-mlvu"),
        claim("dynamic", -0.04, "reversed", family="mini-lvbench"),
    ]
    return pd.DataFrame([{**row, **seeds} for row in rows])


def marks(ax, style):
    """Places (x, y) of the marks of one form and colour."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in ax.lines
        if line.get_marker() == style.marker and line.get_markeredgecolor() == style.colour
    ]


def test_every_measured_claim_of_the_paper_is_a_line():
    ax = figures.claims_forest(claims(), "tiny").axes[0]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [f"{name} helps (2B)" for name in ("uniform", "lost", "void", "dynamic")]


def test_effects_stand_at_their_places_with_their_intervals():
    ax = figures.claims_forest(claims()).axes[0]
    assert np.allclose(marks(ax, STYLES["as the paper"]), [(8, 0), (-6, 1)])
    assert np.allclose(marks(ax, STYLES["token-matched"]), [(-5, 0.27)])
    paper = [x for line in ax.lines if line.get_marker() == "v" for x in line.get_xdata()]
    assert np.allclose(paper[:2], 4) and np.isnan(paper[2])
    ends = [segment.tolist() for segment in lines_of(ax)]
    assert any(np.allclose(pair, [[5, 0], [10, 0]]) for pair in ends)
    assert any(np.allclose(pair, [[9, -0.2], [9, 0.2]]) for pair in ends)  # one suite
    assert any(np.allclose(pair, [[-4, 3], [5, 3]]) for pair in ends)  # suites that differ


def test_words_say_fair_or_not_trainings_and_verdict():
    ax = figures.claims_forest(claims()).axes[0]
    fair = ["yes", "yes", "no: budget binds for\n35 %", "yes; suites differ", "fair test?"]
    signs = ["1 of 1"] * 4 + ["paper's\nsign in"]
    names = ("shown", "reversed", "not testable here", "not shown")
    verdicts = [MARKED[name][0] for name in names]
    note = "one training:\nno statement about others"
    assert words(ax) == [*fair, *signs, *verdicts, "verdict", note]
    assert len({text.split()[0] for text, _ in MARKED.values()}) == len(MARKED)


def test_over_trainings_interval_and_verdict_are_theirs():
    seeds = {"num_seeds": 5, "with_sign": 4, "next_low": -0.02, "next_high": 0.5}
    fig = figures.claims_forest(claims(**seeds, seeds_verdict="not shown"), "tiny")
    assert "what 5 trainings of the miniature show (miniature)" in fig.get_suptitle()
    ax = fig.axes[0]
    assert words(ax).count(MARKED["not shown"][0]) == 4 and "4 of 5" in words(ax)
    ends = [segment.tolist() for segment in lines_of(ax)]
    assert any(np.allclose(pair, [[-2, 0], [50, 0]]) for pair in ends)
    arrows = [line for line in ax.lines if line.get_marker() == ">"]
    assert len(arrows) == 3 and ax.get_xlim()[1] < 50  # reaches further than all effects
    few = claims(**{**seeds, "num_seeds": 3}, seeds_verdict="3 trainings: too few of 5")
    assert MARKED["reversed"][0] in words(figures.claims_forest(few).axes[0])


def test_sizes_and_description_say_what_is_drawn():
    fig = figures.claims_forest(claims(), "tiny")
    assert "n = 20 to 40" in fig.axes[0].get_xlabel()
    assert "one training of the miniature shows (miniature)" in fig.get_suptitle()
    assert "uniform helps (2B): +8.0 (+5.0 to +10.0), the paper +4.0, shown." in fig.alt_text
    assert "dynamic helps (2B): suites differ, the paper +4.0, not shown." in fig.alt_text
    assert "not testable here (budget binds for 35 %)." in fig.alt_text
    assert "skewed" not in fig.alt_text and "merge" not in fig.alt_text


def test_one_suite_can_be_drawn_alone_and_an_empty_one_is_refused():
    fig = figures.claims_forest(claims(), family="mini-mlvu")
    assert "+9.0" in fig.alt_text and "+8.0" not in fig.alt_text
    with pytest.raises(ValueError, match="no claim of family 'mini'"):
        figures.claims_forest(claims(), family="mini")
    with pytest.raises(ValueError, match="lacks published"):
        figures.claims_forest(claims().drop(columns="published"))


def test_it_fits_and_can_be_read():
    fig = figures.claims_forest(claims())
    assert fig.get_figwidth() == 10
    assert min(text.get_fontsize() for text in fig.axes[0].texts) >= 11.5
    assert everything_fits(fig)
