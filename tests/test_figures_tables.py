"""Tables of the paper as pictures: every number stands in its cell, every mark at its place."""

import math

import numpy as np
import pandas as pd
import pytest
from test_figures_intervals import everything_fits, lines_of, marks_of, words

from tempo_lib.figures.style import STYLES
from tempo_lib.figures.tables import ablation_table, comparison, styled

TITLE = "B. Rules"


def cell(variant, benchmark="MLVU", **facts):
    nothing = ("measured", "low", "high", "n", "tokens", "tokens_per_frame", "difference", "p")
    nothing += ("difference_low", "difference_high", "budget", "binding", "by_words")
    empty = dict.fromkeys((*nothing, *(f"twin_{name}" for name in nothing)), math.nan)
    row = {"paper_row": f"{variant.title()} (as it is)", "variant": variant, "reason": ""}
    row |= {"benchmark": benchmark, "suite": "mini-mlvu" if benchmark == "MLVU" else ""}
    return {**row, "published": 60.0, "published_difference": 0.0, "twin": "", **empty, **facts}


def measured(value, n=40, tokens=50.0):
    share = {"measured": value, "low": value - 6, "high": value + 6}
    return {
        **share,
        "n": n,
        "tokens": tokens,
        "tokens_per_frame": 1.5,
        "budget": 70,
        "binding": 0.5,
    }


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


def points(ax):
    return {
        line.get_markeredgecolor(): [x for x in line.get_xdata() if not math.isnan(x)]
        for line in marks_of(ax)
    }


# -- Table 2 --------------------------------------------------------------------------------


def test_a_cell_shows_published_measured_and_token_matched_accuracies():
    column, other, costs = ablation_table(table(), TITLE).axes
    assert column.get_title(loc="left") == "MLVU\nmini-mlvu\nn = 40"
    shown = words(column)
    assert shown[:3] == ["60.0", "40.0\u00b16", "45.5\u00b16"]
    assert shown[3:5] == ["60.0", "52.0\u00b16"]  # merge uses ATA's tokens: nothing to match
    assert words(other) == [*["60.0", "-"] * 4, "Video-\nMME Long\nno suite"]
    assert words(costs) == ["50", "30", "50", "50", "tokens\nper video"]


def test_a_missing_part_is_named_and_its_cell_is_empty():
    column = ablation_table(table(), TITLE).axes[0]
    labels = [" ".join(label.get_text().split()) for label in column.get_yticklabels()]
    assert labels[2] == "Judge (as it is) needs scores of the reranker"
    assert words(column).count("-") == 1


def test_marks_stand_at_the_differences_and_the_default_has_none_of_its_own():
    column = ablation_table(table(), TITLE).axes[0]
    drawn = points(column)
    assert drawn[STYLES["published"].colour] == [-5.0, 0.0, 0.0, 0.0]
    assert drawn[STYLES["measured"].colour] == [-10.0, 2.0]
    assert drawn[STYLES["token-matched"].colour] == [-4.5]
    ends = [segment[:, 0].tolist() for segment in lines_of(column)]
    for pair in ([-13, -7], [-1, 5], [-7.5, -1.5]):
        assert any(np.allclose(pair, end) for end in ends)
    low, high = column.get_xlim()
    assert low < -13 and high > 5


def test_title_and_description_say_what_is_drawn():
    fig = ablation_table(table(), TITLE, preset="tiny")
    assert fig.get_suptitle() == "Table 2 B. Rules (miniature)"
    assert "measured -10.0 (-13.0 to -7.0) 40.0\u00b16" in fig.alt_text
    assert "token-matched -4.5 (-7.5 to -1.5) 45.5\u00b16" in fig.alt_text


def test_a_table_without_a_measurement_is_refused():
    empty = table().assign(measured=math.nan)
    with pytest.raises(ValueError, match=r"nothing of 'B\. Rules' was measured"):
        ablation_table(empty, TITLE)
    with pytest.raises(ValueError, match="nothing of Table 1 was measured"):
        comparison(budgets().assign(measured=math.nan))


# -- Table 1 --------------------------------------------------------------------------------


def test_table_1_lists_published_models_then_tempo_published_and_measured():
    column, long, costs = comparison(budgets(), "tiny").axes
    labels = [" ".join(label.get_text().split()) for label in column.get_yticklabels()]
    assert labels[0] == "Other 7B, Video-MME Long 13B"
    assert labels[2].endswith("tokens per frame")
    assert words(column) == ["Specialized", "Tempo", "60.0", "60.0", "41.0\u00b16", "2.8", "1.5"]
    assert words(long) == ["-", "60.0", "-", "3.4", "-"]
    assert words(costs) == ["16", "16", "tokens\nper frame"]
    drawn = points(column)
    assert drawn[STYLES["published"].colour] == [60.0, 60.0]
    assert drawn[STYLES["measured"].colour] == [41.0]


def test_table_1_describes_what_was_measured():
    assert "MLVU mini-mlvu measured 41.0 (35.0 to 47.0)" in comparison(budgets()).alt_text


@pytest.mark.parametrize(
    "draw",
    [
        lambda: ablation_table(table(), TITLE),
        lambda: comparison(budgets()),
    ],
)
def test_pictures_keep_to_the_size_of_slides_and_nothing_is_cut_off(draw):
    fig = draw()
    assert fig.get_figwidth() == 10
    sizes = [text.get_fontsize() for ax in fig.axes for text in ax.texts]
    assert min(sizes) >= 11
    assert everything_fits(fig)


def test_a_styled_table_is_the_same_each_time_and_shows_gaps_as_dashes():
    numbers = pd.DataFrame({"name": ["a", "b"], "value": [0.12345, math.nan]})
    html = styled(numbers, "Values").to_html()
    assert html == styled(numbers, "Values").to_html()
    assert "0.123" in html and ">-<" in html and "Values" in html
