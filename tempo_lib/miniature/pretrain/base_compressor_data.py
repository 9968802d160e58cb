"""What the base compressor and the reranker read: rendered segments and questions about them.

A pool of stories is rendered once; batches are drawn from it. No question of the base compressor
is about relevance: it learns captions, answers, and Yes or No to what is seen, as the public data
of real models has it. Only the reranker, an external judge, learns relevance itself.
Shape suffixes: N segments.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from tempo_lib import prompts
from tempo_lib.config import PixelRules
from tempo_lib.miniature.config import ONE_SCENE, BaseCompressorConfig
from tempo_lib.miniature.pretrain.blocks import Block, make_block
from tempo_lib.miniature.world.captions import (
    CAPTION_QUESTION,
    CONTENT_QUESTIONS,
    caption,
    describe_actor,
)
from tempo_lib.miniature.world.question_sets import any_options, option_lines
from tempo_lib.miniature.world.questions import (
    ANSWER_TEXT,
    QUESTION_TEXT,
    Question,
    is_relevant,
)
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import (
    ACTORS,
    BYSTANDERS,
    FPS,
    PLACES,
    Scene,
    Story,
    make_story,
)
from tempo_lib.model.processing import (
    PatchShape,
    SegmentPixels,
    TextEncoder,
    resize_frames,
    segment_pixels,
)
from tempo_lib.video.clip import Video

LOCALISED = tuple(kind for kind in QUESTION_TEXT if kind != "global")
NAMES = (*ACTORS, *BYSTANDERS, *PLACES)


Pair = tuple[str, str]  # a query and its answer


@dataclass(frozen=True)
class SegmentPool:
    """Rendered stories at the size the model reads: frames (stories, T, H, W, 3) uint8."""

    stories: list[Story]
    frames: np.ndarray

    def draw(self, rng: np.random.Generator, window: int) -> "Segment":
        """A window of a story that begins at an even frame."""
        index = int(rng.integers(len(self.stories)))
        start = 2 * int(rng.integers((self.frames.shape[1] - window) // 2 + 1))
        story, stop = self.stories[index], start + window
        return Segment(story, start, stop, self.frames[index, start:stop])


@dataclass(frozen=True)
class Segment:
    """Frames [start, stop) of a story, as pixels (T, H, W, 3) too."""

    story: Story
    start: int
    stop: int
    frames: np.ndarray

    @property
    def scenes(self) -> list[Scene]:
        return self.story.visible(self.start, self.stop)

    @property
    def names(self) -> set[str]:
        """Actors, bystanders and places that are seen."""
        return {name for scene in self.scenes for name in (*scene.names(), scene.place)}

    @property
    def caption(self) -> str:
        return caption(self.story, self.start, self.stop)


def make_pool(
    config: BaseCompressorConfig, rules: PixelRules, factor: int, seed: int
) -> SegmentPool:
    """Stories and their frames, resized once."""
    stories: list[Story] = []
    frames = np.empty(0, np.uint8)
    for index in tqdm(range(config.num_stories), desc="segments", unit="story"):
        rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
        stories.append(make_story(rng, config.story_frames))
        rendered = render(stories[-1], seed=int(rng.integers(2**31)))
        small = resize_frames(rendered, rules, factor).permute(0, 2, 3, 1).numpy()
        if not index:  # one block for all: small pieces between large ones hold much memory
            frames = np.empty((config.num_stories, *small.shape), small.dtype)
        frames[index] = small
    return SegmentPool(stories, frames)


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
    task: str,
) -> SegmentBatch:
    """Segments of one length; ``task``: which questions they get, one of ``TASKS``."""
    window = int(rng.choice(config.windows))
    batch = SegmentBatch([], [], [], [])
    for _ in range(config.batch):
        segment = pool.draw(rng, window)
        system = prompts.RERANKER if task == RELEVANCE else prompts.plain_prompt(rng)
        pairs = TASKS[task](rng, segment, config)
        batch.frames.append(segment.frames)
        batch.offsets.append(float(rng.integers(10 * config.max_offset_seconds)) / 10)
        batch.systems.append(system)
        batch.blocks.append(
            [make_block(text, prompts.query_parts(query), answer) for query, answer in pairs]
        )
    return batch


def caption_pairs(
    rng: np.random.Generator, segment: Segment, config: BaseCompressorConfig
) -> list[Pair]:
    """The caption, and what is known of each actor in sight."""
    pairs = [(CAPTION_QUESTION, f"{segment.caption}.")]
    for scene in segment.scenes:
        if scene.actor:
            pairs += [(q, a) for q, a in (answered(kind, scene) for kind in ONE_SCENE) if a]
    return pairs


def content_pairs(
    rng: np.random.Generator, segment: Segment, config: BaseCompressorConfig
) -> list[Pair]:
    """The caption, and questions of every kind, about half of them on an actor in sight.

    Who is not there is said not to be there: "No red star.". Where a kind's answer takes more
    than one segment, whoever is in sight is described.
    """
    shown = {scene.actor: scene for scene in segment.scenes if scene.actor}
    pairs = [(CAPTION_QUESTION, f"{segment.caption}.")]
    for _ in range(config.questions):
        kind = str(rng.choice(LOCALISED))
        query, names = draw_query(rng, kind, list(shown), config.choice_share)
        seen = [name for name in names if name in shown]
        if not seen:
            pairs.append((query, f"No {names[0]}."))
        elif kind in ONE_SCENE and answered(kind, shown[seen[0]])[1]:
            pairs.append((query, answered(kind, shown[seen[0]])[1]))
        else:
            pairs.append((query, describe_actor(shown[seen[0]])))
    return pairs


def yes_no_pairs(
    rng: np.random.Generator, segment: Segment, config: BaseCompressorConfig
) -> list[Pair]:
    """The caption, and whether this and that is seen; some verdicts are followed by the caption.

    Without that the model learns to read no further than a Yes or No needs, and memories made
    under a prompt of that kind, the routing prompt, hold little.
    """
    seen, pairs = sorted(segment.names), [(CAPTION_QUESTION, f"{segment.caption}.")]
    for _ in range(config.questions):
        name = str(rng.choice(seen if rng.random() < 0.4 else NAMES))
        query = str(rng.choice(CONTENT_QUESTIONS)).format(name=name)
        verdict = prompts.YES if name in seen else prompts.NO
        captioned = rng.random() < config.caption_after_verdict_share
        pairs.append((query, f"{verdict} {segment.caption}." if captioned else verdict))
    return pairs


def relevance_pairs(
    rng: np.random.Generator, segment: Segment, config: BaseCompressorConfig
) -> list[Pair]:
    """Questions of all kinds, and whether the segment helps to answer them."""
    in_sight = [scene.actor for scene in segment.scenes if scene.actor]
    pairs = []
    for _ in range(config.questions):
        kind = str(rng.choice(LOCALISED))
        query, names = draw_query(rng, kind, in_sight, config.choice_share)
        question = Question(kind, query, "", tuple(names), 0.0, 0.0)
        relevant = is_relevant(question, segment.story, segment.start, segment.stop)
        pairs.append((query, prompts.YES if relevant else prompts.NO))
    return pairs


CAPTIONS, CONTENT, YES_NO, RELEVANCE = "captions", "content", "yes-no", "relevance"
TASKS: dict[str, Callable[..., list[Pair]]] = {
    CAPTIONS: caption_pairs,
    CONTENT: content_pairs,
    YES_NO: yes_no_pairs,
    RELEVANCE: relevance_pairs,
}


def draw_query(
    rng: np.random.Generator, kind: str, in_sight: list[str], choice_share: float
) -> tuple[str, list[str]]:
    """A question of a kind and whom it names, about half of the time someone in sight."""
    known = in_sight and rng.random() < 0.4
    actor = str(rng.choice(in_sight if known else list(ACTORS)))
    names = [actor, str(rng.choice([name for name in ACTORS if name != actor]))]
    names = names if kind == "comparison" else names[:1]
    if rng.random() < 0.5:
        names.reverse()
    query = QUESTION_TEXT[kind].format(actor=names[0], other=names[-1])
    if rng.random() < choice_share:
        query += option_lines(any_options(rng, kind))
    return query, names


def answered(kind: str, scene: Scene) -> Pair:
    """A question about a scene's actor that the scene alone answers; "" where it does not."""
    slot = {"needle": str(scene.number), "attribute": scene.place, "companion": ""}[kind]
    if kind == "companion" and len(scene.bystanders) == 1:
        slot = scene.bystanders[0].name
    query = QUESTION_TEXT[kind].format(actor=scene.actor)
    return query, ANSWER_TEXT[kind].format(actor=scene.actor, slot=f" {slot}") if slot else ""


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
