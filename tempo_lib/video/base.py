"""What every reader of video files shares: errors, facts of a stream, the reader protocol.

Shape suffixes: T frames of the file, N wanted frames, H height, W width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

NOT_A_VIDEO = "not a video, or its header is damaged or cut off"
SALVAGE_HINT = "; salvage keeps what can be read"  # load_video(salvage=True), ask --salvage
NO_VIDEO_STREAM = "it has no video stream (audio only?)"


class VideoError(ValueError):
    """A video that cannot be read; the message is one line: which file, and why."""


class CannotOpenError(VideoError):
    """This reader cannot open the file; another one may."""


class NotInstalledError(CannotOpenError):
    """The library of this reader is not installed."""


@dataclass(frozen=True, eq=False)
class StreamFacts:
    """What is known of a stream before decoding.

    ``seconds_T`` float64: presentation times in order, the first frame at 0.
    ``average_fps``: the container's average rate, 0.0 where it is unknown.
    ``last_seconds``: how long the last frame stands, 0.0 where it is unknown.
    """

    average_fps: float
    seconds_T: np.ndarray
    last_seconds: float = 0.0

    @property
    def num_frames(self) -> int:
        """Frames in the file (T)."""
        return len(self.seconds_T)


@dataclass(frozen=True)
class Salvaged:
    """What was kept of a damaged file: ``num_read`` of ``num_total`` frames, and why no more."""

    num_read: int
    num_total: int
    reason: str

    @property
    def num_lost(self) -> int:
        """Frames that the file declares and that cannot be read."""
        return self.num_total - self.num_read

    def __str__(self) -> str:
        return f"{self.num_lost} of {self.num_total} frames are lost: {self.reason}"


class FrameReader(Protocol):
    """One open file. ``frames`` decodes from the start at each call."""

    facts: StreamFacts

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield uint8 (H, W, 3) RGB, upright, for each of the non-decreasing indices."""
        ...


def video_error(path: str | Path, reason: str) -> VideoError:
    """Return the one-line error for a file."""
    return VideoError(" ".join(f"cannot read {path}: {reason}".splitlines()))
