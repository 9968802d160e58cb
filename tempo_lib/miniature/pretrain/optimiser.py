"""Optimiser, schedule and initial values that suit models of a few million parameters.

The four stages use AdamW as the paper does; only the base models' pre-training uses Muon.
"""

from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel


def miniature_init(
    model: PreTrainedModel, qk_gain: float = 1.7, embedding_std: float = 0.08
) -> None:
    """Sharper attention and wider embeddings: with the defaults tiny models learn far slower."""
    for name, parameter in model.named_parameters():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            nn.init.constant_(parameter, qk_gain)
    nn.init.normal_(model.get_input_embeddings().weight, std=embedding_std)


def rate_factor(step: int, steps: int, decay_share: float, warmup_steps: int = 20) -> float:
    """Linear warm-up, constant, then linear decay to 0 over the last share of the steps."""
    warm = min(1.0, (step + 1) / warmup_steps)
    return warm * min(1.0, (steps - step) / max(1.0, steps * decay_share))


class PretrainingOptimiser:
    """Muon on the matrices of the layers, AdamW on embeddings, norms and all the rest."""

    def __init__(
        self,
        model: nn.Module,
        *,
        matrix_rate: float,
        rate: float,
        steps: int,
        decay_share: float,
        warmup_steps: int = 20,
        clip_norm: float | None = None,
        momentum: float = 0.95,
        matrix_decay: float = 0.0,
        beta2: float = 0.98,
    ) -> None:
        self.parameters, self.clip_norm = list(model.parameters()), clip_norm
        embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        matrices = [p for p in self.parameters if p.ndim == 2 and id(p) not in embeddings]
        chosen = {id(p) for p in matrices}
        others = [p for p in self.parameters if id(p) not in chosen]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                matrices, lr=matrix_rate, momentum=momentum, weight_decay=matrix_decay
            ),
            torch.optim.AdamW(others, lr=rate, betas=(0.9, beta2), weight_decay=0.0),
        ]
        self.schedules = [
            LambdaLR(o, lambda step: rate_factor(step, steps, decay_share, warmup_steps))
            for o in self.optimisers
        ]

    def update(self, loss: torch.Tensor) -> float:
        """One step down the gradient of ``loss``; returns its value."""
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss.backward()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        for optimiser, schedule in zip(self.optimisers, self.schedules, strict=True):
            optimiser.step()
            schedule.step()
        return loss.item()

    def state_dict(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "schedules": [schedule.state_dict() for schedule in self.schedules],
        }

    def load_state_dict(self, state: dict[str, list[dict[str, Any]]]) -> None:
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        for schedule, saved in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
