"""Answers of a finished run as far as its files hold them: records of ours, or lmms-eval's logs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tempo_lib.evaluation.letters import LETTERS, find_letter
from tempo_lib.evaluation.records import Failure, Record, read_records

MOST_FACTS = 5  # that two runs state otherwise, shown
LMMS_EVAL_MARK = "_samples_"  # in the name of every sample log of lmms-eval
# Names under which its tasks log the question's id and the letter that they read.
ID_FIELDS = ("question_id", "id")
LETTER_FIELDS = ("pred_answer", "parsed_pred")
PRESENT_RULE, CHOICES = "ranked", LETTERS[:4]  # what lmms-eval tries, whatever the options


class RunError(ValueError):
    """A run that cannot be read; the message names the file or folder."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One answer; None where the run's files do not hold a field. ``error``: why it has none."""

    suite: str
    variant: str
    question_id: str
    world_seed: int = 0
    video: str | None = None
    question: str | None = None
    num_frames: int | None = None
    seconds: list[float] | None = None
    budget: int | None = None
    k_min: int | None = None
    scores: list[float] | None = None
    counts: list[int] | None = None
    tokens_used: int | None = None
    prediction: str | None = None
    letter: str | None = None
    answer: str | None = None
    correct: bool | None = None
    error: str | None = None


@dataclass(frozen=True)
class FinishedRun:
    """Samples in the order of the files, and the facts of records by suite, world seed, variant."""

    name: str
    samples: list[Sample]
    facts: dict[tuple[str, int, str], dict[str, Any]]


def read_run(path: Path) -> FinishedRun:
    """A file of records, a folder of such files, or a sample log of lmms-eval.

    RunError for anything else, and for a folder that holds two runs of one variant on one suite.
    """
    if path.is_dir():
        files = sorted(path.rglob("*.jsonl"))
    else:
        files = [path] if path.suffix == ".jsonl" and path.is_file() else []
    if not files:
        raise RunError(f"{path} is no file of records (.jsonl) and no folder that holds any")
    samples, facts = list[Sample](), dict[tuple[str, int, str], dict[str, Any]]()
    owner: dict[tuple[str, int, str], Path] = {}
    for file in files:
        found, own_facts = _read_file(file)
        for key in {(each.suite, each.world_seed, each.variant) for each in found}:
            if key in owner:
                other = list(stated_otherwise(facts[key], own_facts))
                shown = ", ".join(f"{name} {a} / {b}" for name, a, b in other[:MOST_FACTS])
                raise RunError(
                    f"{path} holds two runs of {key[2]} on {key[0]}: name one, {owner[key].name} "
                    f"or {file.name}; they differ in {shown or 'nothing that they state'}"
                )
            owner[key] = file
            facts[key] = own_facts
        samples += found
    if not samples:
        raise RunError(f"{path} holds no answers")
    return FinishedRun(str(path), samples, facts)


def run_of(name: str, records: Sequence[Record | Failure]) -> FinishedRun:
    """A run in memory, without facts about itself."""
    return FinishedRun(name, [_of_record(each) for each in records], {})


def judged_by(rule: str, run: FinishedRun) -> FinishedRun:
    """The same predictions of multiple choice under a rule of answer extraction (``letters``).

    A right answer that is a text is known by the letter that the present rule reads in it.
    """
    samples = []
    for sample in run.samples:
        letter = find_letter(rule, sample.prediction or "", CHOICES).value
        right = find_letter(PRESENT_RULE, sample.answer or "", CHOICES).value
        is_right = letter == right
        samples.append(replace(sample, letter=letter, answer=right, correct=is_right))
    return FinishedRun(run.name, samples, run.facts)


def stated_otherwise(
    one: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """(path, value, value) of what two runs state otherwise about weights, bounds, code, data."""
    first, second = dict(_leaves(one)), dict(_leaves(other))
    for path in dict.fromkeys([*first, *second]):
        a, b = str(first.get(path, "none")), str(second.get(path, "none"))
        if a != b:
            yield path, a, b


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _read_file(path: Path) -> tuple[list[Sample], dict[str, Any]]:
    try:
        if LMMS_EVAL_MARK in path.name:
            return _read_lmms_eval(path), {}
        kept = read_records(path)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read: {error.strerror}; its facts lie beside it"
        ) from error
    except (KeyError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    both: list[Record | Failure] = [*kept.records.values(), *kept.failures.values()]
    return [_of_record(each) for each in both], kept.facts


def _of_record(record: Record | Failure) -> Sample:
    known = vars(record)
    return Sample(**{name: known[name] for name in Sample.__dataclass_fields__ if name in known})


def _read_lmms_eval(path: Path) -> list[Sample]:
    """One sample per line of ``<date>_samples_<task>.jsonl`` (lmms-eval 0.6 and 0.7)."""
    task = path.stem.split(LMMS_EVAL_MARK, 1)[1]
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_of_lmms_eval(json.loads(line), task) for line in lines if line.strip()]


def _of_lmms_eval(line: Mapping[str, Any], task: str) -> Sample:
    metric = next((v for v in line.values() if isinstance(v, dict) and "answer" in v), {})
    letter = next((str(metric[name]) for name in LETTER_FIELDS if name in metric), None)
    answer = str(metric.get("answer", line["target"]))
    name = next((str(metric[key]) for key in ID_FIELDS if key in metric), f"doc-{line['doc_id']}")
    return Sample(
        suite=task,
        variant="lmms-eval",
        question_id=name,
        video=None if metric.get("videoID") is None else str(metric["videoID"]),
        question=_text(line.get("input")),
        prediction=_text(line.get("filtered_resps")),
        letter=letter,
        answer=answer,
        correct=_verdict(line, letter, answer),
    )


def _text(value: Any) -> str | None:
    """The text that lists of one may hold; None for anything else."""
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else None


def _verdict(line: Mapping[str, Any], letter: str | None, answer: str) -> bool | None:
    """Right or wrong: the letter's, else a metric named ``*score`` or ``*acc`` that is a number."""
    if letter is not None:
        return letter.lower() == answer.lower()
    for name, value in line.items():
        if name.endswith(("score", "acc")) and isinstance(value, bool | int | float):
            return bool(value)
    return None
