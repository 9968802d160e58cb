"""Where two runs differ, question by question, and why.

Each question that differs has one cause: the first step of the way from the file to the verdict at
which the two runs part, since whatever comes after may follow from it. So the points that causes
gain and lose sum to the difference in accuracy.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tempo_lib.evaluation.run_samples import FinishedRun, Sample, stated_otherwise

SHOWN = 5  # questions of each cause
SCORE_TOLERANCE = 1e-5  # what another batch or kernel may change of a score
MISSING = "missing"
# Cause -> the fields that tell it, in the order of the way to an answer.
STEPS: dict[str, tuple[str, ...]] = {
    "error": ("error",),
    "question": ("question",),
    "frames": ("num_frames", "seconds"),
    "scores": ("scores",),
    "bounds": ("budget", "k_min"),
    "allocation": ("counts",),
    "tokens": ("tokens_used",),
    "text": ("prediction",),
    "parse": ("letter",),
    "verdict": ("answer", "correct"),
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One question that differs. ``differs``: every field that does; ``values``: (A, B) of each.

    ``gain``: points of accuracy that it gives B over A, in questions (-1, 0 or 1).
    """

    cause: str
    question_id: str
    variant: str
    differs: tuple[str, ...]
    values: dict[str, tuple[Any, Any]]
    gain: int


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Two runs compared. ``shared``: questions both have a verdict for; accuracies are of those."""

    num_a: int
    num_b: int
    shared: int
    equal: int
    accuracy_a: float | None
    accuracy_b: float | None
    differences: list[Difference]
    facts: list[tuple[str, str, str]]  # what the runs state about themselves otherwise
    not_compared: tuple[str, ...]  # fields that one of the runs does not hold at all

    @property
    def causes(self) -> list[dict[str, Any]]:
        """Causes, the most frequent first, each with its first questions.

        ``points``: of accuracy in percent that B is ahead by them; all together they are the gap.
        """
        found = Counter(each.cause for each in self.differences)
        return [self._cause(name, count) for name, count in found.most_common()]

    def _cause(self, name: str, count: int) -> dict[str, Any]:
        own = [each for each in self.differences if each.cause == name]
        gain = sum(each.gain for each in own)
        return {
            "cause": name,
            "questions": count,
            "b_right_a_wrong": sum(each.gain > 0 for each in own),
            "a_right_b_wrong": sum(each.gain < 0 for each in own),
            "points": 100 * gain / self.shared if self.shared else 0.0,
            "first": [asdict(each) for each in own[:SHOWN]],
        }


def audit(run_a: FinishedRun, run_b: FinishedRun, tolerance: float = SCORE_TOLERANCE) -> Audit:
    """Compare two runs; ``tolerance``: of scores, absolute.

    Questions are paired by benchmark, variant and id, each name only where either run has several
    of it; what is left over by its text, where that is unique per variant and world seed.
    """
    pairs = list(_pairs(run_a.samples, run_b.samples))
    differences, equal = list[Difference](), 0
    for one, other in pairs:
        found = _difference(one, other, tolerance)
        if found is None:
            equal += 1
        else:
            differences.append(found)
    judged = [(a, b) for a, b in pairs if a and b and None not in (a.correct, b.correct)]
    shares = [sum(bool(p[i].correct) for p in judged) / len(judged) for i in (0, 1) if judged]
    return Audit(
        num_a=len(run_a.samples),
        num_b=len(run_b.samples),
        shared=len(judged),
        equal=equal,
        accuracy_a=shares[0] if shares else None,
        accuracy_b=shares[1] if shares else None,
        differences=differences,
        facts=list(_different_facts(run_a.facts, run_b.facts)),
        not_compared=_not_compared(run_a.samples, run_b.samples),
    )


def _pairs(
    first: Sequence[Sample], second: Sequence[Sample]
) -> Iterator[tuple[Sample | None, Sample | None]]:
    """Samples of both runs that belong together, in the order of the first; None: there is none."""
    named = [
        name
        for name in ("suite", "world_seed", "variant")
        if max(len({getattr(s, name) for s in side}) for side in (first, second)) > 1
    ]
    by_id = [
        {(*(getattr(s, name) for name in named), s.question_id): s for s in side}
        for side in (first, second)
    ]
    apart = [name for name in named if name != "suite"]  # another tool names it otherwise

    def text_key(sample: Sample) -> tuple[object, ...]:
        return (*(getattr(sample, name) for name in apart), _flat(sample))

    left = [[s for k, s in by_id[i].items() if k not in by_id[1 - i]] for i in (0, 1)]
    texts = [_by_text(samples, text_key) for samples in left]
    paired = set[int]()
    for key, one in by_id[0].items():
        text = text_key(one)
        other = by_id[1].get(key) or (texts[1].get(text) if text in texts[0] else None)
        paired.add(id(other))
        yield one, other
    yield from ((None, other) for other in by_id[1].values() if id(other) not in paired)


def _by_text(
    samples: Sequence[Sample], key: Callable[[Sample], tuple[object, ...]]
) -> dict[tuple[object, ...], Sample]:
    """``key`` of a sample with a text -> the only sample that has it."""
    times = Counter(map(key, samples))
    return {key(s): s for s in samples if _flat(s) and times[key(s)] == 1}


def _flat(sample: Sample) -> str:
    return " ".join((sample.question or "").split())


def _difference(one: Sample | None, other: Sample | None, tolerance: float) -> Difference | None:
    """How two samples differ, None where they do not in any field that both runs hold."""
    some = one or other
    if some is None:
        return None
    if one is None or other is None:
        return Difference(
            cause=MISSING,
            question_id=some.question_id,
            variant=some.variant,
            differs=(MISSING,),
            values={MISSING: (one is None, other is None)},
            gain=0,
        )
    steps = [
        (cause, name)
        for cause, names in STEPS.items()
        for name in names
        if not _is_same(name, getattr(one, name), getattr(other, name), tolerance)
    ]
    if not steps:
        return None
    judged = None not in (one.correct, other.correct)
    return Difference(
        cause=steps[0][0],
        question_id=one.question_id,
        variant=one.variant,
        differs=tuple(name for _, name in steps),
        values={name: (getattr(one, name), getattr(other, name)) for _, name in steps},
        gain=int(bool(other.correct)) - int(bool(one.correct)) if judged else 0,
    )


def _is_same(name: str, first: Any, second: Any, tolerance: float) -> bool:
    """Equal, or not both known; but of ``error``, which only failures have, None is a value."""
    if name == "error":
        return first == second
    if first is None or second is None:
        return True
    if name in ("scores", "seconds"):
        return len(first) == len(second) and all(
            math.isclose(a, b, rel_tol=0, abs_tol=tolerance)
            for a, b in zip(first, second, strict=True)
        )
    return first == second


def _not_compared(first: Sequence[Sample], second: Sequence[Sample]) -> tuple[str, ...]:
    names = [name for fields in STEPS.values() for name in fields if name != "error"]
    sides = (first, second)
    return tuple(n for n in names if any(all(getattr(s, n) is None for s in x) for x in sides))


def _different_facts(
    first: Mapping[tuple[str, int, str], Mapping[str, Any]],
    second: Mapping[tuple[str, int, str], Mapping[str, Any]],
) -> Iterator[tuple[str, str, str]]:
    """(path, A, B) of what records state about weights, bounds, code and data; shared ones first.

    Runs of one variant each are compared whatever their names.
    """
    if len(first) == len(second) == 1:
        pairs = [("", next(iter(first.values())), next(iter(second.values())))]
    else:
        shared = [key for key in first if key in second]
        pairs = [(f"{'.'.join(map(str, key))}.", first[key], second[key]) for key in shared]
    for prefix, one, other in pairs:
        if one and other:  # a log states nothing
            yield from ((prefix + path, a, b) for path, a, b in stated_otherwise(one, other))
