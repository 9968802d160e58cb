"""Specs of the corpora that the world writes: what a source, a corpus and a suite are.

Frames are counted at the world's two frames per second.
"""

from dataclasses import dataclass
from typing import Literal

from tempo_lib.miniature.world.mixes import QuestionMix
from tempo_lib.miniature.world.questions import KINDS

# Mean durations of the four benchmarks in seconds (the paper's Table 1); suites keep the ratio.
SUITE_SECONDS = {
    "mini-longvideobench": 473,
    "mini-mlvu": 651,
    "mini-videomme": 1010,
    "mini-lvbench": 4101,
}


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """One question file of a corpus and the stories behind it.

    ``min_frames``, ``max_frames`` and ``frame_step`` are even; a story's length is drawn
    uniformly from that grid. Images hold a single frame and ask for its caption only. With a
    ``mix``, both the number and the kinds of a story's questions are drawn from it.
    """

    name: str
    modality: Literal["image", "video", "text"]
    num_stories: int
    min_frames: int
    max_frames: int
    frame_step: int
    window: int  # frames per segment that the answers' time tags are made for
    questions_per_story: int
    captions: bool  # one sample a story that asks for the caption of all its frames
    descriptions: bool = False  # one sample an actor that appears once: code digit by digit, place
    kinds: tuple[str, ...] = KINDS  # a kind named twice is asked twice as often
    details: bool = False  # add what an evaluator needs: actors, options, interval; scenes
    choice_share: float = 0.0  # of the questions, those that list four options
    mix: QuestionMix | None = None  # takes the place of questions_per_story (then 0) and kinds

    def __post_init__(self) -> None:
        if self.modality not in ("image", "video", "text"):
            raise ValueError(f"source {self.name}: unknown modality {self.modality!r}")
        if not 0.0 <= self.choice_share <= 1.0:
            raise ValueError(
                f"source {self.name}: choice_share must lie in 0..1, got {self.choice_share}"
            )
        if self.mix is not None and (self.modality == "image" or self.questions_per_story):
            raise ValueError(
                f"source {self.name}: a mix goes with 0 questions_per_story, no images"
            )
        if self.modality == "image":
            if (self.min_frames, self.max_frames, self.questions_per_story) != (1, 1, 0):
                raise ValueError(f"source {self.name}: an image has 1 frame and 0 questions")
            return
        sizes = {"min_frames": self.min_frames, "frame_step": self.frame_step}
        for key, value in {**sizes, "window": self.window}.items():
            if value < 2 or value % 2:
                raise ValueError(f"source {self.name}: {key} must be even and >= 2, got {value}")
        if not 4 <= self.min_frames <= self.max_frames:
            raise ValueError(
                f"source {self.name}: needs 4 <= min_frames <= max_frames, "
                f"got {self.min_frames} and {self.max_frames}"
            )


@dataclass(frozen=True, kw_only=True)
class CorpusSpec:
    """A corpus: its name picks its space of seeds, ``size`` and ``crf`` its pictures."""

    name: str
    size: int  # pixels a side
    crf: int  # H.264 quality; lower is better and larger
    sources: tuple[SourceSpec, ...]

    def __post_init__(self) -> None:
        names = [source.name for source in self.sources]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"corpus {self.name}: needs sources with different names, got {names}")


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
