"""One video under one compressor, shared by all variants: nothing about it is computed twice.

Decoded once; one session a number of frames; one compression a question, prompt and number of
frames; one answer for variants whose counts come out alike, and all answers to a question in
batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from tempo_lib.compressor import SegmentMemories
from tempo_lib.evaluation.scorers import ScoredVideo, Scorer
from tempo_lib.evaluation.suites import SuiteVideo
from tempo_lib.evaluation.variants import ScoreSource
from tempo_lib.greedy import Cut, decode_many
from tempo_lib.model import Tempo
from tempo_lib.session import VideoSession
from tempo_lib.video import Video, load_video


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
    """``model``: any of the models that share this compressor. What a question needs is kept
    until ``forget_question``, what the video needs as long as the clip."""

    def __init__(self, model: Tempo, video: SuiteVideo, scorers: Mapping[str, Scorer]) -> None:
        self.model = model
        self.video = video
        self.scorers = scorers
        self._decoded: Video | None = None
        self._sessions: dict[int, VideoSession] = {}
        self._judges: dict[tuple[int, str], ScoredVideo] = {}
        self._memories: dict[tuple[int, str, str], SegmentMemories] = {}
        self._logits: dict[tuple[int, str, str, str], torch.Tensor] = {}
        self._texts: dict[tuple[object, ...], str] = {}

    @property
    def num_frames(self) -> int:
        """Frames of the video, up to the cap of the model."""
        return min(self.video.story.num_frames, self.model.config.video_numbers.max_frames)

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

    def _session(self, num_frames: int) -> VideoSession:
        if num_frames not in self._sessions:
            self._sessions[num_frames] = self.model.open(self._frames(num_frames))
        return self._sessions[num_frames]

    def _frames(self, num_frames: int) -> Video:
        """The clip at ``num_frames`` evenly spread frames, as sampling the file gives them."""
        whole = self._whole()
        if num_frames == whole.num_frames:
            return whole
        if whole.num_frames == self.video.story.num_frames:  # nothing of the file is missing
            return load_video(whole.frames, fps=whole.fps, max_frames=num_frames, max_edge=None)
        return self._read(num_frames)

    def _whole(self) -> Video:
        if self._decoded is None:
            self._decoded = self._read(self.num_frames)
        return self._decoded

    def _read(self, num_frames: int) -> Video:
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
        return clip
