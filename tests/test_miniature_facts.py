"""The world in numbers, on stories small enough to count by hand."""

from collections import Counter

import pytest

from tempo_lib.miniature import facts
from tempo_lib.miniature.facts import majority_baselines, suite_facts
from tempo_lib.miniature.world.questions import KINDS
from tempo_lib.miniature.world.scenes import ACTORS, BYSTANDERS, PLACES, Scene, Story

STORY = Story(
    (
        Scene("red star", 4, "beach", 8),
        Scene(None, None, "snow", 8),
        Scene("blue circle", 1, "beach", 16),
    )
)


def test_the_showcase_holds_every_place_empty_and_every_actor_once():
    story = facts.showcase_story(3)
    empty = [scene.place for scene in story.scenes if scene.actor is None]
    shown = [scene for scene in story.scenes if scene.actor is not None]
    assert empty == list(PLACES)
    assert [scene.actor for scene in shown] == list(ACTORS)
    assert {scene.number for scene in shown} == set(range(10))
    assert {one.name for scene in shown for one in scene.bystanders} == set(BYSTANDERS)
    assert set(Counter(scene.place for scene in shown).values()) == {2}


def test_scene_middles_are_frames_of_their_scenes():
    assert facts.scene_middles(STORY) == [4, 12, 24]


def test_stories_do_not_depend_on_how_many_are_drawn():
    assert facts.draw_stories(5, 96, 1)[:2] == facts.draw_stories(2, 96, 1)
    with pytest.raises(ValueError, match="at least 1 story"):
        facts.draw_stories(0, 96, 1)


def test_a_complete_story_can_be_asked_everything():
    story = facts.complete_story(104, 0)
    forms = facts.question_forms(story, 8, 0)
    assert list(forms.index) == list(KINDS)
    for row in forms.itertuples():
        letter = row[4].rstrip(".")[-1]
        option = row.options.split(f"{letter} ", 1)[1].split("   ")[0]
        assert option in row[2]  # the open answer says what the right letter's option says


def test_a_length_without_complete_stories_is_named():
    with pytest.raises(ValueError, match="no story of 8 frames"):
        facts.complete_story(8, 0, attempts=5)


def test_scene_lengths_are_shares_of_scenes():
    table = facts.scene_lengths([STORY]).set_index("frames")
    assert table["scenes"].to_dict() == {8: 2, 16: 1}
    assert table["seconds"].to_dict() == {8: 4.0, 16: 8.0}
    assert table["share"].sum() == pytest.approx(1)


def test_askable_counts_what_a_story_can_answer():
    table = facts.question_counts({32: [STORY]}, 8).set_index("kind")
    assert table.loc["needle", "mean"] == 2
    assert table.loc["after", "mean"] == 0  # an empty scene stands between the two
    assert table.loc["after", "share"] == 0
    assert table.loc["comparison", "mean"] == 1
    assert table.loc["global", "share"] == 1


def test_guessing_the_majority_answer_is_right_as_often_as_it_occurs():
    table = facts.guessing([STORY] * 4, 8, 0)
    assert table.loc["global", "majority_answer"] == "beach"
    assert table.loc["global", "floor"] == 1
    assert table.loc["counting", "floor"] == 1
    assert table.loc["needle", "answers"] <= 2
    assert sum(table.loc["attribute", "shares"]) == pytest.approx(1)
    assert table.loc["comparison", "coin"] in (0, 1)  # one pair, always named in the same order


def test_suites_ask_in_the_proportions_of_the_real_benchmarks():
    sizes, mixes = suite_facts("tiny", world_seed=5)
    assert (sizes["questions"] >= 200).all()
    assert mixes.groupby("suite")["real"].sum().to_list() == pytest.approx([1] * 4)
    assert mixes.groupby("suite")["ours"].sum().to_list() == pytest.approx([1] * 4)
    assert (mixes["real"] - mixes["ours"]).abs().max() < 0.06
    assert sizes["four options"].between(0.45, 0.55).all()


def test_floors_of_a_suite_come_from_all_its_questions():
    by_kind = majority_baselines("tiny", "mini-mlvu", 5, "kind")
    assert set(by_kind) == {"all", *KINDS} - {"grounding"}  # MLVU never asks when
    assert max(by_kind["needle"], by_kind["global"]) < 0.5
    by_form = majority_baselines("tiny", "mini-mlvu", 5, "form")
    assert set(by_form) == {"all", "open", "choice"}
    assert by_form["all"] == by_kind["all"]
    assert 0.25 < by_form["choice"] < 0.6
