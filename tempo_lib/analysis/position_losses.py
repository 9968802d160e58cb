"""What each memory position carries, after a short training: the loss without it.

An ablated memory is replaced by its mean over the segments, so that the decoder reads as many
memories at the same places (mean ablation).

Shape suffixes: N segments, K memory tokens, D width, S samples, L decoder tokens, A answer tokens.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.feed import Batch

if TYPE_CHECKING:
    import pandas as pd

WHOLE, BLIND, HEAD, TAIL = "whole", "blind", "without head", "without tail"


def ablations(num_memory_tokens: int) -> dict[str, torch.Tensor]:
    """Name -> which positions (K,) stay: all, none, without either half, without each one."""
    place_K = torch.arange(num_memory_tokens)
    half = num_memory_tokens // 2
    halves = {HEAD: place_K >= half, TAIL: place_K < half}
    single = {str(place): place_K != place for place in place_K.tolist()}
    return {WHOLE: place_K >= 0, BLIND: place_K < 0, **halves, **single}


@torch.no_grad()
def memories_of(model: Tempo, batch: Batch) -> torch.Tensor:
    """Memories (N, K, D) of a batch's segments."""
    vision = model.compressor.encode_vision(batch["pixel_rows"], batch["grid_thw"])
    text = (batch["compressor_ids"], batch["compressor_mask"])
    return model.compressor(vision, *text, batch["grid_thw"])[0]


@torch.no_grad()
def position_losses(model: Tempo, batch: Batch) -> "pd.DataFrame":
    """Rows (ablated, loss, right) on a held-out batch: loss in nats per target token, right the
    share of target tokens that are likeliest. ``ablated``: a name of ``ablations``."""
    import pandas as pd

    memories_NKD = memories_of(model, batch)
    mean_1KD = memories_NKD.mean(0, keepdim=True)
    is_target_SL = batch["labels"][:, 1:] != IGNORE
    targets_A = batch["labels"][:, 1:][is_target_SL]
    rows = []
    for name, stays_K in ablations(memories_NKD.shape[1]).items():
        read_NKD = torch.where(stays_K[None, :, None], memories_NKD, mean_1KD)
        logits_SLV = model.decoder(
            inputs_embeds=model.embed(batch["input_ids"], read_NKD.flatten(0, 1)),
            attention_mask=batch["attention_mask"],
            use_cache=False,
        ).logits
        logits_AV = logits_SLV[:, :-1][is_target_SL]
        right = (logits_AV.argmax(-1) == targets_A).float().mean()
        loss = cross_entropy(logits_AV.float(), targets_A)
        rows.append({"ablated": name, "loss": loss.item(), "right": right.item()})
    return pd.DataFrame(rows)


def profile(losses: Mapping[str, float]) -> np.ndarray:
    """What the loss of each position alone costs, (K,) nats: ``losses`` by name of ablation."""
    singles = sorted((name for name in losses if name.isdigit()), key=int)
    return np.array([losses[name] - losses[WHOLE] for name in singles])
