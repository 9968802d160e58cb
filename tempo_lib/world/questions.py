"""Questions about stories, their answers, and how a free answer is judged.

An answer is its key and, right after it, the slot ("The red star 47."): looking up what
follows a key takes one attention step fewer than looking past words between the two, and a
decoder of four layers learns it sooner. Intervals are seconds (start, stop) of the asked scene.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tempo_lib.world.language import FPS, num_segments, segment_seconds, time_tag
from tempo_lib.world.scenes import MAX_COUNTED, Story

KINDS = ("needle", "grounding", "after", "before", "counting", "global")
QUESTION_TEXT = {
    "needle": "Which number is shown with the {actor}?",
    "grounding": "When is the {actor} seen?",
    "after": "Who comes right after the {actor}?",
    "before": "Who comes right before the {actor}?",
    "counting": "How often is the {actor} seen?",
    "global": "Which place is seen most?",
}
ANSWER_TEXT = {
    "needle": "The {actor} {slot}.",
    "grounding": "The {actor} {slot}.",
    "after": "After the {actor} {slot}.",
    "before": "Before the {actor} {slot}.",
    "counting": "The {actor} {slot}.",
    "global": "The {slot}.",
}
SLOT_PATTERN = {
    "needle": r"(\d+)",
    "grounding": r"<?(\d+(?:\.\d+)?) seconds>?",
    "after": r"([a-z]+ [a-z]+)",
    "before": r"([a-z]+ [a-z]+)",
    "counting": r"(\d+)(?: times?)?",
    "global": r"(?:the )?([a-z]+)",
}
HALF_INFERENCE_WINDOW_SECONDS = 2.0  # 4 of 8 frames: a tag names the centre of its segment


@dataclass(frozen=True)
class Question:
    kind: str
    text: str
    answer: str
    actor: str | None  # None: the question is about the whole story
    start: float  # seconds; (start, stop) bounds every appearance of the actor
    stop: float

    @property
    def interval(self) -> tuple[float, float]:
        return self.start, self.stop


def ask_all(story: Story, window: int, offset_seconds: float = 0.0) -> list[Question]:
    """All questions this story can answer, with time tags for segments of ``window`` frames."""
    questions = [*_ask_about_unique(story, window, offset_seconds), *_ask_counts(story)]
    places: Counter[str] = Counter()
    for scene in story.scenes:
        places[scene.place] += scene.num_frames
    top = places.most_common(2)
    if len(top) == 1 or top[0][1] > top[1][1]:
        seconds = story.num_frames / FPS
        questions.append(_ask("global", None, top[0][0], 0.0, seconds))
    return questions


def sample_questions(
    rng: np.random.Generator,
    story: Story,
    n: int,
    kinds: Iterable[str] | None = None,
    window: int = 8,
) -> list[Question]:
    """Up to ``n`` different questions, kinds taken in turn so that none dominates.

    Fewer than ``n`` only where the story has no more to ask.
    """
    wanted = list(KINDS if kinds is None else kinds)
    unknown = sorted(set(wanted) - set(KINDS))
    if unknown:
        raise ValueError(f"unknown question kinds {unknown}; known: {', '.join(KINDS)}")
    pools: dict[str, list[Question]] = {kind: [] for kind in wanted}
    for question in ask_all(story, window):
        if question.kind in pools:
            pools[question.kind].append(question)
    for pool in pools.values():
        rng.shuffle(pool)
    chosen: list[Question] = []
    while len(chosen) < n and any(pools.values()):
        for kind in rng.permutation(wanted):
            if pools[kind] and len(chosen) < n:
                chosen.append(pools[kind].pop())
    return chosen


def is_relevant(question: Question, story: Story, start: int, stop: int) -> bool:
    """Whether frames [start, stop) show the asked actor; always true without an actor."""
    if question.actor is None:
        return True
    return any(scene.actor == question.actor for scene in story.visible(start, stop))


def is_correct(
    question: Question,
    answer_text: str,
    tolerance_seconds: float = HALF_INFERENCE_WINDOW_SECONDS,
) -> bool:
    """Compare the answer's slot; case, spacing and a final period do not matter.

    A time is right inside the actor's interval, widened by ``tolerance_seconds``.
    """
    slot = parse_answer(question.kind, answer_text)
    if slot is None:
        return False
    if question.kind == "grounding":
        low, high = question.start - tolerance_seconds, question.stop + tolerance_seconds
        return low <= float(slot) <= high
    return slot == parse_answer(question.kind, question.answer)


def parse_answer(kind: str, text: str) -> str | None:
    """The slot at the end of an answer to a question of ``kind``; None when there is none."""
    cleaned = " ".join(text.lower().split()).rstrip(".").rstrip()
    match = re.search(rf"(?:^|\s){SLOT_PATTERN[kind]}$", cleaned)
    return match.group(1) if match else None


def _ask(kind: str, actor: str | None, slot: str, start: float, stop: float) -> Question:
    text = QUESTION_TEXT[kind].format(actor=actor)
    answer = ANSWER_TEXT[kind].format(actor=actor, slot=slot)
    return Question(kind, text, answer, actor, start, stop)


def _ask_about_unique(story: Story, window: int, offset_seconds: float) -> list[Question]:
    questions = []
    for index, scene in enumerate(story.scenes):
        actor = scene.actor
        if actor is None or len(story.appearances[actor]) > 1:
            continue
        start, stop = story.starts[index] / FPS, story.starts[index + 1] / FPS
        first = first_segment(story, index, window)
        seen_at = time_tag(segment_seconds(first, window) + offset_seconds)
        slots = {"needle": str(story.scenes[index].code), "grounding": seen_at}
        # only where the neighbouring scene has an actor: "right after" means the next scene
        for kind, other in (("after", index + 1), ("before", index - 1)):
            neighbour = story.scenes[other].actor if 0 <= other < len(story.scenes) else None
            if neighbour is not None:
                slots[kind] = neighbour
        for kind, slot in slots.items():
            span = (start + offset_seconds, stop + offset_seconds)
            questions.append(_ask(kind, actor, slot, *span))
    return questions


def _ask_counts(story: Story) -> list[Question]:
    questions = []
    for actor, indices in story.appearances.items():
        count = len(indices)
        if count <= MAX_COUNTED:
            start, stop = story.starts[indices[0]] / FPS, story.starts[indices[-1] + 1] / FPS
            slot = "1 time" if count == 1 else f"{count} times"
            questions.append(_ask("counting", actor, slot, start, stop))
    return questions


def first_segment(story: Story, scene_index: int, window: int) -> int:
    """The first segment that shows at least 2 frames of the scene."""
    start, stop = story.starts[scene_index], story.starts[scene_index + 1]
    for segment in range(start // window, num_segments(story.num_frames, window)):
        if min(stop, (segment + 1) * window) - max(start, segment * window) >= 2:
            return segment
    raise ValueError(f"scene {scene_index} is in no segment of {window} frames; use an even window")
