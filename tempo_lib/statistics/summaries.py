"""Every table of accuracies and of differences: one group-by, one paired comparison.

A frame holds one row per question and variant, with the columns of ``Record``; other tables of
right and wrong answers (slices of memories, ablations, timestamps alone) have columns of their
own in place of ``variant``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from tempo_lib.evaluation.benchmark import BENCHMARKS, mean_over
from tempo_lib.statistics.intervals import (
    Accuracy,
    Difference,
    accuracy,
    mean_interval,
    mean_of_groups,
    paired_difference,
)
from tempo_lib.statistics.majority import Score, majority_baseline

if TYPE_CHECKING:
    import pandas as pd

MEANS = ("mean over questions", "mean over groups")
ALL = "all"  # the value of a column over which a row pools
# What makes a video of pooled records one of its own, and what makes a question one.
VIDEO = ("suite", "world_seed", "video")
QUESTION = ("model_seed", "suite", "world_seed", "question_id")


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

    Columns: ``by``, first, second, n, difference, low, high, p_value and agree, whether no two
    suites differ in sign (a mean over suites that do is no finding); ``column`` holds the names
    of a pair, ``value`` what is compared, "correct" as each benchmark averages it
    (``judged_values``). Suites are strata of the interval and of the test. ``seed`` draws
    bootstraps and sign flips. ValueError where a pair has no records, or not the same questions.
    """
    import pandas as pd

    rows = []
    for place, part in _parts(frame, list(by), []):
        for first, second in pairs:
            found = difference_of(part, first, second, seed, column, value)
            names = {"first": first, "second": second}
            row = {**dict(zip(by, place, strict=True)), **names, **asdict(found)}
            one, two = (part[part[column] == name] for name in (first, second))
            signs = {np.sign(effect) for effect in effects_by(one, two, value).values()}
            rows.append({**row, "agree": len(signs - {0}) < 2})
    columns = [*by, "first", "second", "n", "difference", "low", "high", "p_value", "agree"]
    return pd.DataFrame(rows, columns=columns)


def difference_of(
    frame: "pd.DataFrame",
    first: str,
    second: str,
    seed: int = 0,
    column: str = "variant",
    value: str = "correct",
    against: float = 0.0,
) -> Difference:
    """One comparison of ``compare``; its p is that the difference is ``against``."""
    keys = [key for key in QUESTION if key in frame]
    parts = []
    for name in (first, second):
        part = frame[frame[column] == name].sort_values(keys, kind="stable")
        if part.empty:
            known = ", ".join(map(str, frame[column].unique()))
            raise ValueError(f"no records of {column} {name!r}; the frame holds {known}")
        parts.append(part)
    one, two = parts
    if one[keys].to_numpy().tolist() != two[keys].to_numpy().tolist():
        raise ValueError(f"{first} and {second} do not have the same questions")
    first_Q, second_Q = (judged_values(part, value) for part in parts)
    return paired_difference(first_Q, second_Q, clusters(one), seed, strata(one), against)


def effects_by(
    first: "pd.DataFrame", second: "pd.DataFrame | None", value: str = "correct", by: str = "suite"
) -> dict[Any, float]:
    """Place -> mean of ``first`` minus that of ``second``, of each suite or model seed alone.

    Rows of one variant each; without a second the mean itself; {} where they do not name ``by``.
    """
    if by not in first:
        return {}
    parts = [part for part in (first, second) if part is not None]
    means = [part.assign(judged=judged_values(part, value)) for part in parts]
    one, *other = (part.groupby(by)["judged"].mean() for part in means)
    effects = one - other[0] if other else one
    return {place: float(effect) for place, effect in effects.items()}


def mean_of(frame: "pd.DataFrame", value: str, seed: int = 0, against: float = 0.0) -> Difference:
    """Mean of a column over questions with its interval; p that it is ``against``."""
    return mean_interval(frame[value].tolist(), clusters(frame), seed, strata(frame), against)


def accuracy_of(frame: "pd.DataFrame", over: str = "", column: str = "correct") -> Accuracy:
    """Accuracy of all rows together, or its mean over the values of ``over``; by video and suite.

    ``column``: which verdict counts, "correct_before" for that of an older scorer.
    """
    right = frame[column].astype(bool).tolist()
    if over:
        return mean_of_groups(right, clusters(frame), frame[over].tolist())
    return accuracy(right, clusters(frame), strata(frame))


def judged_values(frame: "pd.DataFrame", value: str = "correct") -> list[float]:
    """What each row of one variant adds to the mean that its benchmark takes.

    ``correct`` of a benchmark that averages over groups (MLVU) is weighted so that its mean over
    the suite's questions is the mean over groups; any other column stays as it is.
    """
    values_Q = frame[value].to_numpy(dtype=float, copy=True)
    suites = frame["suite"].unique() if value == "correct" and "suite" in frame else ()
    for suite in suites:
        over = mean_over(suite) if suite in BENCHMARKS else ""
        if over:
            is_here_Q = (frame["suite"] == suite).to_numpy()
            group = frame.loc[is_here_Q, over]
            size = group.groupby(group).transform("size").to_numpy()
            values_Q[is_here_Q] *= len(group) / (group.nunique() * size)
    return values_Q.tolist()


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


def strata(frame: "pd.DataFrame") -> list[str] | None:
    """The suite of every row; None where the frame knows none."""
    return frame["suite"].astype(str).tolist() if "suite" in frame else None


def _facts(frame: "pd.DataFrame", score: Score | None, over: str = "") -> dict[str, Any]:
    """n, accuracy, interval, majority-class baseline and AUC of the rows of one variant."""
    known = frame["auc"].dropna()
    words = frame["correct_words"].mean() if "correct_words" in frame else float("nan")
    return {
        **_as_facts(accuracy_of(frame, over)),
        "accuracy_by_words": None if np.isnan(words) else float(words),
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
