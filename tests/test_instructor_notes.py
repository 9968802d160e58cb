"""Instructor notes: every notebook they name exists, and their solutions solve the exercises."""

import re
from pathlib import Path

import numpy as np
import pytest

from tempo_lib.analysis.exercises import ata_cases, ata_reference, graded, graded_probe

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
NOTES = (NOTEBOOKS / "INSTRUCTOR_NOTES.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\(([\w.]+\.ipynb)\)", NOTES))))
def test_every_notebook_that_is_named_exists(name):
    assert (NOTEBOOKS / name).is_file()


def test_the_number_before_a_link_is_that_of_its_notebook():
    for number, name in re.findall(r"\[(\d\d)\]\(([\w.]+)\)", NOTES):
        assert name.startswith(f"{number}_")


def solutions():
    found = {"np": np}
    for block in re.findall(r"```python\n(.*?)```", NOTES, flags=re.DOTALL):
        exec(block, found)
    return found


def test_the_solution_of_ata_passes_all_hidden_cases():
    assert "solved" in graded(4, solutions()["my_ata"], ata_reference, ata_cases())


def test_the_solution_of_the_probe_is_one():
    labels = [["sea", "snow", "city"][i % 3] for i in range(90)]
    rows = np.eye(3)[np.arange(90) % 3] * 4 + np.random.default_rng(0).normal(size=(90, 3))
    assert "solved" in graded_probe(4, solutions()["my_probe"], rows, labels)
