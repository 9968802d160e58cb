"""All numbers of the base decoder and its pre-training, and where a step lies in them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training; the longest transcript grows from first to last_segments."""

    name: str
    steps: int
    first_segments: int
    last_segments: int
    recall_share: float  # at the phase's start, falling linearly to 0 at its end
    listing_share: float  # of recall samples, lists of scenes by name; the rest tells answers
    batch_tokens: int
    num_questions: int
    stretch: int  # widest extra position step, see question_sample
    noise: float  # largest noise on embeddings, in units of their standard deviation
    decay_share: float  # of the steps, at the end, in which the rates fall to 0


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
    min_segments: int
    growth_share: float  # of a phase, in which transcripts grow
    long_share: float  # of batches near the longest length; the rest log-uniform
    caption_share: float
    visual_share: float  # of batches with the 12 drawn actors; the rest has 48 names
    most_unique: int  # unique actors in stories of 48 names: more to ask
    offset_share: float
    stretch_share: float
    noise_share: float
    kind_weights: Mapping[str, float]  # a kind's chance to be asked, against the others
    phases: tuple[Phase, ...]
    save_every: int
    eval_segments: tuple[int, ...]
    eval_stories: int  # per length, each with about one question of every kind


def locate(config: BaseDecoderConfig, step: int) -> tuple[Phase, int]:
    """The phase of a global step, and the step inside it."""
    for phase in config.phases:
        if step < phase.steps:
            return phase, step
        step -= phase.steps
    raise IndexError(f"step is {step} steps past the last phase")


def rate_factor(config: BaseDecoderConfig, phase: Phase, phase_step: int) -> float:
    """Linear warm-up, constant, then linear decay over the last share of the phase."""
    warm = min(1.0, (phase_step + 1) / config.warmup_steps)
    left = (phase.steps - phase_step) / max(1.0, phase.steps * phase.decay_share)
    return min(warm, left, 1.0)
