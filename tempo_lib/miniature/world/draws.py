"""What story ``index`` of a source is and what it is asked, from seeds alone.

Everything depends on (corpus, source, seed, index): not on how many stories there are, nor on
what another source holds. Corpora of different names draw from different seeds, so that no
long story of a suite is trained on.
"""

import zlib

import numpy as np

from tempo_lib.miniature.world.corpus_specs import SourceSpec
from tempo_lib.miniature.world.language import ALL_NAMES
from tempo_lib.miniature.world.mixes import sample_mix, with_choices
from tempo_lib.miniature.world.questions import Question, sample_questions
from tempo_lib.miniature.world.scenes import Story, make_story

IMAGE_STORY_FRAMES = 24  # an image is one frame of such a story, so that empty places occur
_STREAMS = {"story": 0, "questions": 1, "pictures": 2, "choices": 3}


def story_of(corpus: str, source: SourceSpec, seed: int, index: int) -> Story:
    """Return story ``index`` of a source; for an image, the story its one frame is taken from."""
    rng = generator(corpus, source.name, seed, index, "story")
    if source.modality == "image":
        return make_story(rng, IMAGE_STORY_FRAMES)
    choices = (source.max_frames - source.min_frames) // source.frame_step + 1
    num_frames = source.min_frames + source.frame_step * int(rng.integers(choices))
    if source.modality == "text":  # the text-only world has more names than can be drawn
        return make_story(rng, num_frames, actors=ALL_NAMES)
    return make_story(rng, num_frames)


def questions_of(
    corpus: str, source: SourceSpec, seed: int, index: int, story: Story
) -> list[Question]:
    """Return what is asked of story ``index``, with time tags from its first frame on.

    Options are drawn from a stream of their own: ``choice_share`` changes nothing but the form.
    """
    rng = generator(corpus, source.name, seed, index, "questions")
    if source.mix is not None:
        asked = sample_mix(rng, story, source.mix, source.window)
    elif source.questions_per_story:
        number = source.questions_per_story
        asked = sample_questions(rng, story, number, source.kinds, source.window)
    else:  # an image is shorter than a segment: there is nothing to ask about time
        return []
    rng = generator(corpus, source.name, seed, index, "choices")
    return with_choices(rng, asked, story, source.window, source.choice_share)


def namespace(corpus: str, source: str) -> int:
    """Return the number that keeps the seeds of one source apart from all others."""
    return zlib.crc32(f"{corpus}/{source}".encode())


def generator(corpus: str, source: str, seed: int, index: int, stream: str) -> np.random.Generator:
    """Return the generator that one story uses for one purpose."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"a seed must lie in 0..2**32 - 1, got {seed}")
    key = [namespace(corpus, source), seed, index, _STREAMS[stream]]
    return np.random.default_rng(np.random.SeedSequence(key))
