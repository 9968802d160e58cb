"""Trainings under changed conditions as jobs: asked for by name, never by the batch run."""

import json

import pytest

from tempo_lib.analysis.condition_list import CONDITIONS
from tempo_lib.config import load_preset
from tempo_lib.reproduce import jobs as workflow_jobs
from tempo_lib.reproduce.workflow import CONDITION_SEEDS, Workflow


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return Workflow(preset=load_preset("tiny"), root=tmp_path)


def test_every_condition_is_trained_once_a_seed(flow):
    names = flow.condition_runs
    assert len(names) == len(set(names)) == len(CONDITIONS) * len(CONDITION_SEEDS)
    assert names[0] == "baseline-seed0"
    assert Workflow(preset=load_preset("6b"), root=flow.root).condition_runs == []


@pytest.mark.parametrize(
    ("arguments", "job", "reason"),
    [
        (["condition", "--name", "both-seed1"], "condition-both-seed1", "known: baseline"),
        (["condition", "--name", "baseline"], "condition-baseline", "as in baseline-seed0"),
        (["condition-data", "--preset", "6b"], "condition-data", "6b is no miniature"),
        (["conditions"], "conditions", "train one first"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(flow, arguments, job, reason):
    assert workflow_jobs.main(arguments) == 2
    preset = "6b" if "6b" in arguments else "tiny"
    failed = Workflow(preset=load_preset(preset), root=flow.root).failure(job)
    assert reason in json.loads(failed.read_text())["reason"]


def test_the_gallery_waits_for_no_condition(flow, monkeypatch):
    monkeypatch.setattr(Workflow, "notebooks", [])
    assert not any("condition" in name for name in flow.gallery_inputs)
