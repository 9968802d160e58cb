"""Which samples make a batch: those of about one length, in an order that a restart repeats."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class LengthBatches(Sampler[list[int]]):
    """Batches of samples of about one length: at most ``segments`` and ``samples`` each.

    The order is drawn from (seed, epoch), so every rank and every restart sees the same one.
    """

    def __init__(self, lengths: list[int], segments: int, samples: int, seed: int) -> None:
        self.lengths, self.segments, self.samples = lengths, segments, samples
        self.seed, self.epoch = seed, 0

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of ``epoch`` next. (Not ``set_epoch``: accelerate would call that with a
        count of its own, which a resumed run starts from 0.)"""
        self.epoch = epoch

    def batches(self) -> list[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        jitter = rng.random(len(self.lengths))
        order = sorted(range(len(self.lengths)), key=lambda i: (self.lengths[i], jitter[i]))
        batches: list[list[int]] = []
        for index in order:
            full = not batches or len(batches[-1]) == self.samples
            if full or (len(batches[-1]) + 1) * self.lengths[index] > self.segments:
                batches.append([])
            batches[-1].append(index)
        return [batches[i] for i in rng.permutation(len(batches))]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches())

    def __len__(self) -> int:
        return len(self.batches())
