"""Every table of accuracies and of differences: one group-by, one paired comparison.

A frame holds one row per question and variant, with the columns of ``Record``; other tables of
right and wrong answers (slices of memories, ablations, timestamps alone) have columns of their
own in place of ``variant``.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from tempo_lib.evaluation.benchmark import BENCHMARKS, Question
from tempo_lib.statistics.intervals import (
    Accuracy,
    Difference,
    accuracy,
    mean_of_groups,
    paired_difference,
)

if TYPE_CHECKING:
    import pandas as pd

MEANS = ("mean over questions", "mean over groups")
ALL = "all"  # the value of a column over which a row pools
# What makes a video of pooled records one of its own, and what makes a question one.
VIDEO = ("suite", "world_seed", "video")
QUESTION = ("model_seed", "suite", "world_seed", "question_id")
LETTERS = tuple("ABCDE")  # no benchmark here offers more options
Score = Callable[[Question, str], bool]


def summarise(
    frame: "pd.DataFrame",
    by: Sequence[str],
    totals: Sequence[str] = (),
    means: Mapping[str, str] | None = None,
    baseline: bool = False,
    score: Score | None = None,
    over: str = "",
) -> "pd.DataFrame":
    """One row per value of ``by`` and ``totals``: those columns, n, accuracy, low, high, ...

    ``by`` keeps the order in which values first occur. Each column of ``totals`` adds, before its
    sorted values, a row "all" that pools over it. Intervals of 95 % are clustered by video.
    ``means``: name of a further column -> column of the frame whose mean it holds. ``baseline``
    adds ``floor``, the accuracy of the majority-class baseline, with the arguments of
    ``majority_baseline``. ``over``: a column over whose values accuracies are averaged, "kind" for
    MLVU's M-Avg. KeyError for a column that the frame does not have.
    """
    import pandas as pd

    names = [*by, *totals]
    rows = []
    for place, part in _parts(frame, list(by), list(totals)):
        row = dict(zip(names, place, strict=True)) | asdict(accuracy_of(part, over))
        row |= {name: float(part[column].mean()) for name, column in (means or {}).items()}
        if baseline:
            row["floor"] = majority_baseline(part, score)
        rows.append(row)
    more = [*(means or {}), *(["floor"] if baseline else [])]
    return pd.DataFrame(rows, columns=[*names, "n", "accuracy", "low", "high", *more])


def compare(
    frame: "pd.DataFrame",
    pairs: Iterable[tuple[str, str]],
    by: Sequence[str] = (),
    seed: int = 0,
    column: str = "variant",
    value: str = "correct",
) -> "pd.DataFrame":
    """One row per value of ``by`` and pair: first minus second, paired by question.

    Columns: ``by``, first, second, n, difference, low, high, p_value; ``column`` holds the names
    of a pair, ``value`` what is compared. ``seed`` draws bootstraps and sign flips. ValueError
    where a pair has no records, or not the same questions.
    """
    import pandas as pd

    rows = []
    for place, part in _parts(frame, list(by), []):
        for first, second in pairs:
            found = difference_of(part, first, second, seed, column, value)
            names = {"first": first, "second": second}
            rows.append({**dict(zip(by, place, strict=True)), **names, **asdict(found)})
    columns = [*by, "first", "second", "n", "difference", "low", "high", "p_value"]
    return pd.DataFrame(rows, columns=columns)


def difference_of(
    frame: "pd.DataFrame",
    first: str,
    second: str,
    seed: int = 0,
    column: str = "variant",
    value: str = "correct",
) -> Difference:
    """One comparison of ``compare``."""
    keys = [key for key in QUESTION if key in frame]
    parts = []
    for name in (first, second):
        part = frame[frame[column] == name].set_index(keys).sort_index()
        if part.empty:
            known = ", ".join(map(str, frame[column].unique()))
            raise ValueError(f"no records of {column} {name!r}; the frame holds {known}")
        parts.append(part)
    one, two = parts
    if list(one.index) != list(two.index):
        raise ValueError(f"{first} and {second} do not have the same questions")
    videos = clusters(one.reset_index())
    return paired_difference(one[value].tolist(), two[value].tolist(), videos, seed)


def accuracy_of(frame: "pd.DataFrame", over: str = "", column: str = "correct") -> Accuracy:
    """Accuracy of all rows together, or its mean over the values of ``over``; by video.

    ``column``: which verdict counts, "correct_before" for that of an older scorer.
    """
    right = frame[column].astype(bool).tolist()
    if over:
        return mean_of_groups(right, clusters(frame), frame[over].tolist())
    return accuracy(right, clusters(frame))


def with_group_weights(frame: "pd.DataFrame", over: str) -> "pd.DataFrame":
    """The frame of one variant with ``weighted``: ``correct`` so that its mean is that over groups.

    To be compared by ``difference_of(..., value="weighted")``.
    """
    size = frame.groupby(over)["correct"].transform("size")
    weight = len(frame) / (frame[over].nunique() * size)
    return frame.assign(weighted=frame["correct"].astype(float) * weight)


def summary(frame: "pd.DataFrame", score: Score | None = None, over: str = "") -> dict[str, Any]:
    """What ``tempo evaluate --out`` writes for the records of one variant.

    n, accuracy, interval, accuracy_by_words (whatever the letter; None where the benchmark does not
    judge words), per_type and per_form (the same, majority_baseline and relevance_auc each),
    tokens_per_frame (mean over questions), majority_baseline, relevance_auc,
    token_mismatch (mean of tokens the matched variant used and this one did not; None without
    one). ``over``: as in ``summarise``; ``metric`` says which. Where the benchmark has two scorers
    also ``scorer_before`` (n, accuracy, interval under the older one) and ``unparsed`` (replies
    without a letter). ValueError for several variants in one frame.
    """
    names = list(frame["variant"].unique())
    if len(names) != 1:
        raise ValueError(f"a summary is of one variant, got {names or 'none'}; filter the frame")
    parts = {
        name: {str(value): _facts(part, score) for value, part in frame.groupby(column, sort=True)}
        for name, column in (("per_type", "kind"), ("per_form", "form"))
    }
    per_frame = float((frame["tokens_used"] / frame["num_frames"]).mean())
    unused = (frame["matched_tokens"] - frame["tokens_used"]).dropna()
    mismatch = float(unused.mean()) if len(unused) else None
    whole = {**_facts(frame, score, over), "metric": MEANS[bool(over)]}
    whole |= _two_scorers(frame, over)
    return {**whole, **parts, "tokens_per_frame": per_frame, "token_mismatch": mismatch}


def _two_scorers(frame: "pd.DataFrame", over: str) -> dict[str, Any]:
    """Accuracy under the older scorer, and replies without a letter; {} for a single scorer."""
    if "correct_before" not in frame or frame["correct_before"].isna().any():
        return {}
    before = _as_facts(accuracy_of(frame, over, "correct_before"))
    return {"scorer_before": before, "unparsed": int((frame["letter"] == "").sum())}


def _as_facts(measured: Accuracy) -> dict[str, Any]:
    interval = [measured.low, measured.high]
    return {"n": measured.n, "accuracy": measured.accuracy, "interval": interval}


def pool_seeds(frames: Mapping[int, "pd.DataFrame"]) -> "pd.DataFrame":
    """The records of models of several training seeds as one frame with a column ``model_seed``.

    Intervals and tests still take the video as the unit, as all seeds answer the same videos:
    they are about other videos under these models. How much models differ, accuracies by
    ``model_seed`` show.
    """
    import pandas as pd

    parts = [frame.assign(model_seed=seed) for seed, frame in frames.items()]
    return pd.concat(parts, ignore_index=True)


def clusters(frame: "pd.DataFrame") -> list[str]:
    """The video of every row, told apart from those of other suites and worlds."""
    columns = [name for name in VIDEO if name in frame]
    return ["/".join(map(str, row)) for row in zip(*(frame[name] for name in columns), strict=True)]


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


def _facts(frame: "pd.DataFrame", score: Score | None, over: str = "") -> dict[str, Any]:
    """n, accuracy, interval, majority-class baseline and AUC of the rows of one variant."""
    known = frame["auc"].dropna()
    words = frame["correct_words"].mean() if "correct_words" in frame else math.nan
    return {
        **_as_facts(accuracy_of(frame, over)),
        "accuracy_by_words": None if math.isnan(words) else float(words),
        "majority_baseline": majority_baseline(frame, score),
        "relevance_auc": float(known.mean()) if len(known) else None,
    }


def _parts(
    frame: "pd.DataFrame", by: list[str], totals: list[str]
) -> Iterator[tuple[tuple[Any, ...], "pd.DataFrame"]]:
    """Values and rows of every group; a column of ``totals`` is pooled first, then sorted."""
    groups = frame.groupby(by, sort=False) if by else [((), frame)]
    for place, part in groups:
        own = [(ALL, *sorted(part[name].dropna().unique())) for name in totals]
        for values in product(*own):
            chosen = part
            for name, wanted in zip(totals, values, strict=True):
                chosen = chosen if wanted == ALL else chosen[chosen[name] == wanted]
            if len(chosen):
                yield (*place, *values), chosen
