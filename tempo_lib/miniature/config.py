"""Types of the preset section ``miniature``: sizes of suites, base models and corpora.

Importing this needs pydantic alone, so that a preset is checked without the world or torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass as plain_dataclass
from typing import Literal

from pydantic import ConfigDict, PositiveFloat, model_validator
from pydantic.dataclasses import dataclass

from tempo_lib.config import Preset, StrictModel

STRICT = ConfigDict(extra="forbid")  # of the dataclasses: ``replace`` checks its changes too

KINDS = (
    "needle",
    "attribute",
    "companion",
    "grounding",
    "after",
    "before",
    "counting",
    "comparison",
    "global",
)
ONE_SCENE = ("needle", "attribute", "companion")  # of these, what one scene alone answers


@dataclass(config=STRICT, frozen=True, kw_only=True)
class SuiteNumbers:
    """Size of the suites, from the preset's ``miniature: suites:``.

    A suite has as many videos as hold ``num_questions`` on average. A video gets as many as a
    video of the real benchmark has, bounded to ``fewest_questions`` .. ``most_questions``;
    ``choice_share`` of them list four options. A video has ``frames_per_second`` frames for a
    second of the real benchmark's videos, on average at most ``longest_mean_frames``.
    ``budget_shares``: by role, of what the median video's segments hold under the cap.
    """

    num_questions: int
    fewest_questions: int
    most_questions: int
    choice_share: float
    frames_per_second: PositiveFloat
    longest_mean_frames: int
    jitter: float
    budget_shares: dict[str, float]
    window: int
    size: int
    crf: int


@plain_dataclass(frozen=True, kw_only=True)
class QuestionMix:
    """Weights of the kinds of questions, and how many questions a story gets.

    ``kind_weights``: (kind, weight); weights need not sum to one. ``per_story``: (number of
    questions, how often that number is drawn). Pairs, so that a mix can be hashed.
    """

    kind_weights: tuple[tuple[str, float], ...]
    per_story: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        kinds = [kind for kind, _ in self.kind_weights]
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown or len(set(kinds)) != len(kinds):
            what = f"unknown kinds {unknown}" if unknown else f"a kind named twice: {kinds}"
            raise ValueError(f"mix of questions: {what}; known: {', '.join(KINDS)}")
        if min((w for _, w in self.kind_weights), default=0) < 0 or not self.kinds:
            raise ValueError("mix of questions: needs weights >= 0, at least one of them above 0")
        if not self.per_story or any(n < 1 or often < 1 for n, often in self.per_story):
            raise ValueError(f"mix of questions: per_story needs pairs >= 1, got {self.per_story}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds with a weight above 0, in the order of KINDS."""
        weights = dict(self.kind_weights)
        return tuple(kind for kind in KINDS if weights.get(kind, 0) > 0)

    @property
    def mean_per_story(self) -> float:
        often = sum(times for _, times in self.per_story)
        return sum(number * times for number, times in self.per_story) / often

    def shares(self) -> dict[str, float]:
        """Share of each kind; they sum to one."""
        weights = dict(self.kind_weights)
        total = sum(weights.values())
        return {kind: weights[kind] / total for kind in self.kinds}


@dataclass(config=STRICT, frozen=True, kw_only=True)
class SourceSpec:
    """One question file of a corpus and the stories behind it.

    ``min_frames``, ``max_frames`` and ``frame_step`` are even; a story's length is drawn
    uniformly from that grid. An image is a single frame, with questions of ``ONE_SCENE`` alone.
    With a ``mix``, both the number and the kinds of a story's questions are drawn from it.
    """

    name: str
    modality: Literal["image", "video", "text"]
    num_stories: int
    min_frames: int
    max_frames: int
    frame_step: int
    window: int  # frames per segment that the answers' timestamps are made for
    questions_per_story: int
    captions: bool  # one sample per story: the caption of all its frames
    descriptions: bool = False  # one per actor seen once: digits of the code, place
    kinds: tuple[str, ...] = KINDS  # a kind named twice is drawn twice as often
    details: bool = False  # add what an evaluator needs: actors, options, interval; scenes
    choice_share: float = 0.0  # of the questions, those that list four options
    bands: tuple[tuple[int, int], ...] = ()  # (min, max) of story 0, 1, ..., in turn
    mix: QuestionMix | None = None  # takes the place of questions_per_story (then 0) and kinds

    def __post_init__(self) -> None:
        if not 0.0 <= self.choice_share <= 1.0:
            raise ValueError(
                f"source {self.name}: choice_share must lie in 0..1, got {self.choice_share}"
            )
        if self.mix is not None and (self.modality == "image" or self.questions_per_story):
            raise ValueError(
                f"source {self.name}: a mix goes with 0 questions_per_story, no images"
            )
        if self.modality == "image":
            about_time = self.questions_per_story and set(self.kinds) - set(ONE_SCENE)
            if (self.min_frames, self.max_frames) != (1, 1) or about_time:
                raise ValueError(
                    f"source {self.name}: an image has 1 frame, and questions of the kinds "
                    f"{', '.join(ONE_SCENE)} or none"
                )
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


@dataclass(config=STRICT, frozen=True, kw_only=True)
class CorpusSpec:
    """A corpus: its name picks its space of seeds, ``size`` and ``crf`` its pictures."""

    name: str
    size: int  # pixels of a side
    crf: int  # H.264 quality; lower is better and larger
    sources: tuple[SourceSpec, ...]

    def __post_init__(self) -> None:
        names = [source.name for source in self.sources]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"corpus {self.name}: needs sources with different names, got {names}")


@dataclass(config=STRICT, frozen=True, kw_only=True)
class BaseCompressorConfig:
    """Numbers of the phases; values come from the preset."""

    num_stories: int
    story_frames: int
    windows: tuple[int, ...]
    max_offset_seconds: int  # segments are read as if they began this late at most
    vision_steps: int
    vision_batch: int
    vision_learning_rate: float
    cosine_scale: float
    caption_steps: int  # captions and answers alone, before the other tasks join
    task_shares: Mapping[str, float]  # of steps, from then on; they sum to one
    steps: int
    batch: int
    questions: int
    choice_share: float  # of questions, those that list four options
    caption_after_verdict_share: float  # of Yes and No, those that the caption follows
    matrix_learning_rate: float
    learning_rate: float
    decay_share: float
    clip_norm: float


@dataclass(config=STRICT, frozen=True, kw_only=True)
class BaseDecoderConfig:
    """All numbers of the base decoder and its training; values come from the preset."""

    hidden_size: int
    num_layers: int
    num_heads: int
    head_dim: int
    intermediate_size: int
    rope_theta: float
    max_positions: int
    qk_gain: float
    embedding_std: float
    matrix_lr: float
    matrix_momentum: float
    matrix_decay: float
    other_lr: float
    beta2: float
    warmup_steps: int
    clip_norm: float
    lm_weight: float
    steps: int
    decay_share: float  # of the steps, at the end, in which the rates fall to 0
    min_segments: int
    first_segments: int  # longest transcript at the start
    last_segments: int  # ... and when the curriculum is done
    gate: Mapping[str, float]  # accuracy that each kind must keep for transcripts to grow
    growth: float  # of the longest transcript, per step that passes the gate
    long_share: float  # of batches near the longest length; the rest log-uniform
    recall_share: float  # of batches until transcripts grow: lists of scenes teach looking up ...
    recall_floor: float  # ... and from then on
    lookup_share: float  # of recall batches, those of names and values alone ...
    lookup_pairs: int  # ... with so many pairs
    listing_share: float  # of recall samples, lists of scenes by name; the rest lists answers
    backwards_share: float  # of recall samples, the actors' names from last to first, from then on
    choice_share: float  # of question batches, those with four options, once the gate passed
    caption_share: float
    letter_share: float  # of batches, options and their letters alone
    visual_share: float  # of batches with the 12 drawn actors; the rest has 48 names
    most_unique: int  # unique actors in stories of 48 names: more to ask
    first_tokens: int  # tokens a batch at the first length, growing with the length ...
    last_tokens: int  # ... to this
    num_questions: int
    offset_share: float
    robust_share: float  # of the steps, at the end, in which positions stretch and noise is added
    stretch: int  # widest extra position step, see question_sample
    stretch_share: float
    noise: float  # largest noise on embeddings, in units of their standard deviation
    noise_share: float
    kind_weights: Mapping[str, float]  # a kind's chance to be drawn, against the others ...
    error_floor: float  # ... times this plus its error at the front: less of what is known
    save_every: int
    eval_segments: tuple[int, ...]
    eval_stories: int  # per length, each with about one question of every kind


class MiniatureNumbers(StrictModel):
    """The section itself. ``corpora`` and ``corpus_scale`` go by stage name (``stage0`` ...)."""

    suites: SuiteNumbers
    base_compressor: BaseCompressorConfig
    reranker: BaseCompressorConfig
    base_decoder: BaseDecoderConfig
    corpus_scale: dict[str, PositiveFloat]
    corpora: dict[str, CorpusSpec]

    @model_validator(mode="after")
    def _scales_are_of_corpora(self) -> "MiniatureNumbers":
        unknown = sorted(set(self.corpus_scale) - set(self.corpora))
        if unknown:
            raise ValueError(f"corpus_scale names {', '.join(unknown)}, which is no corpus")
        return self


def miniature_numbers(preset: Preset) -> MiniatureNumbers:
    """The section of ``preset``; ValueError for a preset without one."""
    if not isinstance(preset.miniature, MiniatureNumbers):
        raise ValueError(
            f"preset {preset.name} is no miniature, which makes its own data: "
            "give --manifest, --data and --out"
        )
    return preset.miniature
