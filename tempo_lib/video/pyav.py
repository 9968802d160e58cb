"""FFmpeg through PyAV: the first choice, and the one that measures a file before decoding it.

Where packets exist without a picture of their own (hidden VP8 frames, a cut before a key frame),
the picture stands in that a player would show, for at most MAX_HELD_SECONDS.

Shape suffixes: T frames of the file, N wanted frames, H height, W width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tempo_lib.video.base import (
    NO_VIDEO_STREAM,
    NOT_A_VIDEO,
    CannotOpenError,
    StreamFacts,
    video_error,
)

MAX_HELD_SECONDS = 2.0  # longer than any hidden frame, shorter than a lost group of pictures
MISSING_SHARE = 0.05  # of a declared length that only roughly tells what a sound file holds


class PyavReader:
    """FFmpeg through PyAV: best video stream, rotation applied, frame threads."""

    def __init__(self, path: Path) -> None:
        try:
            import av
        except ImportError as error:
            raise CannotOpenError("PyAV is not installed (pip install av)") from error
        self._av = av
        self._converter = av.video.reformatter.VideoReformatter()
        self._path = path
        with self._opened() as (container, stream):
            ticks = self._read_packets(container, stream)
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            time_base = float(stream.time_base or 0)
        # some AVI and raw streams carry no presentation times: there a frame's index is its time
        self._by_place = None in ticks or time_base == 0
        if self._by_place and rate == 0:
            raise video_error(path, "it carries neither frame times nor a frame rate")
        # two packets of one time are one picture (a hidden VP8 frame and its carrier)
        times = [tick for tick in ticks if tick is not None]
        self._ticks_T = np.arange(len(ticks)) if self._by_place else np.unique(times)
        self._tick_seconds = 1 / rate if self._by_place else time_base
        seconds_T = (self._ticks_T - self._ticks_T[0]) * self._tick_seconds
        if rate == 0 and len(seconds_T) > 1:
            rate = (len(seconds_T) - 1) / float(seconds_T[-1])
        self.facts = StreamFacts(rate, seconds_T)

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the picture on screen at the time of each wanted frame; see FrameReader."""
        wanted = iter(self._ticks_T[index_N].tolist())
        tick = next(wanted, None)
        shown: tuple[int, Any] | None = None
        for now, frame in self._decoded():
            shown = shown or (now, frame)  # nothing on screen yet: the first picture stands in
            while tick is not None and tick <= now:
                if tick == now:
                    shown = (now, frame)
                yield self._rgb(shown, tick)
                tick = next(wanted, None)
            if tick is None:
                return
            shown = (now, frame)
        if shown is None:
            raise video_error(self._path, "no frame can be decoded")
        while tick is not None:
            yield self._rgb(shown, tick)
            tick = next(wanted, None)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        """Open the container; yield it with its best video stream (as decord chooses)."""
        # local data only: a playlist in disguise must not make a reader open network addresses
        options = {"protocol_whitelist": "file,crypto,data"}
        try:
            # metadata in Latin-1 is common in old files and must not make them unreadable
            container = self._av.open(
                str(self._path.absolute()), options=options, metadata_errors="replace"
            )
        except self._av.InvalidDataError as error:
            raise CannotOpenError(NOT_A_VIDEO) from error
        except self._av.FFmpegError as error:
            raise CannotOpenError(str(error.strerror)) from error
        with container:
            stream = container.streams.best("video")
            if stream is None and container.streams.video:
                raise CannotOpenError("PyAV has no decoder for its codec")
            cover = self._av.stream.Disposition.attached_pic
            if stream is None or stream.disposition & cover:
                raise video_error(self._path, NO_VIDEO_STREAM)
            yield container, stream

    def _read_packets(self, container: Any, stream: Any) -> list[int | None]:
        """Return the presentation tick of each frame, read without decoding.

        Packets that an edit list hides are left out: the decoder drops them as well.
        Raises VideoError when the file holds less than it declares.
        """
        kind = container.format.name
        declared = len(stream.index_entries) if "mov" in kind else stream.frames
        end = 0.0
        num_packets = 0
        ticks: list[int | None] = []
        try:
            for packet in container.demux():
                if packet.size == 0:
                    continue  # the flush marker at the end of each stream
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index == stream.index:
                    num_packets += 1
                    if not packet.is_discard:
                        ticks.append(packet.pts)
        except self._av.FFmpegError as error:
            reason = f"damaged: its data end after {num_packets} frames"
            raise video_error(self._path, reason) from error
        if not ticks:
            raise video_error(self._path, "its video stream holds no frame")
        # AVI counts frames it never stored, so only MP4's exact index is held to the letter
        if num_packets < declared * (1 if "mov" in kind else 1 - MISSING_SHARE):
            reason = f"truncated: only {num_packets} of {declared} declared frames are in the file"
            raise video_error(self._path, reason)
        seconds = (container.duration or 0) / self._av.time_base
        two_frames = 2 / float(stream.average_rate or 1)
        if "matroska" in kind and seconds - end > max(two_frames, MISSING_SHARE * seconds):
            reason = f"truncated: it ends at {end:.1f} of {seconds:.1f} declared seconds"
            raise video_error(self._path, reason + f" ({num_packets} frames could be read)")
        return ticks

    def _decoded(self) -> Iterator[tuple[int, Any]]:
        """Yield (presentation tick, frame) for the whole file, in order."""
        count, total = 0, len(self._ticks_T)
        with self._opened() as (container, stream):
            stream.thread_type = "AUTO"
            try:
                for frame in container.decode(stream):
                    placed = self._by_place or frame.pts is None
                    yield int(self._ticks_T[min(count, total - 1)]) if placed else frame.pts, frame
                    count += 1
            except self._av.FFmpegError as error:
                reason = f"damaged: {count} of {total} frames could be read"
                raise video_error(self._path, reason) from error

    def _rgb(self, shown: tuple[int, Any], wanted_tick: int) -> np.ndarray:
        """Return the picture upright; VideoError if it stands too far from the wanted time."""
        tick, frame = shown
        if abs(wanted_tick - tick) * self._tick_seconds > MAX_HELD_SECONDS:
            at = (wanted_tick - int(self._ticks_T[0])) * self._tick_seconds
            reason = f"damaged: no frame within {MAX_HELD_SECONDS:g} s of second {at:.1f}"
            raise video_error(self._path, reason + " can be decoded")
        # one converter for all frames: to_ndarray alone would make a new one for each
        rgb_HW3 = self._converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb_HW3, round(frame.rotation / 90) % 4))
