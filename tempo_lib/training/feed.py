"""Steps and their micro-batches, in the order of the samples, for one rank."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader

from tempo_lib.config import StageNumbers
from tempo_lib.training.data import Collator
from tempo_lib.training.ranks import Ranks
from tempo_lib.training.records import Sample
from tempo_lib.training.sampler import Batches, make_batches, split_step

Batch = dict[str, Any]  # arguments of ``Tempo.forward``


@dataclass(frozen=True)
class Step:
    """One optimiser step: its samples on all ranks, and this rank's micro-batches.

    ``num_targets``: target tokens of all ranks and micro-batches together, by which every loss is
    divided, so that a step's loss and gradient do not depend on the split. ``num_frames``: of all
    ranks too. ``batches`` are on the CPU.
    """

    samples: list[Sample]
    num_targets: int
    num_frames: int
    passes: list[list[Sample]]
    batches: Iterator[Batch]


class Feed:
    """Every step of every epoch, for one rank; counts of segments and targets of each sample."""

    def __init__(
        self,
        samples: list[Sample],
        collate: Collator,
        numbers: StageNumbers,
        seed: int,
        ranks: Ranks,
    ) -> None:
        self.samples, self.collate, self.numbers, self.ranks = samples, collate, numbers, ranks
        self.lengths = [collate.num_segments(sample) for sample in samples]
        self.targets = [collate.num_targets(sample) for sample in samples]
        self.frames = [collate.num_frames(sample) for sample in samples]
        self.plan: Batches = make_batches(
            self.lengths, numbers, seed, [sample.first for sample in samples]
        )
        self.steps_per_epoch = len(self.plan.epoch(0))

    def steps(self, done: int) -> Iterator[Step]:
        """Steps from the ``done``-th on, epoch after epoch."""
        epoch, first = divmod(done, self.steps_per_epoch)
        while True:
            yield from self._epoch(self.plan.epoch(epoch)[first:])
            epoch, first = epoch + 1, 0

    def epoch(self, epoch: int) -> Iterator[Step]:
        """The steps of one epoch."""
        return self._epoch(self.plan.epoch(epoch))

    def _epoch(self, plan: list[list[int]]) -> Iterator[Step]:
        count, rank, micro = self.ranks.num_ranks, self.ranks.rank, self.numbers.micro_segments
        passes = [split_step(step, self.lengths, count, micro)[rank] for step in plan]
        flat = [one for step in passes for one in step]
        data: Any = self.samples  # a list serves as a data set
        loader: DataLoader[Any] = DataLoader(data, batch_sampler=flat, collate_fn=self.collate)
        batches = iter(loader)
        for step, own in zip(plan, passes, strict=True):
            yield Step(
                samples=[self.samples[i] for i in step],
                num_targets=sum(self.targets[i] for i in step),
                num_frames=sum(self.frames[i] for i in step),
                passes=[[self.samples[i] for i in one] for one in own],
                batches=islice(batches, len(own)),
            )


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on ``device``."""
    return {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
