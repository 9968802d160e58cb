"""Mixes: kinds in the wanted proportions, whatever a single story can supply."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tempo_lib.miniature.world.mixes import QuestionMix, draw_counts, sample_mix, with_choices
from tempo_lib.miniature.world.questions import ask_all
from tempo_lib.miniature.world.scenes import Scene, Story, make_story

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
    one = Story((Scene("red star", 47, "beach", 8),))
    asked = sample_mix(rng, one, MIX, 8)
    assert sorted(question.kind for question in asked) == ["global", "needle"]


def test_questions_of_a_mix_are_different_ones_that_the_story_can_answer():
    for seed in range(20):
        asked = sample_mix(np.random.default_rng(seed), story(seed), MIX, 8)
        assert len(set(asked)) == len(asked)
        assert len(asked) in (3, 5)
        assert set(asked) <= set(ask_all(story(seed), 8))


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
        all_asked = ask_all(story(seed, 200), 8)
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
