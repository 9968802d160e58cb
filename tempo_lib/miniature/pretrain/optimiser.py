"""Optimisers and initial values that suit models of a few million parameters.

Stages 0-3 use AdamW as the paper does; only the base models' pre-training uses Muon.
"""

import torch
from torch import nn
from transformers import PreTrainedModel


def miniature_init(
    model: PreTrainedModel, qk_gain: float = 1.7, embedding_std: float = 0.08
) -> None:
    """Sharper attention and wider embeddings: with the defaults tiny models learn far slower."""
    for name, parameter in model.named_parameters():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            nn.init.constant_(parameter, qk_gain)
    nn.init.normal_(model.get_input_embeddings().weight, std=embedding_std)


def muon_and_adamw(
    model: nn.Module,
    matrix_rate: float,
    rate: float,
    momentum: float = 0.95,
    matrix_decay: float = 0.0,
    beta2: float = 0.98,
) -> list[torch.optim.Optimizer]:
    """Muon on the matrices of the layers, AdamW on embeddings, norms and all the rest."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    matrices = [p for p in model.parameters() if p.ndim == 2 and id(p) not in embeddings]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=matrix_rate, momentum=momentum, weight_decay=matrix_decay),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, beta2), weight_decay=0.0),
    ]


def make_optimiser(
    model: nn.Module, matrix_rate: float, rate: float, steps: int, decay_share: float
) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LambdaLR]]:
    """``muon_and_adamw`` with a short warmup and a linear decay over the last share."""
    optimisers = muon_and_adamw(model, matrix_rate, rate)

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / 20)
        return warm * min(1.0, (steps - step) / max(1.0, steps * decay_share))

    return optimisers, [torch.optim.lr_scheduler.LambdaLR(o, factor) for o in optimisers]
