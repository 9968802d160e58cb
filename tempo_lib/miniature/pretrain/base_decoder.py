"""Pre-train the miniature's decoder on transcripts, before it meets memories.

The model is an unmodified Qwen3ForCausalLM. Many questions share one transcript, each in a block
of its own. Everything a run draws comes from (seed, step), so an interrupted run continues exactly
where it stopped, but for the curriculum, which is saved with it.

Shape suffixes: B rows, L tokens, C channels, M tokens with a label.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tempo_lib.checkpoints.folders import write_summary
from tempo_lib.miniature.config import BaseDecoderConfig
from tempo_lib.miniature.pretrain.base_decoder_data import Curriculum, Draw, draw_batch
from tempo_lib.miniature.pretrain.base_decoder_eval import evaluate_base_decoder
from tempo_lib.miniature.pretrain.blocks import (
    BlockBatch,
    LabelledLogits,
    block_mask,
    labelled_logits,
)
from tempo_lib.miniature.pretrain.optimiser import PretrainingOptimiser, miniature_init
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.model.attention import CPU_TRAINING
from tempo_lib.model.processing import TextEncoder
from tempo_lib.prompts import all_texts
from tempo_lib.training.fast_norm import speed_up_norms
from tempo_lib.training.precision import autocast
from tempo_lib.training.progress import ResumeError, check_same_run

HISTORY_STEPS = 50  # between two points of the learning curve


@dataclass
class _Progress:
    """How far a run is; ``started``: when it would have begun without interruptions."""

    curriculum: Curriculum
    step: int
    started: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


def train_base_decoder(config: BaseDecoderConfig, out_dir: str | Path, seed: int) -> dict[str, Any]:
    """Train and save a base decoder with its tokenizer; returns its training summary.

    ``out_dir`` receives a Hugging Face folder. A ``state.pt`` found there is resumed; ResumeError
    where it is of another config or seed.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(all_texts())
    text = TextEncoder(tokenizer)
    model = build_model(config, tokenizer, seed, CPU_TRAINING)
    speed_up_norms(model)
    optimiser = build_optimiser(model, config)
    facts = {"seed": seed, "config": asdict(config)}
    done = _resume(out_dir, model, optimiser, facts)
    curriculum = done.curriculum
    with tqdm(total=config.steps, initial=done.step, desc="base decoder", mininterval=5) as bar:
        while done.step < config.steps:
            rng = np.random.default_rng([seed, done.step])
            draw = draw_batch(rng, text, config, curriculum, done.step)
            loss, hits = train_step(model, optimiser, draw, config, rng)
            done.step += 1
            if draw.at_front:
                curriculum.learn(hits)
                curriculum.advance(config)
            now = {"longest": curriculum.longest, "loss": loss, **curriculum.accuracy}
            bar.update()
            bar.set_postfix({key: f"{value:.2f}" for key, value in now.items()})
            if done.step % HISTORY_STEPS == 0:
                rounded = {key: round(value, 3) for key, value in now.items()}
                curriculum.history.append({"step": done.step, **rounded})
            if done.step % config.save_every == 0 and done.step < config.steps:
                _save_state(out_dir, model, optimiser, done, facts)
    model.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    summary = _summary(out_dir, config, seed, done)
    write_summary(out_dir, summary)
    (out_dir / "state.pt").unlink(missing_ok=True)
    return summary


def _summary(
    out_dir: Path, config: BaseDecoderConfig, seed: int, done: _Progress
) -> dict[str, Any]:
    """What a run was, and the accuracy of the saved folder by free decoding."""
    seconds = round(done.seconds, 1)
    model = AutoModelForCausalLM.from_pretrained(out_dir, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(out_dir)
    scores = evaluate_base_decoder(
        model, tokenizer, config.eval_segments, config.eval_stories, seed
    )
    return {
        "steps": done.step,
        "seed": seed,
        "config": asdict(config),
        "seconds": seconds,
        "curriculum": asdict(done.curriculum),
        "data": "transcripts of tempo_lib.miniature.world stories, drawn by (seed, step)",
        "accuracy": {str(length): kinds for length, kinds in scores.items()},
    }


def build_model(
    config: BaseDecoderConfig, tokenizer: PreTrainedTokenizerBase, seed: int, attention: str
) -> Qwen3ForCausalLM:
    """A fresh Qwen3 with tied embeddings; initial weights depend on ``seed`` alone."""
    qwen = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_heads,
        head_dim=config.head_dim,
        max_position_embeddings=config.max_positions,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM._from_config(qwen, attn_implementation=attention)
        miniature_init(model, config.qk_gain, config.embedding_std)
    return model


def build_optimiser(model: Qwen3ForCausalLM, config: BaseDecoderConfig) -> PretrainingOptimiser:
    return PretrainingOptimiser(
        model,
        matrix_rate=config.matrix_lr,
        rate=config.other_lr,
        steps=config.steps,
        decay_share=config.decay_share,
        warmup_steps=config.warmup_steps,
        clip_norm=config.clip_norm,
        momentum=config.matrix_momentum,
        matrix_decay=config.matrix_decay,
        beta2=config.beta2,
    )


def embed(
    model: Qwen3ForCausalLM, batch: BlockBatch, noise: float, rng: np.random.Generator
) -> torch.Tensor:
    """Embeddings (B, L, C); noise goes on the context only, where memories will stand."""
    embeds_BLC = model.model.embed_tokens(batch.ids)
    if noise == 0:
        return embeds_BLC
    in_context_BL = batch.block == 0
    longest = int(in_context_BL.sum(1).max())
    std = float(model.model.embed_tokens.weight.detach().std())
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    shape = (len(embeds_BLC), longest, embeds_BLC.shape[2])
    noise_BLC = torch.zeros_like(embeds_BLC)
    noise_BLC[:, :longest] = noise * std * torch.randn(shape, generator=generator)
    return embeds_BLC + noise_BLC * in_context_BL[..., None]


def forward_blocks(
    model: Qwen3ForCausalLM, batch: BlockBatch, embeds_BLC: torch.Tensor
) -> LabelledLogits:
    """Logits where the batch has labels."""
    hidden_BLC = model.model(
        inputs_embeds=embeds_BLC,
        attention_mask={"full_attention": block_mask(batch.block)},
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    return labelled_logits(model.lm_head, hidden_BLC, batch)


def train_step(
    model: Qwen3ForCausalLM,
    optimiser: PretrainingOptimiser,
    draw: Draw,
    config: BaseDecoderConfig,
    rng: np.random.Generator,
) -> tuple[float, dict[str, float]]:
    """One update; returns the loss and the share of fully right answers per kind."""
    with autocast("cpu"):
        out = forward_blocks(model, draw.batch, embed(model, draw.batch, draw.noise, rng))
    loss_M = cross_entropy(out.logits.float(), out.targets, reduction="none")
    in_context_M = out.blocks == 0
    loss = loss_M.new_zeros(())
    if (~in_context_M).any():
        loss = loss + loss_M[~in_context_M].mean()
    if in_context_M.any():
        weight = 1.0 if in_context_M.all() else config.lm_weight
        loss = loss + weight * loss_M[in_context_M].mean()
    return optimiser.update(loss), kind_accuracy(draw.batch, out)


def kind_accuracy(batch: BlockBatch, out: LabelledLogits) -> dict[str, float]:
    """Share of blocks per kind whose every answer token is the most likely one."""
    wrong_M = out.logits.detach().argmax(-1) != out.targets
    wrong = set(zip(out.rows[wrong_M].tolist(), out.blocks[wrong_M].tolist(), strict=True))
    hits: dict[str, list[bool]] = {}
    for row, kinds in enumerate(batch.kinds):
        for number, kind in enumerate(kinds, start=1):
            hits.setdefault(kind, []).append((row, number) not in wrong)
    return {kind: sum(right) / len(right) for kind, right in hits.items()}


def _save_state(
    out_dir: Path,
    model: Qwen3ForCausalLM,
    optimiser: PretrainingOptimiser,
    done: _Progress,
    facts: dict[str, Any],
) -> None:
    state = {
        "facts": facts,
        "curriculum": asdict(done.curriculum),
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": done.step,
        "seconds": done.seconds,
    }
    torch.save(state, out_dir / "state.tmp")
    (out_dir / "state.tmp").replace(out_dir / "state.pt")


def _resume(
    out_dir: Path,
    model: Qwen3ForCausalLM,
    optimiser: PretrainingOptimiser,
    facts: dict[str, Any],
) -> _Progress:
    """Load ``state.pt`` where there is one of these facts; returns how far that run was."""
    path = out_dir / "state.pt"
    if not path.exists():
        first = float(facts["config"]["first_segments"])
        return _Progress(Curriculum(first), 0, time.monotonic())
    state = torch.load(path, weights_only=True)
    if "facts" not in state:
        raise ResumeError(f"{path} was written by an older version: add --fresh")
    check_same_run(path, state["facts"], facts)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    started = time.monotonic() - state["seconds"]
    return _Progress(Curriculum(**state["curriculum"]), state["step"], started)
