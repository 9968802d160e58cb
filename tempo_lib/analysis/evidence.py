"""Accuracy by where a video holds the evidence, and by how much a model reads of it.

Lost in the middle (Liu et al., 2024, TACL 12:157): what stands between the ends of a long context
is found less often. Tempo's "less is more" (section 4.3) says that fewer tokens of a long video can
help. Both are read off records, without a model.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tempo_lib.statistics.summaries import QUESTION

if TYPE_CHECKING:
    import pandas as pd

PLACES = ("beginning", "middle", "end")
SEGMENTS = (24, 48)  # upper ends of short and medium; longer ones are long


def with_place(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The records of questions whose evidence lies in one third of its video, with that ``place``.

    A question about the whole video, or whose evidence crosses from one third into another, has no
    place and is left out.
    """
    ends = frame["video_seconds"]
    first, last = frame["start"] / ends, frame["stop"] / ends
    third = (3 * first).clip(0, 2.999).astype(int)
    same = (3 * last - 1e-9).clip(0, 2.999).astype(int) == third
    return frame.assign(place=third.map(dict(enumerate(PLACES))))[same]


def with_length(frame: "pd.DataFrame", most: Sequence[int] = SEGMENTS) -> "pd.DataFrame":
    """The records with ``length``, such as "25 to 48 segments"; ``most``: upper ends, rising.

    A question has one length under all variants, the most segments that any of them read.
    """
    first, *_, last = most
    names = {0: f"up to {first} segments", len(most): f"more than {last} segments"}
    names |= {i: f"{most[i - 1] + 1} to {most[i]} segments" for i in range(1, len(most))}
    keys = [key for key in QUESTION if key in frame]
    segments = frame.groupby(keys, sort=False)["num_segments"].transform("max")
    lengths = segments.map(lambda n: sum(n > end for end in most))
    return frame.assign(length=lengths.map(names)).iloc[lengths.argsort(kind="stable")]


def video_end(seconds: Sequence[float]) -> float:
    """Where a video ends whose segments stand at these timestamps: half a segment after the last.

    In seconds, as are the timestamps.
    """
    half = (seconds[-1] - seconds[-2]) / 2 if len(seconds) > 1 else seconds[-1]
    return seconds[-1] + half
