"""Stories fill their frames, keep their cast apart and know what a window shows."""

import json
from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest

from tempo_lib.miniature.world.captions import caption, transcript
from tempo_lib.miniature.world.scenes import (
    ACTORS,
    ALL_NAMES,
    BYSTANDERS,
    MAX_SCENE_FRAMES,
    MIN_SCENE_FRAMES,
    PLACES,
    Bystander,
    Scene,
    Story,
    make_story,
    read_scene,
)
from tempo_lib.prompts import timestamp

LENGTHS = [4, 6, 8, 10, 22, 64, 192, 768]

STORY = Story(
    (
        Scene("red star", 4, "beach", 6, (Bystander("blue heart", 2, 6),)),
        Scene(None, None, "forest", 4),
        Scene("blue circle", 1, "snow", 6),
    )
)


@pytest.mark.parametrize("num_frames", LENGTHS)
def test_a_story_fills_exactly_its_frames_with_scenes_of_4_to_18(num_frames):
    story = make_story(np.random.default_rng(num_frames), num_frames)
    assert story.num_frames == num_frames
    lengths = [scene.num_frames for scene in story.scenes]
    assert min(lengths) >= MIN_SCENE_FRAMES and max(lengths) <= MAX_SCENE_FRAMES
    assert all(length % 2 == 0 for length in lengths)


def test_cuts_fall_anywhere_and_a_segment_shows_one_to_three_scenes():
    story = make_story(np.random.default_rng(0), 800)
    assert {start % 8 for start in story.starts[:-1]} == {0, 2, 4, 6}
    shown = [len(story.visible(start, start + 8)) for start in range(0, 800, 8)]
    assert set(shown) == {1, 2, 3}


def test_a_segment_of_8_frames_shows_about_three_figures():
    stories = [make_story(np.random.default_rng(seed), 400) for seed in range(10)]
    starts = range(0, 400, 8)
    counts = [
        sum(len(scene.names()) for scene in story.visible(start, start + 8))
        for story in stories
        for start in starts
    ]
    assert 2.5 < np.mean(counts) < 3.5 and max(counts) >= 6


@pytest.mark.parametrize("num_frames", [0, 2, 7, -4])
def test_a_story_refuses_odd_or_tiny_lengths(num_frames):
    with pytest.raises(ValueError, match="even number of frames"):
        make_story(np.random.default_rng(0), num_frames)


def test_a_cast_too_small_for_a_crowd_is_refused():
    with pytest.raises(ValueError, match="fewer than 3 for the crowd"):
        make_story(np.random.default_rng(0), 64, actors=ACTORS[:10])


@pytest.mark.parametrize("actors", [ACTORS, ALL_NAMES])
def test_actor_scenes_that_follow_each_other_never_show_the_same_actor(actors):
    for seed in range(60):
        story = make_story(np.random.default_rng(seed), 4 + 6 * seed, actors=actors)
        cast = [scene.actor for scene in story.scenes if scene.actor]
        assert cast and set(cast) <= set(actors)
        assert all(left != right for left, right in pairwise(cast))


def test_a_long_story_has_four_unique_actors_and_numbers_of_one_digit():
    story = make_story(np.random.default_rng(0), 768)
    counts = [len(indices) for indices in story.appearances.values()]
    assert counts.count(1) >= 4
    assert sum(2 <= count <= 6 for count in counts) >= 3
    assert {scene.number for scene in story.scenes if scene.actor} == set(range(10))


def test_bystanders_differ_from_actors_and_stay_in_their_scene():
    for seed in range(20):
        for scene in make_story(np.random.default_rng(seed), 200).scenes:
            names = [one.name for one in scene.bystanders]
            assert len(set(names)) == len(names) <= 2 and set(names) <= set(BYSTANDERS)
            for one in scene.bystanders:
                assert one.start >= 0 and one.stop <= scene.num_frames
                assert one.stop - one.start >= MIN_SCENE_FRAMES and one.start % 2 == 0


def test_a_scene_reads_back_from_the_list_that_a_corpus_holds():
    for scene in make_story(np.random.default_rng(1), 60).scenes:
        assert read_scene(json.loads(json.dumps(astuple(scene)))) == scene


def test_the_same_generator_state_gives_the_same_story():
    stories = [make_story(np.random.default_rng(5), 64) for _ in range(2)]
    assert stories[0] == stories[1]
    assert stories[0] != make_story(np.random.default_rng(6), 64)


def test_about_a_fifth_of_the_scenes_is_empty():
    stories = [make_story(np.random.default_rng(seed), 400) for seed in range(20)]
    scenes = [scene for story in stories for scene in story.scenes]
    assert 0.15 < sum(scene.actor is None for scene in scenes) / len(scenes) < 0.25


def test_visible_needs_two_frames_of_the_window():
    def shown(start, stop):
        return [
            (scene.place, scene.num_frames, scene.names()) for scene in STORY.visible(start, stop)
        ]

    red, blue = ["red star", "blue heart"], ["blue circle"]
    assert shown(0, 4) == [("beach", 4, red)]
    assert shown(0, 3) == [("beach", 3, ["red star"])]  # the heart comes in its third frame
    assert shown(4, 8) == [("beach", 2, red), ("forest", 2, [])]
    assert shown(5, 9) == [("forest", 3, [])]
    assert shown(8, 16) == [("forest", 2, []), ("snow", 6, blue)]
    assert shown(15, 16) == [("snow", 1, blue)]  # an image shows the scene of its one frame
    assert shown(16, 24) == []


def test_scene_at_knows_every_frame_and_refuses_others():
    assert [STORY.scene_at(f).place for f in (0, 5, 6, 9, 10, 15)] == [
        *("beach", "beach", "forest", "forest", "snow", "snow")
    ]
    with pytest.raises(IndexError, match="frame 16 is outside a story of 16 frames"):
        STORY.scene_at(16)


def test_a_scene_has_actor_and_number_or_neither():
    with pytest.raises(ValueError, match="an actor and a number, or neither"):
        Scene("red star", None, "beach", 4)


def test_captions_and_transcripts_read_as_specified():
    assert caption(STORY, 0, 8) == "red star 4 beach blue heart, empty forest"
    assert transcript(STORY, 8) == (
        "<2.0 seconds> red star 4 beach blue heart, empty forest"
        "<6.0 seconds> empty forest, blue circle 1 snow"
    )
    assert transcript(STORY, 4, offset_seconds=100.2).startswith("<101.2 seconds> red star")
    assert timestamp(14) == "<14.0 seconds>"


def test_every_place_leads_some_story():
    leaders = set()
    for seed in range(60):
        frames = dict.fromkeys(PLACES, 0)
        for scene in make_story(np.random.default_rng(seed), 200).scenes:
            frames[scene.place] += scene.num_frames
        leaders.add(max(frames, key=frames.__getitem__))
    assert leaders == set(PLACES)
