"""Specs of the corpora that the world writes: what a source, a corpus and a suite are.

Frames are counted at the world's two frames per second.
"""

from dataclasses import dataclass

from tempo_lib.miniature.config import CorpusSpec, QuestionMix, SourceSpec

# Mean durations of the four benchmarks in seconds (the paper's Table 1); suites keep the ratio.
SUITE_SECONDS = {
    "mini-longvideobench": 473,
    "mini-mlvu": 651,
    "mini-videomme": 1010,
    "mini-lvbench": 4101,
}


@dataclass(frozen=True, kw_only=True)
class SuiteSpec:
    """A mini benchmark: video lengths lie within mean_frames * (1 +- jitter)."""

    name: str
    num_videos: int
    mix: QuestionMix
    choice_share: float
    mean_frames: int
    jitter: float
    window: int
    size: int
    crf: int


def suite_frames(longest_mean_frames: int) -> dict[str, int]:
    """Even mean lengths of the four suites in the ratio of the real benchmarks' durations."""
    longest = max(SUITE_SECONDS.values())
    return {
        name: 2 * round(longest_mean_frames * seconds / longest / 2)
        for name, seconds in SUITE_SECONDS.items()
    }


def suite_corpus(spec: SuiteSpec) -> CorpusSpec:
    """Return the corpus that holds a suite: one source "questions" of long videos."""
    if spec.name not in SUITE_SECONDS:
        raise ValueError(f"unknown suite {spec.name!r}; known: {', '.join(SUITE_SECONDS)}")
    low, high = (spec.mean_frames * (1 + sign * spec.jitter) for sign in (-1, 1))
    source = SourceSpec(
        name="questions",
        modality="video",
        num_stories=spec.num_videos,
        min_frames=2 * round(low / 2),
        max_frames=2 * round(high / 2),
        frame_step=2,
        window=spec.window,
        questions_per_story=0,
        captions=False,
        details=True,
        choice_share=spec.choice_share,
        mix=spec.mix,
    )
    return CorpusSpec(name=spec.name, size=spec.size, crf=spec.crf, sources=(source,))
