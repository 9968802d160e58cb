"""Two pictures of changed conditions: what is drawn where, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from tempo_lib.analysis.condition_list import CONDITIONS
from tempo_lib.figures.conditions import front_loading_over_steps, index_by_condition

STEPS = (0, 4, 8)


def summary_of(names=tuple(CONDITIONS), seeds=(0, 1)):
    rows = [
        {"condition": name, "seed": seed, "step": step, "kind": kind, "n": 40}
        | {"head": 0.06 * step, "tail": 0.03 * step, "whole": 0.1 * step}
        | {"index": value, "low": value - 0.1, "high": value + 0.1}
        for place, name in enumerate(names)
        for seed in seeds
        for step in STEPS
        for kind in ("all", "needle")
        for value in [0.04 * place + 0.01 * seed if step else np.nan]
    ]
    return pd.DataFrame(rows)


def texts_of(figure):
    return [text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text"))]


@pytest.mark.parametrize("draw", [index_by_condition, front_loading_over_steps])
def test_every_picture_can_be_read_on_a_slide_and_aloud(draw):
    figure = draw(summary_of(), preset="tiny")
    figure.draw_without_rendering()
    assert len(figure.alt_text) > 60 and "nan" not in figure.alt_text
    sizes = [
        text.get_fontsize()
        for text in figure.findobj(lambda part: hasattr(part, "get_fontsize"))
        if text.get_text()
    ]
    assert min(sizes) >= 12
    assert "preset tiny" in figure.get_suptitle()


def test_each_condition_has_a_row_and_each_seed_a_mark():
    names = ("baseline", "bidirectional", "k4")
    figure = index_by_condition(summary_of(names))
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == list(names)
    marks = [line for line in left.lines if line.get_label().startswith("seed")]
    assert [len(line.get_xdata()) for line in marks] == [3, 3]
    assert marks[1].get_xdata().tolist() == pytest.approx([0.01, 0.05, 0.09])
    shares = [line.get_xdata().tolist() for line in right.lines if line.get_marker() in ("o", "s")]
    assert shares == [pytest.approx([0.8] * 3)] * 2
    assert "bidirectional +0.04, +0.05" in figure.alt_text


def test_an_index_of_hardly_any_answers_is_an_open_mark():
    summary = summary_of(("baseline",), seeds=(0,))
    summary.loc[summary["step"] == 8, ["head", "tail"]] = 0.01
    left, _ = index_by_condition(summary).axes
    (mark,) = [line for line in left.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert mark.get_markerfacecolor() == "white"


def test_steps_show_index_heads_and_tails_of_each_seed():
    figure = front_loading_over_steps(summary_of())
    _, right = figure.axes
    heads = {line.get_label(): line.get_ydata().tolist() for line in right.lines}
    assert heads["head, seed 0"] == pytest.approx([0.0, 0.24, 0.48])
    assert heads["tail, seed 1"] == pytest.approx([0.0, 0.12, 0.24])
    assert "step 8 head 0.48, tail 0.24" in figure.alt_text
    assert "step 0 head 0.00, tail 0.00, index none" in figure.alt_text


def test_what_was_not_measured_is_named():
    with pytest.raises(ValueError, match="no measurements of 'k4'; there are baseline"):
        front_loading_over_steps(summary_of(("baseline",)), condition="k4")
    with pytest.raises(ValueError, match="1 to 5 seeds, got 0"):
        index_by_condition(summary_of().iloc[:0])
    with pytest.raises(ValueError, match="unknown condition 'k5'"):
        index_by_condition(summary_of(("baseline", "k5")))
