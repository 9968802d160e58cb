"""What a benchmark is: videos with questions, and a rule that scores predictions.

The runner, records, statistics, tables and figures know nothing else about their data. One more
benchmark is one file that registers a ``BenchmarkSource``; the miniature's four suites are one.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tempo_lib.config import Preset, load_preset
from tempo_lib.registry import Registry, load_plugins

TABLE_ROLE = "8K"  # the budget of Table 2: half of what a capped video's segments hold
WHOLE_ROLE = "16K"  # all of it
PAPER_BUDGETS = {"2K": 2048, "4K": 4096, TABLE_ROLE: 8192, "12K": 12288}


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question. ``group``: what accuracy is broken down by (kind, task, duration).

    ``options``: of a multiple-choice question. ``start``, ``stop``: seconds of the evidence, NaN
    where the benchmark does not say. ``tags``: further names that accuracy may be broken down by,
    each with the values that hold for this question.
    """

    id: str
    text: str
    answer: str
    options: tuple[str, ...] = ()
    group: str = ""
    start: float = math.nan
    stop: float = math.nan
    tags: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def form(self) -> str:
        return "choice" if self.options else "open"


@dataclass(frozen=True)
class Verdict:
    """Whether a prediction is right, and what the benchmark's scorer read in it.

    ``letter`` (of multiple choice; "" where none was found), ``found_by``: the format that decided;
    ``letter_before``, ``correct_before``: under an older scorer; ``correct_words``: by the words of
    the option, whatever the letter. None where there is no such thing.
    """

    correct: bool
    letter: str | None = None
    found_by: str | None = None
    letter_before: str | None = None
    correct_before: bool | None = None
    correct_words: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How video files are read: ``salvage`` and ``safe`` as in ``load_video``."""

    salvage: bool = False
    safe: bool = False


@dataclass(frozen=True, kw_only=True)
class BenchmarkVideo:
    """One video file and its questions.

    ``num_frames``: at the preset's sampling rate, before any cap; ``sha256`` of the file.
    ``problem``: why the file cannot be read, "" where it can.
    """

    id: str
    path: Path
    sha256: str
    num_frames: int
    questions: tuple[Question, ...]
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Loaded videos and questions; subclass it to say which segments hold the evidence.

    ``identity`` tells contents apart, ``data_hash`` covers what was read. ``name``: as the source
    is registered. ``world_seed``: of generated data, else 0. ``profile``: numbers of a checkpoint
    that this benchmark's runs change (``config_with``). ``mean_over``: the column of records over
    whose values the benchmark averages accuracies, "" for the mean over questions.
    ``is_stand_in``: videos are generated in place of the real ones, so that no accuracy counts.
    ``budgets``: memory tokens by the paper's name of the budget, () where runs take the
    checkpoint's.
    ``reading``: how its files are read.
    """

    name: str
    preset: str
    identity: str
    data_hash: str
    videos: tuple[BenchmarkVideo, ...]
    world_seed: int = 0
    profile: tuple[tuple[str, int], ...] = ()
    mean_over: str = ""
    is_stand_in: bool = False
    budgets: tuple[tuple[str, int], ...] = ()
    reading: Reading = Reading()

    @property
    def num_questions(self) -> int:
        """Questions about files that can be read; the others fail in every run."""
        return sum(len(video.questions) for video in self.videos if not video.problem)

    def tokens(self, budget: int | str) -> int:
        """Memory tokens of a budget: a number itself, or one of the names in ``budgets``."""
        if isinstance(budget, int):
            return budget
        known = dict(self.budgets)
        if budget not in known:
            names = ", ".join(known) or "none, give a number of tokens"
            raise ValueError(f"{self.name} has no budget {budget!r}; known: {names}")
        return known[budget]

    def score(self, question: Question, text: str) -> bool:
        """Whether ``text`` answers the question, by the rule of the benchmark."""
        return BENCHMARKS.get(self.name).score(question, text)

    def judge(self, question: Question, text: str) -> Verdict:
        """``score`` with what led to it."""
        return Verdict(self.score(question, text))

    def is_relevant(
        self, video: BenchmarkVideo, question: Question, start_frame: int, stop_frame: int
    ) -> bool | None:
        """Whether frames [start, stop) hold evidence; None where the benchmark does not say."""
        return None


class BenchmarkSource(Protocol):
    """How a registered benchmark is read, and how predictions are scored without reading it."""

    def load(self, preset: Preset, *args: Any, **options: Any) -> Benchmark:
        """``load(preset, num_questions=0)``, and options of the benchmark's own by keyword.

        The command line passes ``world_seed``; data that is not generated may ignore it.
        """

    def score(self, question: Question, text: str) -> bool: ...


@runtime_checkable
class AveragesGroups(Protocol):
    """A source whose accuracy is the mean over the values of a column of records, "" for none."""

    mean_over: str


BENCHMARKS: Registry[BenchmarkSource] = Registry("suite")
NO_BENCHMARKS = "preset {preset} has no suites: it names no plug-in that registers one"


def benchmark_names(preset: Preset | str) -> list[str]:
    """Names of the benchmarks that a preset and the plug-ins offer, in order of registration.

    Those of this package belong to the presets that list their module, others to all.
    """
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    load_plugins(numbers.plugins)
    modules = {name: BENCHMARKS.get(name).__module__ for name in BENCHMARKS.names()}
    return [
        name
        for name, module in modules.items()
        if not module.startswith("tempo_lib.")
        or any(f"{module}.".startswith(f"{plugin}.") for plugin in numbers.plugins)
    ]


def mean_over(name: str) -> str:
    """Column over whose values benchmark ``name`` averages accuracies; "": over questions."""
    source = BENCHMARKS.get(name)
    return source.mean_over if isinstance(source, AveragesGroups) else ""


def benchmark_source(preset: Preset | str, name: str) -> BenchmarkSource:
    """Source of benchmark ``name``; ValueError, with the known ones, for an unknown name."""
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    known = benchmark_names(numbers)
    if not known:
        raise ValueError(NO_BENCHMARKS.format(preset=numbers.name))
    if name not in known:
        raise ValueError(f"unknown suite {name!r}; known: {', '.join(known)}")
    return BENCHMARKS.get(name)


def load_benchmark(
    preset: Preset | str, name: str, *, num_questions: int = 0, **options: Any
) -> Benchmark:
    """Read benchmark ``name``. ``num_questions`` 0: all; else the first ones, whole videos first.

    ``options`` are the benchmark's own (the miniature: ``world_seed``, ``root``, ``workers``).
    """
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    return benchmark_source(numbers, name).load(numbers, num_questions=num_questions, **options)
