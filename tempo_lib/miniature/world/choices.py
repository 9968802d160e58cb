"""Four-option form of a question: the options in its text, the letter at the end of its answer.

The letter stands right before its option ("B 47"), and the answer says the option before the
letter ("The red star 47 B."): picking the letter is then one look at what precedes the option.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tempo_lib.miniature.world.language import (
    ACTORS,
    PLACES,
    num_segments,
    segment_seconds,
    time_tag,
)
from tempo_lib.miniature.world.questions import (
    LETTERS,
    Question,
    after_key,
    is_correct,
    parse_answer,
)
from tempo_lib.miniature.world.scenes import CODES, MAX_COUNTED, Story

OPTION_WINDOW, OPTION_SEGMENTS = 8, 96  # time tags that any_options draws from


def as_choice(
    rng: np.random.Generator,
    question: Question,
    story: Story,
    window: int,
    offset_seconds: float = 0.0,
) -> Question:
    """The same question with four options, exactly one of them right.

    Wrong options come from the story itself where it has enough of them. ``window`` and
    ``offset_seconds`` are those of the time tags.
    """
    right = right_option(question)
    wrong = _wrong_options(rng, question, story, right, window, offset_seconds)
    options = [right, *wrong[: len(LETTERS) - 1]]
    options = [options[i] for i in rng.permutation(len(options))]
    letter = LETTERS[options.index(right)]
    return replace(
        question,
        text=question.text + option_lines(options),
        answer=f"{question.answer.removesuffix('.')} {letter}.",
        options=tuple(options),
    )


def option_lines(options: Sequence[str]) -> str:
    """Four lines, each a letter and its option, that follow a question."""
    named = zip(LETTERS, options, strict=True)
    return "".join(f"\n{letter}{after_key(option)}" for letter, option in named)


def any_options(rng: np.random.Generator, kind: str) -> list[str]:
    """Four different options that fit a kind of question, drawn without a story."""
    match kind:
        case "needle":
            known = [str(code) for code in CODES]
        case "grounding":
            known = [time_tag(segment_seconds(i, OPTION_WINDOW)) for i in range(OPTION_SEGMENTS)]
        case "attribute" | "global":
            known = list(PLACES)
        case "counting":
            known = [str(count) for count in range(1, MAX_COUNTED + 1)]
        case _:
            known = list(ACTORS)
    return [known[i] for i in rng.choice(len(known), size=len(LETTERS), replace=False)]


def right_option(question: Question) -> str:
    """The slot of an open question's answer, as an option shows it."""
    slot = parse_answer(question.kind, question.answer)
    if slot is None:
        raise ValueError(f"{question.answer!r} answers no question of kind {question.kind}")
    return f"<{slot} seconds>" if question.kind == "grounding" else slot


def _wrong_options(
    rng: np.random.Generator,
    question: Question,
    story: Story,
    right: str,
    window: int,
    offset_seconds: float,
) -> list[str]:
    """At least three different wrong options, those that the story shows first."""
    shown: list[str] = []
    others: list[str]
    match question.kind:
        case "needle":
            shown = [str(scene.code) for scene in story.scenes if scene.code is not None]
            others = [str(code) for code in CODES]
        case "grounding":
            count = num_segments(story.num_frames, window)
            shown = [time_tag(segment_seconds(i, window) + offset_seconds) for i in range(count)]
            others = [time_tag(segment_seconds(i, window)) for i in range(count + 2 * len(LETTERS))]
        case "attribute" | "global":
            others = list(PLACES)
        case "counting":
            others = [str(count) for count in range(1, MAX_COUNTED + 1)]
        case _:
            shown = [actor for actor in story.appearances if actor not in question.actors[:1]]
            others = list(ACTORS)
    if question.kind == "comparison":  # the two that are compared are always among the options
        first = [actor for actor in question.actors if actor != right]
        return [*first, *_different(rng, ACTORS, {right, *first})]
    pool = _different(rng, shown, {right})
    pool += _different(rng, others, {right, *pool})
    keyed = replace(question, options=())
    return [option for option in pool if not is_correct(keyed, option)]


def _different(
    rng: np.random.Generator, options: list[str] | tuple[str, ...], taken: set[str]
) -> list[str]:
    fresh = [option for option in dict.fromkeys(options) if option not in taken]
    return [fresh[i] for i in rng.permutation(len(fresh))]
