"""What a suite holds, and each story of a corpus from seeds alone.

Everything depends on (corpus, source, seed, index): not on how many stories there are, nor on
what another source holds. Corpora of different names draw from different seeds, so that no
long story of a suite is trained on. Frames are counted at the world's two frames per second.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np

from tempo_lib.miniature.config import CorpusSpec, QuestionMix, SourceSpec
from tempo_lib.miniature.world.question_sets import sample_mix, with_choices
from tempo_lib.miniature.world.questions import Question, sample_questions
from tempo_lib.miniature.world.scenes import ALL_BYSTANDERS, ALL_NAMES, Story, make_story

# Mean durations of the four benchmarks in seconds (the paper's Table 1); suites follow them.
SUITE_SECONDS = {
    "mini-longvideobench": 473,
    "mini-mlvu": 651,
    "mini-videomme": 1010,
    "mini-lvbench": 4101,
}
# Of Video-MME's three equal parts: long is Table 1's, short its own paper's, medium what is left of
# the mean.
SUITE_DURATIONS = {"mini-videomme": {"short": 81, "medium": 563, "long": 2386}}
IMAGE_STORY_FRAMES = 24  # an image is one frame of such a story, so that empty places occur
_STREAMS = {"story": 0, "questions": 1, "pictures": 2, "choices": 3}


@dataclass(frozen=True, kw_only=True)
class SuiteSpec:
    """A mini benchmark. ``lengths``: mean frames by duration, in turn from video to video.

    A video's length lies within its mean * (1 +- jitter). A suite of one duration calls it "".
    """

    name: str
    num_videos: int
    mix: QuestionMix
    choice_share: float
    lengths: tuple[tuple[str, int], ...]
    jitter: float
    window: int
    size: int
    crf: int


def suite_lengths(name: str, frames_per_second: float, longest: int) -> tuple[tuple[str, int], ...]:
    """Even mean frames of a suite's videos by duration, from seconds of the real benchmark."""
    durations = SUITE_DURATIONS.get(name, {"": SUITE_SECONDS[name]})
    return tuple(
        (label, 2 * round(min(seconds * frames_per_second, longest) / 2))
        for label, seconds in durations.items()
    )


def duration_of(name: str, index: int) -> str:
    """Of story ``index`` of a suite; "" where the suite has one duration."""
    labels = list(SUITE_DURATIONS.get(name, {"": 0}))
    return labels[index % len(labels)]


def suite_corpus(spec: SuiteSpec) -> CorpusSpec:
    """Return the corpus that holds a suite: one source "questions" of long videos."""
    if spec.name not in SUITE_SECONDS:
        raise ValueError(f"unknown suite {spec.name!r}; known: {', '.join(SUITE_SECONDS)}")
    bands = tuple(
        (2 * round(mean * (1 - spec.jitter) / 2), 2 * round(mean * (1 + spec.jitter) / 2))
        for _, mean in spec.lengths
    )
    source = SourceSpec(
        name="questions",
        modality="video",
        num_stories=spec.num_videos,
        min_frames=min(low for low, _ in bands),
        max_frames=max(high for _, high in bands),
        bands=bands if len(bands) > 1 else (),
        frame_step=2,
        window=spec.window,
        questions_per_story=0,
        captions=False,
        details=True,
        choice_share=spec.choice_share,
        mix=spec.mix,
    )
    return CorpusSpec(name=spec.name, size=spec.size, crf=spec.crf, sources=(source,))


def story_of(corpus: str, source: SourceSpec, seed: int, index: int) -> Story:
    """Return story ``index`` of a source; for an image, the story its one frame is taken from."""
    rng = generator(corpus, source.name, seed, index, "story")
    if source.modality == "image":
        return make_story(rng, IMAGE_STORY_FRAMES)
    low, high = source.min_frames, source.max_frames
    if source.bands:
        low, high = source.bands[index % len(source.bands)]
    choices = (high - low) // source.frame_step + 1
    num_frames = low + source.frame_step * int(rng.integers(choices))
    if source.modality == "text":  # the text-only world has more names than can be drawn
        return make_story(rng, num_frames, ALL_NAMES, ALL_BYSTANDERS)
    return make_story(rng, num_frames)


def questions_of(
    corpus: str, source: SourceSpec, seed: int, index: int, story: Story
) -> list[Question]:
    """Return the questions about story ``index``; its timestamps count from its first frame.

    Options are drawn from a stream of their own: ``choice_share`` changes nothing but the form.
    """
    rng = generator(corpus, source.name, seed, index, "questions")
    if source.mix is not None:
        questions = sample_mix(rng, story, source.mix, source.window)
    elif source.questions_per_story:
        number = source.questions_per_story
        if source.modality == "image":  # no segment holds one frame: the picture stands still
            story = Story(tuple(replace(one, num_frames=source.window) for one in story.scenes))
        questions = sample_questions(rng, story, number, source.kinds, source.window)
    else:
        return []
    rng = generator(corpus, source.name, seed, index, "choices")
    return with_choices(rng, questions, story, source.window, source.choice_share)


def namespace(corpus: str, source: str) -> int:
    """Return the number that keeps the seeds of one source apart from all others."""
    return zlib.crc32(f"{corpus}/{source}".encode())


def generator(corpus: str, source: str, seed: int, index: int, stream: str) -> np.random.Generator:
    """Return the generator that one story uses for one purpose."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"a seed must lie in 0..2**32 - 1, got {seed}")
    key = [namespace(corpus, source), seed, index, _STREAMS[stream]]
    return np.random.default_rng(np.random.SeedSequence(key))
