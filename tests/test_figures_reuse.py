"""Pictures of what a kept prefix saves, and why it can be kept."""

import pandas as pd
import pytest

from tempo_lib.figures.reuse import gap_by_position, tokens_read

TABLE = pd.DataFrame({"question": [1, 2, 3], "fresh": [100, 100, 100], "reused": [100, 20, 30]})


def test_lines_add_up_what_each_question_reads():
    fig = tokens_read(TABLE, preset="tiny")
    drawn = {line.get_label(): list(line.get_ydata()) for line in fig.axes[0].lines}
    assert drawn == {
        "read afresh for each question": [100, 200, 300],
        "prefix kept and used again": [100, 120, 150],
    }
    assert (
        fig.axes[0].get_title(loc="left") == "After question 3: 300 against 150, 2.0 times as many"
    )
    assert "100 after the first and 300 after 3" in fig.alt_text
    assert "100 and 150" in fig.alt_text


def test_one_question_can_be_drawn():
    assert "1.0 times" in tokens_read(TABLE[:1]).axes[0].get_title(loc="left")


def test_tokens_read_names_what_is_absent():
    with pytest.raises(ValueError, match="lacks reused; the figure needs question, fresh"):
        tokens_read(TABLE.drop(columns="reused"))
    with pytest.raises(ValueError, match="has no question"):
        tokens_read(TABLE[:0])


def test_gaps_keep_the_two_sides_of_the_border_apart():
    fig = gap_by_position([0.0, 0.25, 2.0, 1.0], prefix_length=2)
    ax = fig.axes[0]
    bars = ax.containers[0]
    assert [bar.get_height() for bar in bars] == [0.0, 0.25, 2.0, 1.0]
    colours = [bar.get_facecolor() for bar in bars]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert list(ax.lines[0].get_xdata()) == [2.5, 2.5]
    assert "The first 2, system prompt and video, differ by at most 0.25" in fig.alt_text
    assert "at most 2" in ax.get_title(loc="left")


def test_equal_states_are_called_equal():
    texts = [text.get_text() for text in gap_by_position([0.0, 1.0], 1).axes[0].texts]
    assert texts == ["system prompt and video:\nno difference"]


@pytest.mark.parametrize("prefix_length", [0, 3])
def test_gaps_need_positions_on_both_sides(prefix_length):
    with pytest.raises(ValueError, match="inside the 3 positions"):
        gap_by_position([0.0, 0.0, 1.0], prefix_length)
