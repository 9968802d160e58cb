"""The front-loading index on curves whose areas are counted by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from planted_memories import paper_suite, plant

from tempo_lib.analysis.front_loading import (
    area_difference,
    findings,
    front_loading_index,
    front_loading_table,
    index_by,
    lead_by_step,
)
from tempo_lib.analysis.slices import slice_answers
from tempo_lib.statistics.intervals import Difference

KS = (1, 2, 6)


def frame(head, tail, num_videos=5, ks=KS, kind="needle"):
    """One question a video; ``head(k, video)`` and ``tail(k, video)`` say what is right."""
    return pd.DataFrame(
        {"scheme": scheme, "k": k, "suite": "s", "world_seed": 0, "video": str(video)}
        | {"question_id": f"{kind}-{video}", "kind": kind, "correct": bool(right(k, video))}
        for scheme, right in (("head", head), ("tail", tail))
        for k in ks
        for video in range(num_videos)
    )


def always(k, video):
    return True


def never(k, video):
    return False


def whole_only(k, video):
    return k == max(KS)


def test_areas_are_trapezoids_over_uneven_sizes():
    found = front_loading_index(frame(always, whole_only), seed=0)
    assert (found.n, found.num_videos) == (5, 5)
    assert (found.head, found.tail) == (1.0, pytest.approx(2 / 5))  # 4 wide, half of 1 high, of 5
    assert found.index == pytest.approx(3 / 7)


@pytest.mark.parametrize(("head", "tail", "index"), [(always, never, 1.0), (never, always, -1.0)])
def test_one_end_that_tells_nothing_gives_the_extremes(head, tail, index):
    found = front_loading_index(frame(head, tail), seed=0)
    assert (found.index, found.low, found.high) == (index, index, index)


def test_equal_ends_give_zero_and_swapped_ends_the_opposite():
    rng = np.random.default_rng(0)
    right = rng.random((2, 7, 40)) < np.array([0.8, 0.4])[:, None, None]
    one, other = (lambda k, video, row=row: right[row, k, video] for row in (0, 1))
    there = front_loading_index(frame(one, other, 40), seed=0)
    back = front_loading_index(frame(other, one, 40), seed=0)
    assert there.index == pytest.approx(-back.index)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert front_loading_index(frame(one, one, 40), seed=0).index == 0.0


def test_the_interval_covers_chance_for_ends_alike_and_narrows_with_videos():
    rng = np.random.default_rng(1)
    right = rng.random((2, 7, 200)) < 0.5
    one, other = (lambda k, video, row=row: right[row, k, video] for row in (0, 1))
    few, many = (front_loading_index(frame(one, other, count), seed=0) for count in (20, 200))
    for found in (few, many):
        assert found.low <= found.index <= found.high
        assert found.low < 0 < found.high
    assert many.high - many.low < (few.high - few.low) / 2


def test_the_interval_takes_the_video_for_the_unit():
    def head(k, video):
        return video % 2 == 0

    alone = frame(head, whole_only, 10)
    five_times = pd.concat(
        [alone.assign(question_id=alone["question_id"] + f"-{copy}") for copy in range(5)]
    )
    one, other = (front_loading_index(part, seed=0) for part in (alone, five_times))
    assert other.n == 5 * one.n
    assert (other.index, other.low, other.high) == pytest.approx((one.index, one.low, one.high))


def test_one_video_says_nothing_about_others():
    found = front_loading_index(frame(always, whole_only, 1), seed=0)
    assert (found.index, found.low, found.high) == (pytest.approx(3 / 7), -1.0, 1.0)


def test_nothing_answered_has_no_direction():
    found = front_loading_index(frame(never, never), seed=0)
    assert math.isnan(found.index) and math.isnan(found.low) and math.isnan(found.high)
    assert (found.head, found.tail) == (0.0, 0.0)


def test_other_schemes_play_no_part():
    alone = frame(always, whole_only)
    beside = pd.concat([alone, alone[alone["scheme"] == "tail"].assign(scheme="merge")])
    assert front_loading_index(beside, 0) == front_loading_index(alone, 0)


def test_a_table_tells_kinds_apart():
    both = pd.concat([frame(always, never), frame(never, always, kind="global")])
    table = front_loading_table(both, seed=0).set_index("kind")
    assert table["index"].to_dict() == {"all": 0.0, "global": -1.0, "needle": 1.0}
    assert table.loc["all", ["n", "num_videos"]].tolist() == [10, 5]


def test_curves_that_cannot_be_compared_are_refused():
    whole = frame(always, never)
    with pytest.raises(ValueError, match="no answers of scheme 'tail'; the frame holds head"):
        front_loading_index(whole[whole["scheme"] == "head"], 0)
    with pytest.raises(ValueError, match="do not have the same questions"):
        front_loading_index(whole[(whole["scheme"] == "head") | (whole["video"] != "0")], 0)
    with pytest.raises(ValueError, match="lacks some of the k"):
        front_loading_index(whole[(whole["k"] != 2) | (whole["video"] != "0")], 0)
    with pytest.raises(ValueError, match="at least 2 values of k, got 1"):
        front_loading_index(whole[whole["k"] == 2], 0)


@pytest.mark.parametrize(
    ("place", "low", "high"),
    [
        (lambda number: number % 4, 0.5, 1.0),  # planted at the front
        (lambda number: 31 - number % 4, -1.0, -0.5),  # planted at the back
        (lambda number: number % 32, -0.05, 0.05),  # planted anywhere
    ],
)
def test_the_index_finds_the_planted_end(tiny_tempo, monkeypatch, place, low, high):
    suite = paper_suite(16)
    plant(monkeypatch, tiny_tempo, suite, lambda positions, number: place(number) in positions)
    answers = slice_answers(tiny_tempo, suite, schemes=("head", "tail"), progress=False)
    found = front_loading_index(answers, seed=0)
    assert low <= found.index <= high
    assert found.low <= found.index <= found.high


def test_area_differences_compare_any_two_schemes():
    both = frame(always, whole_only, 12)
    every = both[both["scheme"] == "tail"].assign(scheme="every")
    answers = pd.concat([both, every])
    gap = area_difference(answers, 0)
    assert gap.difference == pytest.approx(3 / 5) and gap.n == 12
    assert gap.p_value < 0.01
    assert area_difference(answers, 0, "tail", "every").difference == 0.0
    with pytest.raises(ValueError, match="no answers of scheme 'merge'"):
        area_difference(answers, 0, "head", "merge")


def checkpoints_of(**ends):
    parts = [frame(head, tail, 12).assign(checkpoint=name) for name, (head, tail) in ends.items()]
    return pd.concat(parts)


def test_checkpoints_stand_in_the_order_of_training():
    answers = checkpoints_of(
        base=(never, never), stage0=(whole_only, whole_only), stage1=(always, never)
    )
    table = index_by(answers, "checkpoint", 0)
    assert table["checkpoint"].tolist() == ["base", "stage0", "stage1"]
    assert math.isnan(table["index"][0]) and table["index"].tolist()[1:] == [0.0, 1.0]
    steps = lead_by_step(answers, 0)
    assert list(steps) == ["base to stage0", "stage0 to stage1"]
    assert [step.difference for step in steps.values()] == [0.0, 1.0]


def test_checkpoints_that_cannot_be_compared_are_refused():
    uneven = checkpoints_of(base=(always, never), stage0=(always, never))
    uneven = uneven[(uneven["checkpoint"] == "base") | (uneven["video"] != "3")]
    with pytest.raises(ValueError, match="base and stage0 do not have the same questions"):
        lead_by_step(uneven, 0)


def test_sentences_are_judged_together():
    facts = {"n": 9, "low": -1.0, "high": 1.0}
    found = [
        ("a", "up", Difference(difference=0.3, p_value=0.001, **facts)),
        ("a", "down", Difference(difference=-0.3, p_value=0.002, **facts)),
        ("b", "alone it would count", Difference(difference=0.1, p_value=0.03, **facts)),
        ("b", "nothing", Difference(difference=0.0, p_value=1.0, **facts)),
    ]
    table = findings(found)
    assert table["verdict"].tolist() == ["shown", "reversed", "not shown", "not shown"]
    assert table["p_holm"].tolist() == pytest.approx([0.004, 0.006, 0.06, 1.0])
    assert findings(found[2:3])["verdict"].tolist() == ["shown"]
