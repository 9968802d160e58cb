"""What the gates of foreign input share: records of a file, texts, fields; a problem is a line."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:  # --help reads this file too
    from pydantic import ValidationError

_PLAIN = {"str": str, "int": int, "float": float, "bool": bool}
PARAMETER_TYPES = (*_PLAIN, "list")  # what a notebook's parameter may be; of a list, its items
INJECTED = "# Parameters\n"  # how papermill's own cell begins


@runtime_checkable
class HasColumn(Protocol):
    """A figure that can lay itself out for a column of text."""

    def save_column(self, fname: Any, **options: Any) -> None: ...


@dataclass(frozen=True)
class Row:
    """One record of a file: where it stands, and what it is; ``problem`` where it is no JSON."""

    place: str
    value: Any
    problem: str = ""


def read_rows(path: Path) -> list[Row]:
    """The records of a JSON list or of JSON Lines, with or without a byte-order mark.

    A broken line is a row with a problem. ValueError names a file that cannot be read at all.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not _begins_with_a_record(text):
            raise ValueError(f"{path} is not JSON: {error}") from error
        return [_read_line(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if isinstance(whole, dict) and "\n" not in text.strip():
        return [Row("line 1", whole)]  # JSON Lines of a single record
    if not isinstance(whole, list):
        kind = "an object" if isinstance(whole, dict) else f"a {type(whole).__name__}"
        raise ValueError(f"{path} must hold a list of records or one record per line, got {kind}")
    return [Row(f"record {number}", record) for number, record in enumerate(whole)]


def text_problem(text: Any) -> str:
    """Why a value cannot be tokenised as text, "" where it can."""
    if not isinstance(text, str):
        return f"must be a text, got {text!r:.60}"
    for place, letter in enumerate(text):
        if "\ud800" <= letter <= "\udfff":
            return f"holds a lone surrogate (U+{ord(letter):04X}, letter {place + 1})"
    return ""


def field_problems(error: "ValidationError", section: str = "") -> str:
    """Each field of ``section`` with what was expected of it and what was found, in one line."""
    lines = []
    for found in error.errors():
        path = ".".join(map(str, filter(None, (section, *map(str, found["loc"])))))
        is_extra = found["type"].startswith(("extra_", "unexpected_"))
        message = "no such field" if is_extra else found["msg"].removeprefix("Value error, ")
        got = "" if found["type"] in ("value_error", "missing") else f", got {found['input']!r:.60}"
        lines.append(f"{path}: {message}{got}")
    return "; ".join(lines)


def suits(kind: str, value: Any) -> bool:
    """Whether a notebook's parameter of this type may have the value: an int suits float too."""
    if kind == "list":
        return type(value) is list and all(type(item) in _PLAIN.values() for item in value)
    return type(value) is _PLAIN[kind] or (kind == "float" and type(value) is int)


def check_parameters(names: Mapping[str, Any]) -> None:
    """ValueError where a notebook's variables do not suit its parameters cell.

    ``names``: the notebook's ``globals()``. papermill on its own injects any value under any name:
    types are those that the parameters cell declares, names those of its injected cell. Elsewhere
    than in a notebook nothing is checked.
    """
    if "In" not in names or "get_ipython" not in names:
        return
    annotations = names.get("__annotations__", {})
    declared = {name: getattr(kind, "__name__", str(kind)) for name, kind in annotations.items()}
    for name, kind in declared.items():
        if kind in PARAMETER_TYPES and name in names and not suits(kind, names[name]):
            found = type(names[name]).__name__
            raise ValueError(f"parameter {name} must be {kind}, got {names[name]!r} ({found})")
    for cell in names["In"]:
        unknown = [name for name in _injected(cell) if name not in declared]
        if unknown:
            known = ", ".join(declared) or "none"
            raise ValueError(f"this notebook has no parameter {unknown[0]!r}; it knows {known}")


def _injected(cell: str) -> list[str]:
    """Names that a cell of papermill's assigns; none for a cell of the notebook's own."""
    if not cell.startswith(INJECTED):
        return []
    targets = [t for n in ast.parse(cell).body if isinstance(n, ast.Assign) for t in n.targets]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _begins_with_a_record(text: str) -> bool:
    """Whether the first line that is not blank is JSON of its own."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    return first.lstrip().startswith("{") and not _read_line(1, first).problem


def _read_line(number: int, line: str) -> Row:
    try:
        return Row(f"line {number}", json.loads(line))
    except (ValueError, RecursionError) as error:
        return Row(f"line {number}", None, f"not JSON: {error}")
