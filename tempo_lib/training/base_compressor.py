"""Pre-train the miniature's base compressor: transformers' Qwen3-VL on single segments.

Two phases: the vision tower alone learns to name what a frame pair shows (its tokens against word
embeddings), then the whole model learns captions, answers and Yes/No relevance in many wordings.
Shape suffixes: N segments, L tokens, V visual tokens, D width.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.attention import VISION_BATCHED
from tempo_lib.compressor import mrope_positions, next_positions
from tempo_lib.presets import PixelRules
from tempo_lib.processing import PatchShape, TextEncoder, resize_frames, segment_pixels
from tempo_lib.processing import SegmentPixels, prefix_ids
from tempo_lib.training.blocks import BlockRow, block_mask, collate_blocks
from tempo_lib.sequence import IGNORE
from tempo_lib.training.optimiser import make_optimiser, miniature_init
from tempo_lib.video import Video
from tempo_lib.world import wordings
from tempo_lib.world.language import ACTORS, CAPTION_QUESTION, FPS, PLACES, caption
from tempo_lib.world.questions import QUESTION_TEXT
from tempo_lib.world.rendering import render
from tempo_lib.world.scenes import Story, make_story


@dataclass(frozen=True, kw_only=True)
class BaseCompressorConfig:
    """Numbers of the two phases; values come from the preset."""

    num_stories: int
    story_frames: int
    windows: tuple[int, ...]
    max_offset_seconds: int  # segments are read as if they began this late at most
    vision_steps: int
    vision_batch: int
    vision_learning_rate: float
    cosine_scale: float
    caption_steps: int  # captions and answers only, before relevance joins
    steps: int
    batch: int
    questions: int
    matrix_learning_rate: float
    learning_rate: float
    decay_share: float
    clip_norm: float


@dataclass(frozen=True)
class SegmentPool:
    """Rendered stories at the size the model reads: frames (stories, T, H, W, 3) uint8."""

    stories: list[Story]
    frames: np.ndarray

    def draw(self, rng: np.random.Generator, window: int) -> tuple[Story, int, np.ndarray]:
        """A story, the first frame of a window on the frame-pair grid, and its frames."""
        index = int(rng.integers(len(self.stories)))
        start = 2 * int(rng.integers((self.frames.shape[1] - window) // 2 + 1))
        return self.stories[index], start, self.frames[index, start : start + window]


def make_pool(config: BaseCompressorConfig, rules: PixelRules, factor: int, seed: int) -> SegmentPool:
    """Stories and their frames, resized once."""
    stories, frames = [], []
    for index in tqdm(range(config.num_stories), desc="segments", unit="story"):
        rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
        stories.append(make_story(rng, config.story_frames))
        rendered = render(stories[-1], seed=int(rng.integers(2**31)))
        frames.append(resize_frames(rendered, rules, factor).permute(0, 2, 3, 1).numpy())
    return SegmentPool(stories, np.stack(frames))


def train_base_compressor(
    model_config: Qwen3VLConfig,
    tokenizer: PreTrainedTokenizerBase,
    config: BaseCompressorConfig,
    rules: PixelRules,
    out_dir: Path,
    seed: int,
) -> dict[str, object]:
    """Run both phases, save a Hugging Face folder with ``card.json``, return the card."""
    torch.manual_seed(seed)
    started = time.perf_counter()
    model_config._attn_implementation = "eager"  # bf16 SDPA backward is slow on CPU
    model = Qwen3VLForConditionalGeneration(model_config)
    model.model.visual.config._attn_implementation = VISION_BATCHED
    miniature_init(model)
    shape = _patch_shape(model)
    pool = make_pool(config, rules, shape.factor, seed)
    text = TextEncoder(tokenizer)
    losses = train_vision(model, text, pool, config, rules, seed)
    losses += train_language(model, text, pool, config, rules, seed)
    held_out = make_pool(_smaller(config), rules, shape.factor, seed + 10_000)
    card = {
        "config": asdict(config),
        "seed": seed,
        "accuracy": evaluate_base(model, text, held_out, config, rules, seed),
        "seconds": round(time.perf_counter() - started, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    out_dir.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    (out_dir / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    (out_dir / "losses.json").write_text(json.dumps(losses) + "\n")
    return card


# -- phase 1: the vision tower ----------------------------------------------------------------


def train_vision(
    model: Qwen3VLForConditionalGeneration,
    text: TextEncoder,
    pool: SegmentPool,
    config: BaseCompressorConfig,
    rules: PixelRules,
    seed: int,
) -> list[dict[str, float]]:
    """Frame pairs against the words for actor, place and the two digits of the code."""
    rng = np.random.default_rng([seed, 1])
    digits = nn.Embedding(20, model.config.text_config.hidden_size)  # tens, ones: this phase only
    nn.init.normal_(digits.weight, std=0.08)
    table = model.get_input_embeddings().weight
    trained = nn.ModuleList([model.model.visual, digits, model.get_input_embeddings()])
    optimisers, schedules = make_optimiser(
        trained, config.matrix_learning_rate, config.vision_learning_rate, config.vision_steps, 0.5
    )
    losses = []
    for step in (bar := tqdm(range(config.vision_steps), desc="vision", unit="step")):
        drawn = [pool.draw(rng, 2) for _ in range(config.vision_batch)]
        segments = stack_segments([frames for *_, frames in drawn], rules, _patch_shape(model))
        with torch.autocast("cpu", torch.bfloat16):
            visual = model.model.visual(segments.pixel_rows_PC, grid_thw=segments.grid_thw_N3)
        tokens_NVD = visual.pooler_output.float().reshape(len(drawn), -1, table.shape[1])
        loss = naming_loss(tokens_NVD, table, digits.weight, text, drawn, config.cosine_scale)
        trained.zero_grad()
        loss.backward()
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        losses.append({"phase": 0, "step": step, "loss": loss.item()})
        bar.set_postfix(loss=f"{loss.item():.3f}")
    return losses


def naming_loss(
    tokens_NVD: torch.Tensor,
    table: torch.Tensor,
    digits: torch.Tensor,
    text: TextEncoder,
    drawn: list[tuple[Story, int, np.ndarray]],
    scale: float,
) -> torch.Tensor:
    """Cross entropy of the best visual token's cosine with each word of a group."""
    scenes = [story.scene_at(start) for story, start, _ in drawn]
    names = ["empty", *ACTORS]
    groups = {
        "actor": (table[_word_rows(text, names)], [names.index(s.actor or "empty") for s in scenes]),
        "place": (table[_word_rows(text, PLACES)], [PLACES.index(s.place) for s in scenes]),
    }
    codes = [-1 if s.code is None else int(s.code) for s in scenes]
    for name, rows, digit in (("tens", digits[:10], 10), ("ones", digits[10:], 1)):
        groups[name] = (rows, [-1 if c < 0 else c // digit % 10 for c in codes])
    unit_NVD = normalize(tokens_NVD, dim=-1)
    total = torch.zeros(())
    for rows, targets in groups.values():
        cosine_NVG = unit_NVD @ normalize(rows, dim=-1).T
        logits_NG = (scale * cosine_NVG).logsumexp(1)
        total = total + cross_entropy(logits_NG, torch.tensor(targets), ignore_index=-1)
    return total


# -- phase 2: captions, answers, relevance ------------------------------------------------------


def train_language(
    model: Qwen3VLForConditionalGeneration,
    text: TextEncoder,
    pool: SegmentPool,
    config: BaseCompressorConfig,
    rules: PixelRules,
    seed: int,
) -> list[dict[str, float]]:
    """The whole model on blocks of captions, answers and Yes/No questions."""
    optimisers, schedules = make_optimiser(
        model, config.matrix_learning_rate, config.learning_rate, config.steps, config.decay_share
    )
    rng = np.random.default_rng([seed, 2])
    losses = []
    for step in (bar := tqdm(range(config.steps), desc="compressor", unit="step")):
        relevance_share = 0.0 if step < config.caption_steps else 0.7
        loss = language_loss(model, text, draw_batch(rng, pool, text, config, relevance_share), rules)
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        losses.append({"phase": 1, "step": step, "loss": loss.item()})
        bar.set_postfix(loss=f"{loss.item():.3f}")
    return losses


@dataclass(frozen=True)
class SegmentBatch:
    """Frames of one window length, the system prompt and the blocks of each segment."""

    frames: list[np.ndarray]
    offsets: list[float]
    systems: list[str]
    blocks: list[list[tuple[list[int], list[int]]]]


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
        judge = rng.random() < relevance_share
        pairs = (
            list(relevance_pairs(rng, story, start, window, config.questions))
            if judge
            else list(content_pairs(rng, story, start, window))
        )
        batch.frames.append(frames)
        batch.offsets.append(float(rng.integers(config.max_offset_seconds)))
        batch.systems.append(
            wordings.relevance_prompt(rng) if judge else wordings.plain_prompt(rng)
        )
        batch.blocks.append([block_ids(text, query, answer) for query, answer in pairs])
    return batch


def relevance_pairs(
    rng: np.random.Generator, story: Story, start: int, window: int, count: int
) -> Iterator[tuple[str, str]]:
    """(query, Yes or No), about half of them about an actor in sight when there is one."""
    seen = sorted({s.actor for s in story.visible(start, start + window) if s.actor})
    kinds = [kind for kind in QUESTION_TEXT if kind != "global"]
    for _ in range(count):
        if rng.random() < 0.05:
            yield QUESTION_TEXT["global"], prompts.YES
            continue
        known = seen and rng.random() < 0.4
        actor = str(rng.choice(seen if known else list(ACTORS)))
        query = QUESTION_TEXT[str(rng.choice(kinds))].format(actor=actor)
        yield query, prompts.YES if actor in seen else prompts.NO


def content_pairs(
    rng: np.random.Generator, story: Story, start: int, window: int
) -> Iterator[tuple[str, str]]:
    """The caption, and what the segment itself answers about each actor in sight."""
    yield CAPTION_QUESTION, caption(story, start, start + window) + "."
    for scene in story.visible(start, start + window):
        if scene.actor:
            query = QUESTION_TEXT["needle"].format(actor=scene.actor)
            yield query, f"The {scene.actor} shows {scene.code}."


def block_ids(text: TextEncoder, query: str, answer: str) -> tuple[list[int], list[int]]:
    question = text.ids(prompts.query_parts(query))
    return question, [*text.words(answer), text.special(prompts.IM_END)]


@dataclass(frozen=True)
class AnswerLogits:
    """Logits (M, words) of all answer tokens, their targets (M,) and rows (M,)."""

    logits: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor


def forward_blocks(
    model: Qwen3VLForConditionalGeneration, text: TextEncoder, batch: SegmentBatch, rules: PixelRules
) -> AnswerLogits:
    """Run a batch of segments with blocks; logits of the answers' tokens only."""
    shape = _patch_shape(model)
    segments = stack_segments(batch.frames, rules, shape, batch.offsets)
    context = [
        prefix_ids(text, system, segments.part(i, i + 1), shape.merge)[0]
        for i, system in enumerate(batch.systems)
    ]
    blocks = collate_blocks(
        [BlockRow(c, b) for c, b in zip(context, batch.blocks, strict=True)]
    )
    in_context = (blocks.block == 0).long()
    positions_3NL = mrope_positions(model.model, blocks.ids, in_context, segments.grid_thw_N3)
    after_NL = next_positions(positions_3NL, in_context)[:, None] + blocks.steps
    positions_3NL = torch.where(in_context.bool(), positions_3NL, after_NL)
    hidden_NLD = model.model(
        input_ids=blocks.ids,
        attention_mask=block_mask(blocks.block, torch.float32),
        position_ids=positions_3NL,
        pixel_values_videos=segments.pixel_rows_PC,
        video_grid_thw=segments.grid_thw_N3,
        use_cache=False,
    ).last_hidden_state
    targets_NL = blocks.labels[:, 1:]
    row_M, place_M = (targets_NL != IGNORE).nonzero(as_tuple=True)
    # the head runs where an answer is wanted: over all tokens it would cost most of the step
    logits_MW = model.lm_head(hidden_NLD[row_M, place_M])
    return AnswerLogits(logits_MW, targets_NL[row_M, place_M], row_M)


def language_loss(
    model: Qwen3VLForConditionalGeneration, text: TextEncoder, batch: SegmentBatch, rules: PixelRules
) -> torch.Tensor:
    """Mean cross entropy over answer tokens."""
    with torch.autocast("cpu", torch.bfloat16):
        out = forward_blocks(model, text, batch, rules)
    return cross_entropy(out.logits.float(), out.targets)


# -- evaluation ---------------------------------------------------------------------------------


@torch.inference_mode()
def evaluate_base(
    model: Qwen3VLForConditionalGeneration,
    text: TextEncoder,
    pool: SegmentPool,
    config: BaseCompressorConfig,
    rules: PixelRules,
    seed: int,
    batches: int = 6,
) -> dict[str, float]:
    """Held-out accuracies: whole captions right under teacher forcing, and Yes/No right."""
    model.eval()
    rng = np.random.default_rng([seed, 3])
    scores: dict[str, list[bool]] = {}
    for index in range(2 * batches):
        kind = ("caption", "relevance")[index % 2]
        batch = draw_batch(rng, pool, text, config, relevance_share=float(index % 2))
        out = forward_blocks(model, text, batch, rules)
        right = out.logits.argmax(-1) == out.targets
        if kind == "caption":
            hits = [bool(right[out.rows == row].all()) for row in range(config.batch)]
        else:
            answers = torch.tensor([text.words(word)[0] for word in (prompts.YES, prompts.NO)])
            hits = right[torch.isin(out.targets, answers)].tolist()
        scores.setdefault(f"{kind}_{len(batch.frames[0])}", []).extend(hits)
    model.train()
    return {name: round(float(np.mean(values)), 4) for name, values in sorted(scores.items())}


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


def _word_rows(text: TextEncoder, words: tuple[str, ...] | list[str]) -> list[int]:
    return [text.words(f" {word}")[0] for word in words]


def _patch_shape(model: Qwen3VLForConditionalGeneration) -> PatchShape:
    vision = model.config.vision_config
    return PatchShape(vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)


def _smaller(config: BaseCompressorConfig) -> BaseCompressorConfig:
    return BaseCompressorConfig(**{**asdict(config), "num_stories": config.num_stories // 10})
