"""Pre-train the miniature's base compressor: transformers' Qwen3-VL on single segments.

The vision tower alone learns to name what a frame pair shows (its tokens against word embeddings),
then the whole model learns captions, answers and Yes/No questions under many prompt templates.
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
    CAPTIONS,
    CONTENT,
    BaseCompressorConfig,
    Segment,
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
from tempo_lib.miniature.world.scenes import ACTORS, BYSTANDERS, NUMBERS, PLACES
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
    start: Path | None = None,
) -> dict[str, object]:
    """Run all phases, save a Hugging Face folder with its training summary, return the summary.

    ``start``: the folder of a model whose weights the phases go on from; None: drawn ones.
    """
    torch.manual_seed(seed)
    started = time.perf_counter()
    model_config._attn_implementation = CPU_TRAINING
    if start is None:
        model = Qwen3VLForConditionalGeneration(model_config)
        miniature_init(model)
    else:
        model = Qwen3VLForConditionalGeneration.from_pretrained(
            start, dtype=torch.float32, attn_implementation=CPU_TRAINING
        ).train()
    model.model.visual.config._attn_implementation = VISION_BATCHED
    speed_up_norms(model)
    reader = SegmentReader(model, TextEncoder(tokenizer), rules)
    factor = reader.shape.factor
    pool = make_pool(config, rules, factor, seed)
    losses = train_vision(reader, pool, config, seed)
    losses += train_language(reader, pool, config, seed)
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
    """Frame pairs against the embeddings of actor, place, number and bystanders."""
    model, text = reader.model, reader.text
    rng = np.random.default_rng([seed, 1])
    table = model.get_input_embeddings().weight
    trained = nn.ModuleList([model.model.visual, model.get_input_embeddings()])
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
        segments = stack_segments([s.frames for s in drawn], reader.rules, reader.shape)
        with autocast("cpu"):
            visual = model.model.visual(segments.pixel_rows_PC, grid_thw=segments.grid_thw_N3)
        tokens_NVD = visual.pooler_output.float().reshape(len(drawn), -1, table.shape[1])
        loss = optimiser.update(naming_loss(tokens_NVD, table, text, drawn, config.cosine_scale))
        losses.append({"phase": 0, "step": step, "loss": loss})
        bar.set_postfix(loss=f"{loss:.3f}")
    return losses


def naming_loss(
    tokens_NVD: torch.Tensor,
    table: torch.Tensor,
    text: TextEncoder,
    drawn: list[Segment],
    scale: float,
) -> torch.Tensor:
    """Cross entropy of the best visual token's cosine with each name of a group.

    Where several names of a group are seen, they share the target evenly.
    """
    scenes = [segment.scenes[0] for segment in drawn]
    numbers = [str(number) for number in NUMBERS]
    groups: tuple[tuple[list[str], list[list[str]]], ...] = (
        (["empty", *ACTORS], [[s.actor or "empty"] for s in scenes]),
        (list(PLACES), [[s.place] for s in scenes]),
        (numbers, [[] if s.number is None else [str(s.number)] for s in scenes]),
        (["empty", *BYSTANDERS], [[b.name for b in s.bystanders] or ["empty"] for s in scenes]),
    )
    unit_NVD = normalize(tokens_NVD, dim=-1)
    total = torch.zeros(())
    for names, seen in groups:
        rows_GD = table[_token_ids(text, names)]
        logits_NG = (scale * (unit_NVD @ normalize(rows_GD, dim=-1).T)).logsumexp(1)
        shares = [[float(name in one) / max(1, len(one)) for name in names] for one in seen]
        target_NG = torch.tensor(shares)
        total = total - (target_NG * logits_NG.log_softmax(1)).sum() / target_NG.sum()
    return total


def train_language(
    reader: SegmentReader, pool: SegmentPool, config: BaseCompressorConfig, seed: int
) -> list[dict[str, float]]:
    """The whole model: captions first, then the mix of tasks."""
    optimiser = PretrainingOptimiser(
        reader.model,
        matrix_rate=config.matrix_learning_rate,
        rate=config.learning_rate,
        steps=config.steps,
        decay_share=config.decay_share,
        clip_norm=config.clip_norm,
    )
    rng = np.random.default_rng([seed, 2])
    losses = []
    for step in (bar := tqdm(range(config.steps), desc="compressor", unit="step")):
        task = CAPTIONS if step < config.caption_steps else draw_task(rng, config)
        batch = draw_batch(rng, pool, reader.text, config, task)
        loss = optimiser.update(language_loss(reader, batch))
        losses.append({"phase": 1, "step": step, "loss": loss})
        bar.set_postfix(loss=f"{loss:.3f}")
    return losses


def draw_task(rng: np.random.Generator, config: BaseCompressorConfig) -> str:
    """One of the config's tasks by its share."""
    names = list(config.task_shares)
    return names[int(rng.choice(len(names), p=list(config.task_shares.values())))]


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
    tasks = [name for name in (CAPTIONS, *config.task_shares) if name != CONTENT]
    scores: dict[str, list[bool]] = {}
    for task in tasks * batches:
        batch = draw_batch(rng, pool, reader.text, config, task)
        out = forward_blocks(reader, batch)
        right = out.logits.argmax(-1) == out.targets
        if task == CAPTIONS:
            of_caption = out.blocks == 1
            rows = range(config.batch)
            hits = [bool(right[of_caption & (out.rows == row)].all()) for row in rows]
        else:
            hits = right[torch.isin(out.targets, verdicts)].tolist()
        scores.setdefault(f"{task}_{len(batch.frames[0])}", []).extend(hits)
    reader.model.train()
    return {name: round(float(np.mean(values)), 4) for name, values in sorted(scores.items())}


def _token_ids(text: TextEncoder, names: tuple[str, ...] | list[str]) -> list[int]:
    return [text.encode(f" {name}")[0] for name in names]
