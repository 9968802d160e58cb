"""Questions about videos -> answers or reasons: what ``tempo ask`` does between reading its options
and printing.

A broken video or a malformed case becomes a failure record, and the other cases go on.
"""

import os.path
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.cli.common import InputError, Loaded, bad_input, one_line
from tempo_lib.gates import Row, read_rows, text_problem

if TYPE_CHECKING:
    from tempo_lib.model.session import VideoSession
    from tempo_lib.model.tempo import Answer, Tempo
    from tempo_lib.video.base import Salvaged
    from tempo_lib.video.clip import AnyVideo, Video, VideoStream

NO_VIDEO = "none"  # the video of a question to the decoder alone


class CasesError(ValueError):
    """A file of questions that cannot be used; the message names the file and the record."""


@dataclass(frozen=True)
class Case:
    """One question. ``video`` is as the user wrote it; ``path`` is None for a text-only one.

    ``problem``: why it cannot be put to a model at all; None where it can.
    """

    video: str
    path: Path | None
    question: str
    problem: str | None = None


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
    unreadable = text_problem(question)
    if unreadable:
        return Case(video, None, question, f"{video}: the question {unreadable}")
    if video == NO_VIDEO:
        return Case(video, None, question)
    # these of os.path raise for no text, however long or odd; the one who opens it says more
    given = Path(os.path.expanduser(video))
    beside = given if folder is None else folder / given
    path = beside if os.path.exists(beside) else given
    if not os.path.exists(path) and os.path.isfile(question):
        problem = f"{video!r:.60} does not exist, but {question!r:.60} does: are they swapped?"
        return Case(video, None, question, problem)
    return Case(video, path, question)


def read_cases(path: Path) -> list[Case]:
    """The cases of a file, in its order; paths are relative to its folder, else to this one.

    The release's demo has this format: [{"video_path": "clip.mp4", "query": "Who?"}, ...]; JSON
    Lines are read too. A record that is none is a case with a problem. CasesError for a file that
    is missing, is no JSON, or holds no list. Videos are not opened here.
    """
    try:
        rows = read_rows(path)
    except ValueError as error:
        raise CasesError(str(error)) from error
    if not rows:
        raise CasesError(f"{path} must hold a list of at least one record")
    return [_read_case(row, number, path) for number, row in enumerate(rows, 1)]


def _read_case(row: Row, number: int, path: Path) -> Case:
    record = row.value
    place = row.place if row.place.startswith("line") else f"record {number}"
    problem = row.problem or _problem(record)
    if problem:
        known = record if isinstance(record, dict) else {}
        video, question = (known.get(key) for key in ("video_path", "query"))
        shown = [text if isinstance(text, str) else "" for text in (video, question)]
        return Case(shown[0], None, shown[1], f"{path}, {place}: {problem}")
    found = case(record["video_path"], record["query"], path.parent)
    if found.problem is None:
        return found
    return replace(found, problem=f"{path}, {place}: {found.problem}")


def _problem(record: Any) -> str:
    """What is wrong with a record of a file, "" where it is fine."""
    if not isinstance(record, dict):
        return f"expected an object, got {record!r:.60}"
    for key in ("video_path", "query"):
        if not isinstance(record.get(key), str):
            return f"{key!r} must be a text, got {record.get(key)!r:.60}"
    return "" if record["video_path"] else "'video_path' is empty"


def by_video(cases: Sequence[Case]) -> dict[Path | None, list[int]]:
    """Indices of the sound cases of each video, so that each is decoded once."""
    groups: dict[Path | None, list[int]] = {}
    for index, one in enumerate(cases):
        if one.problem is None:
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
    model: "Tempo", cases: Sequence[Case], adaptive: bool, reading: Reading, holds: bool = False
) -> "Iterator[tuple[int, Outcome, Video | None]]":
    """(index, outcome, frames) of every case, video by video.

    Videos are streamed, and the frames None, unless ``holds``: they are kept as decoded.
    """
    from tempo_lib.video.base import VideoError
    from tempo_lib.video.clip import collect

    for index, one in enumerate(cases):
        if one.problem is not None:
            yield index, Outcome(one, None, error=one.problem), None
    for path, indices in by_video(cases).items():
        try:
            stream = None if path is None else open_stream(model, path, reading)
            shown = collect(stream) if stream is not None and holds else None
            video = shown or stream
            session = None if video is None else open_session(model, video, len(indices) > 1)
        except (InputError, VideoError) as error:
            yield from ((i, Outcome(cases[i], None, error=str(error)), None) for i in indices)
            continue
        for index in indices:
            yield index, _answer(model, session, video, cases[index], adaptive), shown


def open_stream(model: "Tempo", path: Path, reading: Reading) -> "VideoStream":
    """A file, sampled as the model's config says; VideoError for one that cannot be opened."""
    from tempo_lib.video.clip import open_video
    from tempo_lib.video.sampling import check_sampling

    numbers, rules = model.config.video_numbers, model.config.pixel_rules
    with bad_input():
        check_sampling(numbers.fps, 1, numbers.max_frames)
    return open_video(
        path,
        fps=numbers.fps,
        max_frames=numbers.max_frames,
        min_frames=numbers.min_frames,
        max_edge=rules.max_edge,
        **vars(reading),
    )


def open_session(model: "Tempo", video: "AnyVideo", keep_prefix: bool) -> "VideoSession":
    """Decode and resize everything.

    VideoError for a file that cannot be read, InputError for a picture too narrow for the model.
    """
    from tempo_lib.video.base import VideoError

    try:
        return model.open(video, keep_prefix=keep_prefix)
    except VideoError:
        raise
    except ValueError as error:
        raise InputError(f"{video.source}: {one_line(error)}") from error


def _answer(
    model: "Tempo",
    session: "VideoSession | None",
    video: "AnyVideo | None",
    one: Case,
    adaptive: bool,
) -> Outcome:
    """One answer, or why there is none: too short a context, numbers that are not finite."""
    from tempo_lib.model.decoder_prompt import ContextError, Turn, prompt_ids
    from tempo_lib.model.numerics import NotFiniteError

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
    except NotFiniteError as error:
        return Outcome(one, None, num_frames, duration, f"{one.video}: {error}", salvaged)
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
