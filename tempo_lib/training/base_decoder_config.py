"""All numbers of the base decoder and its pre-training, and where a step lies in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    """All numbers of the base decoder and its training."""

    hidden_size: int = 128
    num_layers: int = 4
    num_heads: int = 4
    head_dim: int = 32
    intermediate_size: int = 384
    rope_theta: float = 1e4
    max_positions: int = 8192
    qk_gain: float = 1.7
    embedding_std: float = 0.08
    matrix_lr: float = 0.02
    matrix_momentum: float = 0.95
    matrix_decay: float = 0.1
    other_lr: float = 2e-3
    beta2: float = 0.98
    warmup_steps: int = 20
    clip_norm: float = 1.0
    lm_weight: float = 0.03
    min_segments: int = 2
    growth_share: float = 0.6  # of a phase, in which transcripts grow
    long_share: float = 0.5  # of batches near the longest length; the rest log-uniform
    caption_share: float = 0.06
    visual_share: float = 0.3  # of batches with the 12 drawn actors; the rest has 48 names
    most_unique: int = 24  # unique actors in stories of 48 names: more to ask
    offset_share: float = 0.5
    stretch_share: float = 0.4
    noise_share: float = 0.3
    kind_weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "needle": 1.0,
            "grounding": 1.5,
            "after": 1.3,
            "before": 1.3,
            "counting": 0.8,
            "global": 0.4,
        }
    )
    phases: tuple[Phase, ...] = (
        Phase(
            name="short",
            steps=700,
            first_segments=3,
            last_segments=6,
            recall_share=0.7,
            listing_share=0.5,
            batch_tokens=4000,
            num_questions=10,
            stretch=0,
            noise=0.0,
            decay_share=0.0,
        ),
        Phase(
            name="mid",
            steps=500,
            first_segments=5,
            last_segments=24,
            recall_share=0.3,
            listing_share=0.5,
            batch_tokens=4000,
            num_questions=12,
            stretch=0,
            noise=0.0,
            decay_share=0.0,
        ),
        Phase(
            name="long",
            steps=700,
            first_segments=20,
            last_segments=104,
            recall_share=0.1,
            listing_share=0.5,
            batch_tokens=4500,
            num_questions=12,
            stretch=2,
            noise=0.3,
            decay_share=0.4,
        ),
    )
    save_every: int = 100
    eval_segments: tuple[int, ...] = (16, 32, 64, 96)
    eval_stories: int = 32  # per length, each with about one question of every kind


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
