from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from tempo_lib.miniature.world.places import NUM_VARIANTS, UNITS, background
from tempo_lib.miniature.world.rendering import (
    SWAY_X,
    SWAY_Y,
    _add_noise,
    _layout,
    _paste,
    render,
)
from tempo_lib.miniature.world.scenes import (
    ACTORS,
    BYSTANDERS,
    PLACES,
    Bystander,
    Scene,
    Story,
    make_story,
)
from tempo_lib.miniature.world.sprites import (
    ACTOR_SIDE,
    INKS,
    NOISE_LIMIT,
    PLATE_HEIGHT,
    PLATE_WIDTH,
    plate,
)


def shrink(frame_HWC):
    """A frame as the miniature sees it: 48x48, bicubic with antialiasing, as float."""
    small = Image.fromarray(frame_HWC).resize((48, 48), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.float32)


def test_render_returns_one_uint8_frame_per_frame_of_the_story():
    story = make_story(np.random.default_rng(0), 30)
    frames_THWC = render(story, seed=1)
    assert frames_THWC.shape == (30, 128, 128, 3)
    assert frames_THWC.dtype == np.uint8


def test_equal_seeds_give_equal_frames_and_other_seeds_other_frames():
    story = make_story(np.random.default_rng(0), 12)
    first, again, other = render(story, 5), render(story, 5), render(story, 6)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_pictures_keep_their_layout_at_another_size():
    story = Story((Scene("blue circle", 3, "desert", 4),))
    large, small = render(story, 3, size=256)[0], render(story, 3, size=64)[0]
    assert np.abs(shrink(large) - shrink(small)).mean() < 8


def test_actor_and_plate_never_overlap_and_stay_inside_the_frame():
    rng = np.random.default_rng(0)
    sides = set()
    for is_high in (True, False) * 250:
        actor_x, actor_y, plate_x, plate_y = _layout(is_high, rng)
        assert (plate_y < (UNITS - PLATE_HEIGHT) / 2) == is_high
        left, right = sorted([(actor_x, ACTOR_SIDE), (plate_x, PLATE_WIDTH)])
        assert left[0] + left[1] + SWAY_X < right[0]
        assert min(actor_x, plate_x) - SWAY_X > 0
        assert right[0] + right[1] + SWAY_X < UNITS
        assert SWAY_Y < actor_y < UNITS - ACTOR_SIDE - SWAY_Y
        assert 0 < plate_y < UNITS - PLATE_HEIGHT
        sides.add(actor_x < plate_x)
    assert sides == {True, False}


def test_every_number_is_read_at_48_pixels_through_strong_noise():
    def view(number, x, y):
        frame_HWC = np.full((128, 128, 3), 120, dtype=np.uint8)
        _paste(frame_HWC, plate(number, 128), x, y)
        return shrink(frame_HWC)

    rng = np.random.default_rng(0)
    for x, y in ((20, 40), (21, 43), (22, 41)):  # positions within a pixel of the small frame
        pictures = np.stack([view(number, x, y) for number in range(10)]).reshape(10, -1)
        noisy = pictures + rng.normal(0, 12, size=pictures.shape)
        distances = ((noisy[:, None] - pictures[None]) ** 2).sum(-1)
        assert (distances.argmin(1) == np.arange(10)).all()


@pytest.mark.parametrize("actor", [*ACTORS, *BYSTANDERS])
def test_a_figure_shows_its_colour_and_no_other(actor):
    scene = Scene(None, None, "night", 1, (Bystander(actor, 0, 1),))
    if actor in ACTORS:
        scene = Scene(actor, 4, "night", 1)
    frame_HWC = render(Story((scene,)), seed=2)[0].astype(int)
    counts = {
        colour: int((np.abs(frame_HWC - ink).max(-1) <= 8).sum()) for colour, ink in INKS.items()
    }
    assert max(counts, key=counts.__getitem__) == actor.split()[0]
    assert counts[actor.split()[0]] > 80


def test_shapes_differ_at_48_pixels_more_than_noise_does():
    def view(shape, seed):
        name = f"red {shape}"
        scene = Scene(None, None, "city", 1, (Bystander(name, 0, 1),))
        if name in ACTORS:
            scene = Scene(name, 4, "city", 1)
        return shrink(render(Story((scene,)), seed)[0])

    groups = (("star", "circle", "square"), ("heart", "moon", "cross"))
    shapes = {shape: view(shape, 4) for group in groups for shape in group}
    for one, other in (pair for group in groups for pair in combinations(group, 2)):
        changed = np.abs(shapes[one] - shapes[other]).max(-1) > 40
        assert changed.sum() > 15


def test_the_six_places_are_told_apart_by_colour_alone_at_48_pixels():
    means = {
        place: np.mean([shrink(background(place, v, 128)) for v in range(NUM_VARIANTS)], axis=0)
        for place in PLACES
    }
    for place in PLACES:
        for seed in range(8):
            seen = shrink(render(Story((Scene(None, None, place, 1),)), seed)[0])
            distances = {name: np.abs(seen - mean).mean() for name, mean in means.items()}
            assert min(distances, key=distances.__getitem__) == place


def test_actors_move_within_a_scene_and_cuts_change_more_than_motion():
    story = Story((Scene("red star", 4, "beach", 6), Scene("blue circle", 1, "night", 6)))
    frames = render(story, 0).astype(int)
    change = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    within = np.delete(change, 5)
    assert change[5] > 5 * within.max()
    assert (np.abs(np.diff(frames[:6], axis=0)).max(axis=(1, 2, 3)) > 50).all()


@pytest.mark.parametrize("level", [NOISE_LIMIT, 255 - NOISE_LIMIT])
def test_noise_never_wraps_around(level):
    frames_THWC = np.full((4, 64, 64, 3), level, dtype=np.uint8)
    _add_noise(frames_THWC, np.random.default_rng(0))
    distance = np.abs(frames_THWC.astype(int) - level)
    assert 0 < distance.max() <= NOISE_LIMIT
    assert not np.array_equal(frames_THWC[0], frames_THWC[1])


def test_render_refuses_what_it_cannot_paint():
    with pytest.raises(ValueError, match="size must be even"):
        render(Story((Scene(None, None, "beach", 2),)), 0, size=31)
    with pytest.raises(ValueError, match="no painter for place 'moonbase'"):
        render(Story((Scene(None, None, "moonbase", 2),)), 0)
    with pytest.raises(ValueError, match="no picture for 'pink heart'"):
        render(Story((Scene("pink heart", 1, "beach", 2),)), 0)
    with pytest.raises(ValueError, match="one digit"):
        render(Story((Scene("red star", 10, "beach", 2),)), 0)
