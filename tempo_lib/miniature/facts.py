"""The world in numbers: what its stories hold, what guessing gives, what its suites are made of.

No picture is painted here: stories and questions are drawn from seeds alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.config import Preset, load_preset
from tempo_lib.miniature.benchmark import SUITES, benchmark_question, suite_numbers, suite_spec
from tempo_lib.miniature.config import KINDS
from tempo_lib.miniature.manifests import load_manifest
from tempo_lib.miniature.world.corpus_specs import questions_of, story_of, suite_corpus
from tempo_lib.miniature.world.question_sets import as_choice, right_option
from tempo_lib.miniature.world.questions import (
    LETTERS,
    Question,
    is_correct,
    parse_letter,
    questions_by_kind,
)
from tempo_lib.miniature.world.scenes import (
    ACTORS,
    BYSTANDERS,
    FPS,
    NUMBERS,
    PLACES,
    Bystander,
    Scene,
    Story,
    make_story,
)
from tempo_lib.statistics.majority import constant_answers
from tempo_lib.statistics.summaries import ALL

if TYPE_CHECKING:
    import pandas as pd

SHOWCASE_SCENE_FRAMES = 8  # one window of inference


def showcase_story(seed: int) -> Story:
    """Every place empty, then every actor with a bystander; each place serves two actors.

    Every number and every bystander occurs.
    """
    rng = np.random.default_rng(seed)
    places = rng.permutation(list(PLACES) * (len(ACTORS) // len(PLACES))).tolist()
    numbers = rng.permutation([*NUMBERS, *NUMBERS][: len(ACTORS)]).tolist()
    shown = [Scene(None, None, place, SHOWCASE_SCENE_FRAMES) for place in PLACES]
    others = rng.permutation(list(BYSTANDERS)).tolist()
    for actor, number, place, other in zip(ACTORS, numbers, places, others, strict=True):
        with_it = (Bystander(other, 0, SHOWCASE_SCENE_FRAMES),)
        shown.append(Scene(actor, number, place, SHOWCASE_SCENE_FRAMES, with_it))
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
        if all(questions_by_kind(story, SHOWCASE_SCENE_FRAMES).values()):
            return story
    raise ValueError(f"no story of {num_frames} frames answers all kinds; take more frames")


def question_forms(story: Story, window: int, seed: int) -> "pd.DataFrame":
    """One question of every kind in both forms; answers as the model should write them."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    rows = []
    for kind, same in questions_by_kind(story, window).items():
        if not same:
            continue
        question = same[int(rng.integers(len(same)))]
        choice = as_choice(rng, question, story, window)
        named = zip(LETTERS, choice.options, strict=True)
        rows.append(
            {
                "kind": kind,
                "question": question.text,
                "open answer": question.answer,
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


def question_counts(
    stories_by_frames: Mapping[int, Sequence[Story]], window: int
) -> "pd.DataFrame":
    """Columns frames, kind, mean, share: questions of a kind that stories of a length have.

    ``mean``: average number per story; ``share``: of stories that have at least one.
    """
    import pandas as pd

    rows = []
    for frames, stories in stories_by_frames.items():
        pools = [questions_by_kind(story, window) for story in stories]
        for kind in KINDS:
            numbers = np.array([len(pool[kind]) for pool in pools])
            row = {"frames": frames, "kind": kind, "mean": float(numbers.mean())}
            rows.append({**row, "share": float((numbers > 0).mean())})
    return pd.DataFrame(rows)


def guessing(stories: Sequence[Story], window: int, seed: int) -> "pd.DataFrame":
    """What guessing gives, per kind, on up to one question of a kind per story.

    Columns: n; answers (different right answers); majority_answer and its floor (always that
    answer, scored as the model is: the majority-class baseline); coin (comparison only: always the
    actor named first); letter (always the same letter, four options); shares (of the right answers,
    most frequent first).
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    opens: dict[str, list[Question]] = {kind: [] for kind in KINDS}
    letters: dict[str, Counter[str | None]] = {kind: Counter() for kind in KINDS}
    for story in stories:
        for kind, same in questions_by_kind(story, window).items():
            if same:
                question = same[int(rng.integers(len(same)))]
                opens[kind].append(question)
                choice = as_choice(rng, question, story, window)
                letters[kind][parse_letter(choice.answer)] += 1
    rows = [_guess(kind, opens[kind], letters[kind]) for kind in KINDS if opens[kind]]
    return pd.DataFrame(rows).set_index("kind")


def _guess(kind: str, questions: list[Question], letters: Counter[str | None]) -> dict[str, object]:
    slots = Counter(right_option(question) for question in questions)
    hits = {slot: sum(is_correct(question, slot) for question in questions) for slot in slots}
    majority = max(hits, key=lambda slot: hits[slot])
    named_first = sum(right_option(q) == q.actors[0] for q in questions if q.actors)
    return {
        "kind": kind,
        "n": len(questions),
        "answers": len(slots),
        "majority_answer": majority,
        "floor": hits[majority] / len(questions),
        "coin": named_first / len(questions) if kind == "comparison" else np.nan,
        "letter": max(letters.values()) / letters.total(),
        "shares": [count / len(questions) for _, count in slots.most_common()],
    }


def majority_baselines(
    preset: Preset | str, name: str, world_seed: int, by: str
) -> dict[str, float]:
    """Accuracy of the best constant answer of a suite, by "kind" or "form", and for "all".

    Over the whole suite, however few of its questions a run takes: among five questions, the
    most frequent answer would look like a good guess.
    """
    _, questions = _drawn(
        load_preset(preset) if isinstance(preset, str) else preset, name, world_seed
    )
    groups: dict[str, list[Question]] = {ALL: questions}
    for question in questions:
        form = "choice" if question.options else "open"
        groups.setdefault({"kind": question.kind, "form": form}[by], []).append(question)
    return {value: _majority_baseline(same) for value, same in groups.items()}


def suite_facts(preset: Preset | str, world_seed: int = 0) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Draw all questions of the four suites; return their sizes and their mixes.

    Sizes, by suite: benchmark, videos, questions, choices (share with four options), seconds
    (mean), and the real ones beside them. Mixes: rows (suite, benchmark, kind, real, ours,
    real_n, n) with shares in 0..1. ValueError for a preset without suites.
    """
    import pandas as pd

    preset = load_preset(preset) if isinstance(preset, str) else preset
    sizes, mixes = [], []
    for name in SUITES:
        manifest = load_manifest(name)
        stories, questions = _drawn(preset, name, world_seed)
        kinds = Counter(question.kind for question in questions)
        weight = sum(manifest.kinds.values())
        real_n = sum(real.count for real in manifest.types.values())
        sizes.append(
            {
                "suite": name,
                "benchmark": manifest.benchmark,
                "videos": len(stories),
                "questions": len(questions),
                "a video": len(questions) / len(stories),
                "real, a video": manifest.questions_per_video.mean,
                "four options": sum(bool(q.options) for q in questions) / len(questions),
                "mean seconds": sum(s.num_frames for s in stories) / FPS / len(stories),
                "real, mean seconds": manifest.mean_seconds.paper,
            }
        )
        for kind in KINDS:
            row = {"suite": name, "benchmark": manifest.benchmark, "kind": kind}
            shares = {"real": manifest.kinds[kind] / weight, "ours": kinds[kind] / len(questions)}
            mixes.append({**row, **shares, "real_n": real_n, "n": len(questions)})
    return pd.DataFrame(sizes).set_index("suite"), pd.DataFrame(mixes)


def _majority_baseline(questions: list[Question]) -> float:
    """Accuracy of the best constant answer to questions of the world."""
    world_of = {str(index): question for index, question in enumerate(questions)}
    rule = [lambda question, text: is_correct(world_of[question.id], text)] * len(questions)
    return constant_answers([benchmark_question(*pair) for pair in world_of.items()], rule)


def _drawn(preset: Preset, name: str, world_seed: int) -> tuple[list[Story], list[Question]]:
    """All stories of a suite and all questions about them, in order."""
    spec = suite_spec(name, suite_numbers(preset))
    (source,) = suite_corpus(spec).sources
    stories = [story_of(name, source, world_seed, index) for index in range(spec.num_videos)]
    questions = [
        question
        for index, story in enumerate(stories)
        for question in questions_of(name, source, world_seed, index, story)
    ]
    return stories, questions
