"""One training loop for the four stages; a stage is data (Table A), not code.

A step is the same whatever the number of ranks and micro-batches: its samples are drawn from seed
and epoch, every loss is divided by the target tokens of the whole step, gradients are summed over
ranks and passes and clipped once.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import set_seed
from tqdm.auto import tqdm

from tempo_lib.checkpoints.folders import write_summary
from tempo_lib.config import StageNumbers
from tempo_lib.fingerprint import code_fingerprint, sha256_of_file
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.evaluating import evaluate_at
from tempo_lib.training.feed import Feed, Step, to_device
from tempo_lib.training.finite import explain
from tempo_lib.training.index import Index
from tempo_lib.training.preparing import make_feed
from tempo_lib.training.progress import (
    CODE,
    RANKS,
    check_resume,
    data_digest,
    drop_state,
    load_state,
    locked,
    num_skipped,
    save_state,
    write_losses,
)
from tempo_lib.training.ranks import (
    clip_gradients,
    gradient_norm,
    scale_gradients,
    start_ranks,
    whole_state,
)
from tempo_lib.training.records import Sample, TrainingError
from tempo_lib.training.replaced import (
    COUNT,
    check_replaced,
    forget_after,
    name_replaced,
    num_replaced,
)
from tempo_lib.training.run import StageRun
from tempo_lib.training.trackers import tracking
from tempo_lib.training.trainer import Trainer, make_trainer


def train_stage(model: Tempo, samples: Sequence[Sample], run: StageRun) -> list[dict[str, float]]:
    """Train ``model`` on ``samples``; returns one record per step and writes ``out_dir``.

    ``out_dir`` gets the checkpoint, ``losses.jsonl`` and, while training, a ``state`` folder from
    which an interrupted run goes on, on any number of ranks. ValueError when there is nothing to
    train on and, before anything is decoded, when ``out_dir`` holds the state of another run.
    FloatingPointError, before the optimiser steps, for a loss or a gradient that is not finite.
    """
    records = train_keeping_state(model, samples, run)
    if PartialState().is_main_process:
        drop_state(run.out_dir)
    return records


def train_keeping_state(
    model: Tempo, samples: Sequence[Sample], run: StageRun
) -> list[dict[str, float]]:
    """``train_stage`` without its end: the state stays until a summary says that all is done."""
    if not samples:
        raise TrainingError(f"stage {run.stage} has no samples")
    set_seed(run.seed)
    ranks = start_ranks(run.numbers.precision)
    facts = run_facts(samples, run, ranks.num_ranks)
    check_resume(run.out_dir, facts)
    with locked(run.out_dir, ranks.is_main):
        with PartialState().main_process_first():  # the others find its frames
            feed = make_feed(model, samples, run, ranks)
        return run_steps(model, feed, run, facts)


def run_steps(
    model: Tempo, feed: Feed, run: StageRun, facts: Mapping[str, Any]
) -> list[dict[str, float]]:
    """All steps that are not done yet, and the checkpoint; returns one record per step."""
    steps = total_steps(run.numbers, feed.steps_per_epoch)
    trainer = make_trainer(model, feed, run, steps)
    done, records = load_state(trainer, run.out_dir)
    hidden = not trainer.ranks.is_main
    if trainer.ranks.is_main:
        forget_after(run.out_dir, done)
    title = f"stage {run.stage}"
    with (
        tqdm(total=steps, initial=done, desc=title, unit="step", disable=hidden) as bar,
        tracking(run, facts, done, trainer.ranks) as track,
    ):
        evaluate_at(trainer, done, steps, track)
        for step in feed.steps(done):
            if done >= steps:
                break
            record = train_step(trainer, step, done)
            records.append({"step": done, **record})
            if COUNT in record:
                name_replaced(step.lost, done, run.out_dir, trainer.ranks)
                check_replaced(records, len(feed.samples), run.most_broken, run.out_dir)
            track(record, done)
            done += 1
            bar.update()
            bar.set_postfix(loss=f"{record['loss']:.3f}")
            if done % run.save_every == 0 and done < steps:
                save_state(trainer, run.out_dir, done, records, facts, run.keep_states)
            evaluate_at(trainer, done, steps, track)
    finish(trainer, records)
    return records


def run_facts(samples: Sequence[Sample], run: StageRun, num_ranks: int) -> dict[str, Any]:
    """What a run shares with the one whose state it takes up; code and ranks are stated only."""
    return {
        "stage": run.stage,
        "seed": run.seed,
        "manifest_sha256": run.manifest_sha256,
        "data_sha256": data_digest(samples),
        "numbers": run.numbers.model_dump(mode="json"),
        "labels": run.labels.model_dump(),
        RANKS: num_ranks,
        CODE: code_fingerprint("tempo_lib.training.loop"),
    }


def train_and_summarise(
    model: Tempo, samples: Sequence[Sample], run: StageRun, manifest: Path
) -> dict[str, Any]:
    """``train_stage``, then the training summary: the sign of a finished checkpoint.

    Summaries written before there were overrides have ``switches`` instead.
    """
    started = time.perf_counter()
    run = replace(run, manifest_sha256=sha256_of_file(manifest))
    records = train_keeping_state(model, samples, run)
    tail = records[-max(1, len(records) // 20) :]
    summary = {
        "stage": run.stage,
        "seed": run.seed,
        **sample_counts(samples, records, run.out_dir),
        "steps": len(records),
        "seconds": round(time.perf_counter() - started, 1),
        "final_loss": round(sum(record["loss"] for record in tail) / len(tail), 4),
        "tokens_per_second": median(record["tokens_per_second"] for record in records),
        "peak_gigabytes": max(record["peak_gigabytes"] for record in records),
        "trainable": list(run.numbers.trainable),
        "manifest_sha256": run.manifest_sha256,
        "data_sha256": data_digest(samples),
        "overrides": summary_overrides(run.overrides),
    }
    if PartialState().is_main_process:
        write_summary(run.out_dir, summary)
        drop_state(run.out_dir)  # only now: a process killed before goes on from it
    PartialState().wait_for_everyone()
    return summary


def sample_counts(
    samples: Sequence[Sample], records: Sequence[Mapping[str, float]], out_dir: Path
) -> dict[str, int]:
    """How many samples a stage read, and how many it could not."""
    if isinstance(samples, Index):
        lost = {"skipped": int(samples.facts["broken"]), COUNT: num_replaced(records)}
        return {"samples": len(samples), **lost}
    skipped = num_skipped(out_dir)  # their media cannot be read: skipped.json
    return {"samples": len(samples) - skipped, "skipped": skipped}


def summary_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides as a summary holds them: not where base models lay, nor how samples were loaded."""
    apart = ("weights.", "training.loader.")
    return {path: value for path, value in overrides.items() if not path.startswith(apart)}


def total_steps(numbers: StageNumbers, steps_per_epoch: int) -> int:
    """Steps of all epochs, at most ``max_steps``."""
    steps = max(1, round(numbers.epochs * steps_per_epoch))
    return min(steps, numbers.max_steps) if numbers.max_steps else steps


def train_step(trainer: Trainer, step: Step, number: int) -> dict[str, float]:
    """All passes of a step, then clip and step once; returns what the curve shows."""
    started = time.perf_counter()
    model, ranks, losses, work, targets = trainer.model, trainer.ranks, [], [], 0
    for batch in step.batches:
        work.append(trainer.meter.work(batch))  # counted before it is on a GPU
        targets += int((batch["labels"][:, 1:] != IGNORE).sum())
        with ranks.autocast():
            part = model(**to_device(batch, ranks.device), num_targets=step.num_targets).loss
        (part * ranks.num_ranks).backward()  # sharding takes the mean over ranks: undone
        losses.append(part.detach())
    if all(sample.media is None for sample in step.samples):
        # images that only keep ranks in step leave zeros, which would still move by momentum
        model.compressor.zero_grad()
    parameters = [p for p in model.parameters() if p.requires_grad]
    own = torch.stack(losses).sum().float()
    sums = ranks.total(torch.stack([own, own.new_tensor(targets), own.new_tensor(len(step.lost))]))
    loss, targets, num_lost = sums.tolist()
    if num_lost and targets:  # others stood in, whose answers are of other lengths
        loss *= step.num_targets / targets
        scale_gradients(parameters, step.num_targets / targets)
    norm = gradient_norm(parameters)
    size = norm.item()
    if not (math.isfinite(loss) and math.isfinite(size)):
        where = explain(model, trainer.feed, step, losses, ranks)
        raise FloatingPointError(f"stage {trainer.run.stage}, step {number}, {where}")
    clip_gradients(parameters, norm, trainer.run.numbers.clip_norm)
    trainer.optimiser.step()
    trainer.schedule.step()
    trainer.optimiser.zero_grad()
    return {
        "loss": loss,
        "grad_norm": size,
        "learning_rate": float(trainer.schedule.get_last_lr()[-1]),  # the compressor's comes first
        "samples": len(step.samples),
        "targets": int(targets),
        **({COUNT: int(num_lost)} if num_lost else {}),
        **trainer.meter.rates(work, step.num_frames, time.perf_counter() - started, ranks),
    }


def finish(trainer: Trainer, records: list[dict[str, float]]) -> None:
    """Save the checkpoint from all ranks."""
    ranks, out_dir = trainer.ranks, trainer.run.out_dir
    state = whole_state(trainer.model, ranks)
    trainer.model.eval()
    if ranks.is_main:
        write_losses(out_dir, records)
        trainer.model.save_pretrained(out_dir, state_dict=state)
    ranks.wait()
