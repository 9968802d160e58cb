"""Read files of questions: [{"video_path": "clip.mp4", "query": "What happens?"}, ...].

The release's demo has this format. Paths are relative to the file's own folder, else to the
current one. The video ``none`` asks the decoder alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NO_VIDEO = "none"


class CasesError(ValueError):
    """A file of questions that cannot be used; the message names the file and the record."""


@dataclass(frozen=True)
class Case:
    """One question. ``video`` is as the user wrote it; ``path`` is None for a text-only one."""

    video: str
    path: Path | None
    question: str


def case(video: str, question: str, folder: Path | None = None) -> Case:
    """A case whose path is looked up in ``folder`` first, then in the current folder."""
    return Case(video, None if video == NO_VIDEO else _resolve(video, folder), question)


def read_cases(path: Path) -> list[Case]:
    """The cases of a JSON file, in its order.

    Raises CasesError for a file that is missing, is not JSON, or holds anything but a list of
    records with the texts ``video_path`` and ``query``. Videos are not opened here.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CasesError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # broken JSON, or bytes that are no text
        raise CasesError(f"{path} is not JSON: {error}") from error
    if not isinstance(records, list) or not records:
        raise CasesError(f"{path} must hold a list of at least one record")
    return [_read_record(record, path, number) for number, record in enumerate(records, 1)]


def by_video(cases: Sequence[Case]) -> dict[Path | None, list[int]]:
    """Indices of the cases of each video, so that each is decoded once."""
    groups: dict[Path | None, list[int]] = {}
    for index, one in enumerate(cases):
        groups.setdefault(one.path, []).append(index)
    return groups


def _read_record(record: Any, path: Path, number: int) -> Case:
    if not isinstance(record, dict):
        raise CasesError(f"{path}, record {number}: expected an object, got {record!r:.60}")
    for key in ("video_path", "query"):
        if not isinstance(record.get(key), str):
            raise CasesError(f"{path}, record {number}: {key!r} must be a text")
    if not record["video_path"]:
        raise CasesError(f"{path}, record {number}: 'video_path' is empty")
    return case(record["video_path"], record["query"], path.parent)


def _resolve(video: str, folder: Path | None) -> Path:
    given = Path(video).expanduser()
    beside = given if folder is None else folder / given
    return beside if beside.exists() else given
