"""What page and endpoint want of the engine, what it tells them, and what it refuses."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoder_prompt import Answer
from tempo_lib.model.numerics import NotFiniteError
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import Video

MOST_FRAMES = 1024
LONGEST_QUESTION = 20_000  # characters


class BusyError(RuntimeError):
    """The queue is full; the message says so in one sentence."""


class CancelledError(RuntimeError):
    """Whoever put the question no longer wants the answer."""


class RefusedError(ValueError):
    """A file, a question or a number that cannot be used; the message is one sentence."""


EXPECTED = (RefusedError, BusyError, CancelledError, NotFiniteError)  # said in one sentence


@dataclass(frozen=True, kw_only=True)
class AskRequest:
    """One question. ``path`` None: about no video. ``owner`` and ``key`` name the open video.

    ``budgets``: an answer for each, from one compression; empty: the model's own. ``temperature``
    0: greedy, else drawn by ``seed``. None: the model's own number.
    """

    path: Path | None
    question: str
    owner: Hashable = None
    key: Hashable = None
    budgets: tuple[int, ...] = ()
    k_min: int | None = None
    max_frames: int | None = None
    max_new_tokens: int | None = None
    temperature: float = 0.0
    adaptive: bool = True
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is being done, how far it is (0 to 1), seconds left; the answer so far."""

    stage: str
    share: float | None = None
    seconds_left: float | None = None
    text: str = ""
    number: int = 0  # of the budget whose answer ``text`` is


@dataclass(frozen=True, kw_only=True)
class Result:
    """Answers in the order of ``budgets``, the compression behind them, and what it took.

    ``seconds``: of reading, compressing and answering. ``saved_seconds``: what compressing took
    less than for the first question about this video, None for the first one.
    """

    request: AskRequest
    answers: list[Answer]
    memories: SegmentMemories
    video: Video | None
    num_prompt_tokens: int
    seconds: dict[str, float]
    saved_seconds: float | None


def check(request: AskRequest, model: Tempo) -> None:
    """RefusedError, in one sentence, for numbers and questions that cannot be used."""
    config = model.config
    k_min = config.k_min if request.k_min is None else request.k_min
    new = config.max_new_tokens if request.max_new_tokens is None else request.max_new_tokens
    frames = 1 if request.max_frames is None else request.max_frames
    problems = {
        f"the question has more than {LONGEST_QUESTION} characters": (
            len(request.question) > LONGEST_QUESTION
        ),
        "the question is empty": not request.question.strip(),
        "a budget must be at least 0": any(budget < 0 for budget in request.budgets),
        f"k_min must be 0 to {config.k_max}": not 0 <= k_min <= config.k_max,
        f"frames must be 1 to {MOST_FRAMES}": not 1 <= frames <= MOST_FRAMES,
        f"answer tokens must be 1 to {config.max_context}": not 1 <= new <= config.max_context,
        "temperature must be 0 to 2": not 0.0 <= request.temperature <= 2.0,
    }
    for problem, holds in problems.items():
        if holds:
            raise RefusedError(problem)
