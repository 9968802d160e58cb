"""``tempo allocation``: statistics of Figures A and B from files of records, without a model."""

from dataclasses import replace

import pandas as pd
import pytest
from allocation_samples import K_MAX, K_MIN, peaked, planted

from tempo_lib.cli.app import run
from tempo_lib.evaluation.records import open_records

SUITES = ("longvideobench", "mlvu", "videomme", "lvbench")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Records of the four real suites: twelve videos of thirty segments, two that are even."""
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    for suite in SUITES:
        records = [peaked(30, f"q-{i}", suite=suite, budget=160) for i in range(12)]
        write(tmp_path, suite, [replace(one, suite=suite) for one in records])
    return tmp_path


def write(home, suite, records, k_max=K_MAX):
    facts = {"suite": {"name": suite, "seed": 0}, "limits": {"k_max": k_max}}
    open_records(home / "runs" / "6b" / "evaluations" / suite, "ata", facts).add(records)


def test_the_four_suites_are_told_from_records_alone(home, capsys):
    out = home / "allocation.csv"
    assert run(["allocation", "--preset", "6b", "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert table["suite"].tolist() == list(SUITES)
    row = table.iloc[0]  # by hand: 3 of 30 segments score 1, and keep 16; the others keep 2
    assert (row["n"], row["segments"], row["budget"]) == (12, 360, 160)
    assert row["at_k_max"] == pytest.approx(0.1)
    assert row["at_k_min"] == pytest.approx(0.9)
    assert row["mean"] == pytest.approx((3 * K_MAX + 27 * K_MIN) / 30)
    assert row["skewness"] > 2
    assert row["used"] == pytest.approx((3 * K_MAX + 27 * K_MIN) / 160)
    printed = capsys.readouterr().out
    assert "capacity used" in printed and "lvbench" in printed


def test_another_budget_is_allocated_again(home, capsys):
    out = home / "allocation.csv"
    words = ["allocation", "--preset", "6b", "--suite", "mlvu", "--out", str(out)]
    assert run([*words, "--budget", "60", "--budget", "160"]) == 0
    small, large = pd.read_csv(out).itertuples()
    assert (small.budget, large.budget) == (60, 160)
    assert small.mean * 30 <= 60 < large.mean * 30


def test_suites_without_records_or_of_two_capacities_are_bad_input(home, capsys):
    assert run(["allocation", "--preset", "tiny", "--suite", "mini-mlvu"]) == 2
    assert "tempo evaluate --preset tiny --suite mini-mlvu" in capsys.readouterr().err
    write(home, "mlvu", [planted([0.5] * 4, "q-0", suite="mlvu")], k_max=8)
    assert run(["allocation", "--preset", "6b"]) == 2
    assert "different k_max: [8, 16]" in capsys.readouterr().err
