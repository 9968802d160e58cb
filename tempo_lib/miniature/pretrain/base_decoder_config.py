"""All numbers of the base decoder and its pre-training, and the curriculum they describe."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
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
    listing_share: float  # of recall samples, lists of scenes by name; the rest tells answers
    backwards_share: float  # of recall samples, the actors' names from last to first, from then on
    choice_share: float  # of question batches that ask with four options, once the gate passed
    caption_share: float
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
    kind_weights: Mapping[str, float]  # a kind's chance to be asked, against the others ...
    error_floor: float  # ... times this plus its error at the front: what is known is asked less
    save_every: int
    eval_segments: tuple[int, ...]
    eval_stories: int  # per length, each with about one question of every kind


@dataclass
class Curriculum:
    """Where a run stands: the longest transcript now, and running accuracies at that length.

    Transcripts grow only while every gated kind is answered: under a schedule by steps alone,
    lengths can run ahead of what is learned, and looking up then never begins.
    """

    longest: float
    accuracy: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)  # the learning curve

    def grown(self, config: BaseDecoderConfig) -> float:
        """0 at the first length, 1 at the last, in between by the logarithm."""
        return math.log(self.longest / config.first_segments) / math.log(
            config.last_segments / config.first_segments
        )

    def learn(self, hits: Mapping[str, float], rate: float = 0.08) -> None:
        """Take in the accuracies of a batch at about the longest length."""
        for kind, hit in hits.items():
            self.accuracy[kind] = self.accuracy.get(kind, 0.0) * (1 - rate) + hit * rate

    def passes(self, config: BaseDecoderConfig) -> bool:
        """Whether every gated kind is answered well enough."""
        return all(self.accuracy.get(kind, 0.0) >= least for kind, least in config.gate.items())

    def has_begun(self, config: BaseDecoderConfig) -> bool:
        """Whether transcripts have grown, so that looking up by name is known."""
        return self.longest > config.first_segments

    def recall_share(self, config: BaseDecoderConfig) -> float:
        """Share of recall batches now."""
        return config.recall_floor if self.has_begun(config) else config.recall_share

    def weights(self, config: BaseDecoderConfig) -> dict[str, float]:
        """How often each kind is asked now."""
        return {
            kind: weight * (config.error_floor + 1 - self.accuracy.get(kind, 0.0))
            for kind, weight in config.kind_weights.items()
        }

    def advance(self, config: BaseDecoderConfig) -> None:
        if self.passes(config):
            self.longest = min(float(config.last_segments), self.longest * (1 + config.growth))


def is_robust(config: BaseDecoderConfig, step: int) -> bool:
    """Whether positions stretch and noise is added at this step."""
    return step >= config.steps * (1 - config.robust_share)


def rate_factor(config: BaseDecoderConfig, step: int) -> float:
    """Linear warm-up, constant, then linear decay over the last share."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    left = (config.steps - step) / max(1.0, config.steps * config.decay_share)
    return min(warm, left, 1.0)
