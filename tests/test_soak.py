"""Faults of all kinds in one evaluation: every question is answered once, as without them."""

from tempo_lib.evaluation.benchmark import BENCHMARKS
from tests import soak, soak_page
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


def test_a_short_soak_of_the_page(make_tiny_tempo, tmp_path):
    videos = soak.make_videos(tmp_path, 2, 0, 1)
    found = soak_page.soak_page(make_tiny_tempo(), videos, num_questions=9, seed=3)
    assert (found["lost"], found["doubled"], found["wrong"]) == (0, 0, 0)
    assert (found["answered"], found["refused"]) == (6, 3)
    assert sum(found["faults"].values()) > 0


def test_faults_leave_no_answer_and_the_next_question_has_one(make_tiny_tempo, tmp_path):
    videos = soak.make_videos(tmp_path, 1, 0, 0)
    page = soak_page.Page(make_tiny_tempo(), videos)
    ((name, _),) = videos.items()
    right = page.put(name, "Which number?")
    for fault in ("cancelled", "weights of NaN", "file cut"):
        results, said = page.with_fault(name, "Which number?", fault)
        assert results == 0 and "Error: " in said, fault
        assert page.put(name, "Which number?") == right
    page.engine.close()
