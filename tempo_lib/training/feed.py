"""Steps and their micro-batches, in the order of the samples, for one rank.

Where a training stands is one number, the steps that are done: what a step reads follows from it
and the seed. So it goes on with the very next sample on any number of ranks and of processes that
decode, and what these had decoded ahead is decoded again. (torchdata's StatefulDataLoader keeps a
state per process, which loads into as many processes only.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader

from tempo_lib.config import LoaderNumbers, StageNumbers
from tempo_lib.training.collate import LOST, Collator, Encoded
from tempo_lib.training.ranks import Ranks
from tempo_lib.training.records import Sample
from tempo_lib.training.sampler import Batches, Neighbours, make_batches, split_step
from tempo_lib.training.sizes import Sizes

Batch = dict[str, Any]  # arguments of ``Tempo.forward``
AT_HAND = LoaderNumbers(streams=False, num_workers=0, prefetch=2)
MOST_TRIES = 16  # samples that are tried in the place of one that cannot be read


@dataclass(frozen=True)
class Step:
    """One optimiser step: its samples on all ranks, and this rank's micro-batches.

    ``num_targets``: target tokens of all ranks and micro-batches together, by which every loss is
    divided, so that a step's loss and gradient do not depend on the split. ``num_frames``: of all
    ranks too. ``passes``: places of samples. ``batches`` are on the CPU; as they are taken,
    ``lost`` gets the samples that others stand in for, each with the reason.
    """

    samples: list[Sample]
    num_targets: int
    num_frames: int
    passes: list[list[int]]
    batches: Iterator[Batch]
    lost: list[tuple[str, str]] = field(default_factory=list)


class Feed:
    """Every step of every epoch, for one rank.

    ``sizes``: of samples that are decoded when their step comes; None: they are measured now.
    ``neighbours``: which samples are tried in the place of one that cannot be read; None: none, an
    error ends the training.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        collate: Collator,
        numbers: StageNumbers,
        seed: int,
        ranks: Ranks,
        sizes: Sizes | None = None,
        loader: LoaderNumbers = AT_HAND,
        neighbours: Neighbours | None = None,
        order: tuple[Sequence[bool], Sequence[float]] | None = None,
    ) -> None:
        self.samples, self.collate, self.numbers, self.ranks = samples, collate, numbers, ranks
        self.loader = loader
        self.targets: Sequence[int] = Targets(samples, collate)
        if sizes is None:
            self.targets = list(self.targets)
            sizes = measured(samples, collate, numbers)
        self.sizes, self.lengths = sizes, sizes.segments
        self.encodings = Encodings(samples, collate, neighbours)
        if order is None:
            order = [one.first for one in samples], [one.weight for one in samples]
        self.plan: Batches = make_batches(self.lengths, numbers, seed, *order)
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

    def batch(self, places: list[int]) -> Batch:
        """One micro-batch once more."""
        found = self.collate.join([self.encodings[place] for place in places])
        found.pop(LOST, None)
        return found

    def _epoch(self, plan: list[list[int]]) -> Iterator[Step]:
        workers = self.loader.num_workers
        data: Any = self.encodings
        loader: DataLoader[Any] = DataLoader(
            data,
            batch_sampler=(one for step in plan for one in self._passes(step)),
            collate_fn=self.collate.join,
            num_workers=workers,
            prefetch_factor=self.loader.prefetch if workers else None,
            pin_memory=self.ranks.device.type == "cuda",
        )
        batches = iter(loader)
        for step in plan:
            own = self._passes(step)
            lost: list[tuple[str, str]] = []
            yield Step(
                samples=[self.samples[i] for i in step],
                num_targets=sum(self.targets[i] for i in step),
                num_frames=sum(self.sizes.frames[i] for i in step),
                passes=own,
                batches=_taken(islice(batches, len(own)), lost),
                lost=lost,
            )

    def _passes(self, step: list[int]) -> list[list[int]]:
        """This rank's micro-batches of a step."""
        most = self.numbers.micro_tokens or self.numbers.micro_segments
        return split_step(step, self.sizes.loads, self.ranks.num_ranks, most)[self.ranks.rank]


class Encodings:
    """A data set of torch: each sample as numbers, or the first that can be read in its place."""

    def __init__(
        self, samples: Sequence[Sample], collate: Collator, neighbours: Neighbours | None
    ) -> None:
        self.samples, self.collate, self.neighbours = samples, collate, neighbours

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Encoded:
        """ValueError where it cannot be read and nothing may stand in for it."""
        sample = self.samples[place]
        try:
            return self.collate.encode(sample)
        except ValueError as error:  # VideoError, or longer than its header said
            if self.neighbours is None:
                raise
            lost = ((sample.id, " ".join(str(error).split())),)
        for other in islice(self.neighbours(place), MOST_TRIES):
            try:
                return replace(self.collate.encode(self.samples[other]), lost=lost)
            except ValueError:
                continue  # named when it is read in its own place
        return self.collate.blank(lost)


class Targets(Sequence[int]):
    """Target tokens of each sample, counted one by one, when needed."""

    def __init__(self, samples: Sequence[Sample], collate: Collator) -> None:
        self.samples, self.collate = samples, collate

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: Any) -> Any:
        return self.collate.num_targets(self.samples[place])


def measured(samples: Sequence[Sample], collate: Collator, numbers: StageNumbers) -> Sizes:
    """Sizes of samples whose media are at hand."""
    segments = [collate.num_segments(sample) for sample in samples]
    frames = [collate.num_frames(sample) for sample in samples]
    by_tokens = numbers.micro_tokens is not None
    loads = [collate.num_tokens(sample) for sample in samples] if by_tokens else segments
    return Sizes(segments, frames, loads)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on ``device``."""
    return {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}


def _taken(batches: Iterator[Batch], lost: list[tuple[str, str]]) -> Iterator[Batch]:
    """Batches as the model takes them; what is missing in each goes to ``lost``."""
    for batch in batches:
        lost += batch.pop(LOST, ())
        yield batch
