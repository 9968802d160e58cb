import json
import re

import pytest
import torch
from accelerate.state import AcceleratorState

from tempo_lib import Tempo
from tempo_lib.config import load_preset
from tempo_lib.training import loop
from tempo_lib.training.collate import Collator
from tempo_lib.training.loop import StageRun, train_stage
from tempo_lib.training.precision import resolve_precision
from tempo_lib.training.ranks import start_ranks
from tests.training_samples import world_samples


@pytest.fixture(autouse=True)
def forget_accelerator():
    """accelerate keeps one state a process, whose precision the next test may not change."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def stage_run(folder, steps, stage=1, precision="no", **changes):
    numbers = load_preset("tiny").training.stages[stage]
    fields = {"max_steps": steps, "epochs": 100, "batch_samples": 2, "precision": precision}
    numbers = numbers.model_copy(update=fields)
    return StageRun(
        stage=stage,
        numbers=numbers,
        out_dir=folder / "out",
        cache_dir=folder / "frames",
        seed=0,
        save_every=2,
        **changes,
    )


def test_training_lowers_the_loss_and_leaves_a_loadable_checkpoint(fresh_tiny_tempo, tmp_path):
    records = train_stage(fresh_tiny_tempo, world_samples(tmp_path, 1), stage_run(tmp_path, 12))
    losses = [record["loss"] for record in records]
    assert sum(losses[-4:]) < sum(losses[:4])
    again = Tempo.from_pretrained(tmp_path / "out")
    assert torch.equal(again.compressor.memory_tokens, fresh_tiny_tempo.compressor.memory_tokens)
    lines = (tmp_path / "out/losses.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(12))
    assert not (tmp_path / "out/state").exists()


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    make_tiny_tempo, tmp_path, monkeypatch
):
    samples = world_samples(tmp_path, 1)
    whole = make_tiny_tempo(seed=3)
    records = train_stage(whole, samples, stage_run(tmp_path / "whole", 7))

    real_step, taken = loop.train_step, []

    def failing_step(*arguments):
        if len(taken) == 5:
            raise KeyboardInterrupt
        taken.append(1)
        return real_step(*arguments)

    monkeypatch.setattr(loop, "train_step", failing_step)
    with pytest.raises(KeyboardInterrupt):
        train_stage(make_tiny_tempo(seed=3), samples, stage_run(tmp_path / "cut", 7))
    monkeypatch.setattr(loop, "train_step", real_step)
    resumed = make_tiny_tempo(seed=3)
    continued = train_stage(resumed, samples, stage_run(tmp_path / "cut", 7))
    assert [r["step"] for r in continued] == list(range(7))
    assert [r["loss"] for r in continued] == pytest.approx([r["loss"] for r in records], abs=1e-6)
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=0)


def test_float32_and_bf16_descend_alike(make_tiny_tempo, tmp_path):
    samples, curves = world_samples(tmp_path, 1), {}
    for precision in ("no", "bf16"):
        AcceleratorState._reset_state(reset_partial_state=True)
        run = stage_run(tmp_path / precision, 12, precision=precision)
        records = train_stage(make_tiny_tempo(seed=3), samples, run)
        curves[precision] = [record["loss"] for record in records]
    # bf16 keeps 8 bits: single steps differ by a percent or two, the descent does not
    assert curves["bf16"] == pytest.approx(curves["no"], rel=0.05)
    assert curves["bf16"] != curves["no"]


def test_auto_precision_is_bf16_only_where_the_hardware_has_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for supported, wanted in ((True, "bf16"), (False, "no")):
        monkeypatch.setattr(
            torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda found=supported: found
        )
        assert resolve_precision("auto") == wanted
    assert resolve_precision("fp16") == "fp16"


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision must be auto, bf16 or no, got 'fp16'"):
        start_ranks("fp16")


def test_a_gradient_that_is_not_finite_is_named_before_the_step(make_tiny_tempo, tmp_path):
    model = make_tiny_tempo()
    model.projector.weight.register_hook(lambda grad: grad * torch.inf)
    before = model.decoder.model.norm.weight.clone()
    message = r"stage 1, step 0, rank 0: the gradient of projector.weight is not finite \(samples "
    with pytest.raises(FloatingPointError, match=message):
        train_stage(model, world_samples(tmp_path, 1)[:2], stage_run(tmp_path, 2))
    assert torch.equal(model.decoder.model.norm.weight, before)


def test_pixels_that_are_not_finite_are_named(make_tiny_tempo, tmp_path, monkeypatch):
    real = Collator.join

    def broken(self, encoded):
        batch = real(self, encoded)
        batch["pixel_rows"][0, 0] = torch.nan
        return batch

    monkeypatch.setattr(Collator, "join", broken)
    with pytest.raises(FloatingPointError, match=r"rank 0: pixel_rows is not finite \(samples i:0"):
        train_stage(make_tiny_tempo(), world_samples(tmp_path, 1)[:1], stage_run(tmp_path, 1))


def test_a_stage_without_samples_is_refused(fresh_tiny_tempo, tmp_path):
    with pytest.raises(ValueError, match="stage 1 has no samples"):
        train_stage(fresh_tiny_tempo, [], stage_run(tmp_path, 1))


def test_every_training_takes_its_precision_from_one_place(repo_root):
    """A processor without bf16 instructions would emulate a hard-coded one, 22 times slower."""
    found = [
        str(path.relative_to(repo_root))
        for path in sorted((repo_root / "tempo_lib").rglob("*.py"))
        if re.search(r"autocast\([^\n]*bfloat16", path.read_text(encoding="utf-8"))
    ]
    assert found == ["tempo_lib/training/precision.py"]
