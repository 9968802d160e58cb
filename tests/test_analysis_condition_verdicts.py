"""Verdicts about the cause follow the measurements, and few seeds are called few."""

import numpy as np
import pandas as pd
import pytest

from tempo_lib.analysis.condition_verdicts import (
    AGAINST,
    IN_LINE,
    LARGER,
    LEADS,
    LEVEL,
    NO_CHANGE,
    OPEN,
    SMALLER,
    TOO_LITTLE,
    certainty,
    compare,
    over_seeds,
    page_lines,
    paper_sentence,
    paper_verdict,
    sentences,
)


def row(condition, seed, index=0.4, change=np.nan, p=np.nan, whole=0.9, step=8):
    facts = {"condition": condition, "seed": seed, "step": step, "kind": "all", "n": 40}
    facts |= {"head": 0.6, "tail": 0.3, "index": index, "low": index - 0.1, "high": index + 0.1}
    facts |= {"whole": whole, "lead": 0.3, "change": change, "change_p": p}
    return {**facts, "change_low": change - 0.05, "change_high": change + 0.05}


def measured(*rows, baseline=0.4):
    first = [row("baseline", seed, baseline) for seed in (0, 1)]
    early = [row("baseline", seed, 0.0, step=0) for seed in (0, 1)]
    kinds = [{**first[0], "kind": "needle", "index": 0.9}]
    return pd.DataFrame([*early, *first, *kinds, *rows])


def both(condition, changes, p, **facts):
    return [row(condition, s, change=c, p=p, **facts) for s, c in enumerate(changes)]


@pytest.mark.parametrize(
    ("changes", "p", "whole", "expected"),
    [
        ((-0.2, -0.1), 1e-4, 0.9, SMALLER),
        ((0.2, 0.1), 1e-4, 0.9, LARGER),
        ((0.2, -0.1), 1e-4, 0.9, NO_CHANGE),  # the seeds contradict each other
        ((-0.2, -0.1), 0.03, 0.9, NO_CHANGE),  # two tests: 0.03 counts twice
        ((-0.2, -0.1), 1e-4, 0.3, TOO_LITTLE),
    ],
)
def test_an_effect_is_what_every_seed_shows(changes, p, whole, expected):
    table = compare(measured(*both("bidirectional", changes, p, whole=whole)))
    found = table.set_index("condition")
    assert found.loc["bidirectional", "effect"] == expected
    assert found.loc["bidirectional", "change"] == pytest.approx(sum(changes) / 2)
    assert found.loc["baseline", "index"] == pytest.approx(0.4)  # last step, all kinds
    assert found.loc["baseline", "end"] == LEADS


def test_what_a_seed_learned_is_held_against_its_own_baseline():
    frame = measured(row("truncated", 0, change=-0.2, p=1e-4, whole=0.4))
    frame.loc[(frame["condition"] == "baseline") & (frame["seed"] == 1), "whole"] = 0.1
    found = compare(frame).set_index("condition")
    assert found.loc["truncated", "effect"] == TOO_LITTLE


@pytest.mark.parametrize(
    ("rows", "baseline", "expected"),
    [
        (both("bidirectional", (-0.2, -0.1), 1e-4, index=0.0), 0.4, IN_LINE),
        (both("bidirectional", (0.0, 0.01), 0.9), 0.4, AGAINST),
        (both("bidirectional", (-0.1, -0.1), 0.2, index=0.05), 0.4, OPEN),
        (both("bidirectional", (0.0, 0.01), 0.9, whole=0.1), 0.4, OPEN),
        (both("bidirectional", (-0.2, -0.1), 1e-4), 0.0, OPEN),
        (both("reversed", (-0.2, -0.1), 1e-4), 0.4, OPEN),
    ],
)
def test_the_papers_explanation_is_judged_by_what_happens_without_it(rows, baseline, expected):
    table = compare(measured(*rows, baseline=baseline))
    assert paper_verdict(table) == expected
    assert paper_sentence(table).startswith(f"This is {expected} the paper's explanation")


def test_an_interval_over_two_seeds_is_wide_and_over_one_unknown():
    low, high = over_seeds([0.1, 0.3])
    assert (low, high) == pytest.approx((0.2 - 12.706 * 0.1, 0.2 + 12.706 * 0.1), abs=1e-3)
    assert all(np.isnan(over_seeds([0.1])))


def test_every_condition_has_a_sentence_without_gaps():
    alone = row("k4", 5, change=np.nan)
    lost = both("captions-only", (0.1, 0.2), 0.5, index=np.nan)
    table = compare(measured(*both("truncated", (0.2, 0.1), 1e-4), *lost, alone))
    said = sentences(table)
    assert len(said) == 4
    assert not any("nan" in sentence for sentence in said)
    assert "**larger** (+15.0 points" in said[1]
    assert "2 seeds" in said[1] and "1 seed," in said[3]
    assert "no index" in said[2]
    assert table.set_index("condition").loc["captions-only", "end"] == LEVEL
    assert "1 to 2" in certainty(table)


def test_the_page_has_a_section_only_where_something_was_measured():
    assert page_lines(None) == []
    lines = page_lines(measured(*both("bidirectional", (-0.2, -0.1), 1e-4)))
    assert lines[0] == "## Which factor carries it"
    assert any("in line with the paper's explanation" in line for line in lines)


def test_without_a_baseline_there_is_nothing_to_compare():
    with pytest.raises(ValueError, match="no baseline"):
        compare(pd.DataFrame(both("k4", (0.1, 0.1), 0.1)))
    with pytest.raises(ValueError, match="unknown condition 'k5'"):
        compare(measured(row("k5", 0)))
