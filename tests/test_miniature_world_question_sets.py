"""Mixes of questions follow their weights; of four options exactly one is right."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tempo_lib.miniature.world.question_sets import (
    QuestionMix,
    any_options,
    as_choice,
    draw_counts,
    option_lines,
    right_option,
    sample_mix,
    with_choices,
)
from tempo_lib.miniature.world.questions import (
    KINDS,
    LETTERS,
    Question,
    after_key,
    all_questions,
    is_correct,
    is_correct_by_words,
    parse_answer,
    parse_letter,
)
from tempo_lib.miniature.world.scenes import (
    ALL_NAMES,
    BYSTANDERS,
    PLACES,
    Bystander,
    Scene,
    Story,
    make_story,
)

STORY = Story(
    (
        Scene("red star", 4, "beach", 6, (Bystander("blue heart", 0, 4),)),
        Scene(None, None, "forest", 4),
        Scene("blue circle", 1, "snow", 10),
        Scene("green square", 3, "beach", 8),
        Scene("blue circle", 9, "beach", 4),
    )
)


def plain(kind, window=8):
    return next(q for q in all_questions(STORY, window) if q.kind == kind)


@cache
def choices(window, offset=0.0):
    """(open question, the same with options) of some stories, from tiny to long."""
    pairs = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        story = make_story(rng, 8 + 8 * seed)
        for question in all_questions(story, window, offset):
            pairs.append((question, as_choice(rng, question, story, window, offset)))
    return pairs


@pytest.mark.parametrize("window", [4, 8])
def test_exactly_one_of_four_different_options_is_right(window):
    for question, choice in choices(window):
        assert len(set(choice.options)) == len(choice.options) == 4
        assert [is_correct(question, option) for option in choice.options].count(True) == 1
        assert right_option(question) in choice.options


def test_the_text_lists_the_options_and_the_answer_ends_on_the_right_letter():
    for question, choice in choices(8):
        first, *lines = choice.text.split("\n")
        assert first == question.text
        assert lines == [
            f"{letter}{after_key(option)}"
            for letter, option in zip(LETTERS, choice.options, strict=True)
        ]
        letter = LETTERS[choice.options.index(right_option(question))]
        assert choice.answer == f"{question.answer[:-1]} {letter}."
        assert (choice.kind, choice.actors, choice.interval) == (
            question.kind,
            question.actors,
            question.interval,
        )


def test_of_bare_letters_only_the_right_one_is_judged_right():
    for _, choice in choices(8):
        right = parse_letter(choice.answer)
        judged = {letter: is_correct(choice, f"{letter}.") for letter in LETTERS}
        assert judged == {letter: letter == right for letter in LETTERS}
        assert is_correct(choice, choice.answer)


def test_every_letter_is_right_equally_often():
    letters = Counter(parse_letter(choice.answer) for _, choice in choices(8))
    shares = np.array([letters[letter] for letter in LETTERS]) / letters.total()
    assert letters.total() > 500
    assert np.abs(shares - 0.25).max() < 0.06


def test_the_place_of_an_option_in_the_list_tells_nothing_of_where_it_stands_in_the_story():
    rng = np.random.default_rng(0)
    seen = Counter(as_choice(rng, plain("needle"), STORY, 8).options.index("4") for _ in range(400))
    assert set(seen) == {0, 1, 2, 3}
    assert min(seen.values()) > 60


def test_wrong_options_come_from_the_story_where_it_has_enough():
    rng = np.random.default_rng(1)
    assert set(as_choice(rng, plain("needle"), STORY, 8).options) == {"4", "1", "3", "9"}
    tags = as_choice(rng, plain("grounding"), STORY, 8).options
    assert set(tags) <= {f"<{seconds}.0 seconds>" for seconds in (2, 6, 10, 14)}


def test_a_wrong_time_is_never_within_the_judged_interval():
    for question, choice in choices(8, offset=100.0):
        if question.kind == "grounding":
            wrong = [option for option in choice.options if option != right_option(question)]
            low, high = question.start - 2.0, question.stop + 2.0
            assert all(not low <= float(option[1:].split()[0]) <= high for option in wrong)


def test_options_fit_their_kind():
    fits = {
        "needle": lambda option: option.isdigit() and 0 <= int(option) <= 9,
        "companion": BYSTANDERS.__contains__,
        "attribute": PLACES.__contains__,
        "grounding": lambda option: option.startswith("<") and option.endswith(" seconds>"),
        "counting": lambda option: 1 <= int(option) <= 6,
        "global": PLACES.__contains__,
    }
    met = set()
    for question, choice in choices(4):
        met.add(question.kind)
        assert all(map(fits.get(question.kind, ALL_NAMES.__contains__), choice.options))
    assert met == set(KINDS)


def test_both_compared_actors_are_options():
    for question, choice in choices(8):
        if question.kind == "comparison":
            assert set(question.actors) < set(choice.options)


def test_the_actor_that_is_asked_about_is_no_option_where_others_suffice():
    rng = np.random.default_rng(0)
    story = make_story(rng, 200)
    assert len(story.appearances) >= 5
    asked_of = [q for q in all_questions(story, 8) if q.kind in ("after", "before")]
    assert asked_of
    for question in asked_of:
        options = as_choice(rng, question, story, 8).options
        assert question.actors[0] not in options
        assert set(options) <= set(story.appearances)


@pytest.mark.parametrize("kind", KINDS)
def test_options_without_a_story_are_four_different_ones_of_the_kind(kind):
    options = any_options(np.random.default_rng(0), kind)
    assert len(set(options)) == 4
    assert option_lines(options).count("\n") == 4
    assert all(parse_answer(kind, f"The red star{after_key(option)}.") for option in options)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The red star 4 B.", "B"),
        ("b", "B"),
        ("(C)", "C"),
        ("The red star <2.0 seconds>D.", "D"),
        (" A. \n", "A"),
        ("The red star 4.", None),
        ("4B", None),
        ("E", None),
        ("", None),
        ("B 4", None),
    ],
)
def test_a_letter_is_read_from_the_end_of_an_answer(text, letter):
    assert parse_letter(text) == letter


def test_an_answer_is_right_by_its_letter_and_its_words_are_judged_apart():
    choice = as_choice(np.random.default_rng(0), plain("needle"), STORY, 8)
    right = parse_letter(choice.answer)
    other = next(letter for letter in LETTERS if letter != right)
    said = {
        "The red star 4.": (False, True),
        f"The red star 4 {right}.": (True, True),
        f"The red star 4 {other}.": (False, True),
        f"The red star 5 {right}.": (True, False),
        f"{right}.": (True, False),
        "": (False, False),
    }
    for text, expected in said.items():
        assert (is_correct(choice, text), is_correct_by_words(choice, text)) == expected, text


def test_the_letter_of_a_time_counts_and_the_time_is_judged_apart():
    choice = as_choice(np.random.default_rng(3), plain("grounding"), STORY, 8)
    for letter, option in zip(LETTERS, choice.options, strict=True):
        text = f"The red star{after_key(option)} {letter}."
        is_right = letter == parse_letter(choice.answer)
        assert is_correct(choice, text) == is_correct_by_words(choice, text) == is_right


def test_drawing_options_is_deterministic_by_its_generator():
    drawn = [as_choice(np.random.default_rng(5), plain("after"), STORY, 8) for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_an_answer_without_a_slot_has_no_right_option():
    with pytest.raises(ValueError, match="answers no question of kind needle"):
        right_option(Question("needle", "", "no idea", ("red star",), 0.0, 3.0))


MIX = QuestionMix(
    kind_weights=(("needle", 3.0), ("after", 1.0), ("global", 1.0), ("grounding", 0.0)),
    per_story=((3, 1), (5, 3)),
)
PLENTY = {"needle": 99, "after": 99, "global": 99}


def story(seed, num_frames=120):
    return make_story(np.random.default_rng(seed), num_frames)


def test_a_mix_knows_its_kinds_shares_and_mean_number():
    assert MIX.kinds == ("needle", "after", "global")
    assert MIX.shares() == {"needle": 0.6, "after": 0.2, "global": 0.2}
    assert MIX.mean_per_story == 4.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind_weights": (("why", 1.0),)}, r"unknown kinds \['why'\]"),
        ({"kind_weights": (("needle", 1.0), ("needle", 2.0))}, "a kind named twice"),
        ({"kind_weights": (("needle", -1.0), ("after", 2.0))}, "weights >= 0"),
        ({"kind_weights": (("needle", 0.0),)}, "at least one of them above 0"),
        ({"kind_weights": ()}, "at least one of them above 0"),
        ({"per_story": ()}, "per_story needs pairs"),
        ({"per_story": ((0, 4),)}, "per_story needs pairs"),
    ],
)
def test_a_mix_that_cannot_be_drawn_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        replace(MIX, **change)


@pytest.mark.parametrize("number", [1, 3, 4, 10])
def test_each_kind_gets_the_whole_number_below_or_above_its_share_and_its_share_on_average(number):
    rng = np.random.default_rng(number)
    drawn = [draw_counts(rng, MIX.shares(), PLENTY, number) for _ in range(2000)]
    for kind, share in MIX.shares().items():
        counts = np.array([counts[kind] for counts in drawn])
        assert np.abs(counts - number * share).max() < 1
        assert counts.mean() == pytest.approx(number * share, abs=0.05)
    assert {sum(counts.values()) for counts in drawn} == {number}


def test_what_a_kind_cannot_supply_goes_to_the_others():
    rng = np.random.default_rng(0)
    supply = {"needle": 1, "after": 0, "global": 99}
    assert draw_counts(rng, MIX.shares(), supply, 5) == {"needle": 1, "after": 0, "global": 4}


def test_a_story_with_too_little_to_ask_is_asked_all_of_it():
    rng = np.random.default_rng(0)
    supply = {"needle": 1, "after": 0, "global": 1}
    assert draw_counts(rng, MIX.shares(), supply, 5) == supply
    one = Story((Scene("red star", 4, "beach", 8),))
    asked = sample_mix(rng, one, MIX, 8)
    assert sorted(question.kind for question in asked) == ["global", "needle"]


def test_questions_of_a_mix_are_different_ones_that_the_story_can_answer():
    for seed in range(20):
        asked = sample_mix(np.random.default_rng(seed), story(seed), MIX, 8)
        assert len(set(asked)) == len(asked)
        assert len(asked) in (3, 5)
        assert set(asked) <= set(all_questions(story(seed), 8))


def test_many_stories_together_show_the_mix():
    counts = Counter()
    numbers = Counter()
    for seed in range(300):
        asked = sample_mix(np.random.default_rng(seed), story(seed), MIX, 8)
        counts.update(question.kind for question in asked)
        numbers[len(asked)] += 1
    shares = {kind: counts[kind] / counts.total() for kind in counts}
    assert shares == pytest.approx(MIX.shares(), abs=0.03)
    assert numbers[5] / 300 == pytest.approx(0.75, abs=0.08)


def test_counts_of_one_do_not_crowd_out_the_others():
    counting = QuestionMix(kind_weights=(("counting", 1.0),), per_story=((1, 1),))
    answers, possible = Counter(), Counter()
    for seed in range(150):
        (asked,) = sample_mix(np.random.default_rng(seed), story(seed, 200), counting, 8)
        answers[asked.answer[-2]] += 1
        all_asked = all_questions(story(seed, 200), 8)
        possible.update(q.answer[-2] for q in all_asked if q.kind == "counting")
    assert possible["1"] / possible.total() > 0.6
    assert answers["1"] / answers.total() < 0.4


def test_kinds_come_in_no_fixed_order():
    rng = np.random.default_rng(0)
    firsts = {sample_mix(rng, story(seed), MIX, 8)[0].kind for seed in range(60)}
    assert firsts == {"needle", "after", "global"}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_a_share_of_the_questions_lists_options(share):
    listed = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        asked = sample_mix(rng, story(seed), MIX, 8)
        chosen = with_choices(rng, asked, story(seed), 8, share)
        for question, given in zip(asked, chosen, strict=True):
            assert given.text.split("\n")[0] == question.text
            assert given.options or given == question
        count = sum(bool(question.options) for question in chosen)
        assert abs(count - share * len(asked)) < 1
        listed.append(count / len(asked))
    assert np.mean(listed) == pytest.approx(share, abs=0.06)
