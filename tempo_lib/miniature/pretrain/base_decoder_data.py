"""What one step of the base decoder's pre-training reads: one kind of sample, about one length."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tempo_lib.miniature.pretrain.base_decoder_config import (
    BaseDecoderConfig,
    Curriculum,
    is_robust,
)
from tempo_lib.miniature.world.scenes import ACTORS, ALL_NAMES, Story, make_story
from tempo_lib.miniature.world.transcripts import (
    Batch,
    Encoder,
    Sample,
    caption_sample,
    collate,
    question_sample,
    recall_sample,
)


@dataclass(frozen=True)
class Draw:
    """A batch; ``at_front``: its accuracies tell whether the longest length is learned."""

    batch: Batch
    noise: float  # on the context's embeddings, in units of their standard deviation
    at_front: bool


@dataclass(frozen=True)
class _Kind:
    name: str  # caption, recall, open or choice
    num_segments: int
    stretch: int
    visual: bool
    weights: Mapping[str, float]
    backwards_share: float


def draw_batch(
    rng: np.random.Generator,
    encoder: Encoder,
    config: BaseDecoderConfig,
    curriculum: Curriculum,
    step: int,
) -> Draw:
    """Samples of one kind and of about one length, as many as the batch's tokens hold."""
    robust = is_robust(config, step)
    name = _draw_name(rng, config, curriculum)
    num_segments, is_long = draw_num_segments(rng, config, curriculum)
    kind = _Kind(
        name=name,
        num_segments=int(rng.integers(1, 3)) if name == "caption" else num_segments,
        stretch=config.stretch if robust and rng.random() < config.stretch_share else 0,
        visual=bool(rng.random() < config.visual_share),
        weights=curriculum.weights(config),
        backwards_share=config.backwards_share if curriculum.has_begun(config) else 0.0,
    )
    noise = robust and rng.random() < config.noise_share
    more = (config.last_tokens - config.first_tokens) * curriculum.grown(config)
    room = config.first_tokens + more
    samples: list[Sample] = []
    used = 0
    while not samples or used + _size(samples[-1]) <= room:
        samples.append(_sample(rng, encoder, config, kind))
        used += _size(samples[-1])
    level = float(rng.random() * config.noise) if noise else 0.0
    at_front = is_long and name == "open"
    return Draw(collate(samples, encoder.pad), level, at_front)


def draw_num_segments(
    rng: np.random.Generator, config: BaseDecoderConfig, curriculum: Curriculum
) -> tuple[int, bool]:
    """Some batches near the current longest length (True), the others log-uniform below it."""
    longest = curriculum.longest
    is_long = bool(rng.random() < config.long_share)
    shortest = min(longest * 0.7 if is_long else config.min_segments, longest)
    return round(math.exp(rng.uniform(math.log(shortest), math.log(longest)))), is_long


def _draw_name(rng: np.random.Generator, config: BaseDecoderConfig, curriculum: Curriculum) -> str:
    draw = rng.random()
    if draw < config.caption_share:
        return "caption"
    if draw < config.caption_share + curriculum.recall_share(config):
        return "recall"
    has_begun = curriculum.has_begun(config)
    return "choice" if has_begun and rng.random() < config.choice_share else "open"


def _sample(
    rng: np.random.Generator, encoder: Encoder, config: BaseDecoderConfig, kind: _Kind
) -> Sample:
    story, window = _story(rng, config, kind)
    if kind.name == "caption":
        return caption_sample(encoder, story, window)
    if kind.name == "recall":
        return recall_sample(
            rng,
            encoder,
            story,
            window,
            config.offset_share,
            config.listing_share,
            kind.backwards_share,
        )
    return question_sample(
        rng,
        encoder,
        story,
        window,
        config.num_questions,
        kind.weights,
        config.offset_share,
        kind.stretch,
        as_choices=kind.name == "choice",
    )


def _story(rng: np.random.Generator, config: BaseDecoderConfig, kind: _Kind) -> tuple[Story, int]:
    """A story of the wanted number of segments, and the window they are made for."""
    window = int(rng.choice([4, 8]))
    frames = kind.num_segments * window - int(rng.choice([0, 0, 0, 2] if window == 8 else [0]))
    unique = 4 if kind.visual else int(rng.integers(4, config.most_unique + 1))
    actors = ACTORS if kind.visual else ALL_NAMES
    return make_story(rng, max(frames, 4), actors=actors, max_unique=unique), window


def _size(sample: Sample) -> int:
    return len(sample.context) + sum(len(block.ids) for block in sample.blocks)
