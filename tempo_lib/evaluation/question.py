"""One question of a video under many variants: compressed once, allocated and decoded for each."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tempo_lib.allocation.policies import Limits, token_counts
from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.clip import Compression, Request, SharedClip, SharedFrames
from tempo_lib.evaluation.jobs import Job, frames_read, policy_options
from tempo_lib.evaluation.native import VisualTokens
from tempo_lib.evaluation.native_clip import NativeClip
from tempo_lib.evaluation.records import Record
from tempo_lib.evaluation.relevance import auc
from tempo_lib.evaluation.scorers import Scorer

Clip = SharedClip | NativeClip


@dataclass(frozen=True, eq=False)
class _Allocation:
    """How one job reads a question: logits (N,), counts (N,) and bounds.

    ``is_bound``: whether the segments could hold more than the budget, before frames are left out
    to keep it. ``visual``: what a native model reads; its counts are of frame pairs, and it has no
    logits.
    """

    reading: Compression
    logits_N: torch.Tensor
    counts_N: torch.Tensor
    limits: Limits
    is_bound: bool
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
    allocations = [_allocate(job, benchmark, clips, question) for job in jobs]
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


def _allocate(
    job: Job, benchmark: Benchmark, clips: Mapping[str, Clip], question: Question
) -> _Allocation:
    """Tokens per segment for one job; a matched one gets as many as its reference uses."""
    row, limits, clip = job.variant, job.limits, clips[job.compression]
    matched_tokens = None
    if job.reference is not None:
        reference = _allocate(job.reference, benchmark, clips, question)
        matched_tokens = int(reference.counts_N.sum())
        limits = replace(limits, budget=matched_tokens)
    numbers = clip.model.config.video_numbers
    window, stride = (row.window or numbers.window), (row.window or numbers.stride)
    most = clip.frames.num_frames(clip.model)
    if row.max_frames is not None:  # a point of Figure 3 may lie beyond the cap
        most = min(clip.video.num_frames, row.max_frames)
    is_bound = limits.budget < -(-most // stride) * limits.k_max
    query = query_of(row.query, benchmark, clip.video, question)
    if isinstance(clip, NativeClip):
        visual, counts_P = clip.fitting(row, limits)
        reading, none = Compression(query, row.prompt, visual.num_frames), torch.zeros(0)
        return _Allocation(reading, none, counts_P, limits, is_bound, matched_tokens, visual)
    num_frames = frames_read(row, limits, most, window)
    reading = Compression(query, row.prompt, num_frames, row.window, row.memories_first)
    scored = replace(reading, prompt=row.score_prompt)
    logits_N = clip.logits(row.score_source, scored)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{job.seed} {question.id}".encode()))
    counts_N = token_counts(row.allocation, logits_N, limits, policy_options(row), generator)
    return _Allocation(reading, logits_N, counts_N, limits, is_bound, matched_tokens)


def _request(job: Job, allocation: _Allocation, question: Question) -> Request:
    row = job.variant
    shape = (allocation.counts_N, row.scheme, row.timestamps)
    return Request(job.model, question.text, allocation.reading, *shape)


def query_of(mode: str, benchmark: Benchmark, video: BenchmarkVideo, question: Question) -> str:
    """What the compressor reads: the question, nothing, or another question.

    The other one is the question before it about the same video, of the first the one behind it;
    where the video has no other, the first one of another video. ValueError where there is none.
    """
    if mode == "own":
        return question.text
    if mode == "blank":
        return ""
    place = [each.id for each in video.questions].index(question.id)
    others = [*reversed(video.questions[:place]), *video.questions[place + 1 :]]
    others += [each for other in benchmark.videos for each in other.questions[:1]]
    found = next((each.text for each in others if each.text != question.text), None)
    if found is None:
        raise ValueError(f"{benchmark.name} has no other question than {question.id}")
    return found


def _record(
    job: Job,
    benchmark: Benchmark,
    clip: Clip,
    question: Question,
    allocation: _Allocation,
    prediction: str,
) -> Record:
    row, reading = job.variant, allocation.reading
    seconds, relevant = _segments(benchmark, clip, question, allocation)
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
        tokens_used=int(allocation.counts_N.sum()),
        matched_tokens=allocation.matched_tokens,
        num_segments=len(allocation.counts_N),
        num_frames=reading.num_frames,
        budget=allocation.limits.budget,
        k_min=allocation.limits.k_min,
        auc=None if relevant is None else auc(scores_N.numpy(), relevant),
        scores=_decimals(scores_N),
        logits=_decimals(allocation.logits_N) if row.beyond_paper else None,
        counts=allocation.counts_N.tolist(),
        seconds=seconds,
        relevant=relevant,
        budget_role=job.role,
        budget_bound=allocation.is_bound,
        query=None if row.query == "own" else reading.query,
        **vars(verdict),
        tags={name: list(values) for name, values in question.tags},
        num_lost=clip.frames.num_lost,
    )


def _segments(
    benchmark: Benchmark, clip: Clip, question: Question, allocation: _Allocation
) -> tuple[list[float], list[int] | None]:
    """When the segments, or frame pairs, are, and which of them hold evidence."""
    if isinstance(clip, NativeClip):
        assert allocation.visual is not None
        return clip.seconds(allocation.visual), None
    seconds = clip.session(allocation.reading).segments.seconds_N.tolist()
    return seconds, clip.relevant(benchmark, question, allocation.reading)


def _decimals(values_N: torch.Tensor) -> list[float]:
    """The shortest decimals that give the same float32 back."""
    return [float(str(np.float32(value))) for value in values_N.tolist()]
