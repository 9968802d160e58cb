"""The curriculum of the base decoder's pre-training."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tempo_lib.miniature.config import BaseDecoderConfig


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
