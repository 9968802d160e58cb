"""One video, shared by all variants: nothing about it is computed twice.

The file is decoded and resized once for all compressors (``SharedFrames``). Under one compressor
(``SharedClip``) there is one session per number of frames, one compression per question, prompt
and number of frames, and one prediction for variants whose counts come out equal; all predictions
for a question are decoded in batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
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
        most = self.video.num_frames
        if self.num_frames(model) < most or num_frames == most:  # of a long file no whole is kept
            return self._read(model, num_frames)
        whole = self._read(model, most)
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


@dataclass(frozen=True)
class Compression:
    """How the compressor reads a video: all that its memories and scores depend on.

    ``query``: the question, or what stands in its place. ``window``: frames per segment, 0 for
    the model's.
    """

    query: str
    prompt: str
    num_frames: int
    window: int = 0
    memories_first: bool = False


@dataclass(frozen=True, eq=False)
class Request:
    """A question put to ``model``, whose decoder may be another than the clip's model has."""

    model: Tempo
    question: str
    reading: Compression
    counts_N: torch.Tensor
    scheme: str
    timestamps: bool


class SharedClip:
    """``model``: any of the models that share this compressor; ``frames``: what all compressors
    share. What a question needs is kept until ``forget_question``, what the video needs as long
    as the clip."""

    def __init__(self, model: Tempo, frames: SharedFrames, scorers: Mapping[str, Scorer]) -> None:
        self.model = model
        self.frames = frames
        self.scorers = scorers
        self._sessions: dict[tuple[int, int], VideoSession] = {}
        self._opened: dict[tuple[int, int, str], VideoScorer] = {}
        self._memories: dict[Compression, SegmentMemories] = {}
        self._logits: dict[tuple[str, Compression], torch.Tensor] = {}
        self._texts: dict[tuple[object, ...], str] = {}
        self._relevant: dict[tuple[str, int, int], list[int] | None] = {}

    @property
    def video(self) -> BenchmarkVideo:
        return self.frames.video

    @property
    def num_frames(self) -> int:
        """Frames of the video, up to the cap of the model."""
        return self.frames.num_frames(self.model)

    def session(self, reading: Compression) -> VideoSession:
        """The video as the model's compressor reads it."""
        key = (reading.num_frames, reading.window)
        if key not in self._sessions:
            video = self.frames.at(self.model, reading.num_frames)
            self._sessions[key] = self.model.open(video, is_sized=True, window=reading.window)
        return self._sessions[key]

    def memories(self, reading: Compression) -> SegmentMemories:
        """Memories of all segments for one question."""
        if reading not in self._memories:
            how = (reading.query, reading.prompt, reading.memories_first)
            self._memories[reading] = self.session(reading).compress(*how)
        return self._memories[reading]

    def logits(self, source: str, reading: Compression) -> torch.Tensor:
        """Relevance logits (N,), float32 on the CPU; Tempo's own come with its memories."""
        if source == TEMPO:
            return self.memories(reading).logits
        if (source, reading) not in self._logits:
            found = self.scorer(source, reading).logits(reading.query, reading.prompt)
            self._logits[source, reading] = self._checked(found, source, reading)
        return self._logits[source, reading]

    def scorer(self, source: str, reading: Compression) -> VideoScorer:
        """Another source of scores at work on the same frames."""
        key = (reading.num_frames, reading.window, source)
        if key not in self._opened:
            self._opened[key] = self.scorers[source].open(self.session(reading))
        return self._opened[key]

    def relevant(
        self, benchmark: Benchmark, question: Question, reading: Compression
    ) -> list[int] | None:
        """1 for each segment that holds evidence; None where the benchmark does not say."""
        key = (question.id, reading.num_frames, reading.window)
        if key not in self._relevant:
            self._relevant[key] = self._find_relevant(benchmark, question, reading)
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
        self, benchmark: Benchmark, question: Question, reading: Compression
    ) -> list[int] | None:
        """A segment covers all frames of the video from its first to its last."""
        numbers, num = self.model.config.video_numbers, reading.num_frames
        window, stride = (reading.window or own for own in (numbers.window, numbers.stride))
        place = np.round(np.linspace(0, self.video.num_frames - 1, num)).astype(int).tolist()
        found = [
            benchmark.is_relevant(
                self.video, question, place[start], place[min(start + window, num) - 1] + 1
            )
            for start in range(0, num, stride)
        ]
        return None if None in found else [int(bool(one)) for one in found]

    def _checked(self, logits_N: torch.Tensor, source: str, reading: Compression) -> torch.Tensor:
        num_segments = self.session(reading).num_segments
        if logits_N.shape != (num_segments,):
            raise ValueError(
                f"scorer {source!r} gave logits of shape {tuple(logits_N.shape)} for "
                f"{num_segments} segments"
            )
        if not logits_N.isfinite().all():
            raise NotFiniteError(f"scorer {source!r} gave logits that are not finite")
        return logits_N

    def _cut(self, request: Request) -> Cut:
        memories = self.memories(request.reading)
        return Cut(memories, request.counts_N, request.scheme, request.timestamps)

    def _key(self, request: Request) -> tuple[object, ...]:
        counts = tuple(request.counts_N.tolist())
        capacity = request.model.config.num_memory_tokens
        # a segment that keeps all of its tokens, or none, is the same under every scheme
        is_cut = any(0 < k < capacity for k in counts)
        kept = request.scheme if is_cut else "whole"
        where = (request.question, request.reading, request.timestamps)
        return (id(request.model), *where, kept, counts)
