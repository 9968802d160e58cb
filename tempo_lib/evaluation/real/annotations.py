"""Annotation files as checked rows: JSON, JSON Lines and Parquet, errors named by file and row."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tempo_lib.evaluation.letters import LETTERS
from tempo_lib.fingerprint import write_atomic

Row = Mapping[str, Any]
NESTED = "qa"  # where LVBench's own file keeps the questions of a video


class AnnotationError(ValueError):
    """A row that cannot be a question; the message names the file, the row and what it lacks."""


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """One question as its annotation file has it.

    ``video``: what the video's file is named after. ``prompt``: the text put to the model, options
    and instruction included. ``tags``: further columns that accuracy may be broken down by; a
    question may have several values of one. ``seconds``: length of the video, where it is said.
    """

    id: str
    video: str
    prompt: str
    answer: str  # a letter
    options: tuple[str, ...]
    group: str
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    start: float | None = None  # seconds of the evidence
    stop: float | None = None
    seconds: float | None = None


def read_rows(path: Path) -> list[Row]:
    """Rows of one annotation file, by its suffix: .json, .jsonl or .parquet.

    AnnotationError for a file that is absent, not UTF-8, not of its format, or holds no rows.
    """
    if not path.is_file():
        raise AnnotationError(f"no annotation file {path}")
    try:
        rows = _READERS[path.suffix.lower()](path)
    except KeyError as error:
        known = ", ".join(_READERS)
        raise AnnotationError(f"{path} is none of the formats {known}") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path} is not UTF-8 text: {error.reason}") from error
    except ValueError as error:
        raise AnnotationError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise AnnotationError(f"{path} must hold a list of objects, one per question")
    return rows


def text_of(row: Row, name: str) -> str:
    """A field that must be a non-empty text; AnnotationError names the one that is not."""
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise AnnotationError(f"field {name!r} must be a text, got {value!r}")
    return value


def texts_of(row: Row, name: str) -> tuple[str, ...]:
    """A field that must be a list of texts, at least two and at most eight."""
    value = row.get(name)
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not all(isinstance(item, str) for item in value or ()):
        raise AnnotationError(f"field {name!r} must be a list of texts, got {value!r}")
    if not 2 <= len(value or ()) <= len(LETTERS):
        raise AnnotationError(f"field {name!r} must hold 2 to {len(LETTERS)} options")
    return tuple(value or ())


def letter_of(row: Row, name: str, options: Sequence[str]) -> str:
    """A field that must be the letter of one of the options."""
    value = text_of(row, name).strip()
    if value not in LETTERS[: len(options)] or len(value) != 1:
        raise AnnotationError(f"answer {value!r} is not one of {LETTERS[: len(options)]}")
    return value


def seconds_of(row: Row, name: str) -> float | None:
    """A field that may hold a length in seconds; None where it holds no positive number."""
    value = row.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    return None


def questions_of(
    path: Path, read: Callable[[Row, str], Annotated], where: Callable[[int], str] = str
) -> Iterator[Annotated | AnnotationError]:
    """Each row of a file as a question, or as the reason why it is none."""
    for index, row in enumerate(read_rows(path)):
        try:
            question = read(row, f"{path.stem}-{where(index)}")
            if Path(question.video).is_absolute() or ".." in Path(question.video).parts:
                raise AnnotationError(f"video {question.video!r} lies outside the folder")
            yield question
        except AnnotationError as error:
            yield AnnotationError(f"{path.name}, row {index}: {error}")


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Rows that ``read_rows`` gave, in the format of the suffix; questions are no longer nested."""
    flat = [{name: value for name, value in row.items() if name != NESTED} for row in rows]
    if path.suffix.lower() == ".parquet":
        import pyarrow
        from pyarrow import parquet

        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist(flat), path)
        return
    lines = [json.dumps(row, ensure_ascii=False) for row in flat]
    is_list = path.suffix.lower() == ".json"
    write_atomic(path, "[" + ",\n".join(lines) + "]\n" if is_list else "\n".join(lines) + "\n")


def _read_json(path: Path) -> list[Row]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, list) else []


def _read_lines(path: Path) -> list[Row]:
    """One object per line; LVBench's own file nests the questions of a video."""
    rows: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        row = json.loads(line)
        nested = row.get(NESTED) if isinstance(row, Mapping) else None
        rows += [{**row, **question} for question in nested] if nested else [row]
    return rows


def _read_parquet(path: Path) -> list[Row]:
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


_READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".json": _read_json,
    ".jsonl": _read_lines,
    ".parquet": _read_parquet,
}
