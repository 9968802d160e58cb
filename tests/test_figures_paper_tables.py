"""Tables of the paper as pictures: every number stands in its cell, every mark at its place."""

import math

import numpy as np
import pandas as pd
import pytest

from tempo_lib.figures.comparison import comparison
from tempo_lib.figures.paper_tables import LOOKS, ablation_table

TITLE = "B. Rules"


def cell(variant, benchmark="MLVU", **facts):
    nothing = ("measured", "low", "high", "n", "tokens", "tokens_per_frame", "difference", "p")
    nothing += ("difference_low", "difference_high")
    empty = dict.fromkeys((*nothing, *(f"twin_{name}" for name in nothing)), math.nan)
    row = {"paper_row": f"{variant.title()} (as it is)", "variant": variant, "reason": ""}
    row |= {"benchmark": benchmark, "suite": "mini-mlvu" if benchmark == "MLVU" else ""}
    return {**row, "published": 60.0, "published_difference": 0.0, "twin": "", **empty, **facts}


def measured(value, n=40, tokens=50.0):
    share = {"measured": value, "low": value - 6, "high": value + 6}
    return {**share, "n": n, "tokens": tokens, "tokens_per_frame": 1.5}


def change(value, prefix=""):
    ends = {"difference": value, "difference_low": value - 3, "difference_high": value + 3}
    return {f"{prefix}{name}": number for name, number in ends.items()}


def table():
    twin = {f"twin_{name}": number for name, number in measured(45.5, tokens=30.0).items()}
    drop = {"twin": "drop-matched", **change(-4.5, "twin_"), **twin}
    return pd.DataFrame(
        [
            cell("drop", published_difference=-5.0, **measured(40.0), **change(-10.0), **drop),
            cell("drop", "Video-MME Long", reason="no suite stands for Video-MME Long"),
            cell("merge", twin="merge", **measured(52.0), **change(2.0)),
            cell("merge", "Video-MME Long", reason="no suite stands for Video-MME Long"),
            cell("judge", reason="needs scores of the reranker"),
            cell("judge", "Video-MME Long", reason="needs scores of the reranker"),
            cell("ata", twin="ata", **measured(50.0)),
            cell("ata", "Video-MME Long", reason="no suite stands for Video-MME Long"),
        ]
    )


def words(ax):
    return [text.get_text() for text in ax.texts]


def nothing_is_cut_off(fig):
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for ax in fig.axes for text in ax.texts if text.get_text()]
    return (
        max(box.x1 for box in boxes) <= fig.bbox.x1
        and min(box.x0 for box in boxes) >= 0
        and max(box.y1 for box in boxes) <= fig.bbox.y1
    )


def test_three_series_differ_in_colour_form_and_place():
    for name in ("label", "colour", "marker", "inches", "value"):
        assert len({getattr(look, name) for look in LOOKS}) == len(LOOKS)


def test_a_cell_shows_published_measured_and_its_value_at_equal_tokens():
    labels, column, other, costs = ablation_table(table(), TITLE).axes
    assert words(column)[:6] == ["MLVU\nn = 40", "60.0", "40.0", "\u00b16", "45.5", "\u00b16"]
    assert "same tokens" in words(column)[6:10]  # merge spends what ATA spends
    assert words(other) == ["Video-MME\nLong\nno suite", *["60.0", "-"] * 4]
    assert words(costs)[1:] == ["50", "30", "50", "-", "50"]
    assert words(labels)[:2] == ["Drop", "(as it is)"]


def test_a_missing_part_is_named_and_its_cell_is_empty():
    labels, column, *_ = ablation_table(table(), TITLE).axes
    place = words(labels).index("needs scores of the reranker")
    assert words(labels)[place - 2] == "Judge"
    assert words(column).count("-") == 1


def test_marks_stand_at_the_differences_and_the_default_has_none():
    column = ablation_table(table(), TITLE).axes[1]
    marks = {line.get_label(): list(line.get_xdata()) for line in column.lines}
    assert marks["published"] == [-5.0, 0.0]
    assert marks["measured"] == [-10.0, 2.0]
    assert marks["measured at equal tokens"] == [-4.5]
    ends = [seg[:, 0].tolist() for lines in column.collections for seg in _segments(lines)]
    for pair in ([-13, -7], [-1, 5], [-7.5, -1.5]):
        assert any(np.allclose(pair, end) for end in ends)
    low, high = column.get_xlim()
    assert low < -13 and high > 5


def _segments(lines):
    return lines.get_segments() if "LineCollection" in type(lines).__name__ else []


def test_title_and_description_say_what_is_drawn():
    fig = ablation_table(table(), TITLE, preset="tiny")
    assert fig.get_suptitle() == "Table 2 B. Rules (preset tiny)"
    assert (
        "Drop (as it is), MLVU: published 60.0, measured 40.0 (34.0 to 46.0), at equal tokens 45.5."
    ) in fig.alt_text
    assert "Judge" not in fig.alt_text


def test_a_table_without_a_measurement_is_refused():
    empty = table().assign(measured=math.nan)
    with pytest.raises(ValueError, match=r"nothing of 'B\. Rules' was measured"):
        ablation_table(empty, TITLE)
    with pytest.raises(ValueError, match="nothing of Table 1 was measured"):
        comparison(budgets().assign(measured=math.nan))


def budgets():
    facts = {"size": "7B", "range": "16", "note": "", "used": math.nan}
    rows = [
        cell("", group="Specialized", **facts) | {"paper_row": "Other"},
        cell("", "Video-MME Long", group="Specialized", **facts)
        | {"paper_row": "Other", "published": math.nan, "note": "13B"},
        cell("ata-f1024-b384", group="Tempo", **measured(41.0), **{**facts, "used": 2.8}),
        cell("ata-f1024-b384", "Video-MME Long", group="Tempo", **{**facts, "used": 3.4}),
    ]
    return pd.DataFrame(rows)


def test_table_1_lists_published_models_then_tempo_published_and_measured():
    labels, costs, column, long = comparison(budgets(), "tiny").axes
    found = words(labels)
    assert found[0] == "Specialized, published"
    assert found[1] == "Other 7B, Video-MME Long 13B"
    assert found[-3] == "Tempo, measured (preset tiny)"
    assert found[-2].endswith(": 384")
    assert words(costs)[2] == "16"
    assert words(column)[1:] == ["60.0", "60.0", "2.8", "41.0", "\u00b16", "1.5"]
    assert words(long)[1:] == ["-", "60.0", "3.4", "-", "-"]
    x = [line.get_xdata()[0] for line in column.lines if line.get_marker() in ("s", "o")]
    assert x == [60.0, 60.0, 41.0]


def test_table_1_describes_what_was_measured():
    text = comparison(budgets()).alt_text
    assert "1 published models" in text
    assert "measured 41.0 (35.0 to 47.0) with 1.5 tokens per frame" in text


@pytest.mark.parametrize(
    "draw", [lambda: ablation_table(table(), TITLE), lambda: comparison(budgets())]
)
def test_pictures_keep_to_the_size_of_slides_and_nothing_is_cut_off(draw):
    fig = draw()
    assert fig.get_figwidth() == 10
    sizes = [text.get_fontsize() for ax in fig.axes for text in ax.texts]
    assert min(sizes) >= 11
    assert nothing_is_cut_off(fig)
