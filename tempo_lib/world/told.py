"""Which segments of a training video the decoder is told in words, and which it must see.

The base decoder answers from transcripts. Among words, a memory is to be read where the rest of
the way is known; and long contexts cost little, as what is told is not compressed.
"""

import numpy as np

from tempo_lib.world.corpus_specs import SourceSpec
from tempo_lib.world.language import segment_captions
from tempo_lib.world.questions import Question, is_relevant
from tempo_lib.world.scenes import Story

FEWEST_SEEN = 2
NEAR_SHARE = 0.75  # of the segments that matter for a question, those kept among the seen first


def told_segments(
    rng: np.random.Generator, story: Story, question: Question, source: SourceSpec
) -> list[str | None]:
    """The caption of every segment that is told, None for one that is seen.

    Between two and ``source.most_seen`` segments are seen. Those that show an asked actor, and
    their neighbours, are rather seen than others: told, they would leave nothing to learn.
    """
    captions = [text for _, text in segment_captions(story, source.window)]
    num_seen = int(rng.integers(FEWEST_SEEN, source.most_seen + 1))
    near = _near(story, question, source.window, len(captions)) & (
        rng.random(len(captions)) < NEAR_SHARE
    )
    order = np.argsort(rng.random(len(captions)) - near)
    seen = set(order[:num_seen].tolist())
    return [None if index in seen else text for index, text in enumerate(captions)]


def _near(story: Story, question: Question, window: int, num_segments: int) -> np.ndarray:
    """Segments that show an asked actor and the ones beside them; none without actors."""
    shown = np.zeros(num_segments + 2, dtype=bool)
    for index in range(num_segments):
        is_shown = is_relevant(question, story, index * window, (index + 1) * window)
        shown[index + 1] = bool(question.actors) and is_shown
    return shown[:-2] | shown[1:-1] | shown[2:]
