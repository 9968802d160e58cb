"""Steps of one stage on one GPU, at the sizes of its longest samples."""

from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import torch
from PIL import Image

from tempo_lib.bench.film import write_film
from tempo_lib.bench.gpu.answering import share
from tempo_lib.bench.gpu.scale import Workbench, random_tempo
from tempo_lib.config import StageNumbers
from tempo_lib.model.attention import training_attention
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.collate import Collator
from tempo_lib.training.costs import Segments, forward_work, training_operations
from tempo_lib.training.feed import Feed
from tempo_lib.training.frames import FrameStore
from tempo_lib.training.loop import train_step
from tempo_lib.training.ranks import start_ranks
from tempo_lib.training.records import Sample
from tempo_lib.training.run import StageRun, stage_run
from tempo_lib.training.trainer import make_trainer

WARM_UP = 1  # steps that are not counted


def train(bench: Workbench, stage: int) -> dict[str, Any]:
    """Seconds of steps, and operations against the ceiling (what checkpointing repeats left out).

    Weights, gradients and moments have the scale's dtype: at bf16 the 6B takes 49 GB, where the
    float32 of a real training takes 98 and more than one GPU.
    """
    bench.forget_models()
    run = stage_run(
        bench.preset,
        stage,
        bench.folder / f"stage{stage}",
        cache_dir=bench.folder / "frames",
        seed=0,
    )
    run = replace(run, numbers=step_numbers(run.numbers, bench.scale.samples[stage]))
    model = random_tempo(bench.config(), bench.tokenizer, bench.scale, training_attention())
    ranks = start_ranks(run.numbers.precision)
    samples = drawn_samples(bench, run, bench.scale.samples[stage])
    feed = Feed(samples, collator(bench, model, run), run.numbers, run.seed, ranks)
    trainer = make_trainer(model, feed, run, bench.scale.num_steps)
    steps = feed.steps(0)
    records = [train_step(trainer, next(steps), i) for i in range(bench.scale.num_steps)]
    taken = median(record["seconds"] for record in records[WARM_UP:])
    work = step_operations(bench, feed, run.numbers) * len(samples)
    return {
        "step_seconds": taken,
        "steps": len(records),
        "samples_per_step": len(samples),
        "segments_per_step": sum(feed.lengths),
        "mfu": share(bench, work, taken),
        "operations_per_step": work,
        "losses": [round(record["loss"], 4) for record in records],
        "gigabytes_of_weights": round(sum(map(size_of, model.parameters())) / 1e9, 3),
        "precision": ranks.precision,
    }


train_stage0 = partial(train, stage=0)
train_stage1 = partial(train, stage=1)
train_stage2 = partial(train, stage=2)
train_stage3 = partial(train, stage=3)


def step_numbers(numbers: StageNumbers, samples: int) -> StageNumbers:
    """The stage's column with steps of this many samples, and epochs without end."""
    changes: dict[str, Any] = {
        "global_batch": samples,
        "batch_segments": None,
        "batch_samples": None,
    }
    changes |= {"activation_checkpointing": True, "epochs": 1000.0, "max_steps": 0}
    return numbers.model_copy(update=changes)


def drawn_samples(bench: Workbench, run: StageRun, count: int) -> list[Sample]:
    """Questions about one film, which is as long as the stage allows; of one frame, a picture."""
    fps, frames = bench.preset.video.fps, run.numbers.max_frames
    frames = min(frames, bench.scale.num_frames)
    path = bench.folder / f"film-{frames}.mp4"
    if frames == 1:
        path = path.with_suffix(".png")
        Image.new("RGB", (bench.scale.width, bench.scale.height), "gray").save(path)
    else:
        write_film(path, frames / fps, bench.scale.height, bench.scale.width, fps)
    return [
        Sample(
            id=f"s{number}",
            media=path,
            modality="image" if frames == 1 else "video",
            question=f"Which number is shown with star {number}?",
            answer="The red star 47.",
            window=None,
        )
        for number in range(count)
    ]


def collator(bench: Workbench, model: Tempo, run: StageRun) -> Collator:
    """Samples to tensors, by the stage's numbers."""
    numbers = run.numbers
    store = FrameStore(model, model.config.video_numbers, numbers.max_frames, run.cache_dir)
    return Collator(model, store, numbers.window, numbers.max_context, labels=run.labels)


def step_operations(bench: Workbench, feed: Feed, numbers: StageNumbers) -> int:
    """Operations of one sample, forward and backward."""
    batch = feed.collate(feed.samples[:1])
    grid_N3 = batch["grid_thw"]
    segments = Segments(
        count=len(grid_N3),
        slices=int(grid_N3[0, 0]),
        patches=int(grid_N3[0, 1:].prod()),
        tokens=int(batch["compressor_mask"].sum()) // len(grid_N3),
    )
    tokens, targets = batch["input_ids"].shape[1], feed.targets[0]
    work = forward_work(bench.preset, segments, tokens, targets)
    return training_operations(work, numbers.trainable, checkpointing=False)


def size_of(parameter: torch.Tensor) -> int:
    """Bytes."""
    return parameter.numel() * parameter.element_size()
