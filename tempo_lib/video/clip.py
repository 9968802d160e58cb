"""Turn a file, a folder of frames or an array into a ``Video`` at about 2 frames per second.

Frames shrink to ``max_edge`` while they stream, so 1024 frames of 1080p never lie in memory at
native size (whole-clip decoding was measured at 7 GB for 10 minutes of 720p).

Shape suffixes: T sampled frames, N frames of the source, H height, W width.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tempo_lib.video.base import FrameReader, Salvaged, VideoError
from tempo_lib.video.folder import check_sizes, frame_files
from tempo_lib.video.kinds import IMAGE_SUFFIXES, kind_of, local_path
from tempo_lib.video.memory import check_fits
from tempo_lib.video.pictures import resized as resize_frame
from tempo_lib.video.readers import open_reader
from tempo_lib.video.safe import open_in_child
from tempo_lib.video.salvage import SalvagingReader
from tempo_lib.video.sampling import (
    check_counts,
    check_rate,
    check_sampling,
    check_timestamps,
    plan_samples,
    sample_indices,
)
from tempo_lib.video.stills import AnimationReader, read_image

EDGE_MULTIPLE = 16


@dataclass(frozen=True, eq=False)
class Video:
    """Sampled frames and their times.

    ``frames`` uint8 (T, H, W, 3), numpy or torch; ``fps`` sampled frames per second of content;
    ``seconds`` float (T,), by default arange(T) / fps; ``is_image``: one frame outside time;
    ``salvaged``: what was lost of a damaged file, None for a whole one.
    Raises ValueError for another dtype or shape, no frame, or a rate that is not positive.
    """

    frames: np.ndarray
    fps: float = 2.0
    seconds: np.ndarray = None  # type: ignore[assignment]  # None: arange(T) / fps
    source: str | None = None
    is_image: bool = False
    salvaged: Salvaged | None = None

    def __post_init__(self) -> None:
        frames_THW3 = _checked_frames(self.frames)
        check_rate(self.fps)
        num_frames = len(frames_THW3)
        if self.is_image and num_frames != 1:
            raise ValueError(f"an image is one frame, got {num_frames}; pass is_image=False")
        seconds_T = np.arange(num_frames) / self.fps if self.seconds is None else self.seconds
        seconds_T = np.asarray(seconds_T, dtype=np.float64)
        if seconds_T.shape != (num_frames,):
            raise ValueError(f"seconds must have shape ({num_frames},), got {seconds_T.shape}")
        if not np.isfinite(seconds_T).all() or (np.diff(seconds_T) < 0).any():
            raise ValueError("seconds must be finite and must not decrease")
        object.__setattr__(self, "frames", frames_THW3)
        object.__setattr__(self, "seconds", seconds_T)

    @property
    def num_frames(self) -> int:
        """Sampled frames (T)."""
        return len(self.frames)

    def windows(self, window: int, stride: int) -> Iterator[np.ndarray]:
        """Yield views of up to ``window`` frames that start every ``stride`` frames."""
        check_counts(window=window, stride=stride)
        for start in range(0, self.num_frames, stride):
            yield self.frames[start : start + window]


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoStream:
    """A ``Video`` that holds no frames: ``iter_frames`` decodes again at each call."""

    iter_frames: Callable[[], Iterator[np.ndarray]]  # yields T times uint8 (H, W, 3)
    fps: float
    seconds: np.ndarray  # float64 (T,)
    source: str | None = None
    is_image: bool = False
    salvaged: Salvaged | None = None

    @property
    def num_frames(self) -> int:
        """Frames that ``iter_frames`` yields (T)."""
        return len(self.seconds)

    def windows(self, window: int, stride: int) -> Iterator[np.ndarray]:
        """Yield what ``Video.windows`` yields while holding one window of frames."""
        check_counts(window=window, stride=stride)
        return self._windows(window, stride)

    def _windows(self, window: int, stride: int) -> Iterator[np.ndarray]:
        held: list[np.ndarray] = []
        start = 0  # the place of held[0]
        for place, frame_HW3 in enumerate(self.iter_frames()):
            if place >= start:
                held.append(frame_HW3)
            if len(held) == window:
                yield np.stack(held)
                held = held[stride:]
                start += stride
        while held:
            yield np.stack(held)
            held = held[stride:]


AnyVideo = Video | VideoStream


def load_video(
    path: str | Path | np.ndarray,
    fps: float = 2.0,
    max_frames: int = 1024,
    min_frames: int = 4,
    reader: str = "auto",
    timestamps: str = "auto",
    max_edge: int | None = 512,
    salvage: bool = False,
    square_pixels: bool = False,
    safe: bool = False,
) -> Video:
    """Read a video file, an image, a folder of frames or an array (N, H, W, 3) into memory.

    ``fps``: frames to take per second of a file; of a folder or array, the rate they already
    have. ``max_frames`` wins over ``min_frames``; a shorter file repeats frames up to
    ``min_frames``, a folder or array does not. ``reader``: "auto", "pyav" or "decord".
    ``timestamps``: "release" (place / fps), "pts" (the file's own times) or "auto": release
    at a constant rate, pts at a variable one. ``max_edge=None`` keeps the native size.
    ``salvage``: keep what can be read of a damaged file; ``Video.salvaged`` counts the rest.
    ``square_pixels``: stretch an anamorphic film as a player does; the release does not.
    ``safe``: decode in a process of its own that is ended when it hangs or eats memory (safe.py).
    Raises VideoError with one line for a file that cannot be read, ValueError for an argument.
    """
    options = (fps, max_frames, min_frames, reader, timestamps, max_edge, salvage, square_pixels)
    return collect(open_video(path, *options, safe))


def collect(stream: VideoStream) -> Video:
    """Read all sampled frames of a stream; VideoError where it gives another number of them."""
    frames_THW3: np.ndarray | None = None
    count = 0
    for frame_HW3 in stream.iter_frames():
        if frames_THW3 is None:
            check_fits(stream.num_frames, frame_HW3.shape, stream.source)
            frames_THW3 = np.empty((stream.num_frames, *frame_HW3.shape), np.uint8)
        frames_THW3[count] = frame_HW3
        count += 1
    if frames_THW3 is None or count != stream.num_frames:
        raise VideoError(f"{stream.source}: got {count} of {stream.num_frames} sampled frames")
    facts = (stream.fps, stream.seconds, stream.source, stream.is_image, stream.salvaged)
    return Video(frames_THW3, *facts)


def open_video(
    path: str | Path | np.ndarray,
    fps: float = 2.0,
    max_frames: int = 1024,
    min_frames: int = 4,
    reader: str = "auto",
    timestamps: str = "auto",
    max_edge: int | None = 512,
    salvage: bool = False,
    square_pixels: bool = False,
    safe: bool = False,
) -> VideoStream:
    """Like ``load_video``, but decode window by window in bounded memory."""
    _check_arguments(fps, max_frames, min_frames, timestamps, max_edge)
    if not isinstance(path, str | Path):
        return _shrunk(_open_array(path, fps, max_frames), max_edge)
    path = local_path(path)
    if safe:
        given = (fps, max_frames, min_frames, reader, timestamps, max_edge, salvage, square_pixels)
        return VideoStream(**vars(open_in_child(path, given)), source=str(path))
    kind = kind_of(path)
    if kind == "folder":
        return _shrunk(_open_folder(path, fps, max_frames), max_edge)
    if kind == "still" or (kind == "unknown" and path.suffix.lower() in IMAGE_SUFFIXES):
        return replace(_sampled([path], read_image, fps, 1, str(path)), is_image=True)
    source: FrameReader
    if kind == "animation":
        source = AnimationReader(path)
    else:
        source = open_reader(path, reader, salvage, square_pixels)
    index_T, sampled_fps, seconds_T = plan_samples(
        source.facts, fps, min_frames, max_frames, timestamps
    )
    stream = VideoStream(
        iter_frames=lambda: source.frames(index_T),
        fps=sampled_fps,
        seconds=seconds_T,
        source=str(path),
        salvaged=source.salvaged if isinstance(source, SalvagingReader) else None,
    )
    return _shrunk(stream, max_edge)


def load_image(path: str | Path) -> Video:
    """Read one RGB frame at native size, turned as its EXIF orientation says."""
    return Video(read_image(local_path(path))[None], source=str(path), is_image=True)


def shrink_size(
    height: int, width: int, max_edge: int | None, multiple: int = EDGE_MULTIPLE
) -> tuple[int, int]:
    """(height, width) after the release's first resize; unchanged up to ``max_edge``."""
    longest = max(height, width)
    if max_edge is None or longest <= max_edge:
        return height, width

    def side(size: int) -> int:
        return max(multiple, int(round(size * max_edge / longest / multiple) * multiple))

    return side(height), side(width)


def _open_array(frames: Any, fps: float, max_frames: int) -> VideoStream:
    frames_NHW3 = _checked_frames(frames)
    return _sampled(frames_NHW3, np.asarray, fps, max_frames, source=None)


def _open_folder(folder: Path, fps: float, max_frames: int) -> VideoStream:
    stream = _sampled(files := frame_files(folder), read_image, fps, max_frames, str(folder))
    check_sizes(folder, [files[i] for i in dict.fromkeys(_places(len(files), max_frames))])
    return stream


def _places(total: int, max_frames: int) -> list[int]:
    """Which of ``total`` frames are taken that lie at the wanted rate already."""
    return sample_indices(total, 0.0, 1.0, 1, max_frames).tolist()


def _sampled(
    items: Sequence[Any] | np.ndarray,
    read: Callable[[Any], np.ndarray],
    fps: float,
    max_frames: int,
    source: str | None,
) -> VideoStream:
    """Stream frames that lie at ``fps`` already: all of them, or max_frames spread evenly."""
    total = len(items)
    index_T = _places(total, max_frames)
    sampled_fps = fps * len(index_T) / total
    return VideoStream(
        iter_frames=lambda: (read(items[i]) for i in index_T),
        fps=sampled_fps,
        seconds=np.arange(len(index_T)) / sampled_fps,
        source=source,
    )


def _shrunk(stream: VideoStream, max_edge: int | None) -> VideoStream:
    """Bring every frame to one size as it streams: the first frame's, shrunk to ``max_edge``."""

    def frames() -> Iterator[np.ndarray]:
        size: tuple[int, int] | None = None
        for frame_HW3 in stream.iter_frames():
            if size is None:
                size = shrink_size(frame_HW3.shape[0], frame_HW3.shape[1], max_edge)
            yield resize_frame(frame_HW3, size)

    return replace(stream, iter_frames=frames)


def _check_arguments(
    fps: float, max_frames: int, min_frames: int, timestamps: str, max_edge: int | None
) -> None:
    check_sampling(fps, min_frames, max_frames)
    check_timestamps(timestamps)
    if max_edge is not None and max_edge < EDGE_MULTIPLE:
        raise ValueError(f"max_edge must be None or at least {EDGE_MULTIPLE}, got {max_edge}")


def _checked_frames(frames: Any) -> np.ndarray:
    """Return frames as numpy uint8 (T, H, W, 3) or raise ValueError."""
    if "torch" in sys.modules and isinstance(frames, sys.modules["torch"].Tensor):
        frames = frames.detach().cpu().numpy()
    frames_THW3 = np.asarray(frames)
    if frames_THW3.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 in 0..255, got {frames_THW3.dtype}; convert first")
    if frames_THW3.ndim != 4 or frames_THW3.shape[3] != 3 or 0 in frames_THW3.shape[1:]:
        raise ValueError(f"frames must have shape (T, H, W, 3), got {frames_THW3.shape}")
    if not len(frames_THW3):
        raise ValueError("a video needs at least 1 frame, got 0")
    return frames_THW3
