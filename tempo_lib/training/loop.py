"""One training loop for the four stages; a stage is data (Table A), not code.

accelerate decides where it runs: one process, or ranks by its configuration, each with batches of
its own. Nothing below names a device.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import get_scheduler

from tempo_lib.checkpoints.folders import write_summary
from tempo_lib.config import StageNumbers
from tempo_lib.fingerprint import code_fingerprint, sha256_of_file
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.data import Collator
from tempo_lib.training.fast_norm import speed_up_norms
from tempo_lib.training.frames import FrameStore, without_broken
from tempo_lib.training.progress import (
    CODE,
    check_resume,
    data_digest,
    drop_state,
    load_state,
    locked,
    num_skipped,
    save_state,
    write_losses,
    write_skipped,
)
from tempo_lib.training.ranks import make_accelerator, resolve_precision
from tempo_lib.training.records import Sample, TrainingError
from tempo_lib.training.sampler import LengthBatches
from tempo_lib.training.stages import OPTIMIZER, SCHEDULE, parameter_groups, set_trainable

MOST_BROKEN = 0.05  # share of samples that may be skipped as their media cannot be read


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """One run of one stage: numbers, where it writes, and how often it saves its state."""

    stage: int
    numbers: StageNumbers
    out_dir: Path
    cache_dir: Path
    seed: int
    mixed_precision: str = "auto"
    save_every: int = 50
    overrides: Mapping[str, Any] = field(default_factory=dict)  # of the preset, for the summary
    manifest_sha256: str | None = None  # of the file that names the data, where there is one
    most_broken: float = MOST_BROKEN


def train_stage(model: Tempo, samples: list[Sample], run: StageRun) -> list[dict[str, float]]:
    """Train ``model`` on ``samples``; returns one record per step and writes ``out_dir``.

    ``out_dir`` gets the checkpoint, ``losses.jsonl`` and, while training, a ``state`` folder from
    which an interrupted run goes on. ValueError when there is nothing to train on, for some rank,
    and, before anything is decoded, when ``out_dir`` holds the state of another run.
    """
    records = train_keeping_state(model, samples, run)
    if PartialState().is_main_process:
        drop_state(run.out_dir)
    return records


def train_keeping_state(
    model: Tempo, samples: list[Sample], run: StageRun
) -> list[dict[str, float]]:
    """``train_stage`` without its end: the state stays until a summary says that all is done."""
    if not samples:
        raise TrainingError(f"stage {run.stage} has no samples")
    set_seed(run.seed)
    accelerator = make_accelerator(resolve_precision(run.mixed_precision))
    facts = run_facts(samples, run, accelerator.num_processes)
    check_resume(run.out_dir, facts)
    with locked(run.out_dir, accelerator.is_main_process):
        return run_steps(accelerator, model, samples, run, facts)


def run_steps(
    accelerator: Accelerator,
    model: Tempo,
    samples: list[Sample],
    run: StageRun,
    facts: Mapping[str, Any],
) -> list[dict[str, float]]:
    """All steps that are not done yet, and the checkpoint; returns one record per step."""
    with accelerator.main_process_first():  # the others find its frames
        store, shown, broken = decoded(model, samples, run)
    write_skipped(run.out_dir, len(samples) - len(shown), broken, accelerator.is_main_process)
    loader, batches = make_loader(model, store, shown, run)
    steps = total_steps(run, len(loader), accelerator.num_processes)
    set_trainable(model, run.numbers)
    model.train()
    if accelerator.device.type == "cpu":
        speed_up_norms(model)
    optimiser, schedule = make_optimiser(model, run.numbers, steps)
    model, optimiser, loader, schedule = accelerator.prepare(model, optimiser, loader, schedule)
    done, records = load_state(accelerator, run.out_dir)
    hidden = not accelerator.is_main_process
    bar = tqdm(total=steps, initial=done, desc=f"stage {run.stage}", unit="step", disable=hidden)
    for batch in endless(accelerator, loader, batches, done):
        if done >= steps:
            break
        record = train_step(accelerator, model, optimiser, schedule, batch, run)
        records.append({"step": done, **record})
        done += 1
        bar.update()
        bar.set_postfix(loss=f"{record['loss']:.3f}")
        if done % run.save_every == 0 and done < steps:
            save_state(accelerator, run.out_dir, done, records, facts)
    bar.close()
    finish(accelerator, model, run, records)
    return records


def run_facts(samples: list[Sample], run: StageRun, num_ranks: int) -> dict[str, Any]:
    """What a run must share with the one whose state it takes up; the code is stated only."""
    return {
        "stage": run.stage,
        "seed": run.seed,
        "manifest_sha256": run.manifest_sha256,
        "data_sha256": data_digest(samples),
        "numbers": run.numbers.model_dump(mode="json"),
        "ranks": num_ranks,
        CODE: code_fingerprint("tempo_lib.training.loop"),
    }


def train_and_summarise(
    model: Tempo, samples: list[Sample], run: StageRun, manifest: Path
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
        "samples": len(samples) - num_skipped(run.out_dir),
        "skipped": num_skipped(run.out_dir),  # their media cannot be read: skipped.json
        "steps": len(records),
        "seconds": round(time.perf_counter() - started, 1),
        "final_loss": round(sum(record["loss"] for record in tail) / len(tail), 4),
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


def summary_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides as a summary holds them: not where base models lay on a disk."""
    return {path: value for path, value in overrides.items() if not path.startswith("weights.")}


def decoded(
    model: Tempo, samples: list[Sample], run: StageRun
) -> tuple[FrameStore, list[Sample], dict[Path, str]]:
    """All media decoded once: their store, the samples that can be shown, the broken files.

    ValueError past the run's share of samples that may be left out.
    """
    video = model.config.video_numbers
    store = FrameStore(model, video, run.numbers.max_frames, run.cache_dir)
    broken = store.prepare(sorted({path for sample in samples for path in sample.all_media}))
    return store, without_broken(samples, broken, run.most_broken), broken


def make_loader(
    model: Tempo, store: FrameStore, samples: list[Sample], run: StageRun
) -> tuple[DataLoader, LengthBatches]:
    """A loader of batches of about equal length, and their sampler.

    ValueError for a sample that is longer than the stage's context.
    """
    numbers = run.numbers
    collate = Collator(
        model,
        store,
        numbers.window,
        numbers.max_context,
        numbers.varied_prompt_share,
        run.seed,
    )
    collate.check_lengths(samples)
    lengths = [collate.num_segments(sample) for sample in samples]
    batches = LengthBatches(lengths, numbers.batch_segments, numbers.batch_samples, run.seed)
    return DataLoader(samples, batch_sampler=batches, collate_fn=collate), batches  # type: ignore[arg-type]


def total_steps(run: StageRun, num_batches: int, num_ranks: int) -> int:
    """Steps of all epochs, at most ``max_steps``. ValueError when a rank would get no batch."""
    if num_batches < num_ranks:
        raise TrainingError(
            f"stage {run.stage} has {num_batches} batches for {num_ranks} ranks; "
            "train it on fewer ranks or on more samples"
        )
    numbers = run.numbers
    steps = max(1, round(numbers.epochs * math.ceil(num_batches / num_ranks)))
    return min(steps, numbers.max_steps) if numbers.max_steps else steps


def make_optimiser(
    model: Tempo, numbers: StageNumbers, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Table A's optimiser and its schedule: linear warmup, then cosine."""
    optimiser = getattr(torch.optim, OPTIMIZER)(
        parameter_groups(model, numbers),
        betas=(0.9, numbers.adam_beta2),
        weight_decay=numbers.weight_decay,
    )
    warmup = round(numbers.warmup_ratio * steps)
    return optimiser, get_scheduler(SCHEDULE, optimiser, warmup, steps)


def endless(
    accelerator: Accelerator, loader: DataLoader, batches: LengthBatches, done: int
) -> Iterator[Any]:
    """Batches from the ``done``-th on, epoch after epoch, each epoch in its own order."""
    epoch, skip = divmod(done, len(loader))
    while True:
        batches.start_epoch(epoch)
        yield from accelerator.skip_first_batches(loader, skip) if skip else loader
        epoch, skip = epoch + 1, 0


def train_step(
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: Any,
    batch: dict[str, torch.Tensor],
    run: StageRun,
) -> dict[str, float]:
    """Forward, backward, clip, step; returns what the curve shows."""
    started = time.perf_counter()
    with accelerator.accumulate(model):
        loss = model(**batch).loss
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(model.parameters(), run.numbers.clip_norm)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    if not torch.isfinite(loss):
        raise FloatingPointError(f"stage {run.stage}: the loss is {loss.item()}")
    return {
        "loss": loss.item(),
        "grad_norm": float(norm),
        "learning_rate": schedule.get_last_lr()[-1],  # the compressor's group comes first
        "samples": len(batch["input_ids"]),
        "seconds": round(time.perf_counter() - started, 3),
    }


def finish(
    accelerator: Accelerator, model: torch.nn.Module, run: StageRun, records: list[dict[str, float]]
) -> None:
    """Save the checkpoint from all ranks."""
    accelerator.wait_for_everyone()
    whole = accelerator.unwrap_model(model)
    state = accelerator.get_state_dict(model)
    if accelerator.is_main_process:
        write_losses(run.out_dir, records)
        whole.eval().save_pretrained(run.out_dir, state_dict=state)
