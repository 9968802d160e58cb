"""One video, shared by all variants: nothing about it is computed twice.

The file is decoded and resized once for all compressors (``SharedFrames``). Under one compressor
(``SharedClip``) there is one session per number of frames, one compression per question, prompt
and number of frames, and one prediction for variants whose counts come out equal; all predictions
for a question are decoded in batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from tempo_lib.config import PixelRules, VideoNumbers
from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo, Question, Reading
from tempo_lib.evaluation.scorers import Scorer, VideoScorer
from tempo_lib.evaluation.variants import TEMPO
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoding import Cut, decode_many
from tempo_lib.model.numerics import NotFiniteError
from tempo_lib.model.processing import resize_frames
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import Video, load_video


class SharedFrames:
    """The frames that models of the same video and pixel rules read of one video."""

    def __init__(self, video: BenchmarkVideo, reading: Reading = Reading()) -> None:  # noqa: B008
        self.video, self.reading = video, reading
        self.num_lost = 0  # frames of a damaged file that was salvaged
        self._kept: dict[tuple[str, str, int, int], Video | VideoError] = {}

    def num_frames(self, model: Tempo) -> int:
        """Frames of the video, up to the cap of the model."""
        return min(self.video.num_frames, model.config.video_numbers.max_frames)

    def at(self, model: Tempo, num_frames: int) -> Video:
        """The clip at ``num_frames`` evenly spread frames, as sampling the file gives them.

        VideoError for a file that cannot be read, or is another one than the benchmark says.
        """
        most = self.num_frames(model)
        if num_frames < most < self.video.num_frames:  # capped: the file itself is sampled anew
            return self._read(model, num_frames)
        whole = self._read(model, most)
        if num_frames == most:
            return whole
        return load_video(whole.frames, fps=whole.fps, max_frames=num_frames, max_edge=None)

    def _read(self, model: Tempo, num_frames: int) -> Video:
        numbers, rules = model.config.video_numbers, model.config.pixel_rules
        factor = model.patch_shape.factor
        key = (numbers.model_dump_json(), rules.model_dump_json(), factor, num_frames)
        if key not in self._kept:
            try:
                self._kept[key] = self._decode(numbers, rules, factor, num_frames)
            except VideoError as error:  # kept too: the next question need not decode again
                self._kept[key] = error
        found = self._kept[key]
        if isinstance(found, VideoError):
            raise found
        return found

    def _decode(
        self, numbers: VideoNumbers, rules: PixelRules, factor: int, num_frames: int
    ) -> Video:
        clip = load_video(
            self.video.path,
            fps=numbers.fps,
            max_frames=num_frames,
            min_frames=min(numbers.min_frames, num_frames),
            max_edge=rules.max_edge,
            salvage=self.reading.salvage,
            safe=self.reading.safe,
        )
        self.num_lost = 0 if clip.salvaged is None else clip.salvaged.num_lost
        if clip.num_frames != num_frames:
            raise VideoError(
                f"{self.video.path} gave {clip.num_frames} frames instead of {num_frames}; "
                "it is not the file that the benchmark describes: delete it to get it again"
            )
        try:
            small_T3HW = resize_frames(clip.frames, rules, factor)
        except ValueError as error:  # a picture too narrow for the model
            raise VideoError(f"{self.video.path}: {error}") from error
        frames = small_T3HW.permute(0, 2, 3, 1).contiguous().numpy()
        return Video(frames, clip.fps, clip.seconds, clip.source)


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
        self._opened: dict[tuple[int, str], VideoScorer] = {}
        self._memories: dict[tuple[int, str, str], SegmentMemories] = {}
        self._logits: dict[tuple[int, str, str, str], torch.Tensor] = {}
        self._texts: dict[tuple[object, ...], str] = {}
        self._relevant: dict[tuple[str, int], list[int] | None] = {}

    @property
    def video(self) -> BenchmarkVideo:
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

    def logits(self, source: str, question: str, prompt: str, num_frames: int) -> torch.Tensor:
        """Relevance logits (N,), float32 on the CPU; Tempo's own come with its memories."""
        if source == TEMPO:
            return self.memories(question, prompt, num_frames).logits
        key = (num_frames, source, prompt, question)
        if key not in self._logits:
            scorer = self._opened.get((num_frames, source))
            if scorer is None:
                scorer = self.scorers[source].open(self._session(num_frames))
                self._opened[num_frames, source] = scorer
            self._logits[key] = self._checked(scorer.logits(question, prompt), source, num_frames)
        return self._logits[key]

    def relevant(
        self, benchmark: Benchmark, question: Question, num_frames: int
    ) -> list[int] | None:
        """1 for each segment that holds evidence; None where the benchmark does not say.

        None also for fewer frames than the video has: segments then cover other seconds.
        """
        key = (question.id, num_frames)
        if key not in self._relevant:
            self._relevant[key] = self._find_relevant(benchmark, question, num_frames)
        return self._relevant[key]

    def predictions(self, requests: Sequence[Request]) -> list[str]:
        """Texts, in the order of ``requests``; equal requests are decoded once."""
        keys = [self._key(request) for request in requests]
        todo = {
            key: request
            for key, request in zip(keys, requests, strict=True)
            if key not in self._texts
        }
        batches: dict[tuple[int, str], list[tuple[object, ...]]] = {}
        for key, request in todo.items():
            batches.setdefault((id(request.model), request.question), []).append(key)
        for (_, question), batch in batches.items():
            cuts = [self._cut(todo[key]) for key in batch]
            texts = decode_many(todo[batch[0]].model, question, cuts)
            self._texts.update(zip(batch, texts, strict=True))
        return [self._texts[key] for key in keys]

    def forget_question(self) -> None:
        self._memories.clear()
        self._logits.clear()
        self._texts.clear()
        self._relevant.clear()

    def _find_relevant(
        self, benchmark: Benchmark, question: Question, num_frames: int
    ) -> list[int] | None:
        numbers = self.model.config.video_numbers
        if num_frames != self.video.num_frames:
            return None
        found = [
            benchmark.is_relevant(self.video, question, start, start + numbers.window)
            for start in range(0, num_frames, numbers.stride)
        ]
        return None if None in found else [int(bool(one)) for one in found]

    def _checked(self, logits_N: torch.Tensor, source: str, num_frames: int) -> torch.Tensor:
        num_segments = self._session(num_frames).num_segments
        if logits_N.shape != (num_segments,):
            raise ValueError(
                f"scorer {source!r} gave logits of shape {tuple(logits_N.shape)} for "
                f"{num_segments} segments"
            )
        if not logits_N.isfinite().all():
            raise NotFiniteError(f"scorer {source!r} gave logits that are not finite")
        return logits_N

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

    def _session(self, num_frames: int) -> VideoSession:
        if num_frames not in self._sessions:
            video = self.frames.at(self.model, num_frames)
            self._sessions[num_frames] = self.model.open(video, is_sized=True)
        return self._sessions[num_frames]
