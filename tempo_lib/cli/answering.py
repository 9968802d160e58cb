"""Questions about videos -> answers or reasons: what ``tempo ask`` does between reading its options
and printing.

A broken video becomes a failure record, and the other cases go on.
"""

import json
import os.path
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.cli.common import InputError, Loaded, bad_input

if TYPE_CHECKING:
    from tempo_lib.model.session import VideoSession
    from tempo_lib.model.tempo import Answer, Tempo
    from tempo_lib.video.base import Salvaged
    from tempo_lib.video.clip import Video

NO_VIDEO = "none"  # the video of a question to the decoder alone


class CasesError(ValueError):
    """A file of questions that cannot be used; the message names the file and the record."""


@dataclass(frozen=True)
class Case:
    """One question. ``video`` is as the user wrote it; ``path`` is None for a text-only one."""

    video: str
    path: Path | None
    question: str


@dataclass(frozen=True)
class Outcome:
    """What came of a case: an answer (``error`` None), or the reason why there is none."""

    case: Case
    answer: "Answer | None"
    num_frames: int = 0
    duration_seconds: float | None = None  # None for an image
    error: str | None = None
    salvaged: "Salvaged | None" = None  # what is lost of a damaged video


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How videos are read; see ``load_video``."""

    reader: str = "auto"
    timestamps: str = "auto"
    salvage: bool = False
    square_pixels: bool = False
    safe: bool = False


def case(video: str, question: str, folder: Path | None = None) -> Case:
    """A case whose path is looked up in ``folder`` first, then in the current folder."""
    if video == NO_VIDEO:
        return Case(video, None, question)
    # these two of os.path raise for no text, however long or odd; the one who opens it says more
    given = Path(os.path.expanduser(video))
    beside = given if folder is None else folder / given
    return Case(video, beside if os.path.exists(beside) else given, question)


def read_cases(path: Path) -> list[Case]:
    """The cases of a JSON file, in its order; paths are relative to its folder, else to this one.

    The release's demo has this format: [{"video_path": "clip.mp4", "query": "Who?"}, ...].
    CasesError for a file that is missing, is not JSON, or holds anything else. Videos are not
    opened here.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CasesError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # broken JSON, or bytes that are no text
        raise CasesError(f"{path} is not JSON: {error}") from error
    if not isinstance(records, list) or not records:
        raise CasesError(f"{path} must hold a list of at least one record")
    for number, record in enumerate(records, 1):
        problem = _problem(record)
        if problem:
            raise CasesError(f"{path}, record {number}: {problem}")
    return [case(record["video_path"], record["query"], path.parent) for record in records]


def _problem(record: Any) -> str:
    """What is wrong with a record of a file, "" where it is fine."""
    if not isinstance(record, dict):
        return f"expected an object, got {record!r:.60}"
    for key in ("video_path", "query"):
        if not isinstance(record.get(key), str):
            return f"{key!r} must be a text"
    return "" if record["video_path"] else "'video_path' is empty"


def by_video(cases: Sequence[Case]) -> dict[Path | None, list[int]]:
    """Indices of the cases of each video, so that each is decoded once."""
    groups: dict[Path | None, list[int]] = {}
    for index, one in enumerate(cases):
        groups.setdefault(one.path, []).append(index)
    return groups


def check_reading(reading: Reading) -> None:
    """InputError for a reader or a kind of timestamps that does not exist, or cannot do this."""
    from tempo_lib.video.readers import READERS
    from tempo_lib.video.sampling import check_timestamps

    if reading.reader not in ("auto", *READERS):
        known = ", ".join(("auto", *READERS))
        raise InputError(f"unknown --reader {reading.reader!r}; known: {known}")
    if reading.reader == "decord" and (reading.salvage or reading.square_pixels):
        raise InputError("--salvage and --square-pixels need --reader pyav, not decord")
    with bad_input():
        check_timestamps(reading.timestamps)


def answer_all(
    model: "Tempo", cases: Sequence[Case], adaptive: bool, reading: Reading
) -> "Iterator[tuple[int, Outcome, Video | None]]":
    """(index, outcome, frames) of every case, video by video."""
    from tempo_lib.video.base import VideoError

    for path, indices in by_video(cases).items():
        try:
            video = None if path is None else read_video(model, path, reading)
            session = None if video is None else model.open(video, keep_prefix=len(indices) > 1)
        except (InputError, VideoError) as error:
            yield from ((i, Outcome(cases[i], None, error=str(error)), None) for i in indices)
            continue
        for index in indices:
            yield index, _answer(model, session, video, cases[index], adaptive), video


def read_video(model: "Tempo", path: Path, reading: Reading) -> "Video":
    """Sample a file as the model's config says.

    VideoError for a file that cannot be read, InputError for a picture too narrow for the model.
    """
    from tempo_lib.model.processing import smart_size
    from tempo_lib.video.clip import load_video
    from tempo_lib.video.sampling import check_sampling

    numbers, rules = model.config.video_numbers, model.config.pixel_rules
    with bad_input():
        check_sampling(numbers.fps, 1, numbers.max_frames)
    video = load_video(
        path,
        fps=numbers.fps,
        max_frames=numbers.max_frames,
        min_frames=numbers.min_frames,
        max_edge=rules.max_edge,
        **vars(reading),
    )
    height, width = video.frames.shape[1:3]
    with bad_input(prefix=f"{path}: "):
        smart_size(height, width, model.patch_shape.factor, rules.min_pixels, rules.max_pixels)
    return video


def _answer(
    model: "Tempo", session: "VideoSession | None", video: "Video | None", one: Case, adaptive: bool
) -> Outcome:
    """One answer, or the reason why prompt and answer do not fit into the decoder's context."""
    from tempo_lib.model.decoder_prompt import ContextError, Turn, prompt_ids

    num_frames, duration, salvaged = 0, 0.0 if video is None else None, None
    if video is not None:
        num_frames, salvaged = video.num_frames, video.salvaged
        duration = None if video.is_image else num_frames / video.fps
    try:
        # before compressing too: an endless question would cost its square in every segment
        alone = Turn([], [], one.question)
        prompt_ids(model.encoder, model.config, alone, model.config.max_new_tokens)
        if session is None:
            answer = model.answer(None, one.question)
        else:
            answer = session.ask(one.question, adaptive=adaptive)
    except ContextError as error:
        problem = (
            f"{one.video}: the prompt is {error.excess} tokens too long for the decoder; "
            "shorten the question, or lower --max-new-tokens, --budget or --max-frames"
        )
        return Outcome(one, None, num_frames, duration, problem, salvaged)
    return Outcome(one, answer, num_frames, duration, salvaged=salvaged)


def as_record(outcome: Outcome, loaded: Loaded, adaptive: bool) -> dict[str, Any]:
    """What ``--json`` prints of one case."""
    shared: dict[str, Any] = {"video": outcome.case.video, "question": outcome.case.question}
    if outcome.answer is None:
        return {**shared, "error": outcome.error}
    if outcome.salvaged is not None:
        shared["salvaged"] = {**asdict(outcome.salvaged), "num_lost": outcome.salvaged.num_lost}
    answer, config = outcome.answer, loaded.model.config
    return {
        **shared,
        "text": answer.text,
        "counts": answer.counts.tolist(),
        "scores": answer.scores.tolist(),
        "seconds": answer.seconds.tolist(),
        "budget": answer.budget,
        "tokens_used": answer.tokens_used,
        "num_frames": outcome.num_frames,
        "duration_seconds": outcome.duration_seconds,
        "preset": loaded.preset,
        "checkpoint": loaded.checkpoint,
        "adaptive": adaptive,
        "k_min": config.k_min,
        "k_max": config.k_max,
    }
