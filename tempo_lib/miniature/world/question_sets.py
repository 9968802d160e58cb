"""Which questions a story gets, and in which form, so that a suite mirrors a benchmark.

A story holds few questions of a kind (four actors appear once), so drawing each question on
its own would often find its kind used up. Numbers of questions are drawn per kind instead,
each the whole number below or above what the weights ask for.

In the four-option form the options stand in the question's text and the letter at the end of its
answer. The letter stands right before its option ("B 4"), and the answer names the option before
the letter ("The red star 4 B."): a model then finds the letter right before the option.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tempo_lib.miniature.config import QuestionMix
from tempo_lib.miniature.world.questions import (
    LETTERS,
    Question,
    after_key,
    is_correct,
    parse_answer,
    questions_by_kind,
    spread,
)
from tempo_lib.miniature.world.scenes import (
    ACTORS,
    BYSTANDERS,
    MAX_COUNTED,
    NUMBERS,
    PLACES,
    Story,
    num_segments,
    segment_seconds,
)
from tempo_lib.prompts import timestamp

OPTION_WINDOW, OPTION_SEGMENTS = 8, 96  # timestamps that any_options draws from


def sample_mix(
    rng: np.random.Generator, story: Story, mix: QuestionMix, window: int
) -> list[Question]:
    """Different questions of a story in random order, kinds in the proportions of ``mix``.

    Their number is drawn from ``mix``; fewer only where the story has no more of these kinds.
    ``window`` is that of the timestamps.
    """
    pools = questions_by_kind(story, window, mix.kinds)
    times = np.array([times for _, times in mix.per_story], dtype=float)
    number = mix.per_story[int(rng.choice(len(times), p=times / times.sum()))][0]
    supply = {kind: len(pool) for kind, pool in pools.items()}
    chosen: list[Question] = []
    for kind, count in draw_counts(rng, mix.shares(), supply, number).items():
        chosen += spread(rng, pools[kind])[:count]
    return [chosen[i] for i in rng.permutation(len(chosen))]


def draw_counts(
    rng: np.random.Generator, shares: Mapping[str, float], supply: Mapping[str, int], number: int
) -> dict[str, int]:
    """How many of ``number`` questions each kind gets, at most its ``supply``.

    Systematic sampling: ``number`` evenly spaced points with a random start fall on kinds laid
    end to end in random order. A kind gets the whole number below or above its share, and its
    share on average. What a kind cannot supply goes to the others, by their shares.
    """
    counts: Counter[str] = Counter()
    while counts.total() < number:
        free = [kind for kind in shares if counts[kind] < supply[kind]]
        if not free:
            break
        rest = number - counts.total()
        order = [free[i] for i in rng.permutation(len(free))]
        ends = np.cumsum([shares[kind] for kind in order])
        points = (np.arange(rest) + rng.random()) * ends[-1] / rest
        for index in np.searchsorted(ends, points, side="right"):
            counts[order[min(int(index), len(order) - 1)]] += 1
        for kind in order:
            counts[kind] = min(counts[kind], supply[kind])
    return {kind: counts[kind] for kind in shares}


def with_choices(
    rng: np.random.Generator,
    questions: Sequence[Question],
    story: Story,
    window: int,
    share: float,
) -> list[Question]:
    """The same questions in the same order, a random ``share`` of them with four options.

    Their number is the whole number below or above the share of all, the share on average.
    """
    count = int(share * len(questions) + rng.random())
    picked = set(rng.permutation(len(questions))[:count].tolist())
    return [
        as_choice(rng, question, story, window) if i in picked else question
        for i, question in enumerate(questions)
    ]


def as_choice(
    rng: np.random.Generator,
    question: Question,
    story: Story,
    window: int,
    offset_seconds: float = 0.0,
) -> Question:
    """The same question with four options, exactly one of them right.

    Wrong options come from the story itself where it has enough of them. ``window`` and
    ``offset_seconds`` are those of the timestamps.
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
    known = _possible_options(kind, OPTION_WINDOW, OPTION_SEGMENTS)
    return [known[i] for i in rng.choice(len(known), size=len(LETTERS), replace=False)]


def _possible_options(kind: str, window: int, num_segments: int) -> list[str]:
    """Everything that can answer a question of a kind; times of so many segments."""
    match kind:
        case "needle":
            return [str(number) for number in NUMBERS]
        case "companion":
            return list(BYSTANDERS)
        case "grounding":
            return [timestamp(segment_seconds(i, window)) for i in range(num_segments)]
        case "attribute" | "global":
            return list(PLACES)
        case "counting":
            return [str(count) for count in range(1, MAX_COUNTED + 1)]
        case _:
            return list(ACTORS)


def right_option(question: Question) -> str:
    """The slot of an open question's answer, as an option shows it."""
    slot = parse_answer(question.kind, question.answer)
    if slot is None:
        raise ValueError(f"{question.answer!r} answers no question of kind {question.kind}")
    return timestamp(float(slot)) if question.kind == "grounding" else slot


def _wrong_options(
    rng: np.random.Generator,
    question: Question,
    story: Story,
    right: str,
    window: int,
    offset_seconds: float,
) -> list[str]:
    """At least three different wrong options, those that the story shows first."""
    count, shown = num_segments(story.num_frames, window), []
    match question.kind:
        case "needle":
            shown = [str(scene.number) for scene in story.scenes if scene.number is not None]
        case "companion":
            shown = [one.name for scene in story.scenes for one in scene.bystanders]
        case "grounding":
            shown = [timestamp(segment_seconds(i, window) + offset_seconds) for i in range(count)]
        case "after" | "before":
            shown = [actor for actor in story.appearances if actor not in question.actors[:1]]
    others = _possible_options(question.kind, window, count + 2 * len(LETTERS))
    if question.kind == "comparison":  # the two that are compared are always among the options
        first = [actor for actor in question.actors if actor != right]
        return [*first, *_different(rng, others, {right, *first})]
    pool = _different(rng, shown, {right})
    pool += _different(rng, others, {right, *pool})
    keyed = replace(question, options=())
    return [option for option in pool if not is_correct(keyed, option)]


def _different(rng: np.random.Generator, options: list[str], taken: set[str]) -> list[str]:
    fresh = [option for option in dict.fromkeys(options) if option not in taken]
    return [fresh[i] for i in rng.permutation(len(fresh))]
