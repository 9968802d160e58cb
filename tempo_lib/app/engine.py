"""One model behind a bounded queue: the web page and the chat endpoint put their questions here.

One thread computes, as a second would only make both slower. A video that is open already costs a
question its suffix alone. Files are decoded in a process of their own, which may hang or die.

Shape suffixes: N segments.
"""

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers.generation.streamers import BaseStreamer

from tempo_lib.app.ask_request import (
    AskRequest,
    BusyError,
    CancelledError,
    Progress,
    RefusedError,
    Result,
    check,
)
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoder_prompt import Answer, ContextError, Turn, prompt_ids
from tempo_lib.model.processing import smart_size
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import Video, load_video

MOST_WAITING = 16
MOST_OPEN = 4  # videos whose prefixes are kept


@dataclass
class _Open:
    video: Video
    session: VideoSession
    first_seconds: float | None = None


@dataclass
class _Job:
    request: AskRequest
    cancel: threading.Event
    events: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)

    def say(self, event: Any) -> None:
        if self.cancel.is_set():
            raise CancelledError("cancelled")
        self.events.put(event)


class Engine:
    """Answers one question at a time. Call ``close`` when done."""

    def __init__(self, model: Tempo, max_waiting: int = MOST_WAITING) -> None:
        self.model = model
        self.max_waiting = max_waiting
        self._jobs: queue.Queue[_Job | None] = queue.Queue(max_waiting)
        self._open: OrderedDict[Hashable, _Open] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def ask(
        self, request: AskRequest, cancel: threading.Event | None = None
    ) -> Iterator[Progress | Result]:
        """Progress, then one Result. BusyError and RefusedError at once, others on the way.

        Setting ``cancel``, or leaving the iterator, ends the work on the question.
        """
        check(request, self.model)
        job = _Job(request, cancel or threading.Event())
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            reason = f"{self.max_waiting} questions are waiting already; try again in a moment"
            raise BusyError(reason) from None
        return self._events(job)

    def forget(self, owner: Hashable) -> None:
        """Drop the open videos of an owner."""
        with self._lock:
            for key in [key for key in self._open if key[0] == owner]:  # type: ignore[index]
                del self._open[key]

    def close(self) -> None:
        """End the thread after the questions that wait."""
        self._jobs.put(None)
        self._thread.join(timeout=60)

    def _events(self, job: _Job) -> Iterator[Progress | Result]:
        try:
            yield Progress(stage="waiting")
            while True:
                event = job.events.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, Result):
                    return
        except GeneratorExit:  # only then: after an answer the caller's flag serves the next one
            job.cancel.set()
            raise

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.say(self._answer(job))
            except ContextError as error:
                reason = f"the prompt is {error.excess} tokens too long; lower budget or frames"
                job.events.put(RefusedError(reason))
            except Exception as error:  # the queue goes on, whoever waits for this job hears of it
                job.events.put(error)

    def _answer(self, job: _Job) -> Result:
        request, started = job.request, time.perf_counter()
        budgets = request.budgets or (self.model.config.budget,)
        # before compressing: an endless question would cost its square in every segment
        prompt_ids(self.model.encoder, self.model.config, Turn([], [], request.question), 1)
        opened = None if request.path is None else self._opened(job)
        read = time.perf_counter()
        if opened is None:
            memories = SegmentMemories.none(self.model.projector.in_features)
        else:
            memories = self._compress(job, opened)
        compressed = time.perf_counter()
        answers = [self._decode(job, memories, opened, n) for n in range(len(budgets))]
        seconds = {
            "reading": read - started,
            "compressing": compressed - read,
            "answering": time.perf_counter() - compressed,
        }
        saved = None
        if opened is not None and opened.first_seconds is not None:
            saved = opened.first_seconds - seconds["compressing"]
        elif opened is not None:
            opened.first_seconds = seconds["compressing"]
        return Result(
            request=request,
            answers=answers,
            memories=memories,
            video=None if opened is None else opened.video,
            num_prompt_tokens=self._prompt_length(request, answers[0], opened),
            seconds=seconds,
            saved_seconds=saved,
        )

    def _opened(self, job: _Job) -> _Open:
        request = job.request
        key = (request.owner, request.key or request.path, request.max_frames)
        with self._lock:
            if key in self._open:
                self._open.move_to_end(key)
                return self._open[key]
        assert request.path is not None
        job.say(Progress(stage="reading the video"))
        video = read_video(self.model, request.path, request.max_frames)
        opened = _Open(video, self.model.open(video))
        with self._lock:
            self._open[key] = opened
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return opened

    def _compress(self, job: _Job, opened: _Open) -> SegmentMemories:
        started = time.perf_counter()

        def tell(done: int, total: int) -> None:
            left = (time.perf_counter() - started) / done * (total - done)
            job.say(Progress(stage="compressing", share=done / total, seconds_left=left))

        job.say(Progress(stage="compressing", share=0.0))
        opened.session.on_part = tell
        try:
            return opened.session.compress(job.request.question)
        finally:
            opened.session.on_part = None

    def _decode(
        self, job: _Job, memories: SegmentMemories, opened: _Open | None, number: int
    ) -> Answer:
        request, model = job.request, self.model
        generation: dict[str, Any] = {"streamer": _Streamer(job, model, number)}
        if request.temperature > 0:
            generation |= {"do_sample": True, "temperature": request.temperature}
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(request.seed)
            return model.decode(
                memories if opened is not None else None,
                request.question,
                budget=request.budgets[number] if request.budgets else None,
                k_min=request.k_min,
                max_new_tokens=request.max_new_tokens,
                adaptive=request.adaptive,
                is_image=opened is not None and opened.video.is_image,
                generation=generation,
            )

    def _prompt_length(self, request: AskRequest, answer: Answer, opened: _Open | None) -> int:
        is_image = opened is not None and opened.video.is_image
        turn = Turn(
            answer.seconds.tolist(), answer.counts.tolist(), request.question, None, is_image
        )
        return len(prompt_ids(self.model.encoder, self.model.config, turn, 0))


class _Streamer(BaseStreamer):
    """Tells the text so far after every token; a cancelled job ends the generation here."""

    def __init__(self, job: _Job, model: Tempo, number: int) -> None:
        self._job, self._model, self._number = job, model, number
        self._ids: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        self._ids += value.flatten().tolist()
        text = self._model.encoder.decode(self._ids)
        self._job.say(Progress(stage="answering", text=text, number=self._number))

    def end(self) -> None:
        """Nothing is held back."""


def read_video(model: Tempo, path: Path, max_frames: int | None = None) -> Video:
    """Sample a file as the model's config says; RefusedError in one sentence, without its path."""
    numbers, rules = model.config.video_numbers, model.config.pixel_rules
    try:
        video = load_video(
            path,
            fps=numbers.fps,
            max_frames=numbers.max_frames if max_frames is None else max_frames,
            min_frames=numbers.min_frames,
            max_edge=rules.max_edge,
            safe=True,
        )
        height, width = video.frames.shape[1:3]
        smart_size(height, width, model.patch_shape.factor, rules.min_pixels, rules.max_pixels)
    except (VideoError, ValueError) as error:
        reason = " ".join(str(error).replace(str(path), "the file").split())
        raise RefusedError(reason) from error
    return video
