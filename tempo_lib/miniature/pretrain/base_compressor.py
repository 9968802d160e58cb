"""Pre-train the miniature's base compressor: transformers' Qwen3-VL on single segments.

The vision tower alone learns to name what a frame pair shows (its tokens against word embeddings),
then the whole model learns captions, answers and Yes/No relevance under many prompt templates, at
last also to caption the segment after its verdict.
Shape suffixes: N segments, L tokens, V visual tokens, D width, M tokens with a label.
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
from tempo_lib.checkpoints.folders import write_summary
from tempo_lib.config import PixelRules
from tempo_lib.fingerprint import write_atomic
from tempo_lib.miniature.pretrain.base_compressor_data import (
    BaseCompressorConfig,
    SegmentBatch,
    SegmentPool,
    draw_batch,
    make_pool,
    stack_segments,
)
from tempo_lib.miniature.pretrain.blocks import (
    BlockRow,
    LabelledLogits,
    block_mask,
    collate_blocks,
    labelled_logits,
)
from tempo_lib.miniature.pretrain.optimiser import PretrainingOptimiser, miniature_init
from tempo_lib.miniature.world.scenes import ACTORS, CODES, PLACES, Story
from tempo_lib.model.attention import CPU_TRAINING, VISION_BATCHED
from tempo_lib.model.compressor import mrope_positions, next_positions
from tempo_lib.model.processing import PatchShape, TextEncoder, prefix_ids
from tempo_lib.training.fast_norm import speed_up_norms
from tempo_lib.training.precision import autocast

HELD_OUT_SEED = 10_000  # added to the run's seed: stories no step has seen


@dataclass(frozen=True)
class SegmentReader:
    """A base compressor, and how text and pixels reach it."""

    model: Qwen3VLForConditionalGeneration
    text: TextEncoder
    rules: PixelRules

    @property
    def shape(self) -> PatchShape:
        vision = self.model.config.vision_config
        return PatchShape(vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)


def train_base_compressor(
    model_config: Qwen3VLConfig,
    tokenizer: PreTrainedTokenizerBase,
    config: BaseCompressorConfig,
    rules: PixelRules,
    out_dir: Path,
    seed: int,
) -> dict[str, object]:
    """Run all phases, save a Hugging Face folder with its training summary, return the summary."""
    torch.manual_seed(seed)
    started = time.perf_counter()
    model_config._attn_implementation = CPU_TRAINING
    model = Qwen3VLForConditionalGeneration(model_config)
    model.model.visual.config._attn_implementation = VISION_BATCHED
    speed_up_norms(model)
    miniature_init(model)
    reader = SegmentReader(model, TextEncoder(tokenizer), rules)
    factor = reader.shape.factor
    pool = make_pool(config, rules, factor, seed)
    losses = train_vision(reader, pool, config, seed)
    losses += train_language(reader, pool, config, seed, phase=1)
    if config.caption_after_verdict is not None:
        last = replace(config, **asdict(config.caption_after_verdict))
        losses += train_language(reader, pool, last, seed, phase=2)
    few = replace(config, num_stories=config.num_stories // 10)
    held_out = make_pool(few, rules, factor, seed + HELD_OUT_SEED)
    summary = {
        "config": asdict(config),
        "seed": seed,
        "accuracy": evaluate_base(reader, held_out, config, seed),
        "seconds": round(time.perf_counter() - started, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    model.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    write_atomic(out_dir / "losses.json", json.dumps(losses) + "\n")
    write_summary(out_dir, summary)
    return summary


def train_vision(
    reader: SegmentReader, pool: SegmentPool, config: BaseCompressorConfig, seed: int
) -> list[dict[str, float]]:
    """Frame pairs against the embeddings of actor, place and the two digits of the code."""
    model, text = reader.model, reader.text
    rng = np.random.default_rng([seed, 1])
    digits = nn.Embedding(20, model.config.text_config.hidden_size)  # tens, ones: this phase only
    nn.init.normal_(digits.weight, std=0.08)
    table = model.get_input_embeddings().weight
    trained = nn.ModuleList([model.model.visual, digits, model.get_input_embeddings()])
    optimiser = PretrainingOptimiser(
        trained,
        matrix_rate=config.matrix_learning_rate,
        rate=config.vision_learning_rate,
        steps=config.vision_steps,
        decay_share=0.5,
    )
    losses = []
    for step in (bar := tqdm(range(config.vision_steps), desc="vision", unit="step")):
        drawn = [pool.draw(rng, 2) for _ in range(config.vision_batch)]
        frames = [frames for *_, frames in drawn]
        segments = stack_segments(frames, reader.rules, reader.shape)
        with autocast("cpu"):
            visual = model.model.visual(segments.pixel_rows_PC, grid_thw=segments.grid_thw_N3)
        tokens_NVD = visual.pooler_output.float().reshape(len(drawn), -1, table.shape[1])
        loss = optimiser.update(
            naming_loss(tokens_NVD, table, digits.weight, text, drawn, config.cosine_scale)
        )
        losses.append({"phase": 0, "step": step, "loss": loss})
        bar.set_postfix(loss=f"{loss:.3f}")
    name_codes(table, digits.weight, text)
    return losses


@torch.no_grad()
def name_codes(table: torch.Tensor, digits: torch.Tensor, text: TextEncoder) -> None:
    """Give each code's token the sum of its two digits, which the vision tower has just learned."""
    rows = _token_ids(text, [str(code) for code in CODES])
    codes = torch.tensor(CODES)
    table[rows] = (digits[codes // 10] + digits[10 + codes % 10]) / 2**0.5


def naming_loss(
    tokens_NVD: torch.Tensor,
    table: torch.Tensor,
    digits: torch.Tensor,
    text: TextEncoder,
    drawn: list[tuple[Story, int, np.ndarray]],
    scale: float,
) -> torch.Tensor:
    """Cross entropy of the best visual token's cosine with each name of a group."""
    scenes = [story.scene_at(start) for story, start, _ in drawn]
    names = ["empty", *ACTORS]
    codes = [divmod(s.code, 10) if s.code is not None else (-1, -1) for s in scenes]
    groups = (
        (table[_token_ids(text, names)], [names.index(s.actor or "empty") for s in scenes]),
        (table[_token_ids(text, PLACES)], [PLACES.index(s.place) for s in scenes]),
        (digits[:10], [tens for tens, _ in codes]),
        (digits[10:], [ones for _, ones in codes]),
    )
    unit_NVD = normalize(tokens_NVD, dim=-1)
    total = torch.zeros(())
    for rows, targets in groups:
        cosine_NVG = unit_NVD @ normalize(rows, dim=-1).T
        logits_NG = (scale * cosine_NVG).logsumexp(1)
        total = total + cross_entropy(logits_NG, torch.tensor(targets), ignore_index=-1)
    return total


def train_language(
    reader: SegmentReader, pool: SegmentPool, config: BaseCompressorConfig, seed: int, phase: int
) -> list[dict[str, float]]:
    """The whole model on blocks of captions, answers and Yes/No questions."""
    optimiser = PretrainingOptimiser(
        reader.model,
        matrix_rate=config.matrix_learning_rate,
        rate=config.learning_rate,
        steps=config.steps,
        decay_share=config.decay_share,
        clip_norm=config.clip_norm,
    )
    rng = np.random.default_rng([seed, 2] if phase == 1 else [seed, 2, phase])
    losses = []
    for step in (bar := tqdm(range(config.steps), desc="compressor", unit="step")):
        relevance_share = 0.0 if step < config.caption_steps else config.relevance_share
        batch = draw_batch(rng, pool, reader.text, config, relevance_share)
        loss = optimiser.update(language_loss(reader, batch))
        losses.append({"phase": phase, "step": step, "loss": loss})
        bar.set_postfix(loss=f"{loss:.3f}")
    return losses


def forward_blocks(reader: SegmentReader, batch: SegmentBatch) -> LabelledLogits:
    """Run a batch of segments with blocks; logits of the answers' tokens only."""
    model, shape = reader.model, reader.shape
    segments = stack_segments(batch.frames, reader.rules, shape, batch.offsets)
    context = [
        prefix_ids(reader.text, system, segments.part(i, i + 1), shape.merge)[0]
        for i, system in enumerate(batch.systems)
    ]
    blocks = collate_blocks(
        [BlockRow(context=c, blocks=b) for c, b in zip(context, batch.blocks, strict=True)]
    )
    in_context_NL = (blocks.block == 0).long()
    positions_3NL = mrope_positions(model.model, blocks.ids, in_context_NL, segments.grid_thw_N3)
    after_N1 = next_positions(positions_3NL, in_context_NL)[:, None]
    steps_NL = blocks.positions - in_context_NL.sum(1, keepdim=True)  # since the context's end
    positions_3NL = torch.where(in_context_NL.bool(), positions_3NL, after_N1 + steps_NL)
    hidden_NLD = model.model(
        input_ids=blocks.ids,
        attention_mask=block_mask(blocks.block),
        position_ids=positions_3NL,
        pixel_values_videos=segments.pixel_rows_PC,
        video_grid_thw=segments.grid_thw_N3,
        use_cache=False,
    ).last_hidden_state
    return labelled_logits(model.lm_head, hidden_NLD, blocks)


def language_loss(reader: SegmentReader, batch: SegmentBatch) -> torch.Tensor:
    """Mean cross entropy over answer tokens."""
    with autocast("cpu"):
        out = forward_blocks(reader, batch)
    return cross_entropy(out.logits.float(), out.targets)


@torch.inference_mode()
def evaluate_base(
    reader: SegmentReader,
    pool: SegmentPool,
    config: BaseCompressorConfig,
    seed: int,
    batches: int = 6,
) -> dict[str, float]:
    """Held-out accuracies: whole captions right under teacher forcing, and Yes/No right."""
    reader.model.eval()
    rng = np.random.default_rng([seed, 3])
    verdicts = torch.tensor([reader.text.encode(word)[0] for word in (prompts.YES, prompts.NO)])
    scores: dict[str, list[bool]] = {}
    for index in range(2 * batches):
        kind = ("caption", "relevance")[index % 2]
        batch = draw_batch(rng, pool, reader.text, config, relevance_share=float(index % 2))
        out = forward_blocks(reader, batch)
        right = out.logits.argmax(-1) == out.targets
        if kind == "caption":
            hits = [bool(right[out.rows == row].all()) for row in range(config.batch)]
        else:
            hits = right[torch.isin(out.targets, verdicts)].tolist()
        scores.setdefault(f"{kind}_{len(batch.frames[0])}", []).extend(hits)
    reader.model.train()
    return {name: round(float(np.mean(values)), 4) for name, values in sorted(scores.items())}


def _token_ids(text: TextEncoder, names: tuple[str, ...] | list[str]) -> list[int]:
    return [text.encode(f" {name}")[0] for name in names]
