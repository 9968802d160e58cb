"""One training loop for the four stages; a stage is data (Table A), not code.

accelerate decides where it runs: one process, or ranks by its configuration, each with batches of
its own. Nothing below names a device.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DataLoaderConfiguration, DistributedDataParallelKwargs, set_seed
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import get_scheduler

from tempo_lib.checkpoints.folders import write_summary
from tempo_lib.config import StageNumbers
from tempo_lib.fingerprint import sha256_of_file
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.data import Collator, FrameStore, Sample
from tempo_lib.training.fast_norm import speed_up_norms
from tempo_lib.training.sampler import LengthBatches
from tempo_lib.training.stages import OPTIMIZER, SCHEDULE, parameter_groups, set_trainable


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


def train_stage(model: Tempo, samples: list[Sample], run: StageRun) -> list[dict[str, float]]:
    """Train ``model`` on ``samples``; returns one record per step and writes ``out_dir``.

    ``out_dir`` gets the checkpoint, ``losses.jsonl`` and, while training, a ``state`` folder from
    which an interrupted run goes on. ValueError when there is nothing to train on, for some rank.
    """
    if not samples:
        raise ValueError(f"stage {run.stage} has no samples")
    set_seed(run.seed)
    accelerator = make_accelerator(resolve_precision(run.mixed_precision))
    with accelerator.main_process_first():  # the others find its frames
        loader, batches = make_loader(model, samples, run)
    steps = total_steps(run, len(loader), accelerator.num_processes)
    set_trainable(model, run.numbers)
    model.train()
    if accelerator.device.type == "cpu":
        speed_up_norms(model)
    optimiser, schedule = make_optimiser(model, run.numbers, steps)
    model, optimiser, loader, schedule = accelerator.prepare(model, optimiser, loader, schedule)
    done, records = load_progress(accelerator, run)
    hidden = not accelerator.is_main_process
    bar = tqdm(total=steps, initial=done, desc=f"stage {run.stage}", unit="step", disable=hidden)
    for batch in endless(accelerator, loader, batches, done):
        if done >= steps:
            break
        facts = train_step(accelerator, model, optimiser, schedule, batch, run)
        records.append({"step": done, **facts})
        done += 1
        bar.update()
        bar.set_postfix(loss=f"{facts['loss']:.3f}")
        if done % run.save_every == 0 and done < steps:
            save_progress(accelerator, run, done, records)
    bar.close()
    finish(accelerator, model, run, records)
    return records


def train_and_summarise(
    model: Tempo, samples: list[Sample], run: StageRun, manifest: Path
) -> dict[str, Any]:
    """``train_stage``, then the training summary: the sign of a finished checkpoint.

    Summaries written before there were overrides have ``switches`` instead.
    """
    started = time.perf_counter()
    records = train_stage(model, samples, run)
    tail = records[-max(1, len(records) // 20) :]
    summary = {
        "stage": run.stage,
        "seed": run.seed,
        "samples": len(samples),
        "steps": len(records),
        "seconds": round(time.perf_counter() - started, 1),
        "final_loss": round(sum(record["loss"] for record in tail) / len(tail), 4),
        "trainable": list(run.numbers.trainable),
        "manifest_sha256": sha256_of_file(manifest),
        "overrides": summary_overrides(run.overrides),
    }
    if PartialState().is_main_process:
        write_summary(run.out_dir, summary)
    PartialState().wait_for_everyone()
    return summary


def summary_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides as a summary holds them: not where base models lay on a disk."""
    return {path: value for path, value in overrides.items() if not path.startswith("weights.")}


def make_accelerator(precision: str) -> Accelerator:
    """Of one process or of several, whose batches differ in size and in what they train."""
    return Accelerator(
        mixed_precision=precision,
        step_scheduler_with_optimizer=False,
        dataloader_config=DataLoaderConfiguration(even_batches=False),
        # a batch of texts leaves the compressor without gradients
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def make_loader(
    model: Tempo, samples: list[Sample], run: StageRun
) -> tuple[DataLoader, LengthBatches]:
    """Decode all media once; a loader of batches of about equal length, and their sampler."""
    video = model.config.video_numbers
    store = FrameStore(model, video, run.numbers.max_frames, run.cache_dir)
    store.prepare(sorted({s.media for s in samples if s.media is not None}))
    numbers = run.numbers
    collate = Collator(
        model,
        store,
        numbers.window,
        numbers.max_context,
        numbers.varied_prompt_share,
        run.seed,
    )
    lengths = [collate.num_segments(sample) for sample in samples]
    batches = LengthBatches(
        lengths, run.numbers.batch_segments, run.numbers.batch_samples, run.seed
    )
    return DataLoader(samples, batch_sampler=batches, collate_fn=collate), batches  # type: ignore[arg-type]


def resolve_precision(requested: str) -> str:
    """``auto`` -> bf16 where the hardware multiplies it, else float32 ("no"); others unchanged.

    Which of the two was used decides nothing but time: tests/test_training_loop.py compares them.
    """
    if requested != "auto":
        return requested
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "no"


def total_steps(run: StageRun, num_batches: int, num_ranks: int) -> int:
    """Steps of all epochs, at most ``max_steps``. ValueError when a rank would get no batch."""
    if num_batches < num_ranks:
        raise ValueError(
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


def save_progress(
    accelerator: Accelerator, run: StageRun, done: int, records: list[dict[str, float]]
) -> None:
    accelerator.save_state(str(run.out_dir / "state"))
    if accelerator.is_main_process:
        write_losses(run, records)
        (run.out_dir / "state" / "progress.json").write_text(json.dumps({"done": done}))


def load_progress(accelerator: Accelerator, run: StageRun) -> tuple[int, list[dict[str, float]]]:
    """(steps done, their records) of an interrupted run; (0, []) of a new one."""
    progress = run.out_dir / "state" / "progress.json"
    if not progress.is_file():
        return 0, []
    accelerator.load_state(str(run.out_dir / "state"))
    done = int(json.loads(progress.read_text())["done"])
    lines = (run.out_dir / "losses.jsonl").read_text().splitlines()
    return done, [json.loads(line) for line in lines[:done]]


def write_losses(run: StageRun, records: list[dict[str, float]]) -> None:
    run.out_dir.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(record) for record in records]
    (run.out_dir / "losses.jsonl").write_text("\n".join(lines) + "\n")


def finish(
    accelerator: Accelerator, model: torch.nn.Module, run: StageRun, records: list[dict[str, float]]
) -> None:
    """Save the checkpoint from all ranks and drop the resume state."""
    accelerator.wait_for_everyone()
    whole = accelerator.unwrap_model(model)
    state = accelerator.get_state_dict(model)
    if accelerator.is_main_process:
        write_losses(run, records)
        whole.eval().save_pretrained(run.out_dir, state_dict=state)
        for path in sorted((run.out_dir / "state").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if (run.out_dir / "state").is_dir():
            (run.out_dir / "state").rmdir()
