"""What trains on one rank: the model of a stage with its optimiser, schedule and data."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import get_scheduler

from tempo_lib.config import StageNumbers
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.fast_norm import speed_up_norms
from tempo_lib.training.feed import Feed
from tempo_lib.training.ranks import Ranks, shard
from tempo_lib.training.run import StageRun
from tempo_lib.training.stages import checkpoint_activations, parameter_groups, set_trainable
from tempo_lib.training.state import load_tensors, save_tensors
from tempo_lib.training.throughput import Meter, make_meter


@dataclass(frozen=True)
class Trainer:
    """The model of a stage with its optimiser and schedule, on this rank."""

    model: Tempo
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    feed: Feed
    run: StageRun
    meter: Meter

    @property
    def ranks(self) -> Ranks:
        """The processes that train together."""
        return self.feed.ranks

    def save(self, folder: Path) -> None:
        """Write weights, optimiser and schedule, from all ranks, and what makes them a model."""
        save_tensors(folder, self.model, self.optimiser, self.schedule, self.ranks)
        if self.ranks.is_main:
            config = deepcopy(self.model.config)
            config.architectures = [Tempo.__name__]  # sharding gives the class another name
            config.to_json_file(folder / "config.json")
            self.model.encoder.tokenizer.save_pretrained(folder)

    def load(self, folder: Path) -> None:
        """Read them back, from whatever number of ranks."""
        load_tensors(folder, self.model, self.optimiser, self.schedule, self.ranks)


def make_trainer(model: Tempo, feed: Feed, run: StageRun, steps: int) -> Trainer:
    """Freeze, shard, and give what is left to the optimiser, in this order."""
    set_trainable(model, run.numbers)
    model.train()
    checkpoint_activations(model, run.numbers)
    if feed.ranks.device.type == "cpu":
        speed_up_norms(model)
    shard(model, feed.ranks)
    meter = make_meter(model, run.numbers, feed.ranks, run.peak_teraflops)
    return Trainer(model, *make_optimiser(model, run.numbers, steps), feed, run, meter)


def make_optimiser(
    model: Tempo, numbers: StageNumbers, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Table A's optimiser and its schedule: linear warmup, then cosine."""
    optimiser = getattr(torch.optim, numbers.optimizer)(
        parameter_groups(model, numbers),
        betas=(0.9, numbers.adam_beta2),
        weight_decay=numbers.weight_decay,
    )
    warmup = round(numbers.warmup_ratio * steps)
    return optimiser, get_scheduler(numbers.schedule, optimiser, warmup, steps)
