"""FFmpeg through PyAV: the first choice, and the one that measures a file before decoding it.

Where packets exist without a picture of their own (hidden VP8 frames, a cut before a key frame),
the picture stands in that a player would show, for at most MAX_HELD_SECONDS.

Shape suffixes: T frames of the file, N wanted frames, H height, W width.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tempo_lib.video.base import (
    NO_VIDEO_STREAM,
    NOT_A_VIDEO,
    SALVAGE_HINT,
    CannotOpenError,
    NotInstalledError,
    StreamFacts,
    VideoError,
    video_error,
)
from tempo_lib.video.clock import clock_of, longest, matroska_is_whole
from tempo_lib.video.pictures import (
    has_alpha,
    is_mirrored,
    on_white,
    orientation_of,
    oriented,
    resized,
    stretched_size,
)

MAX_HELD_SECONDS = 2.0  # longer than any hidden frame, shorter than a lost group of pictures
MISSING_SHARE = 0.05  # of a declared length that only roughly tells what a sound file holds
# Where what refers to a picture is marked beyond doubt (nal_ref_idc) and an unmarked one leaves no
# trace: VP9 learns its probabilities from such pictures too, HEVC's higher layers may refer to them
SKIPPABLE = ("h264",)
# FFmpeg's own decoders of these codecs leave the transparency out
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class PyavReader:
    """FFmpeg through PyAV: best video stream, rotation applied, frame threads.

    ``square_pixels``: stretch pictures whose stored pixels are not square; the release does not.
    """

    square_pixels = False

    def __init__(self, path: Path) -> None:
        try:
            import av
        except ImportError as error:
            raise NotInstalledError("PyAV is not installed (pip install av)") from error
        self._av = av
        self._converter = av.video.reformatter.VideoReformatter()
        self._path = path
        self._turn: tuple[int, tuple[int, int, int, int]] | None = None  # rotation, orientation
        self._jumps = False  # whether the clock of the file starts again
        self._held_until = -(1 << 62)  # the tick at which the last picture ends, once known
        with self._opened() as (container, stream):
            ticks = self._read_packets(container, stream)
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            time_base = float(stream.time_base or 0)
            self._sample_aspect = stream.sample_aspect_ratio
            codec = stream.codec_context.name
        # some AVI and raw streams carry no presentation times: there a frame's index is its time
        self._by_place = None in ticks or time_base == 0
        if self._by_place and rate == 0:
            raise video_error(path, "it carries neither frame times nor a frame rate")
        # two packets of one time are one picture (a hidden VP8 frame and its carrier)
        times = [tick for tick in ticks if tick is not None]
        self._ticks_T = np.arange(len(ticks)) if self._by_place else np.unique(times)
        self._skips = codec in SKIPPABLE and not (self._by_place or self._jumps)
        self._tick_seconds = 1 / rate if self._by_place else time_base
        seconds_T = (self._ticks_T - self._ticks_T[0]) * self._tick_seconds
        if rate == 0 and len(seconds_T) > 1:
            rate = (len(seconds_T) - 1) / float(seconds_T[-1])
        last = 0.0 if self._by_place else (self._held_until - int(self._ticks_T[-1])) * time_base
        self.facts = StreamFacts(rate, seconds_T, longest(last))

    def frames(self, index_N: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the picture on screen at the time of each wanted frame; see FrameReader."""
        wanted = self._ticks_T[index_N].tolist()
        num_given = 0
        for picture_HW3 in self._exactly(wanted) if self._skips else ():
            num_given += 1
            yield picture_HW3
        if num_given < len(wanted):
            yield from self._on_screen(wanted[num_given:])

    def _exactly(self, wanted: list[int]) -> Iterator[np.ndarray]:
        """Yield pictures up to the first tick without one of its own, or to any damage.

        A picture that nobody wants and none refers to is not decoded.
        """
        place = 0
        try:
            for now, frame in self._decoded(frozenset(wanted)):
                while place < len(wanted) and wanted[place] == now:
                    yield self._rgb((now, frame), now)
                    place += 1
                if place == len(wanted) or wanted[place] < now:
                    return
        except VideoError:
            return

    def _on_screen(self, ticks: list[int]) -> Iterator[np.ndarray]:
        """Yield the picture on screen at each tick; everything up to the last is decoded."""
        wanted = iter(ticks)
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

    def unlike_decord(self) -> str:
        """Why decord would show this file otherwise, "" where it does not."""
        if self._jumps:
            return "its clock starts again"
        with self._opened() as (container, stream):
            kind = container.format.name
            if not any(known in kind for known in ("mov", "matroska")):
                return f"of {kind.split(',')[0]} files it may give other pictures"
            if stream.metadata.get("alpha_mode") == "1":
                return "it is transparent"
            try:
                frame = next(container.decode(stream), None)
            except self._av.FFmpegError:
                return ""  # damaged: decord's own words say so
            if frame is not None and has_alpha(frame.format):
                return "it is transparent"
            return "it is mirrored" if frame is not None and is_mirrored(frame) else ""

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
            if container.streams.video and (stream is None or stream.codec_context is None):
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
        clock = clock_of(container, stream)
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
                    shift = clock.shift(packet)
                    if not packet.is_discard:
                        ticks.append(None if packet.pts is None else packet.pts + shift)
                        until = (ticks[-1] or 0) + (packet.duration or 0)
                        self._held_until = max(self._held_until, until)
        except self._av.FFmpegError as error:
            reason = f"damaged: its data end after {num_packets} frames"
            self._lose(max(declared, num_packets), reason, error)
        if not ticks:
            raise video_error(self._path, "its video stream holds no frame")
        self._jumps = clock.shift_ticks != 0
        # AVI counts frames it never stored, so only MP4's exact index is held to the letter
        if num_packets < declared * (1 if "mov" in kind else 1 - MISSING_SHARE):
            reason = f"truncated: only {num_packets} of {declared} declared frames are in the file"
            self._lose(declared, reason)
        self._check_end(container, stream, num_packets, end)
        return ticks

    def _check_end(self, container: Any, stream: Any, num_packets: int, end: float) -> None:
        """Find out until when the last picture stands, or that the file was cut before it."""
        kind, time_base = container.format.name, float(stream.time_base or 0)
        if "mov" in kind and stream.duration and num_packets == stream.frames:
            # the table of durations; a packet's own is wrong for a last picture that stands long
            until = (stream.start_time or 0) + stream.duration
            self._held_until = max(self._held_until, until)
        seconds = (container.duration or 0) / self._av.time_base
        two_frames = 2 / float(stream.average_rate or 1)
        if "matroska" in kind and seconds - end > max(two_frames, MISSING_SHARE * seconds):
            if matroska_is_whole(self._path) and time_base:
                self._held_until = max(self._held_until, round(seconds / time_base))
                return
            reason = f"truncated: it ends at {end:.1f} of {seconds:.1f} declared seconds"
            total = round(num_packets * seconds / end) if end else num_packets
            self._lose(total, reason + f" ({num_packets} frames could be read)")

    def _lose(self, total: int, reason: str, cause: Exception | None = None) -> None:
        """Raise VideoError: this reader gives whole files only (salvage.py goes on)."""
        raise video_error(self._path, reason + SALVAGE_HINT) from cause

    def _decoded(self, wanted: frozenset[int] | None = None) -> Iterator[tuple[int, Any]]:
        """Yield (tick, frame) in order, all; or ``wanted`` ones and those that others refer to."""
        count, total = 0, len(self._ticks_T)
        with self._opened() as (container, stream):
            stream.thread_type = "AUTO"
            clock = clock_of(container, stream)
            decode = self._decoder(stream)
            try:
                for packet in container.demux(stream):
                    if self._jumps and packet.size:
                        shift = clock.shift(packet)
                        packet.pts = None if packet.pts is None else packet.pts + shift
                        packet.dts = None if packet.dts is None else packet.dts + shift
                    if wanted is not None:
                        needed = packet.pts is None or packet.pts in wanted
                        stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
                    for frame in decode(packet):
                        if frame.is_corrupt:
                            raise self._damaged(count, "the next is marked as corrupt")
                        placed = self._by_place or frame.pts is None
                        place = min(count, total - 1)
                        yield int(self._ticks_T[place]) if placed else frame.pts, frame
                        count += 1
            except self._av.FFmpegError as error:
                raise self._damaged(count) from error

    def _damaged(self, count: int, more: str = "") -> VideoError:
        """The error of a file that can be read up to frame ``count``."""
        reason = f"damaged: {count} of {len(self._ticks_T)} frames could be read"
        return video_error(self._path, ", ".join(filter(None, (reason, more))) + SALVAGE_HINT)

    def _decoder(self, stream: Any) -> Callable[[Any], list[Any]]:
        """Packet to frames; another decoder than FFmpeg's first where that drops transparency."""
        name = ALPHA_DECODERS.get(stream.codec_context.name)
        if stream.metadata.get("alpha_mode") == "1" and name in self._av.codecs_available:
            other: Any = self._av.CodecContext.create(name, "r")
            return other.decode
        return stream.decode

    def _rgb(self, shown: tuple[int, Any], wanted_tick: int) -> np.ndarray:
        """Return the picture upright; VideoError if it stands too far from the wanted time."""
        tick, frame = shown
        if abs(wanted_tick - tick) * self._tick_seconds > MAX_HELD_SECONDS:
            at = (wanted_tick - int(self._ticks_T[0])) * self._tick_seconds
            reason = f"damaged: no frame within {MAX_HELD_SECONDS:g} s of second {at:.1f}"
            raise video_error(self._path, reason + " can be decoded" + SALVAGE_HINT)
        try:
            rgb_HW3 = self._on_white(frame)
        except self._av.FFmpegError as error:
            reason = f"its pixels ({frame.format.name}) cannot be turned into RGB"
            raise video_error(self._path, reason) from error
        if self.square_pixels:
            height, width = rgb_HW3.shape[:2]
            rgb_HW3 = resized(rgb_HW3, stretched_size(height, width, self._sample_aspect))
        if self._turn is None or self._turn[0] != frame.rotation:
            # a frame that was asked for its side data lives until the next garbage collection
            self._turn = frame.rotation, orientation_of(frame)
        return oriented(rgb_HW3, self._turn[1])

    def _on_white(self, frame: Any) -> np.ndarray:
        """uint8 (H, W, 3) as it is stored; only what is transparent takes the longer way."""
        # one converter for all frames: to_ndarray alone would make a new one for each
        if has_alpha(frame.format):
            rgba_HW4 = self._converter.reformat(frame, format="rgba", threads=1).to_ndarray()
            if rgba_HW4[:, :, 3].min() < 255:
                return on_white(rgba_HW4)
        return self._converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
