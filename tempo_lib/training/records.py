"""The gate of training records: question files in the LLaVA or chat form -> checked samples.

Behind it every text is a text, every count agrees and every path is there. What cannot be read is
one line that names file, record and reason, before anything is decoded or trained.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

from tempo_lib import prompts
from tempo_lib.config import LabelRules
from tempo_lib.gates import text_problem
from tempo_lib.training.rows import iter_rows

MEDIA_TAGS = ("<video>", "<image>")
MEDIA_KEYS = ("image", "video")
ROLES = {"system": "system", "human": "human", "user": "human"}
ROLES |= dict.fromkeys(("gpt", "assistant", "model"), "gpt")
PART_KEYS = ("start", "end")  # seconds of a video, of which a record shows a part alone

Part = tuple[float, float]  # from the first second on, before the second one


class TrainingError(ValueError):
    """A training that cannot begin, or not go on; the message is one line with the way out."""


class RecordError(TrainingError):
    """Files of records that cannot be trained on; the message names the first of them."""


@dataclass(frozen=True)
class Sample:
    """One question and its answer; ``window`` overrides the stage's frames per segment.

    ``more_media``: further images, which the models read after ``media`` in their order. ``system``
    replaces the decoder's system prompt. ``query``: what the compressor reads instead of the
    question. ``turns``: a conversation that is one sample, (question, answer) with its media tags.
    ``first``: read before all that are not. ``part``: of the video, all that is read. ``weight``:
    how often it is read in an epoch, on average.
    """

    id: str
    media: Path | None
    modality: str
    question: str
    answer: str
    window: int | None
    more_media: tuple[Path, ...] = ()
    system: str | None = None
    query: str | None = None
    turns: tuple[tuple[str, str], ...] = ()
    first: bool = False
    part: Part | None = None
    weight: float = 1.0

    @property
    def text(self) -> str:
        """Every word that the decoder reads of it."""
        words = [one for turn in self.turns or ((self.question, self.answer),) for one in turn]
        return "".join([self.system or "", *words])

    @property
    def all_media(self) -> tuple[Path, ...]:
        """Every file that the sample shows; () for a text."""
        return () if self.media is None else (self.media, *self.more_media)


@dataclass(frozen=True)
class _Turn:
    role: str
    text: str
    num_tags: int
    tagged: str  # the text as it was, with its tags


def read_records(
    path: Path, modality: str, rules: LabelRules | None = None, share: float = 1.0
) -> list[Sample]:
    """The samples of the first ``share`` of a question file, rounded up to whole records.

    RecordError names the first bad one among them.
    """
    samples: list[Sample] = []
    problems: list[str] = []
    for number, row in enumerate(iter_rows(path, share)):
        try:
            if row.problem:
                raise ValueError(row.problem)
            samples += read_record(row.value, modality, path, number, rules)
        except ValueError as error:
            problems.append(f"{path}, {row.place}: {' '.join(str(error).split())}")
    if problems:
        more = len(problems) - 1
        rest = (
            f" (and {more} more bad record{'s' if more > 1 else ''} in this file)" if more else ""
        )
        raise RecordError(problems[0] + rest)
    return samples


def read_record(
    record: Any, modality: str, path: Path, number: int, rules: LabelRules | None = None
) -> Iterator[Sample]:
    """The samples of one record of ``path``: one per question, each with all its media.

    ``rules`` may make one sample of the whole conversation, or a query of all its questions.
    ValueError, which does not name file or record, for whatever is wrong with it.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"expected an object, got {record!r:.60}")
    turns = [_read_turn(turn, place) for place, turn in enumerate(_raw_turns(record))]
    system = turns.pop(0).text if turns and turns[0].role == "system" else None
    is_whole = rules is not None and rules.conversation == "whole"
    messages = [(turn.role, turn.text) for turn in turns]
    joins = rules is not None and rules.query == "context-turns"
    query = prompts.context_query(messages) if joins else None
    if is_whole and turns and turns[0].role == "gpt":
        turns.pop(0)  # as the release does
    roles = [turn.role for turn in turns]
    if not turns or roles != ["human", "gpt"] * (len(turns) // 2):
        raise ValueError(f"turns must alternate human, gpt; got {roles}")
    media, part = _media(record, modality, path.parent), _part(record, modality)
    num_tags = sum(turn.num_tags for turn in turns)
    if num_tags > len(media) or (len(media) > 1 and num_tags not in (0, len(media))):
        named = f"{modality} paths" if media else "media, as its source is of texts"
        raise ValueError(f"{num_tags} media tags in its questions but {len(media)} {named}")
    window = record.get("window")
    if window is not None and (type(window) is not int or window < 1):
        raise ValueError(f"'window' must be a whole number from 1 on, got {window!r}")
    pairs = list(zip(turns[::2], turns[1::2], strict=True))
    for index, (_, answer) in enumerate(pairs):
        if not answer.text.strip():
            raise ValueError(f"turn {2 * index + 1} (gpt) is empty")
    for index, (question, answer) in enumerate(pairs[:1] if is_whole else pairs):
        yield Sample(
            id=f"{record_id(record, number)}:{index}",
            media=media[0] if media else None,
            modality=modality,
            question=question.text.strip("\n"),
            answer=answer.text,
            window=window,
            more_media=tuple(media[1:]),
            system=system,
            query=query,
            turns=tuple((one.tagged, two.text) for one, two in pairs) if is_whole else (),
            part=part,
        )


def record_id(record: Any, number: int) -> str:
    """What a record calls itself, or its number in the file."""
    return str(record.get("id", number)) if isinstance(record, Mapping) else str(number)


def _raw_turns(record: Mapping[str, Any]) -> Sequence[Any]:
    named = [key for key in ("conversations", "messages") if key in record]
    if len(named) != 1:
        raise ValueError("expected one list of turns, 'conversations' or 'messages'")
    turns = record[named[0]]
    if not isinstance(turns, list):
        raise ValueError(f"{named[0]!r} must be a list of turns, got {turns!r:.60}")
    return turns


def _read_turn(turn: Any, place: int) -> _Turn:
    """One turn under either pair of names; its tags are counted and, of a question, taken out."""
    if not isinstance(turn, Mapping):
        raise ValueError(f"turn {place} must be an object, got {turn!r:.60}")
    role = ROLES.get(str(turn.get("from", turn.get("role"))))
    if role is None:
        raise ValueError(f"turn {place} is of {turn.get('from', turn.get('role'))!r:.40}")
    text = turn.get("value", turn.get("content"))
    if isinstance(text, list):
        text = _join_parts(text, place)
    problem = text_problem(text)
    if problem:
        raise ValueError(f"turn {place} ({role}) {problem}")
    num_tags = sum(text.count(tag) for tag in MEDIA_TAGS) if role == "human" else 0
    tagged = text
    if role == "human":
        for tag in MEDIA_TAGS:
            text = text.replace(tag, "")
    return _Turn(role, text, num_tags, tagged)


def _join_parts(parts: Sequence[Any], place: int) -> str:
    """A message of typed parts as one text with a tag for each medium."""
    pieces = []
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            pieces.append(part.get("text"))
        elif kind in MEDIA_KEYS:
            pieces.append(f"<{kind}>")
        else:
            raise ValueError(
                f"turn {place} has a part that is no text, image or video: {part!r:.60}"
            )
    if not all(isinstance(piece, str) for piece in pieces):
        raise ValueError(f"turn {place} has a part whose text is none")
    return "".join(pieces)


def _media(record: Mapping[str, Any], modality: str, folder: Path) -> list[Path]:
    """The files that a record shows, all of them there."""
    others = [key for key in MEDIA_KEYS if record.get(key) is not None and key != modality]
    if others:
        raise ValueError(f"it has a key {others[0]!r}, but its source is of modality {modality!r}")
    if modality == "text":
        return []
    given = record.get(modality)
    names: list[Any] = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            f"no {modality!r} path: expected a name or a list of names, got {given!r:.60}"
        )
    if modality == "video" and len(names) > 1:
        raise ValueError(f"{len(names)} videos; one is read per record")
    for name in names:
        try:
            found = (folder / name).exists()
        except (OSError, ValueError) as error:  # a name of 300 letters, a NUL
            raise ValueError(f"{name!r:.60} is no path: {error}") from error
        if not found:
            raise ValueError(f"{folder / name} does not exist")
    return [folder / name for name in names]


def _part(record: Mapping[str, Any], modality: str) -> Part | None:
    """The seconds of its video that a record shows; None for the whole."""
    given = {key: record[key] for key in PART_KEYS if record.get(key) is not None}
    if not given:
        return None
    if modality != "video":
        raise ValueError(f"{next(iter(given))!r}: its source is of modality {modality!r}")
    for key, value in given.items():
        if type(value) not in (int, float) or not isfinite(value) or value < 0:
            raise ValueError(f"{key!r} must be seconds from 0 on, got {value!r:.60}")
    start, end = float(given.get("start", 0.0)), float(given.get("end", inf))
    if start >= end:
        raise ValueError(f"'start' must come before 'end', got {start:g} and {end:g}")
    return start, end
