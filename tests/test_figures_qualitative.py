"""Figure C: borders, marks and words of its examples, and how the examples are drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from allocation_samples import K_MAX, K_MIN, peaked, planted

from tempo_lib.analysis.examples import pick_groups
from tempo_lib.figures.pages import qualitative_examples
from tempo_lib.figures.style import GREEN, GREY, VERMILLION
from tempo_lib.miniature import benchmark
from tempo_lib.miniature.world.questions import Question
from tempo_lib.miniature.world.scenes import Story
from tempo_lib.video.clip import Video

NUM_SEGMENTS = 20


def film():
    return Video(np.zeros((8 * NUM_SEGMENTS, 8, 8, 3), np.uint8))


def needle():
    relevant = [int(i % 10 == 3) for i in range(NUM_SEGMENTS)]
    return replace(peaked(NUM_SEGMENTS), relevant=relevant)


def overall():
    scores = [0.5 + 0.01 * (i % 3) for i in range(NUM_SEGMENTS - 2)] + [0.0, 1.0]
    record = planted(scores, "q-1", kind="global", budget=150)
    asked = {"question": "Which place is seen most?\nA beach\nB snow", "prediction": "The snow B."}
    return replace(record, **asked, answer="The beach A.", correct=False)


def texts_of(fig):
    return [text.get_text() for text in fig.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.fixture(scope="module")
def fig():
    limits = {"k_min": K_MIN, "k_max": K_MAX}
    return qualitative_examples([needle(), overall()], [film(), film()], preset="tiny", **limits)


def frames_of(fig):
    """Seconds and border colour of the key frames of each block."""
    strips = [ax for ax in fig.axes if ax.child_axes]
    return [
        {
            float(box.get_title().removesuffix(" s")): box.spines["left"].get_edgecolor()
            for box in strip.child_axes
        }
        for strip in strips
    ]


def test_red_borders_mark_segments_with_many_tokens_and_grey_ones_the_others(fig):
    from matplotlib.colors import to_rgba

    record = needle()
    high = {s for s, k in zip(record.seconds, record.counts, strict=True) if k > 9}
    (first, _) = frames_of(fig)
    assert high and set(first) >= high
    for seconds, colour in first.items():
        assert colour == to_rgba(VERMILLION if seconds in high else GREY)


def test_words_say_question_options_prediction_verdict_and_truth(fig):
    words = texts_of(fig)
    assert "1. Where is the red star seen?" in words and "2. Which place is seen most?" in words
    assert "A beach     B snow" in words
    assert any(
        text.startswith("Prediction: The red star 47.") and "right" in text for text in words
    )
    wrong = next(text for text in words if text.startswith("Prediction: The snow B."))
    assert "wrong" in wrong and "(answer: The beach A.)" in wrong
    cost = overall().tokens_used
    assert f"global: {cost} of 150 tokens on {NUM_SEGMENTS} segments" in words
    assert "(wrong)" in fig.alt_text and "(right)" in fig.alt_text


def test_relevant_segments_are_marked_where_the_question_names_an_actor(fig):
    marks = [
        line.get_xdata().tolist()
        for ax in fig.axes
        for line in ax.lines
        if line.get_marker() == "v" and line.get_color() == GREEN
    ]
    assert marks == [[14.0, 54.0]]


def test_the_legend_names_each_thing_once(fig):
    (legend,) = fig.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert sorted(labels) == sorted(set(labels))
    assert {"many tokens", "few tokens", "relevant segment"} <= set(labels)


def test_the_figure_keeps_to_the_width_of_slides(fig):
    assert fig.get_figwidth() == 10
    sizes = [t.get_fontsize() for t in fig.findobj(lambda a: hasattr(a, "get_fontsize"))]
    assert min(sizes) >= 12


def test_a_missing_film_or_no_record_is_refused():
    for records, films in (([], []), ([needle()], [])):
        with pytest.raises(ValueError, match="one film per record"):
            qualitative_examples(records, films, k_min=K_MIN, k_max=K_MAX)


def suite_of(*kinds_of_videos):
    """A suite without files: one video a list of kinds."""
    videos = []
    for place, kinds in enumerate(kinds_of_videos):
        asked = {
            f"{place}-{n}": Question(kind, "?", "a", (), 0.0, 1.0) for n, kind in enumerate(kinds)
        }
        video = benchmark.SuiteVideo(str(place), Path("absent.mp4"), "", Story(()), asked)
        videos.append(video)
    return benchmark.suite_of("mini-lvbench", videos)


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_gets_a_video_of_its_own_even_if_it_is_rare(seed):
    suite = suite_of(["needle", "global"], ["needle", "needle"], ["needle", "attribute"])
    picked = pick_groups(suite, ["needle", "attribute", "global"], seed)
    assert [video.id for video in picked.videos] == ["1", "2", "0"]
    asked = [video.questions[0].group for video in picked.videos]
    assert asked == ["needle", "attribute", "global"]
    assert all(len(video.questions) == 1 for video in picked.videos)


def test_kinds_that_are_unknown_or_not_there_are_refused():
    with pytest.raises(ValueError, match="no global question is left among 1 videos"):
        pick_groups(suite_of(["needle"]), ["global"], 0)
    with pytest.raises(ValueError, match=r"no colour question .* or name some of needle"):
        pick_groups(suite_of(["needle"]), ["colour"], 0)
