"""Which samples make a step, and which of them a rank passes through at once.

A step's samples depend on seed and epoch alone, never on the number of ranks: a run that is
resumed on other ranks goes on with the very next samples.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from tempo_lib.config import StageNumbers
from tempo_lib.training.records import TrainingError


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
    """Batches of ``samples`` samples in a drawn order; the last of an epoch holds the rest.

    ``weights``: how often each sample is read in an epoch, on average; once, where none are given.
    """

    def __init__(
        self, count: int, samples: int, seed: int, weights: Sequence[float] | None = None
    ) -> None:
        self.count, self.samples, self.seed = count, samples, seed
        self.weights = None if weights is None else np.asarray(weights)

    def epoch(self, epoch: int) -> list[list[int]]:
        """Every sample as often as it weighs; epochs are of one length."""
        rng = np.random.default_rng([self.seed, epoch])
        shown = self.count if self.weights is None else _drawn(self.weights, rng)
        order = rng.permutation(shown).tolist()
        return [order[i : i + self.samples] for i in range(0, len(order), self.samples)]


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
    lengths: Sequence[int],
    numbers: StageNumbers,
    seed: int,
    first: Sequence[bool] = (),
    weights: Sequence[float] = (),
) -> Batches:
    """The stage's way to fill a step; ``lengths``: segments of each sample.

    ``first``: which samples come before all others; ``weights``: how often each is read in an
    epoch. TrainingError for weights where steps are filled by length.
    """
    weighs = any(weight != 1.0 for weight in weights)
    if any(first) and not all(first):
        turns = [[i for i, flag in enumerate(first) if flag == turn] for turn in (True, False)]
        parts = []
        for turn in turns:
            own = [weights[i] for i in turn] if weighs else ()
            batches = make_batches([lengths[i] for i in turn], numbers, seed, (), own)
            parts.append((turn, batches))
        return InTurn(parts)
    if numbers.global_batch is not None:
        weighed = weights if weighs else None
        return GlobalBatches(len(lengths), numbers.global_batch, seed, weighed)
    if weighs:
        raise TrainingError(
            f"stage {numbers.name} fills its steps by length, so a source's weight must be 1; "
            "give it a global_batch, or leave weights out"
        )
    if numbers.batch_segments is None or numbers.batch_samples is None:
        raise ValueError(f"stage {numbers.name} says neither global_batch nor batch_segments")
    return LengthBatches(list(lengths), numbers.batch_segments, numbers.batch_samples, seed)


def split_step(
    indices: list[int], loads: Sequence[int], num_ranks: int, most: int | None
) -> list[list[list[int]]]:
    """Micro-batches of each rank: ``num_ranks`` lists of one length.

    ``loads``: what each sample weighs, in segments or tokens. Ranks get about equally much, and
    each passes through at most ``most`` at once (a larger sample alone). All pass equally often, as
    each pass gathers weights from all ranks; a rank that has less passes through an empty
    micro-batch.
    """
    shares = [indices] if num_ranks == 1 else _shares(indices, loads, num_ranks)
    passes = [_passes(share, loads, most) for share in shares]
    number = max(map(len, passes))
    return [[*one, *([[]] * (number - len(one)))] for one in passes]


class Neighbours:
    """Of a sample that cannot be read: those of its source next to it in size, the smaller first.

    None of the smaller ones makes a pass larger than it was planned.
    """

    def __init__(self, sources_N: np.ndarray, loads: Sequence[int]) -> None:
        self.sources_N = sources_N
        self.order_N = np.lexsort((np.asarray(loads), self.sources_N))
        self.places_N = np.argsort(self.order_N)

    def __call__(self, index: int) -> Iterator[int]:
        """Them, nearest first, the larger ones after all smaller ones."""
        place = int(self.places_N[index])
        for order in (self.order_N[:place][::-1], self.order_N[place + 1 :]):
            for other in order:
                if self.sources_N[other] != self.sources_N[index]:
                    break
                yield int(other)


def _drawn(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples of one epoch: whole copies of each, and a drawn share of those of each weight."""
    shown = [np.repeat(np.arange(len(weights)), weights.astype(int))]
    for weight in np.unique(weights[weights % 1 > 0]):
        same = np.flatnonzero(weights == weight)
        shown.append(rng.choice(same, round(weight % 1 * len(same)), replace=False))
    return np.concatenate(shown)


def _shares(indices: list[int], loads: Sequence[int], num_ranks: int) -> list[list[int]]:
    """Largest first, each to the rank that has least; what weighs nothing counts as one."""
    shares: list[list[int]] = [[] for _ in range(num_ranks)]
    sums = [0] * num_ranks
    for index in sorted(indices, key=lambda i: -loads[i]):
        rank = sums.index(min(sums))
        shares[rank].append(index)
        sums[rank] += max(1, loads[index])
    return shares


def _passes(share: list[int], loads: Sequence[int], most: int | None) -> list[list[int]]:
    """Consecutive samples of at most ``most`` together; what weighs nothing counts as one."""
    if most is None:
        return [share]
    passes: list[list[int]] = [[]]
    load = 0
    for index in share:
        size = max(1, loads[index])
        if passes[-1] and load + size > most:
            passes.append([])
            load = 0
        passes[-1].append(index)
        load += size
    return passes
