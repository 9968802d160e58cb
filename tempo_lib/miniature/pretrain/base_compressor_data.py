"""What the base compressor reads: rendered segments and questions about them.

A pool of stories is rendered once; batches are drawn from it. Shape suffixes: N segments.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from tempo_lib import prompts
from tempo_lib.config import PixelRules
from tempo_lib.miniature.config import BaseCompressorConfig
from tempo_lib.miniature.pretrain.blocks import Block, make_block
from tempo_lib.miniature.world.captions import CAPTION_QUESTION, caption
from tempo_lib.miniature.world.question_sets import any_options, option_lines
from tempo_lib.miniature.world.questions import ANSWER_TEXT, QUESTION_TEXT
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import ACTORS, FPS, Story, make_story
from tempo_lib.model.processing import (
    PatchShape,
    SegmentPixels,
    TextEncoder,
    resize_frames,
    segment_pixels,
)
from tempo_lib.video.clip import Video

LOCALISED = tuple(kind for kind in QUESTION_TEXT if kind != "global")


@dataclass(frozen=True)
class SegmentPool:
    """Rendered stories at the size the model reads: frames (stories, T, H, W, 3) uint8."""

    stories: list[Story]
    frames: np.ndarray

    def draw(self, rng: np.random.Generator, window: int) -> tuple[Story, int, np.ndarray]:
        """A story, the first frame of a window on the grid of windows, and its frames."""
        index = int(rng.integers(len(self.stories)))
        start = window * int(rng.integers(self.frames.shape[1] // window))
        return self.stories[index], start, self.frames[index, start : start + window]


def make_pool(
    config: BaseCompressorConfig, rules: PixelRules, factor: int, seed: int
) -> SegmentPool:
    """Stories and their frames, resized once."""
    stories, frames = [], []
    for index in tqdm(range(config.num_stories), desc="segments", unit="story"):
        rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
        stories.append(make_story(rng, config.story_frames))
        rendered = render(stories[-1], seed=int(rng.integers(2**31)))
        frames.append(resize_frames(rendered, rules, factor).permute(0, 2, 3, 1).numpy())
    return SegmentPool(stories, np.stack(frames))


@dataclass(frozen=True)
class SegmentBatch:
    """Frames of one window length, the system prompt and the blocks of each segment."""

    frames: list[np.ndarray]
    offsets: list[float]
    systems: list[str]
    blocks: list[list[Block]]


def draw_batch(
    rng: np.random.Generator,
    pool: SegmentPool,
    text: TextEncoder,
    config: BaseCompressorConfig,
    relevance_share: float,
) -> SegmentBatch:
    """Segments with either one caption and answers, or Yes/No questions."""
    window = int(rng.choice(config.windows))
    batch = SegmentBatch([], [], [], [])
    for _ in range(config.batch):
        story, start, frames = pool.draw(rng, window)
        if rng.random() < relevance_share:
            pairs = list(relevance_pairs(rng, story, start, window, config))
            draw_system = prompts.relevance_prompt
        else:
            pairs = list(content_pairs(story, start, window))
            draw_system = prompts.plain_prompt
        batch.frames.append(frames)
        batch.offsets.append(float(rng.integers(config.max_offset_seconds)))
        batch.systems.append(draw_system(rng))
        batch.blocks.append(
            [make_block(text, prompts.query_parts(query), answer) for query, answer in pairs]
        )
    return batch


def relevance_pairs(
    rng: np.random.Generator,
    story: Story,
    start: int,
    window: int,
    config: BaseCompressorConfig,
) -> Iterator[tuple[str, str]]:
    """(query, Yes or No), about half of them about an actor in sight when there is one.

    ``caption_after_verdict_share`` of the verdicts, Yes and No alike, are followed by the segment's
    caption, which is then a pair of its own as well.
    """
    shown, share = caption(story, start, start + window), config.caption_after_verdict_share
    seen = sorted({s.actor for s in story.visible(start, start + window) if s.actor})
    for _ in range(config.questions):
        kind = "global" if rng.random() < 0.05 else str(rng.choice(LOCALISED))
        known = seen and rng.random() < 0.4
        actor = str(rng.choice(seen if known else list(ACTORS)))
        other = str(rng.choice([name for name in ACTORS if name != actor]))
        names = [actor, other]
        if kind == "comparison" and rng.random() < 0.5:
            names.reverse()
        query = QUESTION_TEXT[kind].format(actor=names[0], other=names[1])
        subjects = names if kind == "comparison" else names[:1]
        if rng.random() < config.choice_share:
            query += option_lines(any_options(rng, kind))
        relevant = kind == "global" or any(name in seen for name in subjects)
        verdict = prompts.YES if relevant else prompts.NO
        captioned = share > 0 and rng.random() < share
        yield query, f"{verdict} {shown}." if captioned else verdict
    if share > 0:
        yield CAPTION_QUESTION, f"{shown}."


def content_pairs(story: Story, start: int, window: int) -> Iterator[tuple[str, str]]:
    """The caption, and number and place of each actor in sight."""
    yield CAPTION_QUESTION, caption(story, start, start + window) + "."
    for scene in story.visible(start, start + window):
        if scene.actor:
            for kind, slot in (("needle", scene.code), ("attribute", scene.place)):
                query = QUESTION_TEXT[kind].format(actor=scene.actor)
                yield query, ANSWER_TEXT[kind].format(actor=scene.actor, slot=f" {slot}")


def stack_segments(
    frames: list[np.ndarray],
    rules: PixelRules,
    shape: PatchShape,
    offsets: list[float] | None = None,
) -> SegmentPixels:
    """Equally long windows of equal size, each with its own start in seconds, as one object."""
    window = len(frames[0])
    video = Video(np.concatenate(frames), fps=FPS)
    segments = segment_pixels(video, rules, shape, window, window)
    begins = [0.0] * len(frames) if offsets is None else offsets
    length = window / FPS
    pair_seconds = [
        [seconds - i * length + begin for seconds in segments.pair_seconds[i]]
        for i, begin in enumerate(begins)
    ]
    seconds = torch.tensor(begins, dtype=torch.float64) + length / 2
    return SegmentPixels(
        segments.pixel_rows_PC, segments.grid_thw_N3, pair_seconds, seconds, is_image=False
    )
