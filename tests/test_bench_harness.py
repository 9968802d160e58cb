"""The harness of ``tempo bench``: turns, ratios of one round, memory, fits, the page."""

import subprocess

import numpy as np
import pytest

from tempo_lib.bench import harness, report
from tempo_lib.bench.harness import Pair, case_names, cost, fits, load_case, measure, spread


def row(cpu, wall=1.0, peak=None):
    return {"cpu_seconds": cpu, "wall_seconds": wall, "peak_megabytes": peak}


def test_sides_take_turns_and_the_order_turns_round():
    calls = []
    sides = {name: lambda name=name: calls.append(name) for name in ("ours", "reference")}
    assert measure(Pair(label="", sides=sides), 3)["rounds"] == 3
    assert calls == ["ours", "reference"] * 2 + ["reference", "ours", "ours", "reference"]


def test_a_slow_pair_has_fewer_rounds_and_no_warm_up():
    calls = []
    sides = {"ours": lambda: calls.append(1), "reference": lambda: None}
    assert measure(Pair(label="", sides=sides, rounds=2, warm=False), 5)["rounds"] == 2
    assert len(calls) == 2


def test_a_ratio_is_of_one_round_and_not_of_two_medians(monkeypatch):
    # the machine is slow in the second round alone: every round says 1/2
    taken = iter([row(1.0), row(2.0), row(20.0), row(10.0), row(2.0), row(4.0)])
    monkeypatch.setattr(harness, "cost", lambda run: next(taken))
    sides = {"ours": lambda: None, "reference": lambda: None}
    found = measure(Pair(label="", sides=sides, difference=lambda: 0.5), 3)
    assert found["cpu_ratio"] == {"reference": {"median": 0.5, "min": 0.5, "max": 0.5}}
    assert found["sides"]["ours"]["cpu_seconds"] == {"median": 2.0, "min": 1.0, "max": 10.0}
    assert found["sides"]["ours"]["peak_megabytes"] is None
    assert found["max_abs_diff"] == 0.5


@pytest.mark.skipif(not harness.STATUS.exists(), reason="memory is read from /proc")
def test_memory_that_is_free_again_at_the_end_is_in_the_peak():
    small = cost(lambda: None)["peak_megabytes"]
    large = cost(lambda: np.ones(8_000_000).sum())["peak_megabytes"]
    assert small < 10
    assert 55 < large < 90


def test_the_seconds_of_a_child_count():
    loop = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done"
    found = cost(lambda: subprocess.run(["sh", "-c", loop], check=True))
    assert found["cpu_seconds"] > 0.01


def test_growth_is_the_power_of_the_size():
    def at(size, axis):
        sides = {
            "ours": {"cpu_seconds": {"median": size * 0.1}},
            "reference": {"cpu_seconds": {"median": size**2 * 0.1}},
        }
        return {"axis": axis, "size": size, "sides": sides}

    rows = [at(size, "frames") for size in (64, 128, 256)] + [at(4, "alone"), {"sides": {}}]
    assert fits(rows) == {"frames": {"ours": 1.0, "reference": 2.0}}


def test_numbers_keep_four_digits():
    assert spread([0.123456, 2.0, 0.05]) == {"median": 0.1235, "min": 0.05, "max": 2.0}


def test_every_case_is_a_file_that_says_what_it_measures():
    known = "decode first-question growth long-video preprocess"
    known += " second-question startup train variants"
    assert list(case_names()) == known.split()
    assert all(text.endswith(".") for text in case_names().values())
    assert callable(load_case("second-question").make)
    with pytest.raises(ValueError, match=r"unknown case 'third'; known: decode, .*, gpu"):
        load_case("third")


def test_the_page_has_a_line_for_every_pair():
    side = {"cpu_seconds": spread([0.5]), "wall_seconds": spread([1.0]), "peak_megabytes": None}
    pair = {
        "label": "",
        "max_abs_diff": 2e-6,
        "cpu_ratio": {"reference": spread([0.07, 0.08, 0.09])},
        "sides": {"ours": side, "reference": side},
    }
    page = report.as_markdown([{"case": "second-question", "pairs": [pair, pair]}])
    line = "| second-question | second-question | 0.5 | 0.5 | 0.08 (0.07-0.09) |  |  | 2e-06 |"
    assert page.count(line) == 2
    middle = {"case": "growth", "sizes": {"size": "mid"}, "pairs": [pair]}
    assert "| growth, mid | growth | 0.5 " in report.as_markdown([middle])


def test_the_committed_page_is_that_of_the_committed_measurements(repo_root):
    documents = report.read_documents(repo_root / "data_manifests" / "measurements")
    assert [one["case"] for one in documents] == sorted(one["case"] for one in documents) != []
    assert (repo_root / "BENCHMARKS.md").read_text() == report.as_markdown(documents)
    for document in documents:
        assert document["dirty"] is False
        assert document["threads"] == 1
