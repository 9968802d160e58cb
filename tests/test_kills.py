"""Kills at random moments lose and double nothing, and nothing half-written is taken for whole."""

import json

import pandas as pd
import pytest

from tests import kills


def assert_nothing_is_lost(wrong, end):
    assert not any(wrong)
    assert (end["lost"], end["doubled"], end["equal"]) == (0, 0, True)


@pytest.mark.parametrize("name", kills.WORKS)
def test_killed_work_goes_on(name, make_tiny_tempo, tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))  # the work sets it too: it ends with the test
    kind, _, size = kills.WORKS[name]
    rows, end = kills.kill_until_done(kind(make_tiny_tempo, tmp_path, size), tmp_path, kills=2)
    assert len(rows) == 2
    assert_nothing_is_lost([row[-1] for row in rows], end)


@pytest.mark.parametrize("name", kills.WORKS)
def test_the_report_of_twenty_kills_each(name, repo_root):
    stem = repo_root / "data_manifests" / "measurements" / "kills"
    table = pd.read_csv(stem.with_suffix(".csv"))
    rows = table[table["work"] == name]
    assert len(rows) == 20 and rows["after_seconds"].nunique() > 15
    facts = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    assert_nothing_is_lost(rows["wrong"], facts[name])
