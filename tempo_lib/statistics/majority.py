"""The majority-class baseline: what the best constant answer per group and form gets right."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from tempo_lib.evaluation.benchmark import BENCHMARKS, Question

if TYPE_CHECKING:
    import pandas as pd

LETTERS = tuple("ABCDE")  # no benchmark here offers more options
Score = Callable[[Question, str], bool]


def majority_baseline(frame: "pd.DataFrame", score: Score | None = None) -> float:
    """Accuracy of ``constant_answers`` on the questions of a frame.

    ``score``: None takes the rule of each row's suite, which must be a registered benchmark.
    """
    if score is not None:
        return constant_answers(list(_questions(frame)), [score] * len(frame))
    rule_of = {name: BENCHMARKS.get(name).score for name in frame["suite"].unique()}
    return constant_answers(list(_questions(frame)), [rule_of[name] for name in frame["suite"]])


def constant_answers(questions: Sequence[Question], scores: Sequence[Score]) -> float:
    """Best accuracy of always giving the same answer to all questions of a group and form.

    Every answer that occurs, and every letter where there are options, is tried on every question
    alike; what a model must beat. ``scores``: the rule that judges each question.
    """
    groups: dict[tuple[str, str], list[tuple[Question, Score]]] = {}
    for question, score in zip(questions, scores, strict=True):
        groups.setdefault((question.group, question.form), []).append((question, score))
    return sum(_right_with_one_answer(tuple(same)) for same in groups.values()) / len(questions)


@lru_cache(maxsize=1024)  # a table has the same questions for every variant
def _right_with_one_answer(judged: tuple[tuple[Question, Score], ...]) -> int:
    """Most of the questions, all of one group and form, that one answer gets right."""
    tried = {question.answer for question, _ in judged}
    tried |= set(LETTERS) if judged[0][0].options else set()
    return max(sum(score(question, text) for question, score in judged) for text in tried)


def _questions(frame: "pd.DataFrame") -> Iterator[Question]:
    """The questions as far as scoring needs them: of the options, the letters."""
    columns = ("kind", "form", "question", "answer", "start", "stop")
    for kind, form, text, answer, start, stop in zip(*(frame[c] for c in columns), strict=True):
        options = LETTERS if form == "choice" else ()
        # one NaN object for all: NaN hashes by identity, and questions are keys of a cache
        times = {n: math.nan if math.isnan(v) else v for n, v in (("start", start), ("stop", stop))}
        facts = {"group": kind, "text": text, "answer": answer, **times}
        yield Question(id="", options=options, **facts)
