"""Which samples make a step, and which of them a rank passes through at once.

A step's samples depend on seed and epoch alone, never on the number of ranks: a run that is
resumed on other ranks goes on with the very next samples.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tempo_lib.config import StageNumbers


class Batches(Protocol):
    """The steps of every epoch: lists of positions among the samples."""

    def epoch(self, epoch: int) -> list[list[int]]:
        """The steps of one epoch, drawn from seed and epoch."""
        ...


class LengthBatches:
    """Batches of samples of about one length: at most ``segments`` and ``samples`` each."""

    def __init__(self, lengths: list[int], segments: int, samples: int, seed: int) -> None:
        self.lengths, self.segments, self.samples, self.seed = lengths, segments, samples, seed

    def epoch(self, epoch: int) -> list[list[int]]:
        """Every sample once, in batches whose order is drawn."""
        rng = np.random.default_rng([self.seed, epoch])
        jitter = rng.random(len(self.lengths))
        order = sorted(range(len(self.lengths)), key=lambda i: (self.lengths[i], jitter[i]))
        batches: list[list[int]] = []
        for index in order:
            full = not batches or len(batches[-1]) == self.samples
            if full or (len(batches[-1]) + 1) * self.lengths[index] > self.segments:
                batches.append([])
            batches[-1].append(index)
        return [batches[i] for i in rng.permutation(len(batches))]


class GlobalBatches:
    """Batches of ``samples`` samples in a drawn order; the last of an epoch holds the rest."""

    def __init__(self, count: int, samples: int, seed: int) -> None:
        self.count, self.samples, self.seed = count, samples, seed

    def epoch(self, epoch: int) -> list[list[int]]:
        """Every sample once."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.count).tolist()
        return [order[i : i + self.samples] for i in range(0, self.count, self.samples)]


class InTurn:
    """The batches of some samples before those of the others, in every epoch."""

    def __init__(self, parts: list[tuple[list[int], Batches]]) -> None:
        self.parts = parts

    def epoch(self, epoch: int) -> list[list[int]]:
        """Every sample once, part by part; no batch has samples of two parts."""
        return [
            [places[i] for i in step]
            for places, batches in self.parts
            for step in batches.epoch(epoch)
        ]


def make_batches(
    lengths: list[int], numbers: StageNumbers, seed: int, first: Sequence[bool] = ()
) -> Batches:
    """The stage's way to fill a step; ``lengths``: segments of each sample.

    ``first``: which samples come before all others.
    """
    if any(first) and not all(first):
        turns = [[i for i, flag in enumerate(first) if flag == turn] for turn in (True, False)]
        return InTurn([(t, make_batches([lengths[i] for i in t], numbers, seed)) for t in turns])
    if numbers.global_batch is not None:
        return GlobalBatches(len(lengths), numbers.global_batch, seed)
    if numbers.batch_segments is None or numbers.batch_samples is None:
        raise ValueError(f"stage {numbers.name} says neither global_batch nor batch_segments")
    return LengthBatches(lengths, numbers.batch_segments, numbers.batch_samples, seed)


def split_step(
    indices: list[int], lengths: list[int], num_ranks: int, micro_segments: int | None
) -> list[list[list[int]]]:
    """Micro-batches of each rank: ``num_ranks`` lists of one length.

    Ranks get about equally many segments, and each passes through at most ``micro_segments`` at
    once (a longer clip alone). All pass equally often, as each pass gathers weights from all
    ranks; a rank that has less passes through an empty micro-batch.
    """
    shares = [indices] if num_ranks == 1 else _shares(indices, lengths, num_ranks)
    passes = [_passes(share, lengths, micro_segments) for share in shares]
    most = max(map(len, passes))
    return [[*one, *([[]] * (most - len(one)))] for one in passes]


def _shares(indices: list[int], lengths: list[int], num_ranks: int) -> list[list[int]]:
    """Longest first, each to the rank that has least; a text counts as one segment."""
    shares: list[list[int]] = [[] for _ in range(num_ranks)]
    loads = [0] * num_ranks
    for index in sorted(indices, key=lambda i: -lengths[i]):
        rank = loads.index(min(loads))
        shares[rank].append(index)
        loads[rank] += max(1, lengths[index])
    return shares


def _passes(share: list[int], lengths: list[int], most: int | None) -> list[list[int]]:
    """Consecutive samples of at most ``most`` segments together; a text counts as one."""
    if most is None:
        return [share]
    passes: list[list[int]] = [[]]
    load = 0
    for index in share:
        size = max(1, lengths[index])
        if passes[-1] and load + size > most:
            passes.append([])
            load = 0
        passes[-1].append(index)
        load += size
    return passes
