"""``tempo ask``: questions of videos, each video decoded and encoded once.

A broken video becomes a failure record, and the other cases go on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tempo_lib.allocation.ata import allocate
from tempo_lib.cli.cases import Case, by_video
from tempo_lib.cli.errors import InputError, bad_input
from tempo_lib.cli.loading import Loaded
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoder_prompt import Turn, decoder_ids
from tempo_lib.model.processing import smart_size
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Answer, Tempo
from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import Video, load_video
from tempo_lib.video.readers import READERS
from tempo_lib.video.sampling import check_sampling, check_timestamps


@dataclass(frozen=True, kw_only=True)
class AskOptions:
    """Options of ``tempo ask``; None takes the checkpoint's own number."""

    budget: int | None = None
    k_min: int | None = None
    adaptive: bool = True
    max_new_tokens: int | None = None
    fps: float | None = None
    max_frames: int | None = None
    reader: str = "auto"
    timestamps: str = "auto"


@dataclass(frozen=True)
class Asked:
    """One case and what came of it: an answer (``error`` None), or the reason why there is none."""

    case: Case
    answer: Answer | None
    num_frames: int
    duration_seconds: float | None  # None for an image
    error: str | None = None


Drawer = Callable[[int, Answer, Video | None, str], None]  # called while the frames are in memory


def ask_all(
    model: Tempo, cases: Sequence[Case], options: AskOptions, draw: Drawer | None = None
) -> list[Asked]:
    """Ask every case, grouped by video; results in the order of the cases."""
    check_options(model, options)
    done: dict[int, Asked] = {}
    for path, indices in by_video(cases).items():
        try:
            video = None if path is None else read_video(model, path, options)
            session = None if video is None else model.open(video, keep_prefix=len(indices) > 1)
        except (InputError, VideoError) as error:
            done |= {i: Asked(cases[i], None, 0, None, str(error)) for i in indices}
            continue
        for index in indices:
            done[index] = _ask_one(model, session, video, cases[index], options)
            answer = done[index].answer
            if draw is not None and answer is not None:
                draw(index, answer, video, cases[index].question)
    return [done[index] for index in range(len(cases))]


def check_options(model: Tempo, options: AskOptions) -> None:
    """InputError for numbers and names that no video could be asked with."""
    k_max, numbers = model.config.k_max, model.config.video_numbers
    if options.k_min is not None and options.k_min > k_max:
        raise InputError(f"--k-min {options.k_min} exceeds the {k_max} tokens a segment has")
    if options.reader not in ("auto", *READERS):
        known = ", ".join(("auto", *READERS))
        raise InputError(f"unknown --reader {options.reader!r}; known: {known}")
    with bad_input():
        check_timestamps(options.timestamps)
        check_sampling(_or(options.fps, numbers.fps), 1, _or(options.max_frames, 1))


def read_video(model: Tempo, path: Path, options: AskOptions) -> Video:
    """Sample a file as the checkpoint was trained to see it.

    VideoError for a file that cannot be read, InputError for a picture too narrow for the model.
    """
    numbers, rules = model.config.video_numbers, model.config.pixel_rules
    video = load_video(
        path,
        fps=_or(options.fps, numbers.fps),
        max_frames=_or(options.max_frames, numbers.max_frames),
        min_frames=numbers.min_frames,
        reader=options.reader,
        timestamps=options.timestamps,
        max_edge=rules.max_edge,
    )
    height, width = video.frames.shape[1:3]
    with bad_input(prefix=f"{path}: "):
        smart_size(height, width, model.patch_shape.factor, rules.min_pixels, rules.max_pixels)
    return video


def _ask_one(
    model: Tempo,
    session: VideoSession | None,
    video: Video | None,
    case: Case,
    options: AskOptions,
) -> Asked:
    """Compress, allocate, check that the prompt fits, decode."""
    is_image = video is not None and video.is_image
    num_frames = 0 if video is None else video.num_frames
    duration = None if is_image else (0.0 if video is None else num_frames / video.fps)
    # before compressing too: an endless question would cost its square in every segment
    problem = _too_long(model, case, Turn([], [], case.question), options)
    if problem is not None:
        return Asked(case, None, num_frames, duration, problem)
    memories = None if session is None else session.compress(case.question)
    counts = _counts(model, memories, options)
    seconds = [] if memories is None else memories.seconds.tolist()
    turn = Turn(seconds, counts.tolist(), case.question, is_image=is_image)
    problem = _too_long(model, case, turn, options)
    if problem is not None:
        return Asked(case, None, num_frames, duration, problem)
    answer = model.decode(
        memories,
        case.question,
        budget=options.budget,
        counts=counts,
        max_new_tokens=options.max_new_tokens,
        is_image=is_image,
    )
    return Asked(case, answer, num_frames, duration)


def _counts(model: Tempo, memories: SegmentMemories | None, options: AskOptions) -> torch.Tensor:
    config = model.config
    if memories is None:
        return torch.zeros(0, dtype=torch.int64)
    if not options.adaptive:
        return torch.full((len(memories.scores),), config.k_max, dtype=torch.int64)
    budget, k_min = _or(options.budget, config.budget), _or(options.k_min, config.k_min)
    return allocate(memories.scores, budget=budget, k_min=k_min, k_max=config.k_max)


def _too_long(model: Tempo, case: Case, turn: Turn, options: AskOptions) -> str | None:
    """What to say where prompt and answer exceed the decoder's context; None where they fit."""
    config = model.config
    prompt = len(decoder_ids(model.encoder, config.decoder_system_prompt, turn))
    excess = prompt + _or(options.max_new_tokens, config.max_new_tokens) - config.max_context
    if excess <= 0:
        return None
    return (
        f"{case.video}: the prompt is {excess} tokens too long for the decoder; "
        "shorten the question, or lower --max-new-tokens, --budget or --max-frames"
    )


def record(asked: Asked, loaded: Loaded, options: AskOptions) -> dict[str, Any]:
    """What ``--json`` prints of one case."""
    shared = {"video": asked.case.video, "question": asked.case.question}
    if asked.answer is None:
        return {**shared, "error": asked.error}
    answer, config = asked.answer, loaded.model.config
    return {
        **shared,
        "text": answer.text,
        "counts": answer.counts.tolist(),
        "scores": answer.scores.tolist(),
        "seconds": answer.seconds.tolist(),
        "budget": answer.budget,
        "tokens_used": answer.tokens_used,
        "num_frames": asked.num_frames,
        "duration_seconds": asked.duration_seconds,
        "preset": loaded.preset,
        "checkpoint": loaded.checkpoint,
        "adaptive": options.adaptive,
        "k_min": _or(options.k_min, config.k_min),
        "k_max": config.k_max,
    }


def _or(value: Any, fallback: Any) -> Any:
    return fallback if value is None else value
