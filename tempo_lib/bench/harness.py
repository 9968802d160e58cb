"""Measure pairs: ``ours`` and a ``reference``, in rounds that take turns, in one process.

Only ratios of one run mean something on a shared machine, so every round runs all sides, in an
order that turns round from one to the next, and a ratio is the median of the rounds' own. One more
case is one file in ``cases`` with a function ``make`` from ``Setting`` to pairs.
"""

import ast
import ctypes
import gc
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tempo_lib.model.tempo import Tempo

OURS, REFERENCE = "ours", "reference"
STATUS = Path("/proc/self/status")  # of Linux; elsewhere no memory is measured
CLEAR = Path("/proc/self/clear_refs")
MEASURES = ("cpu_seconds", "wall_seconds", "peak_megabytes")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Ways to do the same: ``ours``, a ``reference``, and any others to compare ours with.

    ``difference``: the largest absolute difference of what ours and the reference compute, outside
    all timing. ``size``: what grows along ``axis``, over which a case's pairs are fitted.
    ``rounds``: most of them, for pairs that are slow; ``warm``: whether each side runs once before.
    ``predicted``: what the cost model says of ours, by name, outside all timing.
    """

    label: str
    sides: Mapping[str, Callable[[], Any]]
    difference: Callable[[], float] | None = None
    axis: str = ""
    size: float = 0.0
    rounds: int | None = None
    warm: bool = True
    predicted: Callable[[], Mapping[str, float]] | None = None


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a case may use: a folder for its files, a model, and how large its inputs are.

    ``seconds``: of its film, ``height`` and ``width`` of its frames; ``most``: largest number of
    frames along an axis; ``num_questions`` of those with several; ``size``: what ``load`` gives.
    """

    folder: Path
    load: Callable[[], "Tempo"]
    seconds: float = 32.0
    height: int = 360
    width: int = 640
    most: int = 512
    num_questions: int = 4
    size: str = "tiny"

    @cached_property
    def model(self) -> "Tempo":
        """The model, loaded at the first use."""
        return self.load()


def case_names() -> dict[str, str]:
    """Name of every case -> the first line of its file, which says what it measures."""
    found = {}
    for path in sorted((Path(__file__).parent / "cases").glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem.replace("_", "-")] = text.splitlines()[0]
    return found


def load_case(name: str) -> ModuleType:
    """The file of a case; ValueError, with the known ones, for an unknown name."""
    if name not in case_names():
        raise ValueError(f"unknown case {name!r}; known: {', '.join(case_names())}, gpu")
    return import_module(f"tempo_lib.bench.cases.{name.replace('-', '_')}")


def measure(pair: Pair, rounds: int) -> dict[str, Any]:
    """Medians with ranges of each side, and the ratio of ours to each of the others."""
    difference = None if pair.difference is None else pair.difference()
    for run in pair.sides.values() if pair.warm else ():
        run()
    taken: dict[str, list[dict[str, float | None]]] = {name: [] for name in pair.sides}
    names = list(pair.sides)
    for _ in range(min(rounds, pair.rounds or rounds)):
        for name in names:
            taken[name].append(cost(pair.sides[name]))
        names.reverse()
    others = [name for name in pair.sides if name != OURS]
    return {
        "label": pair.label,
        **({"axis": pair.axis, "size": pair.size} if pair.axis else {}),
        **({"predicted": dict(pair.predicted())} if pair.predicted else {}),
        "rounds": len(taken[OURS]),
        "max_abs_diff": difference,
        **{f"{what}_ratio": ratios(taken, others, f"{what}_seconds") for what in ("cpu", "wall")},
        "sides": {name: medians(rows) for name, rows in taken.items()},
    }


def cost(run: Callable[[], Any]) -> dict[str, float | None]:
    """Processor and wall seconds of a call, children included, and megabytes above those held."""
    release_memory()
    held = status_megabytes("VmRSS")
    used, started = processor_seconds(), time.perf_counter()
    kept = run()  # until memory is read: what a call returns is part of its peak
    wall, used = time.perf_counter() - started, processor_seconds() - used
    peak = status_megabytes("VmHWM")
    del kept
    above = None if held is None or peak is None else max(0.0, peak - held)
    return {"cpu_seconds": used, "wall_seconds": wall, "peak_megabytes": above}


def processor_seconds() -> float:
    """Of this process, all its threads, and its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def release_memory() -> None:
    """Give freed memory back, and begin a new peak, where the system can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    if CLEAR.exists():
        CLEAR.write_text("5")


def status_megabytes(field: str) -> float | None:
    """A memory field of this process's status; None where there is no such file."""
    if not STATUS.exists():
        return None
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return int(lines[field].split()[0]) / 1024


def medians(rows: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    """Median, least and most of every measure; None for one that could not be taken."""
    found: dict[str, Any] = {}
    for name in MEASURES:
        values = [value for row in rows if (value := row[name]) is not None]
        found[name] = spread(values) if values else None
    return found


def ratios(
    taken: Mapping[str, Sequence[Mapping[str, Any]]], others: Sequence[str], name: str
) -> dict[str, Any]:
    """Ours by each of the others, of the same round each time."""
    return {
        other: spread(
            [
                ours[name] / max(row[name], 1e-9)
                for ours, row in zip(taken[OURS], taken[other], strict=True)
            ]
        )
        for other in others
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most, to four significant digits."""
    three = (statistics.median(values), min(values), max(values))
    return {
        name: float(f"{value:.4g}")
        for name, value in zip(("median", "min", "max"), three, strict=True)
    }


def fits(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Per axis and side, the power of its size that processor seconds grow with (1: linear)."""
    found: dict[str, dict[str, float]] = {}
    for axis in dict.fromkeys(row["axis"] for row in rows if "axis" in row):
        points = [row for row in rows if row.get("axis") == axis]
        if len(points) < 2:
            continue
        sizes = np.log([row["size"] for row in points])
        found[axis] = {
            side: round(float(np.polyfit(sizes, np.log(seconds_of(points, side)), 1)[0]), 3)
            for side in points[0]["sides"]
        }
    return found


def seconds_of(points: Sequence[Mapping[str, Any]], side: str) -> list[float]:
    """Median processor seconds of a side, point by point."""
    return [max(row["sides"][side]["cpu_seconds"]["median"], 1e-9) for row in points]
