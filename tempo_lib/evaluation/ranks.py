"""Processes that share one evaluation: which videos each takes, and how they wait for one another.

``torchrun -m tempo_lib.cli evaluate ...`` starts them; every one appends to the same record files.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from tempo_lib.evaluation.benchmark import BenchmarkVideo

LONGEST_START = timedelta(minutes=10)  # then a rank is missing: WORLD_SIZE says more than run
LONGEST_WAIT = timedelta(days=7)  # a rank with the longest films may end much later than others


@dataclass(frozen=True)
class Ranks:
    """Process ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    def share(self, videos: Sequence[BenchmarkVideo]) -> list[BenchmarkVideo]:
        """This rank's videos: longest first to the rank with the fewest frames, then in order.

        Questions stay with their video, so that none is decoded twice.
        """
        if self.size == 1:
            return list(videos)
        frames, mine = [0] * self.size, set[str]()
        for video in sorted(videos, key=lambda video: (-video.num_frames, video.id)):
            least = frames.index(min(frames))
            frames[least] += max(1, video.num_frames)
            if least == self.rank:
                mine.add(video.id)
        return [video for video in videos if video.id in mine]

    def wait(self) -> None:
        """Return once every rank has come here."""
        if self.size > 1:
            distributed.monitored_barrier(timeout=LONGEST_WAIT)


@contextmanager
def ranks_of_torchrun() -> Iterator[Ranks]:
    """The ranks that the environment names (RANK, WORLD_SIZE); one process where it names none.

    Each takes its own GPU. They talk over gloo: nothing but waiting is sent.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks()
        return
    rank = int(os.environ["RANK"])
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)) % torch.cuda.device_count())
    distributed.init_process_group("gloo", timeout=LONGEST_START)
    try:
        yield Ranks(rank, size)
    finally:
        distributed.destroy_process_group()
