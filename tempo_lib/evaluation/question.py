"""One question of a video under many variants: compressed once, allocated and decoded for each."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tempo_lib.allocation.policies import Limits, token_counts
from tempo_lib.evaluation.benchmark import Benchmark, Question
from tempo_lib.evaluation.clip import Request, SharedClip, SharedFrames
from tempo_lib.evaluation.jobs import Job, frames_read, policy_options
from tempo_lib.evaluation.native import VisualTokens
from tempo_lib.evaluation.native_clip import NativeClip
from tempo_lib.evaluation.records import Record
from tempo_lib.evaluation.relevance import auc
from tempo_lib.evaluation.scorers import Scorer

Clip = SharedClip | NativeClip


@dataclass(frozen=True, eq=False)
class _Allocation:
    """Frames read, logits (N,), counts (N,) and bounds of one job on a question.

    ``visual``: what a native model reads; its counts are of frame pairs, and it has no logits.
    """

    num_frames: int
    logits_N: torch.Tensor
    counts_N: torch.Tensor
    limits: Limits
    matched_tokens: int | None
    visual: VisualTokens | None = None


def open_clip(job: Job, frames: SharedFrames, scorers: Mapping[str, Scorer]) -> Clip:
    """The video of ``frames`` as the job's model, or native model, reads it."""
    if job.native is not None:
        return NativeClip(job.native, job.model, frames)
    return SharedClip(job.model, frames, scorers)


def answer(
    jobs: Sequence[Job], benchmark: Benchmark, clips: Mapping[str, Clip], question: Question
) -> list[Record]:
    """One question under several variants: allocate for each, then decode all of them.

    ``clips``: the question's video, by the compression that jobs share.
    """
    allocations = [_allocate(job, clips, question) for job in jobs]
    predictions: dict[int, str] = {}
    for compression in dict.fromkeys(job.compression for job in jobs):
        own = [index for index, job in enumerate(jobs) if job.compression == compression]
        chosen = [(jobs[index], allocations[index]) for index in own]
        predictions |= zip(own, _predict(clips[compression], chosen, question), strict=True)
    return [
        _record(
            job, benchmark, clips[job.compression], question, allocations[index], predictions[index]
        )
        for index, job in enumerate(jobs)
    ]


def _predict(
    clip: Clip, chosen: Sequence[tuple[Job, _Allocation]], question: Question
) -> list[str]:
    """The texts of jobs that share a clip."""
    if isinstance(clip, NativeClip):
        shapes = [allocation.visual for _, allocation in chosen]
        return clip.predictions(question.text, [shape for shape in shapes if shape is not None])
    return clip.predictions([_request(job, allocation, question) for job, allocation in chosen])


def _allocate(job: Job, clips: Mapping[str, Clip], question: Question) -> _Allocation:
    """Tokens per segment for one job; a matched one gets as many as its reference uses."""
    row, limits, clip = job.variant, job.limits, clips[job.compression]
    matched_tokens = None
    if job.reference is not None:
        matched_tokens = int(_allocate(job.reference, clips, question).counts_N.sum())
        limits = replace(limits, budget=matched_tokens)
    if isinstance(clip, NativeClip):
        visual, counts_P = clip.fitting(row, limits)
        none = torch.zeros(0)
        return _Allocation(visual.num_frames, none, counts_P, limits, matched_tokens, visual)
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
    clip: Clip,
    question: Question,
    allocation: _Allocation,
    prediction: str,
) -> Record:
    row = job.variant
    seconds, relevant = _segments(row.prompt, benchmark, clip, question, allocation)
    scores_N = allocation.logits_N.sigmoid()
    verdict = benchmark.judge(question, prediction)
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
        correct=verdict.correct,
        tokens_used=int(allocation.counts_N.sum()),
        matched_tokens=allocation.matched_tokens,
        num_segments=len(allocation.counts_N),
        num_frames=allocation.num_frames,
        budget=allocation.limits.budget,
        k_min=allocation.limits.k_min,
        auc=None if relevant is None else auc(scores_N.numpy(), relevant),
        scores=_decimals(scores_N),
        logits=_decimals(allocation.logits_N) if row.beyond_paper else None,
        counts=allocation.counts_N.tolist(),
        seconds=seconds,
        relevant=relevant,
        letter=verdict.letter,
        found_by=verdict.found_by,
        letter_before=verdict.letter_before,
        correct_before=verdict.correct_before,
        tags={name: list(values) for name, values in question.tags},
        num_lost=clip.frames.num_lost,
    )


def _segments(
    prompt: str, benchmark: Benchmark, clip: Clip, question: Question, allocation: _Allocation
) -> tuple[list[float], list[int] | None]:
    """When the segments, or frame pairs, are, and which of them hold evidence."""
    if isinstance(clip, NativeClip):
        assert allocation.visual is not None
        return clip.seconds(allocation.visual), None
    memories = clip.memories(question.text, prompt, allocation.num_frames)
    relevant = clip.relevant(benchmark, question, allocation.num_frames)
    return memories.seconds.tolist(), relevant


def _decimals(values_N: torch.Tensor) -> list[float]:
    """The shortest decimals that give the same float32 back."""
    return [float(str(np.float32(value))) for value in values_N.tolist()]
