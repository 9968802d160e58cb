"""A page per video and all of them at a glance."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tempo_lib import figures
from tempo_lib.figures.style import GREEN
from tempo_lib.figures.timeline import with_relevant
from tempo_lib.video.clip import Video

NUM_SEGMENTS = 20


@dataclass(frozen=True)
class Shown:
    """The fields of a record that are drawn."""

    question_id: str = "q-0"
    question: str = "Who comes right after the red star?\nA blue star\nB green circle"
    answer: str = "After the red star blue star A."
    prediction: str = "After the red star blue star A."
    correct: bool = True
    tokens_used: int = 54
    budget: int = 60
    num_segments: int = NUM_SEGMENTS
    kind: str = "after"
    auc: float | None = 0.9
    scores: tuple = tuple(np.linspace(0, 1, NUM_SEGMENTS).tolist())
    counts: tuple = (2,) * 19 + (16,)
    seconds: tuple = tuple(4.0 * i + 2 for i in range(NUM_SEGMENTS))
    relevant: tuple | None = (0,) * 18 + (1, 0)


def video_of(num_frames=8 * NUM_SEGMENTS):
    frames_THW3 = np.zeros((num_frames, 8, 8, 3), np.uint8)
    return Video(frames_THW3)


def texts_of(fig):
    return [text.get_text() for text in fig.findobj(lambda artist: hasattr(artist, "get_text"))]


def triangles(ax):
    return [line for line in ax.lines if line.get_marker() == "v" and line.get_color() == GREEN]


def test_a_page_says_question_options_prediction_verdict_answer_and_cost():
    words = texts_of(figures.video_page(Shown(), video_of(), number=4, preset="tiny"))
    assert "4. Who comes right after the red star?" in words
    assert "A blue star     B green circle" in words
    given = next(text for text in words if text.startswith("Prediction: After"))
    assert "right" in given and given.endswith("(answer: After the red star blue star A.)")
    assert any("54 of 60 tokens on 20 segments" in text and "AUC 0.90" in text for text in words)


def test_a_wrong_prediction_is_marked_in_words_not_only_in_colour():
    record = replace(Shown(), correct=False, prediction="")
    fig = figures.video_page(record, video_of(), number=1)
    assert any("(nothing)" in text and "wrong" in text for text in texts_of(fig))
    assert "(wrong)" in fig.alt_text


def test_a_page_marks_the_segments_that_are_relevant():
    fig = figures.video_page(Shown(), video_of(), number=1, k_min=2, k_max=16)
    ax = next(ax for ax in fig.axes if ax.get_ylabel().startswith("memory tokens"))
    (marks,) = triangles(ax)
    assert marks.get_xdata().tolist() == [74.0]
    assert "relevant segments: 74.0 s" in fig.alt_text
    heights = [bar.get_height() for bar in sorted(ax.patches, key=lambda bar: bar.get_x())]
    assert heights.count(16) == 1


def test_a_question_about_the_whole_video_marks_no_segment():
    fig = figures.video_page(replace(Shown(), relevant=None, auc=None), video_of(), number=1)
    assert not any(triangles(ax) for ax in fig.axes)
    assert "none marked" in fig.alt_text


def test_a_relevant_segment_is_always_among_the_key_frames():
    counts_N = np.array([9, 2, 2, 3, 9, 5])
    relevant_N = np.array([0, 0, 1, 1, 0, 0], dtype=bool)
    assert with_relevant([0, 4], counts_N, relevant_N) == [0, 3]
    assert with_relevant([0, 2], counts_N, relevant_N) == [0, 2]
    assert with_relevant([0, 4], counts_N, np.zeros(6, dtype=bool)) == [0, 4]


def test_a_glance_has_a_panel_per_record_and_counts_the_right_ones():
    records = [Shown(), replace(Shown(), correct=False), replace(Shown(), relevant=None)]
    fig = figures.videos_at_a_glance(records, k_max=16, preset="tiny")
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert titles[:3] == [f"{i}. Who comes right after the red star?" for i in (1, 2, 3)]
    assert titles[3] == ""
    assert any("3 videos, one question each: 2 predictions right" in text for text in texts_of(fig))
    assert fig.alt_text.count("(wrong)") == 1


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no records"):
        figures.videos_at_a_glance([])
    with pytest.raises(ValueError, match="no segments"):
        figures.video_page(replace(Shown(), counts=()), video_of(), number=1)


def test_pages_keep_to_the_size_of_slides():
    page = figures.video_page(Shown(), video_of(), number=1, k_min=2, k_max=16)
    for fig in (page, figures.videos_at_a_glance([Shown()] * 10)):
        assert fig.get_figwidth() == 10
        sizes = [t.get_fontsize() for t in fig.findobj(lambda a: hasattr(a, "get_fontsize"))]
        assert min(sizes) >= 12
