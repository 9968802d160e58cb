"""The world in numbers: what its stories hold, what can be asked of them, what guessing gives.

No picture is painted here: stories and questions are drawn from seeds alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.miniature.world.question_sets import as_choice, right_option
from tempo_lib.miniature.world.questions import (
    KINDS,
    LETTERS,
    Question,
    all_questions,
    is_correct,
    parse_letter,
)
from tempo_lib.miniature.world.scenes import ACTORS, CODES, FPS, PLACES, Scene, Story, make_story

if TYPE_CHECKING:
    import pandas as pd

SHOWCASE_SCENE_FRAMES = 8  # one window of inference


def showcase_story(seed: int) -> Story:
    """Every place empty, then every actor with a code of its own; each place serves two actors."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(list(PLACES) * (len(ACTORS) // len(PLACES))).tolist()
    codes = rng.permutation(list(CODES))[: len(ACTORS)].tolist()
    shown = [Scene(None, None, place, SHOWCASE_SCENE_FRAMES) for place in PLACES]
    for actor, code, place in zip(ACTORS, codes, places, strict=True):
        shown.append(Scene(actor, code, place, SHOWCASE_SCENE_FRAMES))
    return Story(tuple(shown))


def scene_middles(story: Story) -> list[int]:
    """The frame in the middle of every scene."""
    return [
        start + scene.num_frames // 2
        for start, scene in zip(story.starts, story.scenes, strict=False)
    ]


def draw_stories(num_stories: int, num_frames: int, seed: int) -> list[Story]:
    """Stories of one length; story i does not depend on how many are drawn."""
    if num_stories < 1:
        raise ValueError(f"statistics need at least 1 story, got {num_stories}")
    return [
        make_story(np.random.default_rng([seed, num_frames, index]), num_frames)
        for index in range(num_stories)
    ]


def complete_story(num_frames: int, seed: int, attempts: int = 1000) -> Story:
    """The first story drawn that can answer questions of all kinds.

    ValueError when none of ``attempts`` can: very short stories have no counted actors.
    """
    for index in range(attempts):
        story = make_story(np.random.default_rng([seed, num_frames, index]), num_frames)
        asked = {question.kind for question in all_questions(story, SHOWCASE_SCENE_FRAMES)}
        if asked == set(KINDS):
            return story
    raise ValueError(f"no story of {num_frames} frames answers all kinds; ask for a longer one")


def question_forms(story: Story, window: int, seed: int) -> "pd.DataFrame":
    """One question of every kind in both forms; answers as the model should write them."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    rows = []
    for kind in KINDS:
        same = [question for question in all_questions(story, window) if question.kind == kind]
        if not same:
            continue
        asked = same[int(rng.integers(len(same)))]
        choice = as_choice(rng, asked, story, window)
        named = zip(LETTERS, choice.options, strict=True)
        rows.append(
            {
                "kind": kind,
                "question": asked.text,
                "open answer": asked.answer,
                "options": "   ".join(f"{letter} {option}" for letter, option in named),
                "four-option answer": choice.answer,
            }
        )
    return pd.DataFrame(rows).set_index("kind")


def scene_lengths(stories: Iterable[Story]) -> "pd.DataFrame":
    """Columns frames, seconds, scenes, share: how long scenes last."""
    import pandas as pd

    found = Counter(scene.num_frames for story in stories for scene in story.scenes)
    rows = [(frames, frames / FPS, found[frames]) for frames in sorted(found)]
    table = pd.DataFrame(rows, columns=["frames", "seconds", "scenes"])
    table["share"] = table["scenes"] / table["scenes"].sum()
    return table


def askable(stories_by_frames: Mapping[int, Sequence[Story]], window: int) -> "pd.DataFrame":
    """Columns frames, kind, mean, share: questions of a kind a story can answer.

    ``mean``: average number; ``share``: of stories that can answer at least one.
    """
    import pandas as pd

    rows = []
    for frames, stories in stories_by_frames.items():
        counts = [Counter(q.kind for q in all_questions(story, window)) for story in stories]
        for kind in KINDS:
            numbers = np.array([count[kind] for count in counts])
            row = {"frames": frames, "kind": kind, "mean": float(numbers.mean())}
            rows.append({**row, "share": float((numbers > 0).mean())})
    return pd.DataFrame(rows)


def guessing(stories: Sequence[Story], window: int, seed: int) -> "pd.DataFrame":
    """What guessing gives, per kind, on up to one question of a kind a story.

    Columns: n; answers (different right answers); commonest and its floor (always that answer,
    judged as the model is); coin (comparison only: always the actor named first); letter (always
    the same letter, four options); shares (of the right answers, commonest first).
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    opens: dict[str, list[Question]] = {kind: [] for kind in KINDS}
    letters: dict[str, Counter[str | None]] = {kind: Counter() for kind in KINDS}
    for story in stories:
        pool = all_questions(story, window)
        for kind in KINDS:
            same = [question for question in pool if question.kind == kind]
            if same:
                asked = same[int(rng.integers(len(same)))]
                opens[kind].append(asked)
                choice = as_choice(rng, asked, story, window)
                letters[kind][parse_letter(choice.answer)] += 1
    asked_kinds = [kind for kind in KINDS if opens[kind]]
    rows = [_guess(kind, opens[kind], letters[kind]) for kind in asked_kinds]
    return pd.DataFrame(rows).set_index("kind")


def _guess(kind: str, asked: list[Question], letters: Counter[str | None]) -> dict[str, object]:
    slots = Counter(right_option(question) for question in asked)
    hits = {slot: sum(is_correct(question, slot) for question in asked) for slot in slots}
    commonest = max(hits, key=lambda slot: hits[slot])
    named_first = sum(right_option(q) == q.actors[0] for q in asked if q.actors)
    return {
        "kind": kind,
        "n": len(asked),
        "answers": len(slots),
        "commonest": commonest,
        "floor": hits[commonest] / len(asked),
        "coin": named_first / len(asked) if kind == "comparison" else np.nan,
        "letter": max(letters.values()) / letters.total(),
        "shares": [count / len(asked) for _, count in slots.most_common()],
    }
