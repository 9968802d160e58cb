"""Compress once, ablate many: every question of a benchmark under every variant.

A video is decoded and encoded once; a question is compressed once for all variants that share
compressor, prompt and frames. Only allocation, reduction and decoding run once per variant.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from tempo_lib.allocation.policies import Limits, token_counts
from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.clip import Request, SharedClip, SharedFrames
from tempo_lib.evaluation.jobs import (
    Job,
    Setting,
    find_models,
    find_scorers,
    frames_read,
    make_jobs,
    policy_options,
)
from tempo_lib.evaluation.records import COLUMNS, Record
from tempo_lib.evaluation.relevance import auc
from tempo_lib.evaluation.scorers import Scorer
from tempo_lib.evaluation.variants import Variant, get_variant
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import project_root

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    model: Tempo, benchmark: Benchmark, variants: Sequence[Variant | str], **options: Any
) -> "pd.DataFrame":
    """One row per (variant, question) with the scalar fields of ``Record``.

    ``options`` as in ``evaluate_records``, whose records also hold scores and counts.
    """
    return frame_of(evaluate_records(model, benchmark, variants, **options))


def evaluate_records(
    model: Tempo,
    benchmark: Benchmark,
    variants: Sequence[Variant | str],
    budget: int | None = None,
    k_min: int | None = None,
    seed: int = 0,
    progress: bool = True,
    models: Mapping[str, Tempo] | None = None,
    root: Path | None = None,
    cache: bool = True,
    scorers: Mapping[str, Scorer] | None = None,
) -> list[Record]:
    """Records of all variants, in the order of ``variants`` and of the benchmark.

    ``budget`` and ``k_min``: None takes the model's; variants with their own keep it. ``seed``
    draws the segments of random-drop. ``models``: checkpoints by name for variants that need
    another one than ``model``, ``scorers``: scorers by name; without them, the folders beside
    ``model``'s are read. ``cache``: reuse and extend the records under ``root``/runs (default:
    the project's). ValueError for an unknown variant or a checkpoint that is not there.
    """
    named = [get_variant(item) if isinstance(item, str) else item for item in variants]
    rows = list(dict.fromkeys(named))  # one named twice counts once
    numbers = model.config
    limits = Limits(
        numbers.budget if budget is None else budget,
        numbers.k_min if k_min is None else k_min,
        numbers.k_max,
    )
    base = project_root() if root is None else root
    setting = Setting(
        benchmark=benchmark,
        models=find_models(model, rows, models or {}),
        scorers=find_scorers(model, rows, scorers or {}),
        limits=limits,
        seed=seed,
        folder=base / "runs" / benchmark.preset / "evaluations" / benchmark.name if cache else None,
    )
    jobs = make_jobs(setting, rows)
    hidden = None if progress else True
    for video in tqdm(benchmark.videos, desc=benchmark.name, unit="video", disable=hidden):
        _run_video(video, setting, jobs)
    ids = [question.id for video in benchmark.videos for question in video.questions]
    return [job.kept.records[name] for job in jobs for name in ids]


def frame_of(records: Iterable[Record]) -> "pd.DataFrame":
    """Table of records without their lists; ``auc`` is NaN where it is unknown."""
    import pandas as pd

    rows = [[getattr(record, name) for name in COLUMNS] for record in records]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("auc", "matched_tokens"):
        frame[name] = frame[name].astype(float)
    return frame


def _run_video(video: BenchmarkVideo, setting: Setting, jobs: Sequence[Job]) -> None:
    """Make the records that are missing, and keep them once the whole video is done."""
    frames = SharedFrames(video)
    clips = {
        each.compression: SharedClip(each.model, frames, setting.scorers)
        for job in jobs
        for each in (job, job.reference)
        if each is not None
    }
    fresh: dict[int, list[Record]] = {index: [] for index in range(len(jobs))}
    for question in video.questions:
        missing = [
            index
            for index, job in enumerate(jobs)
            if job.kept.find(question.id, video.sha256, question.text) is None
        ]
        made = _answer([jobs[index] for index in missing], setting.benchmark, clips, question)
        for index, record in zip(missing, made, strict=True):
            fresh[index].append(record)
        for clip in clips.values():
            clip.forget_question()
    for index, records in fresh.items():
        jobs[index].kept.add(records)


@dataclass(frozen=True, eq=False)
class _Allocation:
    """Frames read, logits (N,), counts (N,) and bounds of one job on a question."""

    num_frames: int
    logits_N: torch.Tensor
    counts_N: torch.Tensor
    limits: Limits
    matched_tokens: int | None


def _answer(
    jobs: Sequence[Job], benchmark: Benchmark, clips: Mapping[str, SharedClip], question: Question
) -> list[Record]:
    """One question under several variants: allocate for each, then decode all of them."""
    allocations = [_allocate(job, clips, question) for job in jobs]
    predictions: dict[int, str] = {}
    for compression in dict.fromkeys(job.compression for job in jobs):
        own = [index for index, job in enumerate(jobs) if job.compression == compression]
        requests = [_request(jobs[index], allocations[index], question) for index in own]
        predictions |= zip(own, clips[compression].predictions(requests), strict=True)
    return [
        _record(
            job, benchmark, clips[job.compression], question, allocations[index], predictions[index]
        )
        for index, job in enumerate(jobs)
    ]


def _allocate(job: Job, clips: Mapping[str, SharedClip], question: Question) -> _Allocation:
    """Tokens per segment for one job; a matched one gets as many as its reference uses."""
    row, limits, clip = job.variant, job.limits, clips[job.compression]
    matched_tokens = None
    if job.reference is not None:
        matched_tokens = int(_allocate(job.reference, clips, question).counts_N.sum())
        limits = replace(limits, budget=matched_tokens)
    window = clip.model.config.video_numbers.window
    num_frames = frames_read(row, limits, clip.num_frames, window)
    logits_N = clip.logits(row.score_source, question.text, row.score_prompt, num_frames)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{job.seed} {question.id}".encode()))
    counts_N = token_counts(row.allocation, logits_N, limits, policy_options(row), generator)
    return _Allocation(num_frames, logits_N, counts_N, limits, matched_tokens)


def _request(job: Job, allocation: _Allocation, question: Question) -> Request:
    row = job.variant
    shape = (allocation.num_frames, allocation.counts_N, row.scheme)
    return Request(job.model, question.text, row.prompt, *shape)


def _record(
    job: Job,
    benchmark: Benchmark,
    clip: SharedClip,
    question: Question,
    allocation: _Allocation,
    prediction: str,
) -> Record:
    row = job.variant
    memories = clip.memories(question.text, row.prompt, allocation.num_frames)
    relevant = clip.relevant(benchmark, question, allocation.num_frames)
    scores_N = allocation.logits_N.sigmoid()
    return Record(
        suite=benchmark.name,
        world_seed=benchmark.world_seed,
        variant=row.name,
        video=clip.video.id,
        video_sha256=clip.video.sha256,
        question_id=question.id,
        kind=question.group,
        form=question.form,
        question=question.text,
        options=list(question.options),
        answer=question.answer,
        start=question.start,
        stop=question.stop,
        prediction=prediction,
        correct=benchmark.score(question, prediction),
        tokens_used=int(allocation.counts_N.sum()),
        matched_tokens=allocation.matched_tokens,
        num_segments=len(scores_N),
        num_frames=allocation.num_frames,
        budget=allocation.limits.budget,
        k_min=allocation.limits.k_min,
        auc=None if relevant is None else auc(scores_N.numpy(), relevant),
        scores=_decimals(scores_N),
        logits=_decimals(allocation.logits_N) if row.beyond_paper else None,
        counts=allocation.counts_N.tolist(),
        seconds=memories.seconds.tolist(),
        relevant=relevant,
    )


def _decimals(values_N: torch.Tensor) -> list[float]:
    """The shortest decimals that give the same float32 back."""
    return [float(str(np.float32(value))) for value in values_N.tolist()]
