"""Figures 1c and 3: what is drawn where, and that measured and published never share a panel."""

import pandas as pd
import pytest

from tempo_lib.evaluation.published import load_published
from tempo_lib.figures import scaling

BUDGETS = (192, 384, 768, 1152)
ROLES = dict(zip(BUDGETS, ("2K", "4K", "8K", "12K"), strict=True))


def points_of(suite="mini-lvbench", caps=(64, 1024), budgets=BUDGETS):
    rows = [
        {"suite": suite, "max_frames": cap, "budget": budget, "n": 40}
        | {"role": ROLES.get(budget, str(budget))}
        | {"accuracy": 0.5 + budget / 1e4, "low": 0.4, "high": 0.7}
        | {"frames": min(cap, 700), "tokens": budget / 2}
        | {"tokens_per_frame": budget / 1400, "bound": budget / 700}
        for cap in caps
        for budget in budgets
    ]
    return pd.DataFrame(rows)


def texts_of(fig):
    return [text.get_text() for text in fig.findobj(lambda artist: hasattr(artist, "get_text"))]


def sizes_of(fig):
    shown = fig.findobj(lambda artist: hasattr(artist, "get_fontsize"))
    return [text.get_fontsize() for text in shown]


@pytest.fixture(scope="module")
def by_tokens():
    return scaling.accuracy_by_tokens(
        points_of(caps=[1024]), load_published("fig1c"), preset="tiny"
    )


@pytest.fixture(scope="module")
def by_frames():
    points = pd.concat([points_of("mini-videomme"), points_of()])
    lengths = {"mini-videomme": 190.0, "mini-lvbench": 770.0}
    published = load_published("fig3")
    return scaling.accuracy_by_frames(points, published, lengths=lengths, preset="tiny")


def test_figure_1c_has_one_mark_per_budget_at_the_tokens_really_used(by_tokens):
    ours = by_tokens.axes[0]
    marks = {line.get_label(): line for line in ours.lines if "tokens" in line.get_label()}
    assert list(marks) == [
        f"{budget} tokens (as {paper}K)"
        for budget, paper in zip(BUDGETS, (2, 4, 8, 12), strict=True)
    ]
    for budget, line in zip(BUDGETS, marks.values(), strict=True):
        assert list(line.get_xdata()) == [budget / 1400]
        assert line.get_ydata() == pytest.approx([50 + budget / 100])


def test_figure_1c_shows_published_numbers_in_a_panel_of_their_own(by_tokens):
    theirs = by_tokens.axes[1]
    words = [text.get_text() for text in theirs.texts]
    for row in load_published("fig1c").itertuples():
        assert f"{row.model} {row.value:.1f}" in words
        assert f"{row.model} {row.value:.1f} %" in by_tokens.alt_text
    assert theirs.get_title(loc="left").startswith("Published, LVBench")
    assert len([line for line in theirs.lines if line.get_linestyle() == "--"]) == 2


def test_figure_3_has_one_line_per_budget_in_every_panel(by_frames):
    for ax, suite in zip(by_frames.axes[:2], ("mini-videomme", "mini-lvbench"), strict=True):
        assert ax.get_title(loc="left") == f"{suite} (miniature)"
        lines = [line for line in ax.lines if "tokens" in line.get_label()]
        assert len(lines) == len(BUDGETS)
        assert all(len(line.get_xdata()) == 2 for line in lines)
    assert any("mean video: 190 frames" in text for text in texts_of(by_frames))


def test_figure_3_gives_published_points_the_style_of_their_stand_in(by_frames):
    lines = [line for line in by_frames.axes[1].lines if "tokens" in line.get_label()]
    stand_in = lines[0]  # the largest budget is drawn first, thickest
    words = [text.get_text().strip() for text in by_frames.axes[3].texts]
    assert words == ["4K: 52.7", "8K: 52.3", "12K: 53.7"]
    highest = by_frames.axes[3].lines[-1]
    assert highest.get_markeredgecolor() == stand_in.get_color()
    assert highest.get_marker() == stand_in.get_marker()
    assert by_frames.axes[2].get_title(loc="left") == "Published, Video-MME Long"


def test_a_benchmark_without_published_points_says_so():
    fig = scaling.accuracy_by_frames(points_of("mini-mlvu"), load_published("fig3"))
    assert "no numbers in the text" in texts_of(fig)


def test_figures_keep_to_the_size_of_slides(by_tokens, by_frames):
    for fig in (by_tokens, by_frames):
        assert fig.get_figwidth() == 10
        assert min(sizes_of(fig)) >= 12


def test_wrong_points_are_refused():
    published, both = load_published("fig1c"), pd.concat([points_of(), points_of("mini-mlvu")])
    with pytest.raises(ValueError, match="one suite, got mini-lvbench, mini-mlvu"):
        scaling.accuracy_by_tokens(both, published)
    with pytest.raises(ValueError, match="1 to 6 budgets, got 7"):
        scaling.accuracy_by_frames(points_of(budgets=range(7)), load_published("fig3"))
    with pytest.raises(ValueError, match="got 0"):
        scaling.accuracy_by_frames(points_of().iloc[:0], load_published("fig3"))
