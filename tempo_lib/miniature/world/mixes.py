"""Which questions a story is asked, and in which form, so that a suite mirrors a benchmark.

A story holds few questions of a kind (four actors appear once), so drawing each question on
its own would often find its kind used up. Numbers of questions are drawn per kind instead,
each the whole number below or above what the weights ask for.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tempo_lib.miniature.config import QuestionMix
from tempo_lib.miniature.world.choices import as_choice
from tempo_lib.miniature.world.questions import Question, ask_all, spread
from tempo_lib.miniature.world.scenes import Story


def sample_mix(
    rng: np.random.Generator, story: Story, mix: QuestionMix, window: int
) -> list[Question]:
    """Different questions of a story in random order, kinds in the proportions of ``mix``.

    Their number is drawn from ``mix``; fewer only where the story has no more to ask in the
    kinds of the mix. ``window`` is that of the time tags.
    """
    pools: dict[str, list[Question]] = {kind: [] for kind in mix.kinds}
    for question in ask_all(story, window):
        if question.kind in pools:
            pools[question.kind].append(question)
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
