"""The page of differences: every row is complete, and the tests it names exist."""

import re

import pytest


@pytest.fixture(scope="module")
def rows(repo_root):
    lines = (repo_root / "DIFFERENCES.md").read_text().splitlines()
    table = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return table[1:]  # the header


def test_every_row_says_what_paper_and_release_do_and_what_is_done_here(rows):
    assert len(rows) > 25
    for row in rows:
        assert len(row) == 5, row
        assert all(cell.strip() for cell in row), row
    names = [row[0] for row in rows]
    assert len(set(names)) == len(names)


def test_every_row_names_tests_that_exist(rows, repo_root):
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row[4])
        assert named, row
        assert all((repo_root / "tests" / f"{name}.py").is_file() for name in named), row


def test_the_numbers_of_recorded_rows_are_those_of_the_parity_page(rows, repo_root):
    page = (repo_root / "PARITY.md").read_text()
    stated = {row[0]: re.search(r"(\d+) of (\d+) recorded rows", row[3]) for row in rows}
    tables = re.findall(r"^\| [^|]+ \| (\d+) \| \d+ \| (\d+) \(([^)]+)\)", page, re.MULTILINE)
    assert len(tables) >= 4
    for num_rows, num_by_decision, decision in tables:
        assert stated[decision] is not None, decision
        assert stated[decision].groups() == (num_by_decision, num_rows)
