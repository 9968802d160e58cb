"""Compress once, ablate many: ask every question of a suite under every variant.

A video is decoded and encoded once; a question is compressed once for all variants that share
compressor, prompt and frames. Only allocation, reduction and decoding run once a variant.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.clip import Request, SharedClip
from tempo_lib.evaluation.frames import SharedFrames
from tempo_lib.evaluation.jobs import Job, Setting, find_models, find_scorers, make_jobs
from tempo_lib.evaluation.records import COLUMNS, Record
from tempo_lib.evaluation.scorers import Scorer
from tempo_lib.evaluation.spending import Limits, frames_read, token_counts
from tempo_lib.evaluation.variants import Variant, get_variant
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import project_root
from tempo_lib.statistics.intervals import auc

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    model: Tempo,
    suite: Benchmark,
    variants: Sequence[Variant | str],
    budget: int | None = None,
    k_min: int | None = None,
    seed: int = 0,
    progress: bool = True,
    models: Mapping[str, Tempo] | None = None,
    root: Path | None = None,
    cache: bool = True,
    scorers: Mapping[str, Scorer] | None = None,
) -> "pd.DataFrame":
    """One row per (variant, question) with the scalar fields of ``Record``.

    Arguments as in ``evaluate_records``, whose records also hold scores and counts.
    """
    places = (models, root, cache, scorers)
    return frame_of(
        evaluate_records(model, suite, variants, budget, k_min, seed, progress, *places)
    )


def evaluate_records(
    model: Tempo,
    suite: Benchmark,
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
    """Records of all variants, in the order of ``variants`` and of the suite.

    ``budget`` and ``k_min``: None takes the model's; variants with their own keep it. ``seed``
    draws the segments of random-drop. ``models``: checkpoints by name for variants that need
    another one than ``model``, ``scorers``: judges by source; without them, the folders of those
    names beside ``model``'s are read. ``cache``: reuse and extend the records under ``root``/runs
    (default: the project's). ValueError for an unknown variant or a checkpoint that is not there.
    """
    named = [get_variant(item) if isinstance(item, str) else item for item in variants]
    rows = list(dict.fromkeys(named))  # one named twice is asked once
    numbers = model.config
    limits = Limits(
        numbers.budget if budget is None else budget,
        numbers.k_min if k_min is None else k_min,
        numbers.k_max,
    )
    base = project_root() if root is None else root
    folder = base / "runs" / suite.preset / "evaluations" / suite.name if cache else None
    by_name = find_models(model, rows, models or {})
    by_source = find_scorers(model, rows, scorers or {})
    setting = Setting(suite, by_name, by_source, limits, seed, folder)
    jobs = make_jobs(setting, rows)
    bar = tqdm(suite.videos, desc=suite.name, unit="video", disable=None if progress else True)
    for video in bar:
        _run_video(video, setting, jobs)
    asked = [question.id for video in suite.videos for question in video.questions]
    return [job.kept.records[name] for job in jobs for name in asked]


def frame_of(records: Iterable[Record]) -> "pd.DataFrame":
    """Table of records without their lists; ``auc`` is NaN where it is unknown."""
    import pandas as pd

    rows = [[getattr(record, name) for name in COLUMNS] for record in records]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("auc", "matched_tokens"):
        frame[name] = frame[name].astype(float)
    return frame


def _run_video(video: BenchmarkVideo, setting: Setting, jobs: Sequence[Job]) -> None:
    """Answer what no record answers yet, and keep it once the whole video is done."""
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
        asked = _ask([jobs[index] for index in missing], setting.suite, clips, question)
        for index, record in zip(missing, asked, strict=True):
            fresh[index].append(record)
        for clip in clips.values():
            clip.forget_question()
    for index, records in fresh.items():
        jobs[index].kept.add(records)


@dataclass(frozen=True, eq=False)
class _Spent:
    """What one job spends on a question: frames read, logits (N,), counts (N,) and bounds."""

    num_frames: int
    logits_N: torch.Tensor
    counts_N: torch.Tensor
    limits: Limits
    matched_tokens: int | None


def _ask(
    jobs: Sequence[Job], suite: Benchmark, clips: Mapping[str, SharedClip], question: Question
) -> list[Record]:
    """One question under several variants: allocate for each, then decode all of them."""
    spent = [_spend(job, clips, question) for job in jobs]
    predictions: dict[int, str] = {}
    for compression in dict.fromkeys(job.compression for job in jobs):
        own = [index for index, job in enumerate(jobs) if job.compression == compression]
        requests = [_request(jobs[index], spent[index], question) for index in own]
        predictions |= zip(own, clips[compression].answers(requests), strict=True)
    return [
        _record(job, suite, clips[job.compression], question, spent[index], predictions[index])
        for index, job in enumerate(jobs)
    ]


def _spend(job: Job, clips: Mapping[str, SharedClip], question: Question) -> _Spent:
    """Allocate for one job. A matched one may spend what its reference spends."""
    if job.reference is None:
        return _allocate(job, clips[job.compression], question, None)
    reference = _allocate(job.reference, clips[job.reference.compression], question, None)
    return _allocate(job, clips[job.compression], question, int(reference.counts_N.sum()))


def _allocate(job: Job, clip: SharedClip, question: Question, matched_tokens: int | None) -> _Spent:
    row, limits = job.variant, job.limits
    if matched_tokens is not None:
        limits = replace(limits, budget=matched_tokens)
    window = clip.model.config.video_numbers.window
    num_frames = frames_read(row, limits, clip.num_frames, window)
    logits_N = clip.logits(row.score_source, question.text, row.score_prompt, num_frames)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{job.seed} {question.id}".encode()))
    counts_N = token_counts(row, logits_N, limits, generator)
    return _Spent(num_frames, logits_N, counts_N, limits, matched_tokens)


def _request(job: Job, spent: _Spent, question: Question) -> Request:
    row, text = job.variant, question.text
    return Request(job.model, text, row.prompt, spent.num_frames, spent.counts_N, row.scheme)


def _record(
    job: Job,
    suite: Benchmark,
    clip: SharedClip,
    question: Question,
    spent: _Spent,
    prediction: str,
) -> Record:
    row = job.variant
    memories = clip.memories(question.text, row.prompt, spent.num_frames)
    relevant = clip.relevant(suite, question, spent.num_frames)
    scores_N = spent.logits_N.sigmoid()
    return Record(
        suite=suite.name,
        world_seed=suite.world_seed,
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
        correct=suite.score(question, prediction),
        tokens_used=int(spent.counts_N.sum()),
        matched_tokens=spent.matched_tokens,
        num_segments=len(scores_N),
        num_frames=spent.num_frames,
        budget=spent.limits.budget,
        k_min=spent.limits.k_min,
        auc=None if relevant is None else auc(scores_N.numpy(), relevant),
        scores=_decimals(scores_N),
        logits=_decimals(spent.logits_N) if row.beyond_paper else None,
        counts=spent.counts_N.tolist(),
        seconds=memories.seconds.tolist(),
        relevant=relevant,
    )


def _decimals(values_N: torch.Tensor) -> list[float]:
    """The shortest decimals that give the same float32 back."""
    return [float(str(np.float32(value))) for value in values_N.tolist()]
