"""Pre-train the miniature's base compressor: transformers' Qwen3-VL on single segments.

The vision tower alone learns to name what a frame pair shows (its tokens against word embeddings),
then the whole model learns captions, answers and Yes/No relevance in many wordings, at last also to
say what it sees after its verdict.
Shape suffixes: N segments, L tokens, V visual tokens, D width.
"""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.config import PixelRules
from tempo_lib.miniature.pretrain.base_compressor_data import (
    BaseCompressorConfig,
    SegmentBatch,
    SegmentPool,
    draw_batch,
    make_pool,
    stack_segments,
)
from tempo_lib.miniature.pretrain.blocks import BlockRow, block_mask, collate_blocks
from tempo_lib.miniature.pretrain.optimiser import make_optimiser, miniature_init
from tempo_lib.miniature.world.scenes import ACTORS, CODES, PLACES, Story
from tempo_lib.model.attention import CPU_TRAINING, VISION_BATCHED
from tempo_lib.model.compressor import mrope_positions, next_positions
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.processing import PatchShape, TextEncoder, prefix_ids
from tempo_lib.training.fast_norm import speed_up_norms

HELD_OUT_SEED = 10_000  # added to the run's seed: stories no step has seen


def train_base_compressor(
    model_config: Qwen3VLConfig,
    tokenizer: PreTrainedTokenizerBase,
    config: BaseCompressorConfig,
    rules: PixelRules,
    out_dir: Path,
    seed: int,
) -> dict[str, object]:
    """Run all phases, save a Hugging Face folder with ``card.json``, return the card."""
    torch.manual_seed(seed)
    started = time.perf_counter()
    model_config._attn_implementation = CPU_TRAINING
    model = Qwen3VLForConditionalGeneration(model_config)
    model.model.visual.config._attn_implementation = VISION_BATCHED
    speed_up_norms(model)
    miniature_init(model)
    shape = _patch_shape(model)
    pool = make_pool(config, rules, shape.factor, seed)
    text = TextEncoder(tokenizer)
    losses = train_vision(model, text, pool, config, rules, seed)
    losses += train_language(model, text, pool, config, rules, seed, phase=1)
    if config.telling is not None:
        telling = replace(config, **asdict(config.telling))
        losses += train_language(model, text, pool, telling, rules, seed, phase=2)
    few = replace(config, num_stories=config.num_stories // 10)
    held_out = make_pool(few, rules, shape.factor, seed + HELD_OUT_SEED)
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
    name_codes(table, digits.weight, text)
    return losses


@torch.no_grad()
def name_codes(table: torch.Tensor, digits: torch.Tensor, text: TextEncoder) -> None:
    """Give each code's word the sum of its two digits, which the vision tower has just learned."""
    rows = _word_rows(text, [str(code) for code in CODES])
    tens, ones = (torch.tensor([f(code) for code in CODES]) for f in (_tens, _ones))
    table[rows] = (digits[tens] + digits[10 + ones]) / 2**0.5


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
        "actor": (
            table[_word_rows(text, names)],
            [names.index(s.actor or "empty") for s in scenes],
        ),
        "place": (table[_word_rows(text, PLACES)], [PLACES.index(s.place) for s in scenes]),
    }
    codes = [-1 if s.code is None else int(s.code) for s in scenes]
    for name, rows, digit in (("tens", digits[:10], _tens), ("ones", digits[10:], _ones)):
        groups[name] = (rows, [-1 if code < 0 else digit(code) for code in codes])
    unit_NVD = normalize(tokens_NVD, dim=-1)
    total = torch.zeros(())
    for rows, targets in groups.values():
        cosine_NVG = unit_NVD @ normalize(rows, dim=-1).T
        logits_NG = (scale * cosine_NVG).logsumexp(1)
        total = total + cross_entropy(logits_NG, torch.tensor(targets), ignore_index=-1)
    return total


# -- phases 2 and 3: captions, answers, relevance, and what is seen after a verdict -------------


def train_language(
    model: Qwen3VLForConditionalGeneration,
    text: TextEncoder,
    pool: SegmentPool,
    config: BaseCompressorConfig,
    rules: PixelRules,
    seed: int,
    phase: int,
) -> list[dict[str, float]]:
    """The whole model on blocks of captions, answers and Yes/No questions."""
    optimisers, schedules = make_optimiser(
        model, config.matrix_learning_rate, config.learning_rate, config.steps, config.decay_share
    )
    rng = np.random.default_rng([seed, 2] if phase == 1 else [seed, 2, phase])
    losses = []
    for step in (bar := tqdm(range(config.steps), desc="compressor", unit="step")):
        relevance_share = 0.0 if step < config.caption_steps else config.relevance_share
        loss = language_loss(
            model, text, draw_batch(rng, pool, text, config, relevance_share), rules
        )
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        losses.append({"phase": phase, "step": step, "loss": loss.item()})
        bar.set_postfix(loss=f"{loss.item():.3f}")
    return losses


@dataclass(frozen=True)
class AnswerLogits:
    """Logits (M, words) of all answer tokens, their targets (M,) and rows (M,)."""

    logits: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor


def forward_blocks(
    model: Qwen3VLForConditionalGeneration,
    text: TextEncoder,
    batch: SegmentBatch,
    rules: PixelRules,
) -> AnswerLogits:
    """Run a batch of segments with blocks; logits of the answers' tokens only."""
    shape = _patch_shape(model)
    segments = stack_segments(batch.frames, rules, shape, batch.offsets)
    context = [
        prefix_ids(text, system, segments.part(i, i + 1), shape.merge)[0]
        for i, system in enumerate(batch.systems)
    ]
    blocks = collate_blocks([BlockRow(c, b) for c, b in zip(context, batch.blocks, strict=True)])
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
    model: Qwen3VLForConditionalGeneration,
    text: TextEncoder,
    batch: SegmentBatch,
    rules: PixelRules,
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
            answers = torch.tensor([text.encode(word)[0] for word in (prompts.YES, prompts.NO)])
            hits = right[torch.isin(out.targets, answers)].tolist()
        scores.setdefault(f"{kind}_{len(batch.frames[0])}", []).extend(hits)
    model.train()
    return {name: round(float(np.mean(values)), 4) for name, values in sorted(scores.items())}


def _tens(code: int) -> int:
    return code // 10


def _ones(code: int) -> int:
    return code % 10


def _word_rows(text: TextEncoder, words: tuple[str, ...] | list[str]) -> list[int]:
    return [text.encode(f" {word}")[0] for word in words]


def _patch_shape(model: Qwen3VLForConditionalGeneration) -> PatchShape:
    vision = model.config.vision_config
    return PatchShape(vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
