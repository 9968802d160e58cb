"""``tempo doctor``: what it says, what it calls a problem, and its exit code."""

import json
import shutil

import pytest
import torch

from tempo_lib.cli import health
from tempo_lib.cli.app import run
from tempo_lib.config import load_preset
from tests.test_cli_app import assert_one_error_line


def test_doctor_says_what_is_here_and_that_it_works(capsys, tmp_path):
    assert run(["doctor", "--json", str(tmp_path / "report.json")]) == 0
    out = capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["problems"] == []
    assert report["Versions"]["torch"] == torch.__version__ in out
    assert report["Device"]["attention"] == "sdpa"
    assert "h264" in report["Video readers"]["decoders"]
    assert "GB free" in report["Disk"]["results"]
    for stage in load_preset("tiny").training.stages:
        assert report["Checkpoints"][f"tiny stage{stage}"].endswith("GB, all finite")
    assert not any("rehearsal" in name for name in report["Checkpoints"])
    assert report["Self-test"]["self-test"].startswith("ok in ")
    assert all(name in out for section in list(report.values())[:-1] for name in section)


def test_json_on_the_screen_is_one_document(capsys):
    assert run(["doctor", "--json", "-", "--no-self-test"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "Self-test" not in report


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_checkpoint_that_is_not_finite_is_a_problem(fresh_tiny_tempo, tmp_path, value):
    name = "decoder.model.layers.1.mlp.up_proj.weight"
    with torch.no_grad():
        fresh_tiny_tempo.get_parameter(name)[0, 0] = value
    fresh_tiny_tempo.save_pretrained(tmp_path)
    found = health.checkpoint("own", tmp_path, is_deep=False)
    assert found.problem
    assert f"NOT FINITE: {name}" in found.value


def test_a_cut_checkpoint_is_a_problem_and_a_large_one_is_not_read(
    tiny_tempo, tmp_path, monkeypatch
):
    tiny_tempo.save_pretrained(tmp_path)
    monkeypatch.setattr(health, "MOST_READ_GIGABYTES", 0.001)
    found = health.checkpoint("own", tmp_path, is_deep=False)
    assert not found.problem
    assert "headers sound; --deep reads the weights" in found.value
    assert "all finite" in health.checkpoint("own", tmp_path, is_deep=True).value
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    found = health.checkpoint("own", tmp_path, is_deep=False)
    assert found.problem
    assert "damaged or cut short" in found.value


def test_a_failing_self_test_names_its_step_and_ends_with_code_1(capsys, monkeypatch):
    monkeypatch.setattr("tempo_lib.video.clip.load_video", lambda path: 1 / 0)
    assert run(["doctor", "--json", "-"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem == "self-test: cannot read it: ZeroDivisionError: division by zero"


def test_a_full_disk_is_a_problem(monkeypatch):
    usage = shutil._ntuple_diskusage(10**9, 10**9, 1000)
    monkeypatch.setattr(health.shutil, "disk_usage", lambda path: usage)
    assert [found.problem for found in health.disk()] == [True, False, False]


def test_codecs_that_are_missing_are_named(monkeypatch):
    monkeypatch.setattr(health, "DECODERS", ("h264", "no_such_codec"))
    decoders = next(health.codecs())
    assert decoders.value == "h264; not no_such_codec"
    assert not decoders.problem


def test_options_of_parity_need_parity(capsys):
    assert run(["doctor", "--markdown", "x.md"]) == 2
    assert_one_error_line(capsys, "--data and --markdown go with --parity")
    assert run(["doctor", "--json", "/"]) == 2
    assert_one_error_line(capsys, "--json / is a folder")
