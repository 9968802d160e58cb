"""Forest plots: marks, intervals, panels and words stand where the frame says."""

import numpy as np
import pandas as pd
import pytest

from tempo_lib.figures.intervals import forest
from tempo_lib.figures.style import STYLES, series_styles

ROWS = pd.DataFrame(
    {
        "row": ["first", "first", "second", "third"],
        "series": ["a", "b", "a", "a"],
        "point": [1.0, -2.0, 3.0, np.nan],
        "low": [0.0, -3.0, 2.5, np.nan],
        "high": [2.0, -1.0, 3.5, np.nan],
        "verdict": ["yes", "no", "yes", "not measured"],
    }
)


def words(ax):
    return [text.get_text() for text in ax.texts]


def lines_of(ax):
    return [
        segment
        for lines in ax.collections
        if "LineCollection" in type(lines).__name__
        for segment in lines.get_segments()
        if len(segment)  # an unknown interval is empty
    ]


def marks_of(ax):
    return [line for line in ax.lines if line.get_linestyle() == "None"]


def everything_fits(fig):
    fig.draw_without_rendering()
    boxes = [
        text.get_window_extent()
        for ax in fig.axes
        for text in (*ax.texts, *ax.get_yticklabels(), ax.title)
        if text.get_text()
    ]
    inside = [box.x1 <= fig.bbox.x1 + 1 and box.x0 >= -1 and box.y1 <= fig.bbox.y1 for box in boxes]
    return all(inside)


def test_every_mark_has_its_interval_and_its_words_at_its_own_height():
    ax = forest(ROWS, title="T", xlabel="points", texts={"verdict": "verdict"}).axes[0]
    first, second = marks_of(ax)
    np.testing.assert_allclose(first.get_xdata(), [1, 3, np.nan])
    np.testing.assert_allclose(second.get_xdata(), [-2])
    ends = [segment[:, 0].tolist() for segment in lines_of(ax)]
    for pair in ([0, 2], [-3, -1], [2.5, 3.5]):
        assert pair in ends
    heights = {text.get_text(): text.xy[1] for text in ax.texts if text.get_text() == "no"}
    assert heights["no"] == pytest.approx(second.get_ydata()[0])
    assert words(ax) == ["yes", "no", "yes", "not measured", "verdict"]


def test_rows_stand_in_order_from_the_top_and_series_of_a_row_below_each_other():
    ax = forest(ROWS, title="T", xlabel="points").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second", "third"]
    top, bottom = ax.get_ylim()
    assert top > bottom  # inches below the top of the axes
    assert marks_of(ax)[0].get_ydata()[0] < marks_of(ax)[1].get_ydata()[0]


def test_panels_share_one_range_and_one_without_points_holds_words_alone():
    panels = [ROWS.assign(panel="here"), ROWS.assign(panel="there", point=ROWS["point"] + 50)]
    silent = ROWS.assign(panel="silent", point=np.nan, low=np.nan, high=np.nan)
    table = pd.concat([*panels, silent])
    fig = forest(table, title="T", xlabel="points", texts={"verdict": ""})
    here, there, silent = fig.axes
    assert here.get_xlim() == there.get_xlim()
    assert not marks_of(silent)
    assert words(silent)[-1] == "silent"
    assert fig.legends[0].get_title().get_text() == "points"
    assert everything_fits(fig)


def test_margins_thresholds_and_the_reference_are_drawn():
    table = ROWS.assign(margin=[0.5, 0.5, np.nan, np.nan], threshold=[np.nan, np.nan, 2.0, np.nan])
    ax = forest(table, title="T", xlabel="points").axes[0]
    assert [2.0, 2.0] in [segment[:, 0].tolist() for segment in lines_of(ax)]
    bands = [band.get_paths()[0].get_extents() for band in ax.collections if band.get_paths()]
    assert any((box.x0, box.x1) == (-0.5, 0.5) for box in bands)
    assert any(list(line.get_xdata()) == [0, 0] for line in ax.lines)


def test_a_pooled_series_is_a_bar_behind_the_others():
    pooled = pd.DataFrame({"row": ["first"], "series": ["pooled"], "point": [0.5]})
    table = pd.concat([ROWS, pooled.assign(low=0.25, high=0.75)])
    styles = {**series_styles(["a", "b"]), "pooled": STYLES["pooled"]}
    ax = forest(table, title="T", xlabel="points", styles=styles).axes[0]
    bands = [band.get_paths()[0].get_extents() for band in ax.collections if band.get_paths()]
    assert any((box.x0, box.x1) == (0.25, 0.75) for box in bands)
    assert len(marks_of(ax)) == 2


def test_groups_have_headings_and_hollow_marks_are_empty():
    table = ROWS.assign(group=["", "", "", "Beyond"], hollow=[False, False, True, False])
    ax = forest(table, title="T", xlabel="points").axes[0]
    assert "Beyond" in words(ax)
    assert {line.get_markerfacecolor() for line in marks_of(ax)} > {"white"}


def test_the_description_says_every_row_with_its_interval():
    text = forest(ROWS, title="T", xlabel="points", texts={"verdict": ""}).alt_text
    assert text.startswith("T: points. first: a +1.0 (+0.0 to +2.0) yes; b -2.0 (-3.0 to -1.0) no.")
    assert "third: a not measured." in text


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="lacks point"):
        forest(ROWS.drop(columns="point"), title="T", xlabel="x")
    with pytest.raises(ValueError, match="has no rows"):
        forest(ROWS[:0], title="T", xlabel="x")
    with pytest.raises(ValueError, match="no style for b; known: a"):
        forest(ROWS, title="T", xlabel="x", styles=series_styles(["a"]))


def test_no_two_series_share_colour_and_marker():
    styles = series_styles(range(10))
    assert len({(style.colour, style.marker) for style in styles.values()}) == 10
    for wrong in ([], range(11)):
        with pytest.raises(ValueError, match="1 to 10 series"):
            series_styles(wrong)
