"""Questions about stories, their answers, and how a free answer is scored.

An answer is its key and, right after it, the slot ("The red star 4."): looking up what
follows a key takes one attention step fewer than looking past words between the two, and a
decoder of four layers learns it sooner. For the same reason no space stands before a timestamp.
Intervals are seconds (start, stop) of the scenes in question.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tempo_lib.miniature.config import KINDS
from tempo_lib.miniature.world.scenes import FPS, MAX_COUNTED, Story, num_segments, segment_seconds
from tempo_lib.prompts import timestamp

QUESTION_TEXT = {
    "needle": "Which number is shown with the {actor}?",
    "attribute": "Where is the {actor} seen?",
    "companion": "Who is with the {actor}?",
    "grounding": "When is the {actor} seen?",
    "after": "Who comes right after the {actor}?",
    "before": "Who comes right before the {actor}?",
    "counting": "How often is the {actor} seen?",
    "comparison": "Which is seen first, the {actor} or the {other}?",
    "global": "Which place is seen most?",
}
ANSWER_TEXT = {
    "needle": "The {actor}{slot}.",
    "attribute": "The {actor}{slot}.",
    "companion": "With the {actor}{slot}.",
    "grounding": "The {actor}{slot}.",
    "after": "After the {actor}{slot}.",
    "before": "Before the {actor}{slot}.",
    "counting": "The {actor}{slot}.",
    "comparison": "First{slot}.",
    "global": "The{slot}.",
}
SLOT_PATTERN = {
    "needle": r"(\d+)",
    "attribute": r"(?:the )?([a-z]+)",
    "companion": r"([a-z]+ [a-z]+)",
    "grounding": r"<?(\d+(?:\.\d+)?) seconds>?",
    "after": r"([a-z]+ [a-z]+)",
    "before": r"([a-z]+ [a-z]+)",
    "counting": r"(\d+)(?: times?)?",
    "comparison": r"([a-z]+ [a-z]+)",
    "global": r"(?:the )?([a-z]+)",
}
LETTERS = "ABCD"
HALF_INFERENCE_WINDOW_SECONDS = 2.0  # 4 of 8 frames: a timestamp is the centre of its segment


@dataclass(frozen=True)
class Question:
    kind: str
    text: str
    answer: str
    actors: tuple[str, ...]  # empty: the question is about the whole story
    start: float  # seconds; (start, stop) bounds every scene that the answer rests on
    stop: float
    options: tuple[str, ...] = ()  # of a four-option question; its answer ends on the letter

    @property
    def interval(self) -> tuple[float, float]:
        return self.start, self.stop


def all_questions(story: Story, window: int, offset_seconds: float = 0.0) -> list[Question]:
    """All questions about this story, with timestamps for segments of ``window`` frames."""
    questions = [*_about_unique_actors(story, window, offset_seconds), *_countings(story)]
    questions += _comparisons(story)
    places: Counter[str] = Counter()
    for scene in story.scenes:
        places[scene.place] += scene.num_frames
    top = places.most_common(2)
    if len(top) == 1 or top[0][1] > top[1][1]:
        seconds = story.num_frames / FPS
        questions.append(_question("global", (), top[0][0], 0.0, seconds))
    return questions


def questions_by_kind(
    story: Story, window: int, kinds: Iterable[str] = KINDS
) -> dict[str, list[Question]]:
    """All questions about this story of these kinds; a list may be empty."""
    pools: dict[str, list[Question]] = {kind: [] for kind in kinds}
    for question in all_questions(story, window):
        if question.kind in pools:
            pools[question.kind].append(question)
    return pools


def sample_questions(
    rng: np.random.Generator,
    story: Story,
    n: int,
    kinds: Iterable[str] | None = None,
    window: int = 8,
) -> list[Question]:
    """Up to ``n`` different questions, kinds taken in turn so that none dominates.

    Fewer than ``n`` only where the story has no more.
    """
    order = list(KINDS if kinds is None else kinds)
    unknown = sorted(set(order) - set(KINDS))
    if unknown:
        raise ValueError(f"unknown question kinds {unknown}; known: {', '.join(KINDS)}")
    pools = questions_by_kind(story, window, order)
    pools = {kind: spread(rng, pool) for kind, pool in pools.items()}
    chosen: list[Question] = []
    while len(chosen) < n and any(pools.values()):
        for kind in rng.permutation(order):
            if pools[kind] and len(chosen) < n:
                chosen.append(pools[kind].pop(0))
    return chosen


def spread(rng: np.random.Generator, pool: Sequence[Question]) -> list[Question]:
    """Questions of one kind in random order, those of different answers first.

    Most actors of a story are seen once: without this, "1" would answer most countings.
    """
    met: Counter[str | None] = Counter()
    ranks = []  # how many questions before this one have the same answer
    mixed = [pool[i] for i in rng.permutation(len(pool))]
    for question in mixed:
        slot = parse_answer(question.kind, question.answer)
        ranks.append(met[slot])
        met[slot] += 1
    return [mixed[i] for i in np.argsort(np.array(ranks) + rng.random(len(ranks)))]


def is_relevant(question: Question, story: Story, start: int, stop: int) -> bool:
    """Whether frames [start, stop) show an actor of the question or what answers it.

    The answer to who comes after or before is the neighbouring scene. Always true without actors.
    """
    if not question.actors:
        return True
    wanted = {i for actor in question.actors for i in story.appearances.get(actor, [])}
    step = {"after": 1, "before": -1}.get(question.kind)
    if step is not None:
        wanted |= {i + step for i in wanted}
    return any(index in wanted for index in story.visible_indices(start, stop))


def is_correct(
    question: Question,
    answer_text: str,
    tolerance_seconds: float = HALF_INFERENCE_WINDOW_SECONDS,
) -> bool:
    """Whether an answer is right: of four options by its letter, else by its slot.

    The words before a letter, "47" of "The red star 47 B.", play no part: ``is_correct_by_words``.
    """
    if question.options:
        letter = parse_letter(answer_text)
        return letter is not None and letter == parse_letter(question.answer)
    return is_correct_by_words(question, answer_text, tolerance_seconds)


def is_correct_by_words(
    question: Question,
    answer_text: str,
    tolerance_seconds: float = HALF_INFERENCE_WINDOW_SECONDS,
) -> bool:
    """Compare the answer's slot; case, spacing and a final period do not matter.

    A time is right inside the actor's interval, widened by ``tolerance_seconds``. Of four options
    the one that is named counts, whatever the letter behind it.
    """
    right = question.answer
    if question.options:
        answer_text, right = split_letter(answer_text)[0], split_letter(right)[0]
    slot = parse_answer(question.kind, answer_text)
    if slot is None:
        return False
    if question.kind == "grounding":
        low, high = question.start - tolerance_seconds, question.stop + tolerance_seconds
        return low <= float(slot) <= high
    return slot == parse_answer(question.kind, right)


def parse_answer(kind: str, text: str) -> str | None:
    """The slot at the end of an answer to a question of ``kind``; None when there is none."""
    cleaned = " ".join(text.lower().split()).rstrip(".").rstrip()
    match = re.search(rf"(?:^|\s|(?=<)){SLOT_PATTERN[kind]}$", cleaned)
    return match.group(1) if match else None


def parse_letter(text: str) -> str | None:
    """The option's letter at the end of an answer, "B" of "The red star 4 B."; None without."""
    return split_letter(text)[1]


def split_letter(text: str) -> tuple[str, str | None]:
    """An answer without the option's letter at its end, and the letter, None without one.

    "The red star 4 B." gives "The red star 4" and "B".
    """
    match = re.search(rf"(?:^|[\s(>])([{LETTERS}])\)?\.?\s*$", text.upper())
    return (text[: match.start(1)].rstrip(" ("), match.group(1)) if match else (text, None)


def after_key(slot: str) -> str:
    """A slot as it follows its key: with a space, but for a timestamp."""
    return slot if slot.startswith("<") else f" {slot}"


def _question(kind: str, actors: tuple[str, ...], slot: str, start: float, stop: float) -> Question:
    names = dict(zip(("actor", "other"), actors, strict=False))
    text = QUESTION_TEXT[kind].format(**names)
    answer = ANSWER_TEXT[kind].format(**names, slot=after_key(slot))
    return Question(kind, text, answer, actors, start, stop)


def _about_unique_actors(story: Story, window: int, offset_seconds: float) -> list[Question]:
    questions = []
    for index, scene in enumerate(story.scenes):
        actor = scene.actor
        if actor is None or len(story.appearances[actor]) > 1:
            continue
        first = first_segment(story, index, window)
        seen_at = timestamp(segment_seconds(first, window) + offset_seconds)
        slots = {"needle": str(scene.number), "attribute": scene.place, "grounding": seen_at}
        if len(scene.bystanders) == 1:
            slots["companion"] = scene.bystanders[0].name
        spans = dict.fromkeys(slots, (index, index))
        # only where the neighbouring scene has an actor: "right after" means the next scene
        for kind, other in (("after", index + 1), ("before", index - 1)):
            neighbour = story.scenes[other].actor if 0 <= other < len(story.scenes) else None
            if neighbour is not None:
                slots[kind] = neighbour
                spans[kind] = (min(index, other), max(index, other))
        for kind, slot in slots.items():
            low, high = spans[kind]
            start, stop = story.starts[low] / FPS, story.starts[high + 1] / FPS
            span = (start + offset_seconds, stop + offset_seconds)
            questions.append(_question(kind, (actor,), slot, *span))
    return questions


def _comparisons(story: Story) -> list[Question]:
    """Pairs of actors that appear once, neighbours by name: their order gives no hint of time."""
    first = {actor: places[0] for actor, places in story.appearances.items() if len(places) == 1}
    names = sorted(first)
    others = names[1:] + names[:1] if len(names) > 2 else names[1:]
    questions = []
    for actor, other in zip(names, others, strict=False):
        low, high = sorted((first[actor], first[other]))
        start, stop = story.starts[low] / FPS, story.starts[high + 1] / FPS
        earlier = actor if first[actor] == low else other
        questions.append(_question("comparison", (actor, other), earlier, start, stop))
    return questions


def _countings(story: Story) -> list[Question]:
    questions = []
    for actor, indices in story.appearances.items():
        count = len(indices)
        if count <= MAX_COUNTED:
            start, stop = story.starts[indices[0]] / FPS, story.starts[indices[-1] + 1] / FPS
            questions.append(_question("counting", (actor,), str(count), start, stop))
    return questions


def first_segment(story: Story, scene_index: int, window: int) -> int:
    """The first segment that shows at least 2 frames of the scene."""
    start, stop = story.starts[scene_index], story.starts[scene_index + 1]
    for segment in range(start // window, num_segments(story.num_frames, window)):
        if min(stop, (segment + 1) * window) - max(start, segment * window) >= 2:
            return segment
    raise ValueError(f"scene {scene_index} is in no segment of {window} frames; use an even window")
