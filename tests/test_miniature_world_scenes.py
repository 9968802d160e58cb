"""Stories fill their frames, keep their cast apart and know what a window shows."""

from itertools import pairwise

import numpy as np
import pytest

from tempo_lib.miniature.world.captions import caption, transcript
from tempo_lib.miniature.world.scenes import ACTORS, ALL_NAMES, PLACES, Scene, Story, make_story
from tempo_lib.prompts import timestamp

LENGTHS = [4, 6, 8, 10, 22, 64, 192, 768]

STORY = Story(
    (
        Scene("red star", 47, "beach", 6),
        Scene(None, None, "forest", 4),
        Scene("blue circle", 12, "snow", 6),
    )
)


@pytest.mark.parametrize("num_frames", LENGTHS)
def test_a_story_fills_exactly_its_frames_with_scenes_of_8_or_16(num_frames):
    story = make_story(np.random.default_rng(num_frames), num_frames)
    assert story.num_frames == num_frames
    *first, last = [scene.num_frames for scene in story.scenes]
    assert set(first) <= {8, 16}
    assert last - num_frames % 8 in ({8, 16} if num_frames >= 8 else {0})


@pytest.mark.parametrize("window", [4, 8])
def test_a_segment_of_training_or_inference_shows_one_scene(window):
    story = make_story(np.random.default_rng(0), 400)
    shown = [len(story.visible(start, start + window)) for start in range(0, 400, window)]
    assert set(shown) == {1}


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


def test_a_long_story_has_four_unique_actors_and_new_codes_at_each_appearance():
    story = make_story(np.random.default_rng(0), 768)
    counts = [len(indices) for indices in story.appearances.values()]
    assert counts.count(1) >= 4
    assert sum(2 <= count <= 6 for count in counts) >= 3
    for indices in story.appearances.values():
        codes = [story.scenes[i].code for i in indices]
        assert len(set(codes)) == len(codes) and all(10 <= code <= 99 for code in codes)


def test_the_same_generator_state_gives_the_same_story():
    stories = [make_story(np.random.default_rng(5), 64) for _ in range(2)]
    assert stories[0] == stories[1]
    assert stories[0] != make_story(np.random.default_rng(6), 64)


def test_about_a_quarter_of_the_scenes_is_empty():
    stories = [make_story(np.random.default_rng(seed), 400) for seed in range(20)]
    scenes = [scene for story in stories for scene in story.scenes]
    assert 0.2 < sum(scene.actor is None for scene in scenes) / len(scenes) < 0.3


def test_visible_needs_two_frames_of_the_window():
    red, forest, blue = STORY.scenes
    assert STORY.visible(0, 4) == [red]
    assert STORY.visible(4, 8) == [red, forest]
    assert STORY.visible(5, 9) == [forest]
    assert STORY.visible(8, 16) == [forest, blue]
    assert STORY.visible(15, 16) == [blue]  # an image shows the scene of its one frame
    assert STORY.visible(16, 24) == []


def test_scene_at_knows_every_frame_and_refuses_others():
    assert [STORY.scene_at(f).place for f in (0, 5, 6, 9, 10, 15)] == [
        *("beach", "beach", "forest", "forest", "snow", "snow")
    ]
    with pytest.raises(IndexError, match="frame 16 is outside a story of 16 frames"):
        STORY.scene_at(16)


def test_a_scene_has_actor_and_code_or_neither():
    with pytest.raises(ValueError, match="an actor and a code, or neither"):
        Scene("red star", None, "beach", 4)


def test_captions_and_transcripts_read_as_specified():
    assert caption(STORY, 0, 8) == "red star 47 beach, empty forest"
    assert transcript(STORY, 8) == (
        "<2.0 seconds> red star 47 beach, empty forest"
        "<6.0 seconds> empty forest, blue circle 12 snow"
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
