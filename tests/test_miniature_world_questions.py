"""Questions ask only what a story determines, and answers are judged by their slot."""

import numpy as np
import pytest

from tempo_lib.miniature.world.questions import (
    KINDS,
    Question,
    all_questions,
    first_segment,
    is_correct,
    is_relevant,
    parse_answer,
    sample_questions,
)
from tempo_lib.miniature.world.scenes import Bystander, Scene, Story, make_story

STORY = Story(
    (
        Scene("red star", 4, "beach", 6, (Bystander("blue heart", 0, 4),)),
        Scene(None, None, "forest", 4),
        Scene("blue circle", 1, "snow", 10),
        Scene("green square", 3, "beach", 8),
        Scene("blue circle", 9, "beach", 4),
    )
)


def answers(window: int) -> dict[tuple[str, ...], str]:
    return {(q.kind, *q.actors): q.answer for q in all_questions(STORY, window)}


def test_every_question_of_a_story_has_the_answer_worked_out_by_hand():
    assert answers(8) == {
        ("needle", "red star"): "The red star 4.",
        ("attribute", "red star"): "The red star beach.",
        ("companion", "red star"): "With the red star blue heart.",
        ("grounding", "red star"): "The red star<2.0 seconds>.",
        ("needle", "green square"): "The green square 3.",
        ("attribute", "green square"): "The green square beach.",
        ("grounding", "green square"): "The green square<10.0 seconds>.",
        ("after", "green square"): "After the green square blue circle.",
        ("before", "green square"): "Before the green square blue circle.",
        ("counting", "red star"): "The red star 1.",
        ("counting", "blue circle"): "The blue circle 2.",
        ("counting", "green square"): "The green square 1.",
        ("comparison", "green square", "red star"): "First red star.",
        ("global",): "The beach.",
    }


def test_an_interval_bounds_every_scene_that_the_answer_rests_on():
    intervals = {(q.kind, *q.actors): q.interval for q in all_questions(STORY, 8)}
    assert intervals["needle", "green square"] == (10.0, 14.0)
    assert intervals["after", "green square"] == (10.0, 16.0)  # up to the end of the answer
    assert intervals["before", "green square"] == (5.0, 14.0)
    assert intervals["counting", "blue circle"] == (5.0, 16.0)
    assert intervals["comparison", "green square", "red star"] == (0.0, 14.0)
    assert intervals[("global",)] == (0.0, 16.0)


def test_a_comparison_does_not_give_its_order_away():
    first_named = 0
    comparisons = [
        question
        for seed in range(60)
        for question in all_questions(make_story(np.random.default_rng(seed), 120), 8)
        if question.kind == "comparison"
    ]
    for question in comparisons:
        assert len(set(question.actors)) == 2
        assert parse_answer("comparison", question.answer) in question.actors
        first_named += parse_answer("comparison", question.answer) == question.actors[0]
    assert 0.4 < first_named / len(comparisons) < 0.6


def test_neighbours_are_asked_for_only_where_the_very_next_scene_has_an_actor():
    asked = set(answers(8))
    assert ("after", "red star") not in asked  # an empty forest lies between
    assert ("before", "red star") not in asked  # nothing comes before the first scene
    assert {("after", "green square"), ("before", "green square")} <= asked


def test_time_tags_follow_the_window():
    assert answers(4)["grounding", "green square"].endswith("<11.0 seconds>.")
    assert first_segment(STORY, 2, 8) == 1  # frames 10 to 20
    assert first_segment(STORY, 2, 4) == 2


def test_a_tie_of_places_asks_no_global_question():
    tied = Story((Scene("red star", 1, "beach", 6), Scene(None, None, "snow", 6)))
    assert "global" not in {q.kind for q in all_questions(tied, 4)}


def test_an_offset_shifts_tags_and_intervals_alike():
    shifted = {(q.kind, *q.actors): q for q in all_questions(STORY, 8, offset_seconds=100.0)}
    question = shifted["grounding", "green square"]
    assert question.answer == "The green square<110.0 seconds>."
    assert question.interval == (110.0, 114.0)


@pytest.mark.parametrize("window", [4, 8])
def test_every_true_answer_is_judged_right(window):
    for seed in range(30):
        story = make_story(np.random.default_rng(seed), 8 + 10 * seed)
        for question in all_questions(story, window):
            assert is_correct(question, question.answer), question


@pytest.mark.parametrize(
    "text", ["the RED star  shows 4", "4", " The red star 4. \n", "It shows 4."]
)
def test_case_spacing_and_the_final_period_do_not_matter(text):
    question = Question("needle", "", "The red star 4.", ("red star",), 0.0, 3.0)
    assert is_correct(question, text)


@pytest.mark.parametrize("text", ["", "The red star 5.", "The red star shows 14.", "14", "?"])
def test_wrong_or_empty_slots_are_wrong(text):
    question = Question("needle", "", "The red star 4.", ("red star",), 0.0, 3.0)
    assert not is_correct(question, text)


@pytest.mark.parametrize(
    ("seconds", "tolerance", "right"),
    [(8.0, 2.0, True), (7.9, 2.0, False), (16.0, 2.0, True), (16.1, 2.0, False), (9.0, 0.0, False)],
)
def test_a_time_is_right_inside_the_widened_interval(seconds, tolerance, right):
    question = Question("grounding", "", "", ("green square",), 10.0, 14.0)
    assert is_correct(question, f"The green square <{seconds:.1f} seconds>.", tolerance) == right


def test_a_time_may_be_off_by_half_a_window_of_inference_and_no_more():
    question = Question("grounding", "", "", ("green square",), 10.0, 14.0)
    right = {
        seconds: is_correct(question, f"The green square <{seconds:.1f} seconds>.")
        for seconds in (7.9, 8.0, 16.0, 16.1)
    }
    assert right == {7.9: False, 8.0: True, 16.0: True, 16.1: False}


def test_slots_are_read_from_short_and_long_answers():
    assert parse_answer("after", "After the red star blue circle.") == "blue circle"
    assert parse_answer("companion", "With the red star blue heart.") == "blue heart"
    assert parse_answer("before", "blue circle") == "blue circle"
    assert parse_answer("counting", "The red star 3 times.") == "3"
    assert parse_answer("counting", "The red star 3.") == "3"
    assert parse_answer("attribute", "The red star beach.") == "beach"
    assert parse_answer("comparison", "First blue circle.") == "blue circle"
    assert parse_answer("global", "beach") == "beach"
    assert parse_answer("grounding", "no idea") is None


def test_a_swapped_neighbour_is_wrong():
    question = next(q for q in all_questions(STORY, 8) if q.kind == "before")
    assert not is_correct(question, "Before the green square red star.")


def test_relevance_needs_the_actor_for_two_frames_of_the_segment():
    question = next(q for q in all_questions(STORY, 4) if q.actors == ("red star",))
    relevant = [is_relevant(question, STORY, i * 4, i * 4 + 4) for i in range(8)]
    assert relevant == [True, True, False, False, False, False, False, False]


@pytest.mark.parametrize(
    ("kind", "relevant"),
    [("after", [5, 6, 7]), ("before", [2, 3, 4, 5, 6])],
)
def test_the_scene_that_answers_is_relevant_too(kind, relevant):
    question = next(q for q in all_questions(STORY, 4) if q.kind == kind)
    assert question.actors == ("green square",)  # frames 20 to 28: segments 5 and 6
    assert [i for i in range(8) if is_relevant(question, STORY, i * 4, i * 4 + 4)] == relevant


def test_a_comparison_is_relevant_where_either_actor_is_seen():
    question = next(q for q in all_questions(STORY, 4) if q.kind == "comparison")
    relevant = [is_relevant(question, STORY, i * 4, i * 4 + 4) for i in range(8)]
    assert relevant == [True, True, False, False, False, True, True, False]


def test_global_questions_are_relevant_everywhere():
    question = next(q for q in all_questions(STORY, 4) if q.kind == "global")
    assert all(is_relevant(question, STORY, i * 4, i * 4 + 4) for i in range(8))


def test_sampled_questions_take_kinds_in_turn_without_repetition():
    rng = np.random.default_rng(0)
    asked = sample_questions(rng, make_story(rng, 400), 12)
    assert len(set(asked)) == 12
    counts = {kind: sum(q.kind == kind for q in asked) for kind in KINDS}
    assert counts.pop("global") <= 1  # a story has one global question at most
    assert counts.pop("companion") <= 2  # four actors appear once, not all with one bystander
    assert set(counts.values()) <= {1, 2}


def test_sampling_honours_kinds_and_stops_when_there_is_no_more_to_ask():
    rng = np.random.default_rng(0)
    asked = sample_questions(rng, STORY, 50, kinds=["before", "global"], window=8)
    assert sorted(q.kind for q in asked) == ["before", "global"]
    with pytest.raises(ValueError, match=r"unknown question kinds \['why'\]"):
        sample_questions(rng, STORY, 1, kinds=["why"])


def test_sampling_is_deterministic_by_its_generator():
    story = make_story(np.random.default_rng(3), 200)
    drawn = [sample_questions(np.random.default_rng(1), story, 6) for _ in range(2)]
    assert drawn[0] == drawn[1]
