"""Exercises: a solution passes, every wrong attempt gets a sentence, nothing is told too early."""

import numpy as np
import pandas as pd
import pytest

from tempo_lib.analysis.exercises import (
    ATA_HINTS,
    ata_cases,
    ata_reference,
    beside_published,
    graded,
    graded_probe,
    guessed,
    mask_cases,
    mask_reference,
)


def without_remainder(scores, budget, k_min, k_max):
    """Eq. 3 and 4 with the floors and nothing else."""
    low, high = min(scores), max(scores)
    if high == low:
        return [min(k_max, budget // len(scores))] * len(scores)
    unit = [(score - low) / (high - low) for score in scores]
    ideal = [k_min + int((k_max - k_min) * u) for u in unit]
    if sum(ideal) <= budget:
        return ideal
    rest = budget - len(scores) * k_min
    return [k_min + int(rest * u / sum(unit)) for u in unit]


def test_the_library_solves_its_own_exercises():
    assert graded(4, ata_reference, ata_reference, ata_cases()).startswith("Exercise 4: solved")
    said = graded(1, lambda length: np.tri(length) == 1, mask_reference, mask_cases())
    assert said == "Exercise 1: solved, 4 of 4 cases."


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (lambda *given: None, "is open"),
        (lambda *given: [1, 1, 1], ATA_HINTS["fits"]),
        (lambda scores, budget: [1], "raised TypeError"),
        (lambda *given: 1 / 0, "raised ZeroDivisionError"),
        (lambda *given: "ten", "Hint"),
        (without_remainder, ATA_HINTS["remainder"]),
    ],
)
def test_a_wrong_attempt_gets_a_sentence(attempt, said):
    words = graded(4, attempt, ata_reference, ata_cases())
    assert said in words and "solved" not in words and "\n" not in words


def test_a_mask_that_looks_ahead_is_not_causal():
    words = graded(1, lambda n: np.ones((n, n), dtype=bool), mask_reference, mask_cases())
    assert "case 2 of 4" in words and "above the diagonal" in words


@pytest.mark.parametrize(
    ("guess", "said"),
    [
        ("", "is open"),
        (" Shown ", "right"),
        ("reversed", "wrong. Predicted reversed, measured shown"),
        (3, "3 is none of"),
    ],
)
def test_a_prediction_is_graded_and_the_truth_waits_for_it(guess, said):
    words = guessed(2, guess, "shown", ("shown", "not shown", "reversed"))
    assert said in words
    assert ("measured" in words) == (str(guess).strip().lower() in ("shown", "reversed"))


def test_live_numbers_stand_beside_the_published_ones():
    rows = {"paper_row": ["a", "b"], "suite": "s", "low": 10.0, "high": 30.0}
    published = pd.DataFrame({**rows, "measured": 20.0, "difference": -5.0})
    live = pd.DataFrame(
        {**rows, "n": 4, "measured": [25.0, 50.0], "difference": [-1.0, 2.0], "low": 0.0}
    )
    found = beside_published(live, published)
    assert found["inside"].tolist() == [True, False]
    assert found["same side"].tolist() == [True, False]
    assert "no published" in beside_published(live, pd.DataFrame())


def nearest_row(train_ND, labels, test_ND):
    distance = ((test_ND[:, None] - train_ND[None]) ** 2).sum(-1)
    return [labels[place] for place in distance.argmin(1)]


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (nearest_row, "solved"),
        (lambda *given: None, "is open"),
        (lambda train, labels, test: [labels[0]] * len(test), "not yet"),
        (lambda train, labels, test: labels, "Hint: return one label"),
    ],
)
def test_a_probe_has_to_beat_the_commonest_label(attempt, said):
    rng = np.random.default_rng(0)
    labels = [["sea", "snow", "city"][i % 3] for i in range(90)]
    rows = np.eye(3)[np.arange(90) % 3] * 4 + rng.normal(size=(90, 3))
    assert said in graded_probe(5, attempt, rows, labels)
