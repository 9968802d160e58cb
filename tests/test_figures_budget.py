"""Figures A and B: panels, bars, dots and lines are where the numbers are."""

import numpy as np
import pytest
from allocation_samples import K_MAX, peaked

from tempo_lib.analysis import allocation as stats
from tempo_lib.analysis.what_if import reallocate_all
from tempo_lib.figures import budget as drawn

SUITES = ("mini-mlvu", "mini-lvbench")


@pytest.fixture(scope="module")
def segments():
    short = [peaked(10 + i % 3, f"s-{i}", suite=SUITES[0]) for i in range(6)]
    long = [peaked(100 + i, f"l-{i}", suite=SUITES[1]) for i in range(6)]
    return reallocate_all({0: [*short, *long]}, K_MAX, [300, 600])


@pytest.fixture(scope="module")
def figure_a(segments):
    bins, shapes = stats.distribution(segments), stats.shapes(segments)
    return drawn.token_distribution(bins, shapes, preset="tiny")


@pytest.fixture(scope="module")
def asked(segments):
    return stats.per_question(segments)


@pytest.fixture(scope="module")
def figure_b(asked):
    return drawn.budget_use(asked, stats.budget_use(asked), preset="tiny")


def dots_of(ax):
    (dots,) = (part for part in ax.collections if part.get_label() == "a question")
    return np.asarray(dots.get_offsets())


def test_rows_are_budgets_and_columns_suites(figure_a, figure_b):
    for fig in (figure_a, figure_b):
        assert len(fig.axes) == 4
        assert [ax.get_title(loc="left") for ax in fig.axes] == [*SUITES, "", ""]
        labels = [ax.get_ylabel().split("\n")[0] for ax in fig.axes]
        assert labels == ["budget 300", "", "budget 600", ""]


def test_bars_of_figure_a_add_up_to_all_segments(figure_a, segments):
    for ax in figure_a.axes:
        assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(100)
    of_first = segments[(segments["suite"] == SUITES[0]) & (segments["budget"] == 300)]
    heights = {round(bar.get_x() + bar.get_width() / 2): bar for bar in figure_a.axes[0].patches}
    assert heights[16].get_height() == pytest.approx(100 * (of_first["tokens"] == 16).mean())


def test_figure_a_says_median_and_share_at_k_min(figure_a, segments):
    shape = stats.shapes(segments).iloc[0]
    (words,) = (text.get_text() for text in figure_a.axes[0].texts)
    assert f"k_min: {100 * shape['at_k_min']:.0f} %" in words
    assert f"median {shape['median']:g}" in words
    (line,) = (line for line in figure_a.axes[0].lines if line.get_label() == "median")
    assert line.get_xdata()[0] == shape["median"]


def test_every_question_is_a_dot_of_figure_b_at_its_own_cost(figure_b, asked):
    dots = dots_of(figure_b.axes[1])
    own = asked[(asked["suite"] == SUITES[1]) & (asked["budget"] == 300)]
    assert dots[:, 1].tolist() == own["tokens_per_segment"].tolist()
    assert (np.abs(dots[:, 0] - own["num_segments"]) <= drawn.SPREAD).all()


def test_the_line_of_a_suite_is_drawn_or_named_with_an_arrow(figure_b, asked):
    use = stats.budget_use(asked).set_index(["suite", "budget"])["line"]
    words = [ax.texts[0].get_text() for ax in figure_b.axes]
    near, far = use[SUITES[1], 300], use[SUITES[0], 300]
    assert words[1] == f"suite {near:.1f}"
    assert words[0] == f"suite {far:.1f} \N{UPWARDS ARROW}"
    (line,) = (a for a in figure_b.axes[1].lines if a.get_label() == "capacity of the suite")
    assert line.get_ydata()[0] == near
    assert far > figure_b.axes[0].get_ylim()[1]


def test_no_dot_lies_above_its_own_capacity(figure_b):
    for ax in figure_b.axes:
        lines = {line.get_label(): line for line in ax.lines}
        limit = lines["its own capacity"]
        dots = dots_of(ax)
        room = np.interp(dots[:, 0].round(), limit.get_xdata(), limit.get_ydata())
        assert (dots[:, 1] <= room + 0.01).all()


def test_figures_keep_to_the_size_of_slides_and_describe_themselves(figure_a, figure_b):
    for fig in (figure_a, figure_b):
        assert fig.get_figwidth() == 10
        sizes = [t.get_fontsize() for t in fig.findobj(lambda a: hasattr(a, "get_fontsize"))]
        assert min(sizes) >= 12
        assert fig.alt_text.count("budget 300") == len(SUITES)


def test_numbers_of_other_segments_are_refused(segments, asked):
    shapes = stats.shapes(segments)
    with pytest.raises(ValueError, match="compute them from the same segments"):
        drawn.token_distribution(stats.distribution(segments), shapes[shapes["budget"] == 300])
    with pytest.raises(ValueError, match="nothing to draw"):
        drawn.budget_use(asked.iloc[:0], stats.budget_use(asked))
