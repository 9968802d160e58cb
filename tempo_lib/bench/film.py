"""Films for benchmarks: moving gradients with a flickering patch, H.264 in an .mp4."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

FPS = 12.0
MINUTE = 60.0


def write_film(
    path: Path, seconds: float, height: int, width: int, fps: float = FPS, gop: int = 250
) -> Path:
    """Encode a film with a key frame at least every ``gop`` frames, unless ``path`` is there."""
    import av

    if path.exists():
        return path
    options: dict[str, object] = {"g": str(gop), "preset": "veryfast", "crf": "28"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.options = options
        for picture in drawn(round(seconds * fps), height, width):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_long_film(path: Path, seconds: float, height: int, width: int, fps: float = FPS) -> Path:
    """A film of a minute, its packets again and again: hours without encoding hours."""
    part = write_film(path.with_name(f"minute-{height}x{width}.mp4"), MINUTE, height, width, fps)
    return repeat(part, path, max(1, round(seconds / MINUTE)))


def repeat(part: Path, path: Path, times: int) -> Path:
    """Write a clip of whole minutes ``times`` times in a row, packet by packet."""
    import av

    with av.open(str(part)) as source, av.open(str(path), "w") as sink:
        stream = source.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        times_at = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        time_base = stream.time_base or Fraction(1)
        length = round(round(float((stream.duration or 0) * time_base)) / time_base)
        for number in range(times):
            for packet, (pts, dts) in zip(packets, times_at, strict=True):
                packet.pts, packet.dts = pts + number * length, dts + number * length
                packet.stream, packet.time_base = copy, time_base
                sink.mux(packet)
    return path


def frames(num_frames: int, height: int, width: int) -> np.ndarray:
    """The film's pictures, uint8 (T, H, W, 3)."""
    return np.stack(list(drawn(num_frames, height, width)))


def drawn(num_frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Yield uint8 pictures (H, W, 3)."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    for place in range(num_frames):
        parts = (rows + 2 * place, columns + 3 * place, rows + columns - place)
        picture = np.stack([part % 256 for part in parts], axis=-1).astype(np.uint8)
        noisy = rng.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
        picture[: height // 4, : width // 4] = noisy
        yield picture
