"""Mechanisms step by step: allocation, neighbours of a scene, and what a kept prefix saves."""

import pandas as pd
import pytest

from tempo_lib.figures.steps import around_the_scene, ata_steps, gap_by_position, tokens_read

BOUNDS = {"k_min": 1, "k_max": 9}
# By hand: 3 segments, k_min 1, k_max 9; Eq. 3 gives 1 + 5 + 9, and the budget of 12 leaves 9
# beyond the anchors, shared 1 : 2 as 3 and 6.
TIGHT = pd.DataFrame(
    {
        "score": [0.2, 0.4, 0.6],
        "scaled": [0.0, 0.5, 1.0],
        "ideal": [1, 5, 9],
        "anchor": [1, 1, 1],
        "share": [0, 3, 6],
        "remainder": [0, 0, 0],
    }
)
AMPLE = TIGHT.assign(share=[0, 4, 8])


def heights(ax):
    """Top of the stack of bars over each segment, outlines and shades left out."""
    tops = {}
    for container in ax.containers:
        for bar in container:
            if bar.get_facecolor()[3]:
                middle = round(bar.get_x() + bar.get_width() / 2)
                tops[middle] = max(tops.get(middle, 0), bar.get_y() + bar.get_height())
    return [tops[i] for i in sorted(tops)]


def labels_of(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_each_panel_shows_its_step():
    fig = ata_steps(TIGHT, budget=12, **BOUNDS)
    assert [heights(ax) for ax in fig.axes] == [
        [0.2, 0.4, 0.6],
        [0.0, 0.5, 1.0],
        [1, 5, 9],
        [1, 4, 7],
    ]
    assert [text.get_text() for text in fig.axes[3].texts] == ["1", "4 of 5", "7 of 9"]


def test_titles_tell_whether_the_ideal_counts_fit():
    tight, ample = (ata_steps(t, budget=b, **BOUNDS) for t, b in ((TIGHT, 12), (AMPLE, 15)))
    assert "15 tokens, the budget is 12: 3 too many" in tight.axes[2].get_title(loc="left")
    assert "Eq. 4" in tight.axes[3].get_title(loc="left") and "12 tokens of 12" in tight.axes[
        3
    ].get_title(loc="left")
    assert "they fit" in ample.axes[2].get_title(loc="left")
    assert "ideal counts stay, 15 tokens of 15" in ample.axes[3].get_title(loc="left")


def test_the_legend_names_what_is_drawn_and_nothing_else():
    assert "not kept" in labels_of(ata_steps(TIGHT, budget=12, **BOUNDS))
    ample = labels_of(ata_steps(AMPLE, budget=15, marked={"asked": [1]}, **BOUNDS))
    assert not {"not kept", "remainder, one each"} & set(ample)
    assert "asked" in ample
    given = ata_steps(TIGHT.assign(remainder=[0, 0, 1], share=[0, 3, 5]), budget=12, **BOUNDS)
    assert "remainder, one each" in labels_of(given)


def test_many_segments_carry_no_numbers_over_their_bars():
    many = pd.concat([AMPLE] * 10, ignore_index=True)
    fig = ata_steps(many, budget=150, **BOUNDS)
    assert not any(ax.texts for ax in fig.axes)
    assert heights(fig.axes[3]) == [1, 5, 9] * 10


def test_the_description_names_counts_and_budget():
    text = ata_steps(TIGHT, budget=12, title="Hand", **BOUNDS).alt_text
    assert text.startswith("Hand.")
    assert "sum to 15, the budget is 12, 12 are kept" in text
    assert "segment 3 (score 0.60, ideal 9, kept 7)" in text


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (TIGHT.drop(columns="share"), {"budget": 12}, "lacks share"),
        (TIGHT[:0], {"budget": 12}, "has no rows"),
        (AMPLE, {"budget": 12}, "15 tokens are kept, but the budget is 12"),
        (TIGHT, {"budget": 12, "marked": {"asked": [3]}}, "asked marks segment 3 of 3"),
        (TIGHT, {"budget": 12, "marked": {name: [] for name in "abcd"}}, "at most 3 groups"),
    ],
)
def test_steps_refuse_what_they_cannot_draw(table, options, message):
    with pytest.raises(ValueError, match=message):
        ata_steps(table, **options, **BOUNDS)


PLACES = pd.DataFrame(
    {
        "place": [-1, 0, 1, -1, 0, 1],
        "scaled": [0.0, 1.0, 0.2, 0.2, 1.0, 0.0],
        "ATA": [1, 9, 3, 3, 9, 1],
        "smoothed": [5, 9, 5, 5, 9, 5],
    }
)


def test_around_the_scene_draws_means_of_each_place():
    fig = around_the_scene(PLACES, ["ATA", "smoothed"], **BOUNDS)
    left, right = fig.axes
    assert [bar.get_height() for bar in left.containers[0]] == pytest.approx([0.1, 1.0, 0.1])
    drawn = {line.get_label(): list(line.get_ydata()) for line in right.lines}
    assert drawn["ATA"] == [2, 9, 2]
    assert drawn["smoothed"] == [5, 9, 5]
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["-1", "scene", "+1"]
    assert "scene: score 1.00, ATA 9.0 tokens, smoothed 9.0 tokens" in fig.alt_text


def test_around_the_scene_refuses_unknown_and_too_many_policies():
    with pytest.raises(ValueError, match="lacks logit"):
        around_the_scene(PLACES, ["logit"], **BOUNDS)
    with pytest.raises(ValueError, match="1 to 3 policies are drawn, got 4"):
        around_the_scene(PLACES, ["ATA"] * 4, **BOUNDS)


READ = pd.DataFrame({"question": [1, 2, 3], "fresh": [100, 100, 100], "reused": [100, 20, 30]})


def test_lines_add_up_what_each_question_reads():
    fig = tokens_read(READ, preset="tiny")
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
    assert "1.0 times" in tokens_read(READ[:1]).axes[0].get_title(loc="left")


def test_tokens_read_names_what_is_absent():
    with pytest.raises(ValueError, match="lacks reused; the figure needs question, fresh"):
        tokens_read(READ.drop(columns="reused"))
    with pytest.raises(ValueError, match="has no rows"):
        tokens_read(READ[:0])


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
