"""One video under one compressor, shared by all variants: nothing about it is computed twice.

One session a number of frames; one compression a question, prompt and number of
frames; one answer for variants whose counts come out alike, and all answers to a question in
batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from tempo_lib.evaluation.frames import SharedFrames
from tempo_lib.evaluation.scorers import Scorer
from tempo_lib.evaluation.variants import ScoreSource
from tempo_lib.miniature.suites import SuiteQuestion, SuiteVideo
from tempo_lib.miniature.world.questions import Question, is_relevant
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoding import Cut, decode_many
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo


@dataclass(frozen=True, eq=False)
class Request:
    """A question put to ``model``, whose decoder may be another than the clip's model has."""

    model: Tempo
    question: str
    prompt: str
    num_frames: int
    counts_N: torch.Tensor
    scheme: str


class SharedClip:
    """``model``: any of the models that share this compressor; ``frames``: what all compressors
    share. What a question needs is kept until ``forget_question``, what the video needs as long
    as the clip."""

    def __init__(self, model: Tempo, frames: SharedFrames, scorers: Mapping[str, Scorer]) -> None:
        self.model = model
        self.frames = frames
        self.scorers = scorers
        self._sessions: dict[int, VideoSession] = {}
        self._judges: dict[tuple[int, str], VideoSession] = {}
        self._memories: dict[tuple[int, str, str], SegmentMemories] = {}
        self._logits: dict[tuple[int, str, str, str], torch.Tensor] = {}
        self._texts: dict[tuple[object, ...], str] = {}
        self._relevant: dict[tuple[str, int], list[int] | None] = {}

    @property
    def video(self) -> SuiteVideo:
        return self.frames.video

    @property
    def num_frames(self) -> int:
        """Frames of the video, up to the cap of the model."""
        return self.frames.num_frames(self.model)

    def memories(self, question: str, prompt: str, num_frames: int) -> SegmentMemories:
        """Memories of all segments for one question."""
        key = (num_frames, prompt, question)
        if key not in self._memories:
            self._memories[key] = self._session(num_frames).compress(question, prompt)
        return self._memories[key]

    def logits(
        self, source: ScoreSource, question: str, prompt: str, num_frames: int
    ) -> torch.Tensor:
        """Relevance logits (N,), float32 on the CPU; Tempo's own come with its memories."""
        if source == "tempo":
            return self.memories(question, prompt, num_frames).logits
        key = (num_frames, source, prompt, question)
        if key not in self._logits:
            judge = self._judges.get((num_frames, source))
            if judge is None:
                judge = self.scorers[source].open(self._session(num_frames))
                self._judges[num_frames, source] = judge
            self._logits[key] = judge.logits(question, prompt)
        return self._logits[key]

    def relevant(self, question: SuiteQuestion, num_frames: int) -> list[int] | None:
        """1 for each segment that shows an asked actor; None where the story does not tell."""
        key = (question.id, num_frames)
        if key not in self._relevant:
            self._relevant[key] = self._find_relevant(question.asked, num_frames)
        return self._relevant[key]

    def answers(self, requests: Sequence[Request]) -> list[str]:
        """Texts of the answers, in the order of ``requests``; equal requests are decoded once."""
        keys = [self._key(request) for request in requests]
        todo = {
            key: request
            for key, request in zip(keys, requests, strict=True)
            if key not in self._texts
        }
        asked: dict[tuple[int, str], list[tuple[object, ...]]] = {}
        for key, request in todo.items():
            asked.setdefault((id(request.model), request.question), []).append(key)
        for (_, question), group in asked.items():
            cuts = [self._cut(todo[key]) for key in group]
            texts = decode_many(todo[group[0]].model, question, cuts)
            self._texts.update(zip(group, texts, strict=True))
        return [self._texts[key] for key in keys]

    def _find_relevant(self, asked: Question, num_frames: int) -> list[int] | None:
        story, numbers = self.video.story, self.model.config.video_numbers
        if not asked.actors or num_frames != story.num_frames:
            return None
        return [
            int(is_relevant(asked, story, start, start + numbers.window))
            for start in range(0, num_frames, numbers.stride)
        ]

    def _cut(self, request: Request) -> Cut:
        memories = self.memories(request.question, request.prompt, request.num_frames)
        return Cut(memories, request.counts_N, request.scheme)

    def _key(self, request: Request) -> tuple[object, ...]:
        counts = tuple(request.counts_N.tolist())
        capacity = request.model.config.num_memory_tokens
        # a segment that keeps all of its tokens, or none, is the same under every scheme
        is_cut = any(0 < k < capacity for k in counts)
        kept = request.scheme if is_cut else "whole"
        where = (request.question, request.prompt, request.num_frames)
        return (id(request.model), *where, kept, counts)

    def forget_question(self) -> None:
        self._memories.clear()
        self._logits.clear()
        self._texts.clear()
        self._relevant.clear()

    def _session(self, num_frames: int) -> VideoSession:
        if num_frames not in self._sessions:
            video = self.frames.at(self.model, num_frames)
            self._sessions[num_frames] = self.model.open(video, is_sized=True)
        return self._sessions[num_frames]
