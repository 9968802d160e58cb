"""Records of a question file one after the other: a JSON list, JSON Lines or Parquet.

JSON Lines and Parquet are never whole in memory.
"""

import json
from collections.abc import Iterator
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

from tempo_lib.gates import Row, read_rows

LINES, PARQUET = ".jsonl", ".parquet"
BOM = b"\xef\xbb\xbf"
ROWS_AT_ONCE = 1024  # of a Parquet file


def iter_rows(path: Path, share: float = 1.0) -> Iterator[Row]:
    """The first ``share`` of a file's records, rounded up; a broken line is a row with a problem.

    ValueError names a file that cannot be read at all.
    """
    rows = _all_rows(path)
    return rows if share == 1.0 else islice(rows, ceil(share * count_rows(path)))


def count_rows(path: Path) -> int:
    """How many records a file has; ValueError as for ``iter_rows``."""
    if path.suffix == PARQUET:
        return int(_parquet(path).metadata.num_rows)
    return sum(1 for _ in _all_rows(path))


def _all_rows(path: Path) -> Iterator[Row]:
    if path.suffix == PARQUET:
        return _parquet_rows(path)
    if path.suffix == LINES and not _is_list(path):
        return _lines(path)
    return iter(read_rows(path))


def _is_list(path: Path) -> bool:
    """Whether a file that is named JSON Lines is a JSON list: many published ones are."""
    try:
        with path.open("rb") as stream:
            return stream.read(64).removeprefix(BOM).lstrip().startswith(b"[")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error


def _lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            line = line.removeprefix(BOM) if number == 1 else line
            if line.strip():
                yield _line(f"line {number}", line)


def _line(place: str, line: bytes) -> Row:
    try:
        return Row(place, json.loads(line.decode()))
    except UnicodeDecodeError as error:
        return Row(place, None, f"is not UTF-8 text: {error.reason} at byte {error.start}")
    except (ValueError, RecursionError) as error:
        return Row(place, None, f"not JSON: {error}")


def _parquet(path: Path) -> Any:
    """The open file; ValueError where it is none, or where nothing here can read it."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise ValueError(f"{path} is Parquet, which pyarrow reads: pip install pyarrow") from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise ValueError(f"{path} is not Parquet: {' '.join(str(error).split())}") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    number = 0
    for batch in _parquet(path).iter_batches(ROWS_AT_ONCE):
        for record in batch.to_pylist():
            yield Row(f"record {number}", _without_none(record))
            number += 1


def _without_none(value: Any) -> Any:
    """A record without what its columns have and it has not."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value
