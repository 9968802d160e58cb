"""Pre-train the miniature's decoder on transcripts, before it meets memories.

The model is an unmodified Qwen3ForCausalLM. Many questions share one transcript, each in a
block of its own (block_attention). Matrices are trained by Muon, embeddings and norms by
AdamW. Everything a run draws comes from (seed, step), so an interrupted run continues
exactly where it stopped, but for the curriculum, which is saved with it.

Shape suffixes: B samples, S tokens, L context tokens, Q blocks, T tokens per block,
V vocabulary, C channels, M tokens with a label.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tempo_lib.miniature.pretrain import block_attention
from tempo_lib.miniature.pretrain.base_decoder_config import (
    BaseDecoderConfig,
    Curriculum,
    rate_factor,
)
from tempo_lib.miniature.pretrain.base_decoder_data import draw_batch
from tempo_lib.miniature.pretrain.base_decoder_eval import as_table, evaluate_base_decoder
from tempo_lib.miniature.pretrain.optimiser import miniature_init, muon_and_adamw
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.miniature.world.transcripts import BLOCK_KINDS, IGNORE, Batch, Encoder
from tempo_lib.prompts import all_texts
from tempo_lib.training.fast_norm import speed_up_norms

HISTORY_STEPS = 50  # between two points of the learning curve


def train_base_decoder(config: BaseDecoderConfig, out_dir: str | Path, seed: int) -> dict[str, Any]:
    """Train and save a base decoder with its tokenizer; returns what card.json holds.

    ``out_dir`` receives a Hugging Face folder. A ``state.pt`` found there is resumed.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(all_texts())
    model = build_model(config, tokenizer, seed, block_attention.register())
    speed_up_norms(model)
    optimizers = build_optimizers(model, config)
    curriculum = Curriculum(float(config.first_segments))
    step, seconds = _resume(out_dir, model, optimizers, curriculum)
    encoder = Encoder(tokenizer)
    started = time.monotonic() - seconds
    with tqdm(total=config.steps, initial=step, desc="base decoder", mininterval=5) as bar:
        while step < config.steps:
            rng = np.random.default_rng([seed, step])
            draw = draw_batch(rng, encoder, config, curriculum, step)
            set_rates(optimizers, rate_factor(config, step))
            loss, hits = train_step(model, optimizers, draw.batch, config, draw.noise, rng)
            step += 1
            if draw.at_front:
                curriculum.learn(hits)
                curriculum.advance(config)
            bar.update()
            now = {"longest": curriculum.longest, "loss": loss, **curriculum.accuracy}
            bar.set_postfix({key: f"{value:.2f}" for key, value in now.items()})
            if step % HISTORY_STEPS == 0:
                rounded = {key: round(value, 3) for key, value in now.items()}
                curriculum.history.append({"step": step, **rounded})
            if step % config.save_every == 0 and step < config.steps:
                seconds = time.monotonic() - started
                _save_state(out_dir, model, optimizers, curriculum, step, seconds)
    save_model(model, tokenizer, out_dir)
    metrics: dict[str, Any] = {"steps": step, "seed": seed, "config": asdict(config)}
    metrics["seconds"] = round(time.monotonic() - started, 1)
    metrics["curriculum"] = asdict(curriculum)
    write_card(out_dir, config, metrics)
    (out_dir / "state.pt").unlink(missing_ok=True)
    return metrics


def write_card(out_dir: Path, config: BaseDecoderConfig, metrics: dict[str, Any]) -> None:
    """Judge the saved folder by free decoding and write ``card.json``; extends ``metrics``."""
    model = AutoModelForCausalLM.from_pretrained(out_dir, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(out_dir)
    lengths, num_stories = config.eval_segments, config.eval_stories
    scores = evaluate_base_decoder(model, tokenizer, lengths, num_stories, metrics["seed"])
    metrics["data"] = "transcripts of tempo_lib.miniature.world stories, drawn by (seed, step)"
    metrics["accuracy"] = as_table(scores)
    (out_dir / "card.json").write_text(json.dumps(metrics, indent=1) + "\n")


def build_model(
    config: BaseDecoderConfig, tokenizer: PreTrainedTokenizerFast, seed: int, attention: str
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


def build_optimizers(
    model: Qwen3ForCausalLM, config: BaseDecoderConfig
) -> list[torch.optim.Optimizer]:
    """Muon and AdamW at the config's numbers; each group remembers its full rate."""
    optimizers = muon_and_adamw(
        model,
        config.matrix_lr,
        config.other_lr,
        config.matrix_momentum,
        config.matrix_decay,
        config.beta2,
    )
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
    return optimizers


def set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor


def embed(
    model: Qwen3ForCausalLM, batch: Batch, noise: float, rng: np.random.Generator
) -> torch.Tensor:
    """Embeddings (B, S, C); noise goes on the context only, where memories will stand."""
    embeds_BSC = model.model.embed_tokens(batch.ids_BS)
    if noise > 0:
        length = batch.mask_BL.shape[1]
        std = float(model.model.embed_tokens.weight.detach().std())
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        shape = (embeds_BSC.shape[0], length, embeds_BSC.shape[2])
        noise_BLC = noise * std * torch.randn(shape, generator=generator)
        embeds_BSC = torch.cat((embeds_BSC[:, :length] + noise_BLC, embeds_BSC[:, length:]), 1)
    return embeds_BSC


def labelled_logits(
    model: Qwen3ForCausalLM, batch: Batch, embeds_BSC: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Float32 logits (M, V) where the batch has labels, and their flat indices (M,) in B*S."""
    hidden_BSC = model.model(
        inputs_embeds=embeds_BSC,
        attention_mask={"full_attention": batch.mask_BL},
        position_ids=batch.positions_BS,
        use_cache=False,
        block_length=batch.block_length,
    ).last_hidden_state
    index_M = (batch.labels_BS.flatten() != IGNORE).nonzero().squeeze(1)
    return model.lm_head(hidden_BSC.flatten(0, 1)[index_M]).float(), index_M


def train_step(
    model: Qwen3ForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    batch: Batch,
    config: BaseDecoderConfig,
    noise: float,
    rng: np.random.Generator,
) -> tuple[float, dict[str, float]]:
    """One update; returns the loss and the share of fully right answers per kind."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits_MV, index_M = labelled_logits(model, batch, embed(model, batch, noise, rng))
    label_M = batch.labels_BS.flatten()[index_M]
    loss_M = F.cross_entropy(logits_MV, label_M, reduction="none")
    in_context_M = index_M % batch.ids_BS.shape[1] < batch.mask_BL.shape[1]
    loss = loss_M.new_zeros(())
    if (~in_context_M).any():
        loss = loss + loss_M[~in_context_M].mean()
    if in_context_M.any():
        weight = config.lm_weight if batch.block_length else 1.0
        loss = loss + weight * loss_M[in_context_M].mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    right_M = logits_MV.detach().argmax(-1) == label_M
    return float(loss.detach()), kind_accuracy(batch, index_M, right_M)


def kind_accuracy(batch: Batch, index_M: torch.Tensor, right_M: torch.Tensor) -> dict[str, float]:
    """Share of blocks per kind whose every answer token is the most likely one."""
    if not batch.block_length:
        return {}
    wrong_BS = torch.zeros_like(batch.ids_BS, dtype=torch.bool)
    wrong_BS.view(-1)[index_M] = ~right_M
    blocks_BQT = wrong_BS[:, batch.mask_BL.shape[1] :].unflatten(1, (-1, batch.block_length))
    right_BQ = ~blocks_BQT.any(-1)
    return {
        kind: float(right_BQ[batch.kinds_BQ == number].float().mean())
        for number, kind in enumerate(BLOCK_KINDS)
        if bool((batch.kinds_BQ == number).any())
    }


def save_model(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, out_dir: Path) -> None:
    model.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)


def _save_state(
    out_dir: Path,
    model: Qwen3ForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    curriculum: Curriculum,
    step: int,
    seconds: float,
) -> None:
    state = {
        "curriculum": asdict(curriculum),
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
        "seconds": seconds,
    }
    torch.save(state, out_dir / "state.tmp")
    (out_dir / "state.tmp").replace(out_dir / "state.pt")


def _resume(
    out_dir: Path,
    model: Qwen3ForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    curriculum: Curriculum,
) -> tuple[int, float]:
    """Load ``state.pt`` where there is one; returns the step to go on from and seconds spent."""
    path = out_dir / "state.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    curriculum.longest = state["curriculum"]["longest"]
    curriculum.accuracy = state["curriculum"]["accuracy"]
    curriculum.history = state["curriculum"]["history"]
    return state["step"], state["seconds"]
