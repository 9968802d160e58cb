"""Pictures of Adaptive Token Allocation: four steps, and the asked scene's neighbours."""

import pandas as pd
import pytest

from tempo_lib.figures.ata_steps import around_the_asked, ata_steps

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


def test_around_the_asked_draws_means_of_each_place():
    fig = around_the_asked(PLACES, ["ATA", "smoothed"], **BOUNDS)
    left, right = fig.axes
    assert [bar.get_height() for bar in left.containers[0]] == pytest.approx([0.1, 1.0, 0.1])
    drawn = {line.get_label(): list(line.get_ydata()) for line in right.lines}
    assert drawn["ATA"] == [2, 9, 2]
    assert drawn["smoothed"] == [5, 9, 5]
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["-1", "asked", "+1"]
    assert "asked: score 1.00, ATA 9.0 tokens, smoothed 9.0 tokens" in fig.alt_text


def test_around_the_asked_refuses_unknown_and_too_many_policies():
    with pytest.raises(ValueError, match="lacks logit"):
        around_the_asked(PLACES, ["logit"], **BOUNDS)
    with pytest.raises(ValueError, match="1 to 3 policies are drawn, got 4"):
        around_the_asked(PLACES, ["ATA"] * 4, **BOUNDS)
