"""Evaluation on the way: when it comes, what it measures, and that it changes no training."""

import json
from dataclasses import replace

import pytest
import torch

from tempo_lib.training import loop
from tempo_lib.training.evaluating import HeldOutLoss
from tempo_lib.training.loop import train_stage
from tempo_lib.training.records import TrainingError
from tests.test_training_loop import stage_run
from tests.training_samples import collator, world_samples


def lines(folder):
    text = (folder / "out/evaluations.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_any_callable_is_called_at_the_start_every_so_often_and_at_the_end(
    make_tiny_tempo, tmp_path, monkeypatch
):
    samples, seen, real = world_samples(tmp_path, 1), [], loop.train_step

    def evaluate(trainer):
        seen.append(trainer.schedule.last_epoch)
        return {"calls": len(seen)}

    run = replace(stage_run(tmp_path, 5), evaluate=evaluate, eval_every=2, save_every=2)

    def failing(trainer, step, number):
        if number == 3:
            raise KeyboardInterrupt
        return real(trainer, step, number)

    monkeypatch.setattr(loop, "train_step", failing)
    with pytest.raises(KeyboardInterrupt):
        train_stage(make_tiny_tempo(), samples, run)
    assert [line["done"] for line in lines(tmp_path)] == seen == [0, 2]
    monkeypatch.setattr(loop, "train_step", real)
    train_stage(make_tiny_tempo(), samples, run)
    assert seen == [0, 2, 2, 4, 5]  # the one after the state is made again
    assert lines(tmp_path) == [
        {"done": done, "calls": calls} for done, calls in ((0, 1), (2, 3), (4, 4), (5, 5))
    ]


def test_the_held_out_loss_is_that_of_one_pass_and_leaves_the_training_alone(
    make_tiny_tempo, tmp_path
):
    samples = world_samples(tmp_path, 1)
    run, model = stage_run(tmp_path / "whole", 3), make_tiny_tempo()
    batch = collator(model, tmp_path, run.numbers)(samples[:3])
    with torch.no_grad():
        before = model(**batch).loss.item()
    plain = train_stage(make_tiny_tempo(), samples, run)
    watched = replace(stage_run(tmp_path, 3), evaluate=HeldOutLoss(samples[:3]), eval_every=1)
    records = train_stage(model, samples, watched)
    assert [one["loss"] for one in records] == [one["loss"] for one in plain]
    found = lines(tmp_path)
    assert [one["done"] for one in found] == [0, 1, 2, 3]
    assert found[0]["loss"] == pytest.approx(before, rel=1e-5)
    with torch.no_grad():
        after = model(**batch).loss.item()
    assert found[3]["loss"] == pytest.approx(after, rel=1e-5)
    assert (found[3]["samples"], found[3]["targets"]) == (3, int((batch["labels"] >= 0).sum()))


def test_broken_media_of_held_out_samples_are_refused_before_any_step(make_tiny_tempo, tmp_path):
    samples = world_samples(tmp_path, 1)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    bad = replace(samples[0], id="bad", media=tmp_path / "broken.png")
    run = replace(stage_run(tmp_path, 1), evaluate=HeldOutLoss([bad]))
    with pytest.raises(TrainingError, match="1 of 1 samples show one of 1 broken files"):
        train_stage(make_tiny_tempo(), samples, run)
    assert not (tmp_path / "out/losses.jsonl").exists()
    with pytest.raises(TrainingError, match="no samples to evaluate on"):
        HeldOutLoss([])
