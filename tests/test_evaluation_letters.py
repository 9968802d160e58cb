"""Option letters equal what lmms-eval 0.6.1 and 0.7.3 find in 240 recorded replies."""

import json

import pytest

from tempo_lib.evaluation.letters import find_letter, ranked_letter


@pytest.fixture(scope="module")
def recorded(repo_root):
    return json.loads((repo_root / "tests/data/letters.json").read_text())


@pytest.mark.parametrize(
    ("rule", "choices"),
    [
        ("ranked", "ABCD"),
        ("first-capital", "ABCD"),
        ("before-parenthesis", "ABCD"),
        ("first-capital-longvideobench", "ABCDE"),
    ],
)
def test_every_recorded_reply_gives_the_recorded_letter(recorded, rule, choices):
    column = recorded["columns"].index(rule)
    differ = {
        row[0]: (find_letter(rule, row[0], choices).value, row[column])
        for row in recorded["rows"]
        if find_letter(rule, row[0], choices).value != row[column]
    }
    assert len(recorded["rows"]) == 240
    assert not differ


@pytest.mark.parametrize(
    ("reply", "letter", "found_by"),
    [
        ("Because it rains", "B", "anywhere"),  # a capital inside a word
        ("The correct answer is (B) A cat", "A", "phrase"),
        ("A man", "A", "start"),
        ("Option B is right, not A", "A", "end"),
        ("b)", "", "nothing"),  # lower case is never a letter
        ("  ", "", "nothing"),
    ],
)
def test_known_quirks_of_the_scorer_since_april_2026(reply, letter, found_by):
    found = ranked_letter(reply, "ABCD")
    assert (found.value, found.found_by) == (letter, found_by)


def test_a_reply_without_a_letter_is_unparsed_and_no_random_choice():
    found = find_letter("first-capital-longvideobench", "none of them", "ABCDE")
    assert (found.value, found.found_by) == ("", "nothing")


def test_an_unknown_rule_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown answer extraction 'best'; known: ranked"):
        find_letter("best", "A", "ABCD")
