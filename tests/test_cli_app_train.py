"""``tempo train`` and ``tempo evaluate``: what they write, keep and refuse."""

import json

import numpy as np
import pytest
import torch

from tempo_lib.cli.app import run
from tempo_lib.miniature.world.clips import write_image
from tests.test_cli_app import assert_one_error_line


@pytest.fixture(scope="module")
def checkpoint(tiny_tempo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_tempo.save_pretrained(folder)
    return str(folder)


# -- evaluate ----------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty project, so that suites and records are written there."""
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return tmp_path


def test_evaluate_writes_what_its_table_shows(capsys, home, checkpoint):
    arguments = ["evaluate", "--suite", "mini-longvideobench", "--num-questions", "3"]
    arguments += ["--checkpoint", checkpoint, "--out", str(home / "out.json")]
    assert run([*arguments, "--variant", "ata", "--variant", "top-k", "--budget", "64"]) == 0
    results = json.loads((home / "out.json").read_text())
    assert [one["variant"] for one in results] == ["ata", "top-k"]
    for one in results:
        assert (one["n"], one["budget"], one["world_seed"]) == (3, 64, 0)
        low, high = one["interval"]
        assert 0 <= low <= one["accuracy"] <= high <= 1
        assert sum(kind["n"] for kind in one["per_type"].values()) == 3
        assert one["tokens_per_frame"] > 0
        assert len(one["checkpoint_sha256"]) == 64
        assert one["overrides"] == {}
        assert one["versions"]["torch"] == torch.__version__
    out = capsys.readouterr().out
    assert "top-k" in out
    assert f"{100 * results[0]['accuracy']:.1f}" in out
    assert run([*arguments, "--set", "allocation.budget=48"]) == 0
    one = json.loads((home / "out.json").read_text())
    assert (one["variant"], one["budget"]) == ("ata", 48)
    assert one["overrides"] == {"allocation.budget": 48}


def test_a_variant_of_another_stage_needs_that_stage_beside_the_checkpoint(
    capsys, home, checkpoint
):
    arguments = ["evaluate", "--suite", "mini-mlvu", "--checkpoint", checkpoint]
    assert run([*arguments, "--variant", "without-stage3"]) == 2
    assert_one_error_line(capsys, "variant without-stage3: no checkpoint at", "stage2")


# -- train -------------------------------------------------------------------------------------


@pytest.fixture
def own_data(tmp_path):
    """Two images with captions, and the manifest that names them as stage 0."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    records = []
    for index in range(2):
        name = f"images/{index}.png"
        write_image(tmp_path / "data" / name, np.full((64, 64, 3), 90 * index, np.uint8))
        turns = [{"from": "human", "value": "<image>\nDescribe this content."}]
        turns += [{"from": "gpt", "value": "empty beach"}]
        records.append({"id": str(index), "image": name, "conversations": turns})
    (tmp_path / "data" / "own.json").write_text(json.dumps(records))
    source = {"name": "own", "annotations": "own.json", "modality": "image", "licence": "CC0-1.0"}
    source |= {"made_by": "a test", "note": "two images"}
    manifest = {"preset": "tiny", "stages": {"stage0": [source]}}
    (tmp_path / "own.yaml").write_text(json.dumps(manifest))  # JSON is YAML
    return tmp_path


def test_a_stage_trains_on_data_of_ones_own_and_is_kept(capsys, own_data, checkpoint):
    arguments = ["train", "--stage", "0", "--start", checkpoint, "--work", str(own_data / "work")]
    arguments += ["--manifest", str(own_data / "own.yaml"), "--data", str(own_data / "data")]
    arguments += ["--out", str(own_data / "out"), "--set", "training.stages.0.epochs=2"]
    assert run(arguments) == 0
    card = json.loads((own_data / "out" / "card.json").read_text())
    assert (card["stage"], card["samples"], card["steps"]) == (0, 2, 2)
    assert card["overrides"] == {"training.stages.0.epochs": 2}
    weights = own_data / "out" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert run(arguments) == 0
    assert weights.stat().st_mtime_ns == before
    assert capsys.readouterr().out.count("stage 0: ") == 2
    assert run(["ask", "none", "?", "--checkpoint", str(own_data / "out"), "--json"]) == 0


def test_fresh_refuses_to_delete_what_no_training_wrote(capsys, own_data):
    arguments = ["train", "--stage", "0", "--fresh", "--out", str(own_data / "data")]
    arguments += ["--manifest", str(own_data / "own.yaml"), "--data", str(own_data / "data")]
    assert run(arguments) == 2
    assert_one_error_line(capsys, "--fresh would delete")
    assert (own_data / "data" / "own.json").is_file()


def test_work_of_another_seed_is_not_mistaken_for_this_one(capsys, tmp_path):
    (tmp_path / "stage0").mkdir()
    (tmp_path / "stage0" / "card.json").write_text('{"seed": 3}')
    assert run(["train", "--from-scratch", "--work", str(tmp_path)]) == 2
    assert_one_error_line(capsys, "seed 3, not 0")


@pytest.mark.parametrize("made", [{}, {"training.stages.0.epochs": 3}])
def test_work_of_other_overrides_is_not_mistaken_for_this_one(capsys, tmp_path, made):
    (tmp_path / "stage0").mkdir()
    facts = {"seed": 0, "overrides": made, "final_loss": 1.0, "steps": 2, "seconds": 3.0}
    (tmp_path / "stage0" / "card.json").write_text(json.dumps(facts))
    work = ["--from-scratch", "--stage", "0", "--work", str(tmp_path)]
    assert run(["train", *work, "--set", "training.stages.0.epochs=2"]) == 2
    assert_one_error_line(capsys, f"stage0 was made with overrides {made}, not")


def test_a_single_stage_is_called_again_whatever_seed_its_base_models_have(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempo_lib.miniature.pretrain.build.make_corpus", lambda mini, stage: None)
    card = {"seed": 1, "final_loss": 1.0, "steps": 2, "seconds": 3.0}
    for name, content in (
        ("base_decoder", {"seed": 0}),
        ("base_compressor", {"seed": 0}),
        ("stage0", card),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps(content))
    again = ["train", "--stage", "0", "--seed", "1", "--work", str(tmp_path)]
    assert run(again) == 0
    assert "final loss 1.0, 2 steps" in capsys.readouterr().out
    assert run(["train", "--from-scratch", "--seed", "1", "--work", str(tmp_path)]) == 2
    assert_one_error_line(capsys, "base_decoder was made with seed 0, not 1")
