"""Which frames are taken and what time they get, by the golden tables and by hand."""

import hashlib
import json

import numpy as np
import pytest

from tempo_lib.video.base import StreamFacts
from tempo_lib.video.sampling import is_held, is_variable_rate, plan_samples, sample_indices

ARGUMENTS = ("total_frames", "original_fps", "target_fps", "min_frames", "max_frames")


def constant(num_frames, fps):
    return StreamFacts(fps, np.arange(num_frames) / fps)


def half_slow():
    """30 frames at 30 fps, then 30 at 3 fps: 11 s that an average of 60/11 fps spreads evenly."""
    seconds = np.concatenate([np.arange(30) / 30, 1 + np.arange(30) / 3])
    return StreamFacts(60 / 11, seconds)


def test_every_row_of_the_golden_table_is_met(golden_dir):
    rows = json.loads((golden_dir / "tables/sample_indices.json").read_text())["rows"]
    assert len(rows) > 100
    for row in rows:
        index = sample_indices(**{name: row[name] for name in ARGUMENTS})
        assert index.dtype == np.int64
        wanted = row["infer"]
        if isinstance(wanted, list):
            assert index.tolist() == wanted, row
        else:
            assert len(index) == wanted["n"], row
            assert hashlib.sha256(index.tobytes()).hexdigest() == wanted["sha256"], row


@pytest.mark.parametrize(
    ("total", "rate", "fps", "low", "high", "wanted"),
    [
        (4, 10.0, 2.0, 8, 1024, [0, 0, 1, 1, 2, 2, 3, 3]),  # short: places repeat
        (31, 29.97, 1.0, 1, 1024, [30]),  # a single sample is the last frame
        (1, 25.0, 2.0, 4, 64, [0]),  # one frame is taken once
        (5, 0.0, 0.5, 4, 128, [0, 1, 2, 3, 4]),  # unknown rate: every frame
        (5, float("nan"), 0.5, 4, 3, [0, 2, 4]),  # ... up to max_frames, evenly
        (40, 10.0, 2.0, 4, 2, [0, 39]),  # max_frames wins over min_frames
    ],
)
def test_sample_indices_by_hand(total, rate, fps, low, high, wanted):
    assert sample_indices(total, rate, fps, low, high).tolist() == wanted


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, 10.0, 2.0, 4, 8), "total_frames"),
        ((10, 10.0, 0.0, 4, 8), "fps"),
        ((10, 10.0, float("nan"), 4, 8), "fps"),
        ((10, 10.0, 2.0, 0, 8), "min_frames"),
        ((10, 10.0, 2.0, 4, 0), "max_frames"),
    ],
)
def test_impossible_sampling_is_refused_by_name(arguments, named):
    with pytest.raises(ValueError, match=named):
        sample_indices(*arguments)


def test_a_clock_is_variable_when_it_would_print_a_wrong_time():
    assert not is_variable_rate(constant(3000, 29.97))
    jitter = np.random.default_rng(0).uniform(-0.01, 0.01, 300)
    jitter[0] = 0
    assert not is_variable_rate(StreamFacts(30.0, np.arange(300) / 30 + jitter))
    assert is_variable_rate(half_slow())
    assert not is_variable_rate(StreamFacts(0.0, np.zeros(1)))


def test_release_times_follow_the_sampled_rate():
    index, fps, seconds = plan_samples(constant(100, 30.0), 2.0, 1, 1024, "auto")
    assert len(index) == 7 and fps == pytest.approx(7 / (100 / 30))  # round(3.33 s * 2)
    np.testing.assert_allclose(seconds, np.arange(7) / fps)


def test_pts_times_at_a_constant_rate_are_those_of_the_taken_frames():
    facts = constant(100, 30.0)
    index, _, seconds = plan_samples(facts, 2.0, 1, 1024, "pts")
    np.testing.assert_allclose(seconds, index / 30)


def test_a_variable_rate_is_sampled_evenly_in_time():
    facts = half_slow()
    index, fps, seconds = plan_samples(facts, 2.0, 4, 1024, "auto")
    duration = facts.seconds_T[-1] * 60 / 59
    assert len(index) == round(duration * 2) and fps == pytest.approx(len(index) / duration)
    np.testing.assert_array_equal(seconds, facts.seconds_T[index])
    grid = np.linspace(0, facts.seconds_T[-1], len(index))
    for place, wanted in zip(index, grid, strict=True):
        nearest = np.abs(facts.seconds_T - wanted).min()
        assert abs(facts.seconds_T[place] - wanted) == pytest.approx(nearest)


def test_the_release_rule_stays_available_for_a_variable_rate():
    index, fps, seconds = plan_samples(half_slow(), 2.0, 4, 1024, "release")
    np.testing.assert_array_equal(index, sample_indices(60, 60 / 11, 2.0, 4, 1024))
    np.testing.assert_allclose(seconds, np.arange(len(index)) / fps)
    # the release sees the middle frame, at 1 s, as if it lay at half of the 11 s
    assert np.abs(seconds - half_slow().seconds_T[index]).max() > 4


def slides(last_seconds):
    """Three pictures: 0 and 1 for 10 s each, then 2 for ``last_seconds``."""
    return StreamFacts(3 / (20 + last_seconds), np.array([0.0, 10.0, 20.0]), last_seconds)


def test_a_held_picture_is_sampled_again_until_it_ends():
    index, fps, seconds = plan_samples(slides(40), 2.0, 4, 1024, "auto")
    assert index.tolist() == [0] * 20 + [1] * 20 + [2] * 80 and fps == pytest.approx(2.0)
    np.testing.assert_allclose(seconds, np.arange(120) / 2)


def test_few_samples_of_held_pictures_are_spread_over_all_of_the_time():
    index, fps, seconds = plan_samples(slides(40), 2.0, 1, 6, "auto")
    assert index.tolist() == [0, 1, 2, 2, 2, 2]
    np.testing.assert_allclose(seconds, np.arange(6) * 10)
    index, fps, seconds = plan_samples(slides(400), 2.0, 1, 6, "auto")
    assert index.tolist() == [0, 2, 2, 2, 2, 2] and fps == pytest.approx(6 / 420)
    np.testing.assert_allclose(seconds, np.arange(6) * 70)
    index, _, _ = plan_samples(slides(40), 2.0, 1, 1, "auto")
    assert index.tolist() == [2]  # as of every clip, a single sample is its last picture


def test_a_last_frame_that_stands_as_long_as_the_others_changes_nothing():
    plain = constant(100, 25.0)
    known = StreamFacts(25.0, plain.seconds_T, 1 / 25)
    assert not is_held(known, 2.0) and not is_held(plain, 2.0)
    for one, other in zip(
        plan_samples(plain, 2.0, 4, 64, "auto"),
        plan_samples(known, 2.0, 4, 64, "auto"),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert not is_held(StreamFacts(1 / 3600, np.arange(10) * 3600.0, 3600.0), 2.0)
    assert not is_held(StreamFacts(1.0, np.zeros(1), 50.0), 2.0)  # one frame is taken once


def test_samples_of_held_pictures_never_go_back():
    rng = np.random.default_rng(0)
    for _ in range(200):
        gaps = rng.choice([0.04, 0.3, 0.9, 1.1, 7.0], rng.integers(2, 40))
        facts = StreamFacts(float(1 / gaps.mean()), np.cumsum([0, *gaps]), float(rng.choice(gaps)))
        index, _, seconds = plan_samples(facts, 2.0, 4, int(rng.integers(1, 60)), "pts")
        assert (np.diff(index) >= 0).all() and (np.diff(seconds) >= 0).all()
        ends = np.append(facts.seconds_T[1:], facts.seconds_T[-1] + facts.last_seconds)
        assert (seconds >= facts.seconds_T[index] - 1e-9).all() and (
            seconds <= ends[index] + 1e-9
        ).all()


def test_the_release_rule_stays_available_for_a_held_picture():
    index, fps, seconds = plan_samples(slides(40), 2.0, 4, 1024, "release")
    np.testing.assert_array_equal(index, sample_indices(3, 3 / 60, 2.0, 4, 1024))
    np.testing.assert_allclose(seconds, np.arange(len(index)) / fps)
