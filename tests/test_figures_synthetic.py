"""Pictures of the world and its numbers."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tempo_lib import figures
from tempo_lib.figures.synthetic import MOST_SCENES
from tempo_lib.miniature import facts
from tempo_lib.miniature.world.questions import KINDS
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import Scene, Story

STORY = Story((Scene(None, None, "beach", 8), Scene("red star", 7, "night", 16)))
SCENES = pd.DataFrame(STORY.scenes)


def texts_of(fig):
    return [text.get_text() for text in fig.findobj(lambda artist: hasattr(artist, "get_text"))]


def images_of(fig):
    return [image for ax in fig.findobj(type(fig.axes[0])) for image in ax.images]


def numbers_of(stories):
    lengths = facts.scene_lengths(stories)
    return lengths, facts.question_counts({96: stories}, 8), facts.guessing(stories, 8, 0)


def mixes(ours):
    rows = [
        {"suite": suite, "benchmark": "LVBench", "kind": kind, "real": 0.125, "ours": share}
        for suite in ("mini-mlvu", "mini-lvbench")
        for kind, share in zip(KINDS, ours, strict=True)
    ]
    return pd.DataFrame(rows).assign(real_n=800, n=400)


def test_a_contact_sheet_shows_every_scene_as_drawn_and_as_read():
    drawn = np.stack([np.full((16, 16, 3), value, np.uint8) for value in (10, 200)])
    fig = figures.contact_sheet(SCENES, drawn, drawn[:, ::4, ::4])
    sizes = sorted(image.get_array().shape[0] for image in images_of(fig))
    assert sizes == [4, 4, 16, 16]
    words = texts_of(fig)
    assert "empty\nbeach" in words and "red star\n7 night" in words
    assert "as read\n4 x 4" in words
    assert "red star 7 night" in fig.alt_text


def test_a_contact_sheet_refuses_pictures_of_another_story():
    with pytest.raises(ValueError, match="2 scenes, but 3 pictures"):
        figures.contact_sheet(SCENES, np.zeros((3, 8, 8, 3)), np.zeros((2, 8, 8, 3)))


def test_a_strip_shows_the_middle_frame_of_every_scene_over_its_seconds():
    frames_THW3 = np.zeros((24, 8, 8, 3), np.uint8)
    frames_THW3[:] = np.arange(24, dtype=np.uint8)[:, None, None, None]
    fig = figures.story_strip(SCENES, frames_THW3, window=8)
    assert sorted(int(image.get_array().max()) for image in images_of(fig)) == [4, 16]
    bands = [(bar.get_x(), bar.get_width()) for bar in fig.axes[1].patches]
    assert bands == [(0.0, 4.0), (4.0, 8.0)]
    assert "red star 7 night from 4 to 12 s" in fig.alt_text


def test_a_strip_refuses_a_story_too_long_to_label_and_frames_that_are_not_its_own():
    long = Story(tuple(Scene(None, None, "city", 8) for _ in range(MOST_SCENES + 1)))
    with pytest.raises(ValueError, match="13 scenes"):
        figures.story_strip(
            pd.DataFrame(long.scenes), np.zeros((long.num_frames, 8, 8, 3), np.uint8), 8
        )
    with pytest.raises(ValueError, match="20 of 24 frames"):
        figures.story_strip(SCENES, np.zeros((20, 8, 8, 3), np.uint8), 8)


def test_world_numbers_writes_the_means_and_floors_of_its_tables():
    lengths, askable, guesses = numbers_of(facts.draw_stories(20, 96, 0))
    fig = figures.world_numbers(lengths, askable, guesses)
    grid = fig.axes[1]
    mean = askable.set_index("kind").loc["counting", "mean"]
    assert f"{mean:.1f}" in [text.get_text() for text in grid.texts]
    bars = [bar.get_width() for bar in fig.axes[2].patches]
    np.testing.assert_allclose(bars, guesses["floor"])
    assert f"counting {guesses.loc['counting', 'floor']:.2f}" in fig.alt_text


def test_suite_mixes_draws_real_and_own_shares_with_the_kinds_from_the_top():
    ours = [0.2, 0.05, *[0.125] * 7]
    fig = figures.suite_mixes(mixes(ours))
    ax = fig.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(KINDS)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    widths = sorted(round(bar.get_width(), 3) for bar in ax.patches)
    assert widths == sorted([0.125] * 9 + ours)
    assert "differ most for needle" in fig.alt_text or "differ most for attribute" in fig.alt_text


def test_pictures_of_the_world_keep_to_the_size_of_slides():
    stories = facts.draw_stories(5, 96, 0)
    sheet = facts.showcase_story(0)
    drawn = render(sheet, 0, 32)[facts.scene_middles(sheet)]
    drawings = [
        figures.contact_sheet(pd.DataFrame(sheet.scenes), drawn, drawn),
        figures.story_strip(SCENES, render(STORY, 0, 32), 8),
        figures.world_numbers(*numbers_of(stories)),
        figures.suite_mixes(mixes([0.125] * 9)),
    ]
    for fig in drawings:
        assert fig.get_figwidth() == 10
        sizes = [t.get_fontsize() for t in fig.findobj(lambda a: hasattr(a, "get_fontsize"))]
        assert min(sizes) >= 12


def test_facts_of_the_world_load_no_torch():
    code = "import sys, tempo_lib.miniature.facts; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
