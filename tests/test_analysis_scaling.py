"""Points of Figures 1c and 3 from answers that can be counted by hand."""

from dataclasses import replace

import pandas as pd
import pytest

from tempo_lib.analysis import scaling
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import PAPER_BUDGETS, load_benchmark
from tempo_lib.evaluation.published import published_benchmark
from tempo_lib.miniature.benchmark import SUITES, suite_numbers
from tempo_lib.statistics.claims import Scaling


def answers_of(
    variant, right, suite="mini-lvbench", budget=384, frames=(800, 400), tokens=200, role=""
):
    """Two questions about each of three videos; ``right`` says which of the six are."""
    return pd.DataFrame(
        {
            "suite": suite,
            "variant": variant,
            "world_seed": 0,
            "budget": budget,
            "budget_role": role,
            "video": [f"v{i // 2}" for i in range(6)],
            "question_id": [str(i) for i in range(6)],
            "correct": right,
            "num_frames": [frames[i % 2] for i in range(6)],
            "tokens_used": tokens,
        }
    )


def test_a_point_says_accuracy_tokens_and_their_bound():
    right = [True, False, True, True, False, True]
    (point,) = scaling.scaling_points(answers_of("ata-f1024-b384", right)).to_dict("records")
    assert (point["max_frames"], point["budget"], point["n"]) == (1024, 384, 6)
    assert point["accuracy"] == pytest.approx(4 / 6)
    assert point["low"] < 4 / 6 < point["high"]
    assert point["frames"] == 600
    assert point["tokens_per_frame"] == pytest.approx((200 / 800 + 200 / 400) / 2)
    assert point["bound"] == pytest.approx((384 / 800 + 384 / 400) / 2)


def test_answers_that_are_no_point_are_left_out():
    ata = answers_of("ata", [True] * 6)
    both = pd.concat([ata, answers_of("ata-f64-b192", [True] * 6, budget=192)])
    assert scaling.scaling_points(both)["max_frames"].tolist() == [64]
    with pytest.raises(ValueError, match="no answers of a point"):
        scaling.scaling_points(ata)


def test_intervals_know_that_questions_of_a_video_fall_together():
    together = [True, True, False, False, True, True]
    apart = [True, True, True, False, True, False]
    narrow, wide = (
        scaling.scaling_points(answers_of("ata-f64-b384", right)).iloc[0]
        for right in (apart, together)
    )
    assert wide["accuracy"] == narrow["accuracy"]
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]


def test_figure_1c_takes_the_most_frames_by_rising_budget():
    names = [("ata-f64-b384", 384), ("ata-f1024-b768", 768), ("ata-f1024-b384", 384)]
    frames = pd.concat([answers_of(name, [True] * 6, budget=budget) for name, budget in names])
    chosen = scaling.at_most_frames(scaling.scaling_points(frames), "mini-lvbench")
    assert chosen["max_frames"].tolist() == [1024, 1024]
    assert chosen["budget"].tolist() == [384, 768]
    with pytest.raises(ValueError, match="suite 'mini-mlvu'; there are points of mini-lvbench"):
        scaling.at_most_frames(scaling.scaling_points(frames), "mini-mlvu")


def test_points_are_named_by_the_preset_or_by_hand():
    own = Scaling()
    assert len(scaling.point_names()) == len(own.frames) * len(own.budgets)
    assert scaling.point_names([64], [10, 20]) == ["ata-f64-b10", "ata-f64-b20"]
    assert scaling.point_names(budgets=[10]) == [f"ata-f{cap}-b10" for cap in own.frames]


def test_points_of_a_role_fall_together_whatever_its_tokens_on_a_suite():
    right = [True] * 6
    both = pd.concat(
        [
            answers_of("ata-f64-b8K", right, budget=384, role="8K"),
            answers_of("ata-f64-b8K", right, "mini-mlvu", budget=512, role="8K"),
            answers_of("ata-f64-b60", right, budget=60),
        ]
    )
    points = scaling.scaling_points(both)
    assert points["role"].tolist() == ["8K", "8K", "60"]
    assert points["budget"].tolist() == [384, 512, 60]


def test_the_shares_of_a_suite_are_those_of_the_papers_budgets():
    shares = suite_numbers(load_preset("tiny")).budget_shares
    assert {role: tokens / 16384 for role, tokens in PAPER_BUDGETS.items()} == shares
    assert tuple(shares) == Scaling().budgets
    cap = load_preset("tiny").video.max_frames
    assert Scaling().frames[-2:] == (cap, 2 * cap)


def test_the_long_part_of_a_suite_leaves_out_what_is_called_short_or_medium(tmp_path):
    numbers = replace(
        suite_numbers(load_preset("tiny")), num_questions=18, frames_per_second=0.1, size=64
    )
    named = {"root": tmp_path, "numbers": numbers, "num_questions": 12}
    mme = load_benchmark("tiny", "mini-videomme", **named)
    long = scaling.long_videos(mme)
    assert [video.id for video in long.videos] == [mme.videos[2].id]
    assert scaling.mean_frames([long])["mini-videomme"] > max(v.num_frames for v in mme.videos[:2])
    other = load_benchmark("tiny", "mini-mlvu", **named)
    assert scaling.long_videos(other) == other


def test_every_suite_has_its_benchmark():
    found = {suite: published_benchmark(suite) for suite in SUITES}
    assert found["mini-lvbench"] == "LVBench" and found["mini-videomme"] == "Video-MME"
    assert len(set(found.values())) == len(SUITES)
