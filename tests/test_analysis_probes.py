"""Probes on memories whose readable positions are known, and what is collected from stories."""

import numpy as np
import pytest
import torch

from tempo_lib import Tempo, Video
from tempo_lib.analysis.probes import (
    ProbeData,
    collect_memories,
    probe_halves,
    probe_positions,
    probe_table,
)
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.miniature.lessons import ATTRIBUTES, draw_stories, labelled_clips
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import Scene, Story

POSITIONS, WIDTH, CLASSES = 5, 12, 3
STORY = Story(
    (
        Scene("red star", 7, "beach", 8),
        Scene(None, None, "snow", 8),
        Scene("blue circle", 2, "city", 16),
    )
)
LONELY = Story((Scene("green square", 0, "night", 8),))


def planted(strength_K, num_videos=40, per_video=15, seed=0):
    """Memories whose position k shows the label ``strength_K[k]`` times as strong as the noise."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, CLASSES, num_videos * per_video)
    memories = rng.normal(size=(len(label), len(strength_K), WIDTH))
    memories[np.arange(len(label)), :, label] += np.array(strength_K)
    groups = np.repeat(np.arange(num_videos), per_video)
    return memories, {"colour": np.array(["red", "green", "blue"])[label]}, groups


@pytest.mark.parametrize(
    ("strength", "slope"), [([6, 3, 1.5, 0.7, 0], -1), ([0, 0.7, 1.5, 3, 6], 1)]
)
def test_accuracy_follows_what_positions_were_given(strength, slope):
    table = probe_positions(*planted(strength), seed=0)
    assert table["position"].tolist() == list(range(POSITIONS))
    accuracy = table["accuracy"].to_numpy()
    assert (np.sign(np.diff(accuracy)) == slope).all()
    assert accuracy.max() > 0.98
    assert accuracy.min() == pytest.approx(1 / CLASSES, abs=0.07)
    assert (table["control"] - 1 / CLASSES).abs().max() < 0.08  # a shuffled label cannot be read


def test_shuffled_labels_are_read_at_chance_at_every_position():
    memories, labels, groups = planted([6, 3, 1.5, 0.7, 0])
    shuffled = {"colour": np.random.default_rng(1).permutation(labels["colour"])}
    table = probe_positions(memories, shuffled, groups, seed=0)
    assert (table["accuracy"] - 1 / CLASSES).abs().max() < 0.08
    assert (table["n"] == len(memories)).all()


def test_what_only_tells_the_video_helps_on_no_other_video():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    memories = np.eye(40)[groups][:, None] + 0.01 * rng.normal(size=(400, 1, 40))
    labels = {"place": np.where(rng.random(40) < 0.5, "beach", "city")[groups]}
    table = probe_positions(memories, labels, groups, seed=0)
    assert table["accuracy"].item() < 0.65


def test_attributes_do_not_disturb_each_other():
    memories, labels, groups = planted([2, 1])
    noise = np.random.default_rng(2).choice(["a", "b"], len(groups))
    alone = probe_positions(memories, labels, groups, seed=0)["accuracy"]
    both = probe_positions(memories, {**labels, "noise": noise}, groups, seed=0)
    assert both["attribute"].tolist() == ["colour"] * 2 + ["noise"] * 2
    # the folds are drawn after the shuffles, so they differ, and with them a few rows
    assert both["accuracy"][:2].tolist() == pytest.approx(alone.tolist(), abs=0.05)


def test_chance_is_the_majority_class_of_the_other_videos():
    rng = np.random.default_rng(0)
    labels = {"place": np.array((["beach"] * 3 + ["city"]) * 20)}
    table = probe_positions(rng.normal(size=(80, 1, 4)), labels, np.arange(80) // 4, seed=0)
    assert table["chance"].item() == 0.75


def test_labels_that_cannot_be_probed_are_named():
    memories, labels, groups = planted([1])
    with pytest.raises(ValueError, match="600 memories but 599 labels of colour"):
        probe_positions(memories, {"colour": labels["colour"][1:]}, groups, seed=0)
    with pytest.raises(ValueError, match="shape has one value in all rows"):
        probe_positions(memories, {"shape": np.full(600, "star")}, groups, seed=0)
    with pytest.raises(ValueError, match="groups has one value in all rows"):
        probe_positions(memories, labels, np.zeros(600), seed=0)
    with pytest.raises(ValueError, match="no attributes to probe"):
        probe_positions(memories, {}, groups, seed=0)


@pytest.fixture(scope="module")
def model():
    return Tempo.from_pretrained(find_checkpoint("tiny"))


@pytest.fixture(scope="module")
def collected(model):
    return collect_memories(model, labelled_clips([STORY, LONELY], 8, 8, seed=3, size=64))


def test_every_segment_with_an_actor_has_a_question_about_it_and_one_about_another(collected):
    labels = collected.labels
    assert tuple(labels) == ATTRIBUTES
    assert collected.groups_n.tolist() == [0] * 6 + [1] * 2
    assert labels["relevance"].tolist() == ["yes", "no"] * 4
    rows = list(zip(*(labels[name][::2] for name in ATTRIBUTES[:6]), strict=True))
    assert rows == [
        ("star", "red", "7", "beach", "none", "0"),
        ("circle", "blue", "2", "city", "none", "2"),
        ("circle", "blue", "2", "city", "none", "3"),
        ("square", "green", "0", "night", "none", "0"),
    ]


def test_rows_are_the_memories_of_their_segment_and_question(model, collected):
    video = Video(render(STORY, [3, 0], 64), fps=2.0)
    for actor, rows in (("red star", [(0, 0), (3, 2), (5, 3)]), ("blue circle", [(1, 0), (2, 2)])):
        expected = model.compress(video, f"Which number is shown with the {actor}?").memories
        for row, segment in rows:
            got = torch.from_numpy(collected.memories_nKd[row])
            torch.testing.assert_close(got, expected[segment], atol=1e-4, rtol=0)


def test_a_part_holds_one_relevance_and_drops_its_label(collected):
    part = collected.part("no")
    assert isinstance(part, ProbeData) and "relevance" not in part.labels
    assert len(part.memories_nKd) == len(part.groups_n) == len(part.labels["place"]) == 4
    np.testing.assert_array_equal(part.memories_nKd, collected.memories_nKd[1::2])
    with pytest.raises(ValueError, match="must be one of yes, no, got 'maybe'"):
        collected.part("maybe")


def test_stories_without_actors_cannot_be_probed(model):
    empty = Story((Scene(None, None, "snow", 8),))
    with pytest.raises(ValueError, match="none of 1 clips has a labelled segment"):
        collect_memories(model, labelled_clips([empty], 8, 8, size=64))


def two_attributes(strength_K):
    """Colour as planted; relevance in turns, shown at the last position alone."""
    memories, labels, groups = planted(strength_K)
    relevant = np.arange(len(groups)) % 2
    memories[:, -1, -1] += 8 * relevant
    labels["relevance"] = np.array(["no", "yes"])[relevant]
    return ProbeData(memories, labels, groups)


def test_halves_tell_which_end_tells_more():
    front = probe_halves(two_attributes([6, 6, 0, 0, 0, 0]), seed=0)
    assert list(front) == ["all", "colour", "relevance"]
    assert front["colour"].difference == pytest.approx(2 / 3 * 2 / 3, abs=0.06)  # 2 of 3 readable
    assert front["all"] == front["colour"]  # the mean over one attribute
    assert front["relevance"].high < 0
    even = probe_halves(two_attributes([6, 0, 0, 0, 0, 6]), seed=0)["colour"]
    assert even.low < 0.03 and even.high > -0.03


def test_the_table_reads_what_the_question_names_only_as_relevance():
    data = two_attributes([6, 6, 0, 0])
    table = probe_table(data, seed=0)
    assert list(table["attribute"].unique()) == ["colour", "relevance"]
    sizes = table.groupby("attribute")["n"].first()
    assert sizes["relevance"] == len(data.groups_n) == 2 * sizes["colour"]


def test_stories_differ_and_depend_on_the_seed_alone():
    one, two = draw_stories(3, 0), draw_stories(3, 1)
    assert one == draw_stories(3, 0) and one[:2] == draw_stories(2, 0)
    assert len({*one, *two}) == 6 and {story.num_frames for story in one} == {64}
