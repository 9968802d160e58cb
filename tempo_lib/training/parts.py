"""A part of a video, from one second to another, as if it had been cut out of its file.

Times count from the part's first frame.

Shape suffixes: T frames of the part, N wanted frames.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tempo_lib.training.records import Part
from tempo_lib.video.base import FrameReader, StreamFacts, video_error
from tempo_lib.video.clip import VideoStream, shrink_size
from tempo_lib.video.folder import frame_files
from tempo_lib.video.kinds import kind_of
from tempo_lib.video.pictures import resized
from tempo_lib.video.readers import open_reader
from tempo_lib.video.sampling import plan_samples
from tempo_lib.video.stills import AnimationReader, read_image


class PartReader:
    """The frames of another reader from one second on and before another one."""

    def __init__(self, whole: FrameReader, part: Part, path: Path) -> None:
        """VideoError where no frame lies between them."""
        self._whole, facts = whole, whole.facts
        start, end = part
        shown_T = (facts.seconds_T >= start) & (facts.seconds_T < end)
        self._places_T = np.flatnonzero(shown_T)
        if not len(self._places_T):
            last = float(facts.seconds_T[-1])
            raise video_error(
                path, f"no frame from second {start:g} to {end:g}; its last is at {last:.1f}"
            )
        seconds_T = facts.seconds_T[self._places_T]
        stays = facts.last_seconds if self._places_T[-1] == facts.num_frames - 1 else 0.0
        self.facts = StreamFacts(facts.average_fps, seconds_T - seconds_T[0], stays)

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the wanted frames of the part; see FrameReader."""
        return self._whole.frames(self._places_T[index_N])


class FolderReader:
    """A folder of frames that lie at ``fps``."""

    def __init__(self, folder: Path, fps: float) -> None:
        self._files = frame_files(folder)
        self.facts = StreamFacts(fps, np.arange(len(self._files)) / fps)

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the wanted frames; see FrameReader."""
        return (read_image(self._files[place]) for place in index_N.tolist())


def open_part(
    path: Path, part: Part, fps: float, max_frames: int, min_frames: int, max_edge: int | None
) -> VideoStream:
    """What ``open_video`` gives of a whole file; VideoError where the part has no frame."""
    whole: FrameReader
    kind = kind_of(path)
    if kind == "still":
        raise video_error(path, "a still has no part; leave start and end out")
    if kind == "folder":
        whole = FolderReader(path, fps)
    else:
        whole = AnimationReader(path) if kind == "animation" else open_reader(path)
    reader = PartReader(whole, part, path)
    index_T, sampled_fps, seconds_T = plan_samples(
        reader.facts, fps, min_frames, max_frames, "auto"
    )

    def frames() -> Iterator[np.ndarray]:
        size: tuple[int, int] | None = None
        for frame_HW3 in reader.frames(index_T):
            size = size or shrink_size(frame_HW3.shape[0], frame_HW3.shape[1], max_edge)
            yield resized(frame_HW3, size)

    return VideoStream(
        iter_frames=frames,
        fps=sampled_fps,
        seconds=seconds_T,
        source=str(path),
    )
