"""What one step of the base decoder's pre-training reads: one kind of sample, about one length."""

import math

import numpy as np

from tempo_lib.training.base_decoder_config import BaseDecoderConfig, Phase
from tempo_lib.world.language import ACTORS, ALL_NAMES
from tempo_lib.world.scenes import make_story
from tempo_lib.world.transcripts import (
    Batch,
    Encoder,
    Sample,
    caption_sample,
    collate,
    question_sample,
    recall_sample,
)


def draw_noise(rng: np.random.Generator, config: BaseDecoderConfig, phase: Phase) -> float:
    """Noise level of one batch, in units of the embeddings' standard deviation."""
    return float(rng.random() * phase.noise) if rng.random() < config.noise_share else 0.0


def draw_num_segments(
    rng: np.random.Generator, config: BaseDecoderConfig, phase: Phase, phase_step: int
) -> int:
    """Half of the batches near the current longest length, half log-uniform below it."""
    grown = min(1.0, phase_step / max(1.0, phase.steps * config.growth_share))
    longest = phase.first_segments * (phase.last_segments / phase.first_segments) ** grown
    shortest = longest * 0.6 if rng.random() < config.long_share else config.min_segments
    shortest = min(shortest, longest)
    return round(math.exp(rng.uniform(math.log(shortest), math.log(longest))))


def draw_batch(
    rng: np.random.Generator,
    encoder: Encoder,
    config: BaseDecoderConfig,
    phase: Phase,
    phase_step: int,
) -> Batch:
    """Samples of one kind and of about one length, as many as ``batch_tokens`` hold."""
    kind = rng.random()
    recall_share = phase.recall_share * (1 - phase_step / phase.steps)
    stretch = phase.stretch if rng.random() < config.stretch_share else 0
    visual = bool(rng.random() < config.visual_share)
    num_segments = draw_num_segments(rng, config, phase, phase_step)
    if kind < config.caption_share:
        num_segments = int(rng.integers(1, 3))
    samples: list[Sample] = []
    used = 0
    while not samples or used + _size(samples[-1]) <= phase.batch_tokens:
        window = int(rng.choice([4, 8]))
        frames = num_segments * window - int(rng.choice([0, 0, 0, 2] if window == 8 else [0]))
        unique = 4 if visual else int(rng.integers(4, config.most_unique + 1))
        actors = ACTORS if visual else ALL_NAMES
        story = make_story(rng, max(frames, 4), actors=actors, max_unique=unique)
        if kind < config.caption_share:
            samples.append(caption_sample(encoder, story, window))
        elif kind < config.caption_share + recall_share:
            recall = (config.offset_share, phase.listing_share)
            samples.append(recall_sample(rng, encoder, story, window, *recall))
        else:
            samples.append(
                question_sample(
                    rng,
                    encoder,
                    story,
                    window,
                    phase.num_questions,
                    config.kind_weights,
                    config.offset_share,
                    stretch,
                )
            )
        used += _size(samples[-1])
    return collate(samples, encoder.pad)


def _size(sample: Sample) -> int:
    return len(sample.context) + sum(len(block.ids) for block in sample.blocks)
