"""Compress once, ablate many: ask every question of a suite under every variant.

A video is decoded and encoded once; a question is compressed once for all variants that share
checkpoint, prompt and frames. Only allocation, reduction and decoding run once a variant.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from tempo_lib.allocation import uniform_max_frames
from tempo_lib.compressor import SegmentMemories
from tempo_lib.evaluation.metrics import auc
from tempo_lib.evaluation.records import (
    COLUMNS,
    Record,
    RecordFile,
    code_facts,
    model_facts,
    open_records,
)
from tempo_lib.evaluation.suites import Suite, SuiteQuestion, SuiteVideo
from tempo_lib.evaluation.variants import (
    Limits,
    Variant,
    effective_limits,
    get_variant,
    token_counts,
)
from tempo_lib.model import Tempo
from tempo_lib.runs import project_root
from tempo_lib.session import VideoSession
from tempo_lib.video import load_video
from tempo_lib.world.questions import is_correct, is_relevant

if TYPE_CHECKING:
    import pandas as pd

MAIN_CHECKPOINT = "stage3"  # variants of this checkpoint run on the model that is passed in


@dataclass(frozen=True)
class _Job:
    """A variant with the model, the bounds and the records that belong to it."""

    variant: Variant
    model: Tempo
    limits: Limits
    seed: int
    kept: RecordFile


def evaluate(
    model: Tempo,
    suite: Suite,
    variants: Sequence[Variant | str],
    budget: int | None = None,
    k_min: int | None = None,
    seed: int = 0,
    progress: bool = True,
    models: Mapping[str, Tempo] | None = None,
    root: Path | None = None,
    cache: bool = True,
) -> "pd.DataFrame":
    """One row per (variant, question) with the scalar fields of ``Record``.

    Arguments as in ``evaluate_records``, whose records also hold scores and counts.
    """
    return frame_of(
        evaluate_records(model, suite, variants, budget, k_min, seed, progress, models, root, cache)
    )


def evaluate_records(
    model: Tempo,
    suite: Suite,
    variants: Sequence[Variant | str],
    budget: int | None = None,
    k_min: int | None = None,
    seed: int = 0,
    progress: bool = True,
    models: Mapping[str, Tempo] | None = None,
    root: Path | None = None,
    cache: bool = True,
) -> list[Record]:
    """Records of all variants, in the order of ``variants`` and of the suite.

    ``budget`` and ``k_min``: None takes the model's; variants with their own keep it. ``seed``
    draws the segments of random-drop. ``models``: checkpoints by name for variants that need
    another one than ``model``; without it, the folder of that name beside ``model``'s is read.
    ``cache``: reuse and extend the records under ``root``/runs (default: the project's).
    ValueError for an unknown variant or a checkpoint that is not there.
    """
    named = [get_variant(item) if isinstance(item, str) else item for item in variants]
    rows = list(dict.fromkeys(named))  # one named twice is asked once
    numbers = model.config
    limits = Limits(
        numbers.budget if budget is None else budget,
        numbers.k_min if k_min is None else k_min,
        numbers.k_max,
    )
    folder = None
    if cache:
        base = project_root() if root is None else root
        folder = base / "runs" / suite.preset / "evaluations" / suite.name
    jobs = _jobs(_models(model, rows, models or {}), suite, rows, limits, seed, folder)
    bar = tqdm(suite.videos, desc=suite.name, unit="video", disable=None if progress else True)
    for video in bar:
        _run_video(video, suite, jobs)
    return [
        job.kept.records[question.id]
        for job in jobs
        for video in suite.videos
        for question in video.questions
    ]


def frame_of(records: Iterable[Record]) -> "pd.DataFrame":
    """Table of records without their lists; ``auc`` is NaN where it is unknown."""
    import pandas as pd

    frame = pd.DataFrame([asdict(record) for record in records])
    frame = frame.reindex(columns=list(COLUMNS))
    frame["auc"] = frame["auc"].astype(float)
    return frame


def _models(model: Tempo, rows: Sequence[Variant], models: Mapping[str, Tempo]) -> dict[str, Tempo]:
    """A model for every checkpoint that the variants name."""
    found: dict[str, Tempo] = {**models, MAIN_CHECKPOINT: model}
    for row in rows:
        if row.checkpoint in found:
            continue
        folder = Path(model.name_or_path).parent / row.checkpoint
        if not model.name_or_path or not (folder / "config.json").is_file():
            where = model.name_or_path or "a model that was made in memory"
            raise ValueError(
                f"variant {row.name!r} needs checkpoint {row.checkpoint}, which does not lie "
                f"beside {where}; train that stage, or pass models={{{row.checkpoint!r}: ...}}"
            )
        found[row.checkpoint] = Tempo.from_pretrained(folder, device=model.device.type)
    return found


def _jobs(
    models: Mapping[str, Tempo],
    suite: Suite,
    rows: Sequence[Variant],
    limits: Limits,
    seed: int,
    folder: Path | None,
) -> list[_Job]:
    code = code_facts()
    facts_of = {row.checkpoint: model_facts(models[row.checkpoint]) for row in rows}
    jobs = []
    for row in rows:
        model = models[row.checkpoint]
        numbers = model.config.video_numbers
        bounds = effective_limits(row, limits, -(-numbers.max_frames // numbers.stride))
        own_seed = seed if row.allocation == "random-drop" else 0  # the others draw nothing
        facts: dict[str, Any] = {
            "suite": {"name": suite.name, "seed": suite.world_seed, "identity": suite.identity},
            "variant": asdict(row),
            "limits": asdict(bounds),
            "seed": own_seed,
            "model": facts_of[row.checkpoint],
            **code,
        }
        jobs.append(_Job(row, model, bounds, own_seed, open_records(folder, row.name, facts)))
    return jobs


def _run_video(video: SuiteVideo, suite: Suite, jobs: Sequence[_Job]) -> None:
    """Answer what no record answers yet, and keep it once the whole video is done."""
    clips: dict[int, _Clip] = {}
    fresh: dict[int, list[Record]] = {index: [] for index in range(len(jobs))}
    for question in video.questions:
        for index, job in enumerate(jobs):
            if job.kept.find(question.id, video.sha256, question.asked.text) is None:
                clip = clips.setdefault(id(job.model), _Clip(job.model, video))
                fresh[index].append(_ask(job, suite, clip, question))
        for clip in clips.values():
            clip.forget_question()
    for index, records in fresh.items():
        jobs[index].kept.add(records)


class _Clip:
    """One video under one model: sessions by number of frames, compressions of one question."""

    def __init__(self, model: Tempo, video: SuiteVideo) -> None:
        self.model = model
        self.video = video
        self._sessions: dict[int, VideoSession] = {}
        self._memories: dict[tuple[int, str], SegmentMemories] = {}

    def num_frames(self, job: _Job) -> int:
        """Frames that the variant reads: all up to the cap, or as few as fit its budget."""
        numbers = self.model.config.video_numbers
        most = min(self.video.story.num_frames, numbers.max_frames)
        if not job.variant.fewer_frames:
            return most
        limits = job.limits
        return min(most, uniform_max_frames(limits.budget, limits.k_max, numbers.window))

    def compress(self, question: str, prompt: str, num_frames: int) -> SegmentMemories:
        """Memories of the question, computed once for all variants that share them."""
        key = (num_frames, prompt)
        if key not in self._memories:
            self._memories[key] = self._session(num_frames).compress(question, prompt)
        return self._memories[key]

    def forget_question(self) -> None:
        self._memories.clear()

    def _session(self, num_frames: int) -> VideoSession:
        if num_frames not in self._sessions:
            numbers, rules = self.model.config.video_numbers, self.model.config.pixel_rules
            clip = load_video(
                self.video.path,
                fps=numbers.fps,
                max_frames=num_frames,
                min_frames=min(numbers.min_frames, num_frames),
                max_edge=rules.max_edge,
            )
            if clip.num_frames != num_frames:
                raise ValueError(
                    f"{self.video.path} gave {clip.num_frames} frames instead of {num_frames}; "
                    "delete the suite's folder to build it again"
                )
            self._sessions[num_frames] = self.model.open(clip)
        return self._sessions[num_frames]


def _ask(job: _Job, suite: Suite, clip: _Clip, question: SuiteQuestion) -> Record:
    """Allocate, reduce and decode one question under one variant."""
    row, asked = job.variant, question.asked
    num_frames = clip.num_frames(job)
    memories = clip.compress(asked.text, row.prompt, num_frames)
    scores_N = clip.compress(asked.text, row.score_prompt, num_frames).scores.cpu()
    generator = torch.Generator().manual_seed(zlib.crc32(f"{job.seed} {question.id}".encode()))
    counts_N = token_counts(row, scores_N, job.limits, generator)
    answer = job.model.decode(memories, asked.text, counts=counts_N, scheme=row.scheme)
    relevant = _relevant(job.model, clip.video, question, num_frames)
    return Record(
        suite=suite.name,
        world_seed=suite.world_seed,
        variant=row.name,
        video=clip.video.id,
        video_sha256=clip.video.sha256,
        question_id=question.id,
        kind=asked.kind,
        question=asked.text,
        answer=asked.answer,
        start=asked.start,
        stop=asked.stop,
        prediction=answer.text,
        correct=is_correct(asked, answer.text),
        tokens_used=answer.tokens_used,
        num_segments=len(scores_N),
        num_frames=num_frames,
        budget=job.limits.budget,
        k_min=job.limits.k_min,
        auc=None if relevant is None else auc(scores_N.numpy(), relevant),
        # the shortest decimals that give the same float32 back
        scores=[float(str(np.float32(score))) for score in scores_N.tolist()],
        counts=counts_N.tolist(),
        seconds=memories.seconds.tolist(),
        relevant=relevant,
    )


def _relevant(
    model: Tempo, video: SuiteVideo, question: SuiteQuestion, num_frames: int
) -> list[int] | None:
    """1 for each segment that shows the asked actor; None where the story does not tell."""
    story, asked = video.story, question.asked
    if asked.actor is None or num_frames != story.num_frames:
        return None
    numbers = model.config.video_numbers
    return [
        int(is_relevant(asked, story, start, start + numbers.window))
        for start in range(0, num_frames, numbers.stride)
    ]
