"""Grading of a lesson's exercises: written functions, predictions, and changed parameters.

A wrong or broken attempt gets a sentence with a hint, never a traceback. Nothing of the solution
is printed before there is an attempt.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tempo_lib.allocation.ata import allocate

if TYPE_CHECKING:
    import pandas as pd

HIDDEN_SEED = 27
ATA_HINTS = {  # the first case that fails says which rule is missing
    "fits": "Eq. 3: scale the scores to 0..1, then k_min plus the floor of its share of the rest",
    "binds": "the ideal counts do not fit: Eq. 4 shares what N * k_min leaves, in proportion",
    "remainder": "floors leave tokens over: one each, to the highest scores first",
    "flat": "all scores alike: no scale exists, so everyone gets budget // N, k_max at most",
    "few": "more segments than tokens: one token each for the highest scores",
}


def graded(
    number: int,
    attempt: Callable[..., Any],
    reference: Callable[..., Any],
    cases: Sequence[tuple[str, tuple[Any, ...]]],
) -> str:
    """One sentence on a written function: open, not yet (with the hint of the case), or solved.

    ``cases``: (hint, arguments), tried in order. Results are compared as arrays.
    """
    for place, (hint, arguments) in enumerate(cases, start=1):
        where = f"Exercise {number}: not yet, case {place} of {len(cases)} with {_said(arguments)}"
        try:
            got = attempt(*arguments)
        except Exception as error:  # whatever a reader wrote may fail in any way
            return f"{where} raised {type(error).__name__}: {error}. Hint: {hint}."
        if got is None and place == 1:
            return f"Exercise {number} is open: write the function, then run this cell."
        wanted = np.asarray(reference(*arguments))
        if not _same(got, wanted):
            return f"{where} gave {_said((got,))}. Hint: {hint}."
    return f"Exercise {number}: solved, {len(cases)} of {len(cases)} cases."


def ata_cases(num_drawn: int = 20) -> list[tuple[str, tuple[list[float], int, int, int]]]:
    """Hidden cases of ``ata(scores, budget, k_min, k_max)``: one per rule, then drawn ones."""
    cases: list[tuple[str, tuple[list[float], int, int, int]]] = [
        (ATA_HINTS["fits"], ([0.1, 0.9, 0.5], 100, 2, 16)),
        (ATA_HINTS["binds"], ([0.0, 1.0, 0.5, 0.5], 24, 2, 16)),
        (ATA_HINTS["remainder"], ([0.2, 0.9, 0.4, 0.7], 23, 1, 16)),
        (ATA_HINTS["flat"], ([0.5, 0.5, 0.5], 20, 2, 16)),
        (ATA_HINTS["few"], ([0.1, 0.8, 0.3, 0.6], 2, 1, 16)),
    ]
    rng = np.random.default_rng(HIDDEN_SEED)
    for _ in range(num_drawn):
        scores = rng.random(int(rng.integers(3, 12))).round(2).tolist()
        bounds = (int(rng.integers(2, 80)), int(rng.integers(0, 4)), int(rng.integers(8, 33)))
        hint = "one of the rules above, on drawn scores"
        cases.append((hint, (scores, *bounds)))
    return cases


def ata_reference(scores: list[float], budget: int, k_min: int, k_max: int) -> list[int]:
    """What the library allocates: int tokens per segment."""
    return [int(count) for count in allocate(scores, budget, k_min, k_max)]


def mask_cases() -> list[tuple[str, tuple[int]]]:
    """Hidden cases of ``causal_mask(length)``."""
    first = "a position reads itself: the diagonal is True"
    second = "row i reads column j where j is not behind i: nothing above the diagonal"
    return [(first, (1,)), (second, (2,)), (second, (5,)), (second, (12,))]


def mask_reference(length: int) -> np.ndarray:
    """True where the position of a row reads that of a column, (length, length)."""
    return np.tril(np.ones((length, length), dtype=bool))


def graded_probe(
    number: int, attempt: Callable[..., Any], memories_ND: np.ndarray, labels: Sequence[str]
) -> str:
    """One sentence on ``attempt(train_ND, train_labels, test_ND)``, which returns test labels.

    Solved: it gains at least half of what logistic regression gains over one constant label. The
    last third is tested on.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    label_N, cut = np.asarray(labels), 2 * len(labels) // 3
    values, sizes = np.unique(label_N[:cut], return_counts=True)
    constant = float((label_N[cut:] == values[sizes.argmax()]).mean())
    scale = StandardScaler().fit(memories_ND[:cut])
    train_ND, test_ND = scale.transform(memories_ND[:cut]), scale.transform(memories_ND[cut:])
    fitted = LogisticRegression(max_iter=1000).fit(train_ND, label_N[:cut])
    best = float((fitted.predict(test_ND) == label_N[cut:]).mean())
    try:
        got = attempt(train_ND, label_N[:cut].tolist(), test_ND)
        if got is None:
            return f"Exercise {number} is open: write the probe, then run this cell."
        right = float((np.asarray(got).reshape(len(test_ND)) == label_N[cut:]).mean())
    except Exception as error:  # whatever a reader wrote may fail in any way
        hint = f"return one label for each of the {len(test_ND)} test rows"
        return f"Exercise {number}: not yet, {type(error).__name__}: {error}. Hint: {hint}."
    said = f"{right:.0%} right; one constant label {constant:.0%}, logistic regression {best:.0%}"
    if right >= constant + 0.5 * (best - constant):
        return f"Exercise {number}: solved, {said}."
    hint = "the label of the nearest training row, or of the nearest class mean, will do"
    return f"Exercise {number}: not yet, {said}. Hint: {hint}."


def guessed(number: int, guess: Any, truth: str, choices: Sequence[str]) -> str:
    """One sentence on a prediction; the truth is told only to who has guessed."""
    text = str(guess).strip().lower()
    known = " or ".join(repr(choice) for choice in choices)
    if not text:
        return f"Prediction {number} is open: write {known}, then run this cell."
    if text not in [choice.lower() for choice in choices]:
        return f"Prediction {number}: {guess!r} is none of {known}."
    verdict = "right" if text == truth.lower() else "wrong"
    return f"Prediction {number}: {verdict}. Predicted {text}, measured {truth.lower()}."


def beside_published(table: "pd.DataFrame", published: "pd.DataFrame") -> "pd.DataFrame | str":
    """Rows of a Table 2 as this run measured them, beside the published whole suites.

    ``inside``: whether the live accuracy lies in the published 95 % interval.
    """
    if published.empty:
        return "no published result to compare with"
    keys = ["paper_row", "suite"]
    live = table.dropna(subset=["measured"])[[*keys, "n", "measured", "difference"]]
    columns = [*keys, "measured", "low", "high", "difference"]
    whole = published.dropna(subset=["measured"]).drop_duplicates(keys)[columns]
    both = live.drop_duplicates(keys).merge(whole, on=keys, suffixes=("", " published"))
    both["inside"] = both["measured"].between(both["low"], both["high"])
    both["same side"] = np.sign(both["difference"]) == np.sign(both["difference published"])
    return both.drop(columns=["low", "high"]).round(1)


def _same(got: Any, wanted: np.ndarray) -> bool:
    try:
        found = np.asarray(got)
        return bool(found.shape == wanted.shape and (found == wanted).all())
    except (TypeError, ValueError):
        return False


def _said(values: tuple[Any, ...]) -> str:
    text = ", ".join(" ".join(str(value).split()) for value in values)
    return text if len(text) <= 120 else f"{text[:117]}..."
