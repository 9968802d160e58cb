"""Compress once, ablate many: every question of a benchmark under every variant.

A video is decoded and encoded once; a question is compressed once for all variants that share
compressor, prompt and frames. Only allocation, reduction and decoding run once per variant. What
fails is kept as a failure, and the others go on.
"""

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from tempo_lib.allocation.policies import Limits
from tempo_lib.evaluation.benchmark import TABLE_ROLE, Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.clip import SharedFrames
from tempo_lib.evaluation.jobs import (
    Job,
    Setting,
    find_models,
    find_natives,
    find_scorers,
    make_jobs,
)
from tempo_lib.evaluation.native import NativeVlm
from tempo_lib.evaluation.question import Clip, answer, open_clip
from tempo_lib.evaluation.ranks import Ranks
from tempo_lib.evaluation.records import COLUMNS, Failure, Record
from tempo_lib.evaluation.scorers import Scorer
from tempo_lib.evaluation.variants import Variant, get_variant
from tempo_lib.model.decoder_prompt import ContextError
from tempo_lib.model.numerics import NotFiniteError
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import is_rehearsal, project_root
from tempo_lib.video.base import VideoError

if TYPE_CHECKING:
    import pandas as pd

# What one video or question may do to an evaluation; anything else is a defect and stops it.
FAILURES = (VideoError, ContextError, NotFiniteError, OSError, torch.OutOfMemoryError)
Made = tuple[Job, Record | Failure]
SECONDS_BETWEEN_WRITES = 1.0  # answers that take longer are written one by one


@dataclass(frozen=True)
class Evaluated:
    """Records and failures, in the order of variants and of the benchmark."""

    records: list[Record]
    failures: list[Failure]


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
    *args: Any,
    **options: Any,
) -> list[Record]:
    """The records of ``run_evaluation``; a warning counts the questions that failed."""
    done = run_evaluation(model, benchmark, variants, *args, **options)
    if done.failures:
        first = done.failures[0]
        warnings.warn(
            f"{benchmark.name}: {len(done.failures)} answers failed and are left out, first "
            f"{first.question_id} ({first.variant}): {first.error}",
            stacklevel=2,
        )
    return done.records


def run_evaluation(
    model: Tempo,
    benchmark: Benchmark,
    variants: Sequence[Variant | str],
    budget: int | str | None = None,
    k_min: int | None = None,
    seed: int = 0,
    progress: bool = True,
    models: Mapping[str, Tempo] | None = None,
    root: Path | None = None,
    cache: bool = True,
    scorers: Mapping[str, Scorer] | None = None,
    natives: Mapping[str, NativeVlm] | None = None,
    ranks: Ranks | None = None,
) -> Evaluated:
    """Records of all variants, in the order of ``variants`` and of the benchmark.

    ``budget``: tokens, or one that the benchmark has by name; None takes that of Table 2, where
    the benchmark has none the model's. ``k_min``: None takes the model's. Variants with their own
    keep it. ``seed``
    draws the segments of random-drop. ``models``: checkpoints by name for variants that need
    another one than ``model``, ``scorers`` and ``natives``: scorers and native models by name;
    without them, the folders beside ``model``'s are read. ``cache``: reuse and extend the records
    under ``root``/runs (default: the project's). ``ranks``: each process answers its own videos,
    and returns the records of all; None is one process. A question without a record, also one
    that failed before, is tried.
    ValueError for an unknown variant, a checkpoint that is not there, or several ranks without a
    cache.
    """
    ranks = ranks or Ranks()
    if ranks.size > 1 and not cache:
        raise ValueError("several ranks meet in the records on disk: they need cache=True")
    named = [get_variant(item) if isinstance(item, str) else item for item in variants]
    rows = list(dict.fromkeys(named))  # one named twice counts once
    numbers = model.config
    if budget is None:
        budget = TABLE_ROLE if benchmark.budgets else numbers.budget
    limits = Limits(
        benchmark.tokens(budget), numbers.k_min if k_min is None else k_min, numbers.k_max
    )
    base = project_root() if root is None else root
    apart = benchmark.is_stand_in and not is_rehearsal(benchmark.preset)
    runs = base / "runs" / benchmark.preset / ("rehearsal" if apart else "")
    setting = Setting(
        benchmark=benchmark,
        models=find_models(model, rows, models or {}),
        scorers=find_scorers(model, rows, scorers or {}),
        natives=find_natives(model, rows, natives or {}),
        limits=limits,
        role=budget if isinstance(budget, str) else "",
        seed=seed,
        folder=runs / "evaluations" / benchmark.name if cache else None,
    )
    with profile(setting.models.values(), benchmark):
        jobs = make_jobs(setting, rows)
        _run_videos(ranks.share(benchmark.videos), setting, jobs, progress)
    ranks.wait()
    return _collect(benchmark, jobs)


@contextmanager
def profile(models: Iterable[Tempo], benchmark: Benchmark) -> Iterator[None]:
    """Inside, the models have the numbers that the benchmark is run with; afterwards their own."""
    configs = {id(model.config): model.config for model in models}.values()
    changes = dict(benchmark.profile)
    min_frames = changes.pop("min_frames", None)
    before = [({name: getattr(c, name) for name in changes}, dict(c.video)) for c in configs]
    for config in configs:
        for name, value in changes.items():
            setattr(config, name, value)
        if min_frames is not None:
            config.video["min_frames"] = min_frames
    try:
        yield
    finally:
        for config, (numbers, video) in zip(configs, before, strict=True):
            config.video = video
            for name, value in numbers.items():
                setattr(config, name, value)


def frame_of(records: Iterable[Record], tag: str = "") -> "pd.DataFrame":
    """Table of records without their lists; ``auc`` is NaN where it is unknown.

    ``tag``: one of the benchmark's further names, then a column. A question of several values has
    a row for each, one without any has none: so LVBench counts its types of question.
    """
    import pandas as pd

    rows = [
        [*(getattr(record, name) for name in COLUMNS), *value]
        for record in records
        for value in ([[each] for each in record.tags.get(tag, ())] if tag else [[]])
    ]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *([tag] if tag else [])])
    for name in ("auc", "matched_tokens", "correct_words", "budget_bound"):
        frame[name] = frame[name].astype(float)
    return frame


def _collect(benchmark: Benchmark, jobs: Sequence[Job]) -> Evaluated:
    """What is kept of the benchmark's questions, those of other ranks included."""
    ids = [question.id for video in benchmark.videos for question in video.questions]
    for job in jobs:
        job.kept.refresh()
    kept = [job.kept for job in jobs]
    return Evaluated(
        [each.records[name] for each in kept for name in ids if name in each.records],
        [each.failures[name] for each in kept for name in ids if name in each.failures],
    )


def _run_videos(
    videos: Sequence[BenchmarkVideo], setting: Setting, jobs: Sequence[Job], progress: bool
) -> None:
    """All videos; the bar counts frames of those with something to do, so that its ETA holds."""
    todo = [video for video in videos if any(_missing(video, jobs))]
    bar = tqdm(
        desc=setting.benchmark.name,
        total=sum(map(_work, todo)),
        unit="frame",
        unit_scale=True,
        smoothing=0,  # videos differ: the mean of all so far is the best guess
        disable=not progress,
    )
    with bar:
        for video in todo:
            for job in jobs:
                job.kept.refresh()  # another process may have been here
            failed = _run_video(video, setting, jobs)
            if failed:
                bar.write(f"{video.id}: {failed[0].error} ({len(failed)} answers failed)")
            bar.update(_work(video))


def _work(video: BenchmarkVideo) -> int:
    return max(1, video.num_frames)


def _missing(video: BenchmarkVideo, jobs: Sequence[Job]) -> Iterator[tuple[Question, list[Job]]]:
    """Questions of a video with the jobs that have no record of them."""
    for question in video.questions:
        lacking = [
            job for job in jobs if job.kept.find(question.id, video.sha256, question.text) is None
        ]
        if lacking:
            yield question, lacking


def _run_video(video: BenchmarkVideo, setting: Setting, jobs: Sequence[Job]) -> list[Failure]:
    """Make and keep the records that are missing; returns what failed."""
    frames = SharedFrames(video, setting.benchmark.reading)
    clips = {
        each.compression: open_clip(each, frames, setting.scorers)
        for job in jobs
        for each in (job, job.reference)
        if each is not None
    }
    fresh, failed, written = list[Made](), list[Failure](), time.monotonic()
    for question, lacking in _missing(video, jobs):
        made = _try_answer(lacking, setting.benchmark, video, clips, question)
        failed += [one for _, one in made if isinstance(one, Failure)]
        fresh += made
        for clip in clips.values():
            clip.forget_question()
        if time.monotonic() - written >= SECONDS_BETWEEN_WRITES:
            _write(fresh)
            fresh, written = [], time.monotonic()
    _write(fresh)
    return failed


def _write(fresh: Sequence[Made]) -> None:
    """Keep what was made, in one write per file of records."""
    files = {id(job.kept): job.kept for job, _ in fresh}
    for key, kept in files.items():
        kept.add(one for job, one in fresh if id(job.kept) == key)


def _try_answer(
    jobs: Sequence[Job],
    benchmark: Benchmark,
    video: BenchmarkVideo,
    clips: Mapping[str, Clip],
    question: Question,
) -> list[Made]:
    """Each job with its record; where they fail together, each is tried alone."""
    try:
        if video.problem:
            raise VideoError(video.problem)
        return list(zip(jobs, answer(jobs, benchmark, clips, question), strict=True))
    except FAILURES as error:
        if len(jobs) == 1 or video.problem:
            reason = " ".join(str(error).split()) or type(error).__name__
            return [(job, _failure(job, benchmark, video, question, reason)) for job in jobs]
    alone = [_try_answer([job], benchmark, video, clips, question) for job in jobs]
    return [pair for pairs in alone for pair in pairs]


def _failure(
    job: Job, benchmark: Benchmark, video: BenchmarkVideo, question: Question, reason: str
) -> Failure:
    return Failure(
        suite=benchmark.name,
        world_seed=benchmark.world_seed,
        variant=job.variant.name,
        video=video.id,
        video_sha256=video.sha256,
        question_id=question.id,
        kind=question.group,
        question=question.text,
        error=reason,
    )
