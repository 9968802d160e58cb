"""What one step of the base decoder's pre-training reads, and the curriculum that decides it.

A step reads one kind of sample of about one length; the curriculum lets transcripts grow.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tempo_lib.miniature.config import BaseDecoderConfig
from tempo_lib.miniature.pretrain.blocks import BlockBatch, BlockRow, collate_blocks
from tempo_lib.miniature.pretrain.transcripts import (
    caption_sample,
    letter_sample,
    lookup_sample,
    question_sample,
    recall_sample,
)
from tempo_lib.miniature.world.scenes import (
    ACTORS,
    ALL_BYSTANDERS,
    ALL_NAMES,
    BYSTANDERS,
    Story,
    make_story,
)
from tempo_lib.model.processing import TextEncoder


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

    def finds_by_name(self, config: BaseDecoderConfig) -> bool:
        """Whether numbers are found by name, at the first length or in grown transcripts."""
        is_found = self.accuracy.get("needle", 0.0) >= config.gate["needle"]
        return is_found or self.longest > config.first_segments

    def recall_share(self, config: BaseDecoderConfig) -> float:
        """Share of recall batches now."""
        return config.recall_floor if self.finds_by_name(config) else config.recall_share

    def weights(self, config: BaseDecoderConfig) -> dict[str, float]:
        """How often a question is of each kind now: less often where few errors are left."""
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


@dataclass(frozen=True)
class Draw:
    """A batch; ``at_front``: its accuracies show whether the longest length is learned."""

    batch: BlockBatch
    noise: float  # on the context's embeddings, in units of their standard deviation
    at_front: bool


@dataclass(frozen=True)
class _Kind:
    name: str  # caption, letters, lookup, recall, open or choice
    num_segments: int
    stretch: int
    visual: bool
    weights: Mapping[str, float]
    backwards_share: float


def draw_batch(
    rng: np.random.Generator,
    text: TextEncoder,
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
        backwards_share=config.backwards_share if curriculum.finds_by_name(config) else 0.0,
    )
    noise = robust and rng.random() < config.noise_share
    more = (config.last_tokens - config.first_tokens) * curriculum.grown(config)
    room = config.first_tokens + more
    rows: list[BlockRow] = []
    used = 0
    while not rows or used + len(rows[-1]) <= room:
        rows.append(_sample(rng, text, config, kind))
        used += len(rows[-1])
    level = float(rng.random() * config.noise) if noise else 0.0
    at_front = is_long and name == "open"
    return Draw(collate_blocks(rows), level, at_front)


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
    if draw < config.caption_share + config.letter_share:
        return "letters"
    if draw < config.caption_share + config.letter_share + curriculum.recall_share(config):
        return "lookup" if rng.random() < config.lookup_share else "recall"
    finds = curriculum.finds_by_name(config)
    return "choice" if finds and rng.random() < config.choice_share else "open"


def _sample(
    rng: np.random.Generator, text: TextEncoder, config: BaseDecoderConfig, kind: _Kind
) -> BlockRow:
    if kind.name == "letters":
        return letter_sample(rng, text)
    if kind.name == "lookup":
        return lookup_sample(rng, text, config.lookup_pairs)
    story, window = _story(rng, config, kind)
    if kind.name == "caption":
        return caption_sample(text, story, window)
    if kind.name == "recall":
        return recall_sample(
            rng,
            text,
            story,
            window,
            offset_share=config.offset_share,
            listing_share=config.listing_share,
            backwards_share=kind.backwards_share,
        )
    return question_sample(
        rng,
        text,
        story,
        window,
        num_questions=config.num_questions,
        kind_weights=kind.weights,
        offset_share=config.offset_share,
        stretch=kind.stretch,
        as_choices=kind.name == "choice",
    )


def _story(rng: np.random.Generator, config: BaseDecoderConfig, kind: _Kind) -> tuple[Story, int]:
    """A story of the kind's number of segments, and the window they are made for."""
    window = int(rng.choice([4, 8]))
    frames = kind.num_segments * window - int(rng.choice([0, 0, 0, 2] if window == 8 else [0]))
    unique = 4 if kind.visual else int(rng.integers(4, config.most_unique + 1))
    actors, others = (ACTORS, BYSTANDERS) if kind.visual else (ALL_NAMES, ALL_BYSTANDERS)
    return make_story(rng, max(frames, 4), actors, others, max_unique=unique), window
