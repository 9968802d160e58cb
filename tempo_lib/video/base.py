"""What every reader of video files shares: errors, facts of a stream, the reader protocol.

Shape suffixes: T frames of the file, N wanted frames, H height, W width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

NOT_A_VIDEO = "not a video, or its header is damaged or cut off"
NO_VIDEO_STREAM = "it has no video stream (audio only?)"


class VideoError(ValueError):
    """A video that cannot be read; the message is one line: which file, and why."""


class CannotOpenError(VideoError):
    """This reader cannot open the file; another one may."""


@dataclass(frozen=True, eq=False)
class StreamFacts:
    """What is known of a stream before decoding.

    ``seconds_T`` float64: presentation times in order, the first frame at 0.
    ``average_fps``: the container's average rate, 0.0 where it is unknown.
    """

    average_fps: float
    seconds_T: np.ndarray

    @property
    def num_frames(self) -> int:
        """Frames in the file (T)."""
        return len(self.seconds_T)


class FrameReader(Protocol):
    """One open file. ``frames`` decodes from the start at each call."""

    facts: StreamFacts

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield uint8 (H, W, 3) RGB, upright, for each of the non-decreasing indices."""
        ...


def video_error(path: str | Path, reason: str) -> VideoError:
    """Return the one-line error for a file."""
    return VideoError(" ".join(f"cannot read {path}: {reason}".splitlines()))
