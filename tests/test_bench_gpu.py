"""The GPU suite, every part of it, at the size of a processor: no line fails for a typo."""

import json
import subprocess

import pytest
import torch

from tempo_lib.bench.gpu import suite
from tempo_lib.bench.gpu.scale import SCALES, Workbench, built
from tempo_lib.bench.gpu.stopwatch import laps
from tempo_lib.model.tempo import Tempo


@pytest.fixture(scope="module")
def rehearsal():
    """The document after each part of the whole suite."""
    written = []
    suite.run_suite("tiny", lambda document: written.append(json.dumps(document)))
    return [json.loads(text) for text in written]


def test_every_part_of_the_rehearsal_succeeds(rehearsal):
    assert len(rehearsal) == len(suite.PARTS)
    errors = {name: part.get("error") for name, part in rehearsal[-1]["parts"].items()}
    assert errors == dict.fromkeys(suite.PARTS)


def test_the_rehearsal_measures_what_the_suite_is_for(rehearsal):
    parts = rehearsal[-1]["parts"]
    assert parts["ceiling"]["float32_teraflops"] > 0
    first = parts["first question"]
    assert first["segments"] == 4
    for name in ("vision_mfu", "compressor_mfu", "prefill_mfu", "compress_mfu", "decode_mfu"):
        assert 0 < first[name] < 2, name  # the ceiling is one small product on a busy machine
    assert first["compress_seconds"] >= first["vision_seconds"] + first["compressor_seconds"]
    assert 0 < parts["follow-up"]["ratio"] < 1
    assert [parts["budgets"][name]["budget"] for name in ("4K", "8K", "12K")] == [32, 64, 96]
    assert parts["budgets"]["8K"]["tokens_used"] <= 64
    assert parts["native"]["tokens"] > 16
    for stage, segments in ((0, 2), (1, 4), (2, 8), (3, 8)):
        trained = parts[f"training stage {stage}"]
        assert (trained["steps"], trained["segments_per_step"]) == (3, segments)
        assert all(loss > 0 for loss in trained["losses"])
    assert parts["parity float32"]["bad"] == 0 < parts["parity float32"]["rows"]
    assert parts["parity bf16"]["bad"] == 0 < parts["parity bf16"]["rows"]
    assert all(part["part_seconds"] >= 0 for part in parts.values())


def test_the_document_says_what_made_it_from_its_first_part_on(rehearsal):
    for document in rehearsal:
        assert {"torch", "transformers"} <= document["versions"].keys()
        assert document["scale"]["preset"] == "tiny"
    assert list(rehearsal[0]["parts"]) == ["device"]


def test_a_part_that_fails_is_recorded_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(suite, "ceiling", lambda bench: 1 / 0)
    parts = {name: suite.PARTS[name] for name in ("ceiling", "device")}
    monkeypatch.setattr(suite, "PARTS", {**parts, "absent": ("nowhere", "at_all")})
    found = suite.run_suite("tiny", lambda document: None)["parts"]
    assert found["ceiling"]["error"] == "ZeroDivisionError: division by zero"
    assert found["ceiling"]["at"][-1].startswith("test_bench_gpu.py:")
    assert found["device"]["attention"] == "sdpa"
    assert found["absent"]["error"].startswith("ModuleNotFoundError")


def test_a_part_for_which_no_time_is_left_says_so():
    found = suite.run_suite("tiny", lambda document: None, minutes=0)["parts"]
    assert {part["error"] for part in found.values()} == {"not begun: 0 minutes were over"}


def test_another_preset_has_no_suite():
    with pytest.raises(ValueError, match="no GPU suite of preset 'mid'; known: 6b, tiny"):
        suite.run_suite("mid", lambda document: None)


def test_the_6b_is_built_where_it_stays_in_its_own_dtype(tmp_path):
    bench = Workbench(SCALES["6b"], tmp_path)
    config = bench.config()
    model = built(lambda: Tempo._from_config(config, dtype=torch.bfloat16), "meta")
    assert sum(parameter.numel() for parameter in model.parameters()) == 6_155_507_712
    kinds = {(parameter.device.type, parameter.dtype) for parameter in model.parameters()}
    assert kinds == {("meta", torch.bfloat16)}
    assert config.compressor_config.video_token_id == bench.token_id("<|video_pad|>")


def test_random_weights_are_as_a_model_is_begun(tmp_path):
    model = Workbench(SCALES["tiny"], tmp_path).model
    weights = dict(model.named_parameters())
    assert bool((weights["decoder.model.norm.weight"] == 1).all())
    assert bool((weights["compressor.vlm.visual.blocks.0.norm1.bias"] == 0).all())
    spread = weights["decoder.model.layers.0.mlp.up_proj.weight"].std().item()
    assert spread == pytest.approx(0.02, rel=0.05)
    table = model.decoder.model.rotary_emb.inv_freq
    assert table.dtype == torch.float32 and table[0] == 1


def test_a_stopwatch_counts_calls_and_positions():
    layer = torch.nn.Embedding(5, 3)
    with laps("cpu", layer=layer) as found:
        layer(input=torch.tensor([1, 2]))
    layer(torch.tensor([1]))
    assert [lap.positions for lap in found["layer"]] == [0]
    assert found["layer"][0].seconds > 0


def test_the_script_installs_what_is_missing_and_runs_the_suite(repo_root, tmp_path):
    log, python = tmp_path / "log", tmp_path / "python"
    # an interpreter without av and accelerate, for one of which there is no wheel
    python.write_text(
        f'#!/bin/sh\necho "$*" >> {log}\n'
        'case "$*" in *"import av"*|*"import accelerate"*|*" accelerate") exit 1;; esac\n'
    )
    python.chmod(0o755)
    script = str(repo_root / "scripts" / "bench_gpu.sh")
    given = {"PYTHON": str(python), "PATH": "/usr/bin:/bin", "PRESET": "tiny"}
    out = tmp_path / "out"
    done = subprocess.run(
        ["sh", script, "run", "wheels", str(out)], env=given, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    assert [line.split()[-1] for line in lines if " install " in line] == ["av", "accelerate"]
    assert "not installed: accelerate" in done.stderr
    assert lines[-1] == f"-m tempo_lib.cli bench gpu --preset tiny --out {out}/gpu.json"
    usage = subprocess.run(["sh", script], env=given, capture_output=True, text=True)
    assert usage.returncode == 2 and "bench_gpu.sh run WHEELS OUT" in usage.stdout
