"""Keep what can be read of a damaged file, and count what is lost.

From an error to the next key frame nothing is kept: the pictures between lean on one that is not
there. The decoder is told to report what it would otherwise paint over.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tempo_lib.video.base import Salvaged, StreamFacts, video_error
from tempo_lib.video.clock import clock_of
from tempo_lib.video.pyav import PyavReader


class SalvagingReader(PyavReader):
    """PyAV on a damaged file: frames that decode cleanly at their own times.

    ``salvaged`` says how many are lost; None for a whole file, which reads as with PyavReader.
    Frames are decoded once more to find out, so opening takes as long as reading.
    """

    salvaged: Salvaged | None

    def __init__(self, path: Path) -> None:
        self._reasons: list[str] = []
        self._total, self._num_errors = 0, 0
        super().__init__(path)
        self._skips = False  # only what is decoded can be found damaged
        self._total = max(self._total, len(self._ticks_T))
        kept = sorted({tick for tick, _ in self._decoded()})
        if not kept:
            raise video_error(path, "nothing can be salvaged: no frame can be decoded")
        self.salvaged = None
        if self._num_errors or self._reasons:  # fewer alone may be hidden frames of VP8
            reason = "; ".join(dict.fromkeys(self._reasons)) or "frames that cannot be decoded"
            self.salvaged = Salvaged(len(kept), self._total, reason)
            self._ticks_T = np.array(kept)
            seconds_T = (self._ticks_T - kept[0]) * self._tick_seconds
            self.facts = StreamFacts(self.facts.average_fps, seconds_T)

    def _lose(self, total: int, reason: str, cause: Exception | None = None) -> None:
        self._total = max(self._total, total)
        self._reasons.append(reason)

    def _decoded(self, wanted: frozenset[int] | None = None) -> Iterator[tuple[int, Any]]:
        """Yield (presentation tick, frame) of what decodes cleanly, in order."""
        whole = getattr(self, "salvaged", "unknown") is None
        if whole:
            yield from super()._decoded(wanted)
            return
        with self._opened() as (container, stream):
            stream.codec_context.options = {"err_detect": "explode"}
            clock = clock_of(container, stream)
            decode = self._decoder(stream)
            is_clean, last, count = True, -(1 << 62), -1
            for packet in self._packets(container, stream):
                shift = clock.shift(packet) if packet.size else 0
                try:
                    frames = decode(packet)
                except self._av.FFmpegError:
                    is_clean = False
                    self._num_errors += 1
                    continue
                for frame in frames:
                    count += 1
                    self._num_errors += frame.is_corrupt
                    is_clean = (is_clean or frame.key_frame) and not frame.is_corrupt
                    by_place = self._by_place or frame.pts is None
                    now = count if by_place else frame.pts + shift
                    if is_clean and now > last:
                        yield now, frame
                        last = now

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """The packets up to where the file can no longer be taken apart."""
        try:
            yield from container.demux(stream)
        except self._av.FFmpegError:
            return
