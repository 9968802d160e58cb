"""Faults of all kinds in one evaluation: every question is answered once, as without them."""

from tempo_lib.evaluation.benchmark import BENCHMARKS
from tests import soak
from tests.evaluation_samples import brief


def assert_nothing_is_lost(found):
    assert (found["lost"], found["doubled"], found["wrong"]) == (0, 0, 0)
    assert (found["failed_of_whole_videos"], found["answered_of_damaged_videos"]) == (0, 0)
    assert found["answered"] + found["failed"] == found["questions"]
    assert found["disk_full_ended_a_run"] and found["failures_while_weights_were_nan"] > 0
    first, last = (found[f"memory_mebibytes_{part}_third"] for part in ("first", "last"))
    assert last < 1.1 * first


def test_a_short_soak(make_tiny_tempo, tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))  # the soak sets it too: it ends with the test
    monkeypatch.setattr(BENCHMARKS, "_found", dict(BENCHMARKS._found))  # it goes with the test
    monkeypatch.setattr(soak.runner, "SECONDS_BETWEEN_WRITES", 0.0)
    found = soak.soak(brief(make_tiny_tempo()), tmp_path, (1, 2, 1), num_questions=16, kills=1)
    assert_nothing_is_lost(found)
