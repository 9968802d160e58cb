"""The option letter in a free reply, found as the benchmarks' own scorers find it.

lmms-eval changed its scorer on 2026-04-11 (commit 9ca4445d), between the paper's submission and the
release of its evaluation code, so every reply is judged by the rule of either date. Known quirks
are kept on purpose: a score that is to be compared must be computed as the other one was.
Verified against the packages lmms-eval 0.6.1 (before) and 0.7.3 (after), see
``tests/test_evaluation_letters.py``.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LETTERS = "ABCDEFGH"
UNPARSED = ""  # no letter was found; never counted as a guess

_PUNCTUATION = (",", ".", "!", "?", ";", ":", "'", '"')
# A choice follows one of these in many replies; Korean, Chinese and Japanese ones as escapes.
_PHRASES = (
    *("the answer is", "answer is", "the correct answer is", "correct answer is"),
    *("the best answer is", "best answer is", "the correct option is", "correct option is"),
    *("the best option is", "best option is", "the choice is", "choice is"),
    *("the correct choice is", "correct choice is", "i choose", "i select", "i pick"),
    *("my answer is", "my choice is", "\uc635\uc158", "\uc815\ub2f5\uc740", "\ub2f5\uc740"),
    *("\ub2f5:", "\u7b54\u6848\u662f", "\u7b54\u6848\u4e3a", "\u9009", "\u7b54\u3048\u306f"),
)
# Removed before the first capital is taken. The last two of the older scorers are each two phrases
# that lack a comma between them, so they never match: kept as they were.
_PREFIXES = ("The best answer is", "The correct answer is", "The answer is", "The answer")
_OLD_PREFIXES = (
    *_PREFIXES,
    "The best option isThe correct option is",
    "Best answer:Best option:",
)
_LONGVIDEOBENCH_PREFIXES = (
    *_PREFIXES,
    *("The best option is", "The correct option is", "Best answer:", "Best option:"),
)
# Formats of the ranked rule, best first, that are found by their last occurrence.
_FORMATS = {
    "parentheses": "({})",
    "period": "{}.",
    "colon": "{}:",
    "right_paren": "{})",
    "space": "{} ",
}


@dataclass(frozen=True)
class Letter:
    """``value``: the letter or "" (unparsed). ``found_by``: the format that decided."""

    value: str
    found_by: str


def ranked_letter(reply: str, choices: Sequence[str]) -> Letter:
    """Best-ranked format wins, within it the last place (lmms-eval since 2026-04-11).

    Ranks: at the start, at the end, after a phrase such as "the answer is", (A), A., A:, A),
    A followed by a space, anywhere.
    """
    text = reply.strip()
    for mark in _PUNCTUATION:
        text = text.strip(mark)
    text = f" {text} "
    body = text.strip()
    if not body:
        return Letter(UNPARSED, "nothing")
    for letter in choices:
        if body.startswith(letter) and not body[1:2].isalpha():
            return Letter(letter, "start")
    for letter in choices:
        if body.endswith(letter) and not body[-2:-1].isalpha():
            return Letter(letter, "end")
    after_phrase = _after_phrases(text, choices)
    if after_phrase is not None:
        return Letter(after_phrase, "phrase")
    for name, pattern in {**_FORMATS, "anywhere": "{}"}.items():
        places = [(text.rfind(pattern.format(letter)), letter) for letter in choices]
        place, letter = max(places, key=lambda found: found[0])
        if place >= 0:
            return Letter(letter, name)
    return Letter(UNPARSED, "nothing")


def first_capital(reply: str, choices: Sequence[str]) -> Letter:
    """The first capital among the choices, anywhere: Video-MME and LVBench before 2026-04-11."""
    return _first_capital(reply, choices, _OLD_PREFIXES)


def first_capital_longvideobench(reply: str, choices: Sequence[str]) -> Letter:
    """The first of A to E, anywhere, as LongVideoBench's own scorer takes it.

    That scorer draws a random choice where there is none; here such a reply is unparsed, so that
    a score is the same twice and unparsed replies can be counted.
    """
    return _first_capital(reply, "ABCDE", _LONGVIDEOBENCH_PREFIXES)


def before_parenthesis(reply: str, choices: Sequence[str]) -> Letter:
    """The character before the first ")", else the whole reply: MLVU before 2026-04-11.

    Its prompt ends on "Best option: (", so a reply was expected to begin with "B)".
    """
    text = reply.strip()
    if ")" not in text:
        return Letter(text, "whole reply" if text else "nothing")
    place = text.index(")")
    return Letter(text[place - 1 : place] if place else UNPARSED, "before parenthesis")


RULES: dict[str, Callable[[str, Sequence[str]], Letter]] = {
    "ranked": ranked_letter,
    "first-capital": first_capital,
    "first-capital-longvideobench": first_capital_longvideobench,
    "before-parenthesis": before_parenthesis,
}


def find_letter(rule: str, reply: str, choices: Sequence[str]) -> Letter:
    """Letter of a reply under a named rule; ValueError for an unknown one."""
    if rule not in RULES:
        raise ValueError(f"unknown answer extraction {rule!r}; known: {', '.join(RULES)}")
    return RULES[rule](reply, choices)


def _after_phrases(text: str, choices: Sequence[str]) -> str | None:
    """Of the first occurrence of each choice after each phrase, the one that comes last."""
    lower = text.lower()
    best: tuple[int, str] | None = None
    for phrase in _PHRASES:
        place = lower.find(phrase)
        if place < 0:
            continue
        for letter in choices:
            found = text.find(letter, place + len(phrase))
            if found >= 0 and (best is None or found > best[0]):
                best = found, letter
    return None if best is None else best[1]


def _first_capital(reply: str, choices: Sequence[str], prefixes: Sequence[str]) -> Letter:
    text = reply.strip()
    for prefix in prefixes:
        text = text.replace(prefix, "")
    match = re.search(f"[{''.join(choices)}]", text)
    return Letter(UNPARSED, "nothing") if match is None else Letter(match[0], "first capital")
