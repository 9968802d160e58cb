"""The table of all finished runs, from records made by hand."""

import json

import pandas as pd
import pytest

from tempo_lib.analysis import condition_summary
from tempo_lib.analysis.condition_summary import (
    finished_runs,
    index_by_step,
    leads,
    publish_summary,
    read_summary,
    summarise,
)
from tempo_lib.config import load_preset

FACTS = {
    "preset": "tiny",
    "bases": {"base_compressor": "a", "base_decoder": "b"},
    "num_steps": 4,
    "stage0_steps": 1,
    "corpora": ["c", "d"],
    "questions": "e",
    "seconds": 1.0,
    "finished": "2026-01-01T00:00:00+00:00",
    "commit": "f",
    "dirty": False,
    "threads": 1,
    "final_loss": 0.1,
    "versions": {"torch": "2"},
}


def write_record(folder, name, seed, head, tail, **changes):
    """``head``, ``tail``: accuracies at k = 1 after the last step; all is right at k = 2."""
    rows = []
    for step, share in ((0, 0.0), (4, 1.0)):
        for scheme, right in (("head", head), ("tail", tail)):
            for video in range(10):
                for kind in ("needle", "caption"):
                    asked = {"video": f"v{video}", "question_id": f"{kind}-{video}", "kind": kind}
                    place = {"step": step, "scheme": scheme, **asked}
                    rows.append({**place, "k": 1, "correct": video < 10 * right * share})
                    rows.append({**place, "k": 2, "correct": bool(step)})
    record = folder / f"{name}-seed{seed}"
    record.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(record / "answers.csv", index=False)
    facts = {**FACTS, "condition": {"name": name}, "seed": seed, **changes}
    (record / "run.json").write_text(json.dumps(facts))
    return record


@pytest.fixture
def records(tmp_path):
    write_record(tmp_path, "baseline", 0, head=0.8, tail=0.2)
    write_record(tmp_path, "bidirectional", 0, head=0.5, tail=0.5)
    write_record(tmp_path, "bidirectional", 1, head=0.5, tail=0.5)
    return finished_runs(tmp_path)


def test_a_row_holds_areas_lead_and_the_accuracy_of_whole_memories(records):
    table = summarise(records).set_index(["condition", "seed", "step", "kind"])
    row = table.loc["baseline", 0, 4, "all"]
    assert row["n"] == 20
    assert row["head"] == pytest.approx(0.9)  # the mean of 0.8 and 1
    assert row["tail"] == pytest.approx(0.6)
    assert row["lead"] == pytest.approx(0.3)
    assert row["index"] == pytest.approx(0.2)
    assert row["whole"] == 1.0
    assert table.loc["baseline", 0, 0, "all"]["whole"] == 0.0
    assert set(table.index.get_level_values("kind")) == {"all", "needle", "caption"}


def test_a_change_is_against_the_baseline_of_the_same_seed_after_the_last_step(records):
    table = summarise(records).set_index(["condition", "seed", "step", "kind"])
    row = table.loc["bidirectional", 0, 4, "all"]
    assert row["change"] == pytest.approx(-0.3)
    assert row["change_low"] < row["change"] < row["change_high"] < 0
    assert table.loc["bidirectional", 0, 4, "needle"]["change"] == pytest.approx(-0.3)
    without = [("bidirectional", 0, 0), ("bidirectional", 1, 4), ("baseline", 0, 4)]
    assert all(pd.isna(table.loc[(*place, "all"), "change"]) for place in without)


def test_conditions_come_in_their_order_and_seeds_after_each_other(records):
    found = [record.name for record in records]
    assert found == ["baseline-seed0", "bidirectional-seed0", "bidirectional-seed1"]


def test_leads_are_areas_over_uneven_sizes():
    rows = [
        {"scheme": scheme, "video": "v", "question_id": "q", "k": k, "correct": k >= needed}
        for scheme, needed in (("head", 2), ("tail", 8))
        for k in (1, 2, 4, 8)
    ]
    # head: half of 1..2, all of 2..8; tail: half of 4..8
    assert leads(pd.DataFrame(rows)).tolist() == pytest.approx([(0.5 + 6 - 2) / 7])


def test_runs_from_different_bases_do_not_share_a_table(tmp_path, records):
    write_record(tmp_path, "reversed", 0, 0.5, 0.5, bases={"base_compressor": "other"})
    with pytest.raises(ValueError, match="reversed-seed0 and baseline-seed0 differ in bases"):
        summarise(finished_runs(tmp_path))
    with pytest.raises(ValueError, match="no finished run"):
        summarise([])


def test_the_published_table_is_read_back_with_its_provenance(tmp_path, records, monkeypatch):
    monkeypatch.setattr(condition_summary, "project_root", lambda: tmp_path)
    path = publish_summary(load_preset("tiny"), tmp_path)
    assert path == tmp_path / "data_manifests/measurements/conditions.csv"
    pd.testing.assert_frame_equal(
        read_summary(path), summarise(records), atol=1e-5, check_dtype=False
    )
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["bases"] == FACTS["bases"]
    assert [run["condition"] for run in facts["runs"]] == [
        "baseline",
        "bidirectional",
        "bidirectional",
    ]
    with pytest.raises(ValueError, match="snakemake --cores 2 conditions"):
        read_summary(tmp_path / "absent.csv")


def test_a_run_has_an_index_at_every_step(tmp_path):
    record = write_record(tmp_path, "baseline", 0, head=0.8, tail=0.2)
    answers = pd.read_csv(record / "answers.csv")
    table = index_by_step(answers, seed=0).set_index("step")
    assert table.index.tolist() == sorted(answers["step"].unique())
    assert table.loc[4, "head"] > table.loc[4, "tail"] and table.loc[4, "index"] > 0
