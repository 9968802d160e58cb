"""Twenty kills at random moments lose and double nothing: the report, and how it is made."""

import json

import pytest

from tests import training_kills

REPORT = "data_manifests/measurements/training_kills.json"


def assert_nothing_is_lost(found, kills):
    assert len(found["kills"]) == kills
    assert all(kill["whole"] for kill in found["kills"])
    end = found["end"]
    assert end["steps"] == training_kills.STEPS
    assert (end["steps_lost"], end["steps_doubled"], end["half_written_left"]) == (0, 0, [])
    assert end["losses_equal"] and end["weights_equal"]


def test_the_report_of_twenty_kills(repo_root):
    found = json.loads((repo_root / REPORT).read_text(encoding="utf-8"))
    assert_nothing_is_lost(found, 20)
    assert sum(kill["killed"] for kill in found["kills"]) >= 15
    steps = [kill["steps"] for kill in found["kills"]]
    assert steps == sorted(steps) and len(set(steps)) > 3  # goes on, never back


@pytest.mark.slow
def test_kills_at_random_moments(make_tiny_tempo, tmp_path):
    found = training_kills.kill_until_done(lambda: make_tiny_tempo(seed=3), tmp_path, 20, seed=1)
    assert_nothing_is_lost(found, 20)
