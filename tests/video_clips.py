"""Clips for the tests of video input: frames that tell their place, and how to write them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

VIDEOS = Path(__file__).resolve().parents[2] / "shared" / "videos"
needs_videos = pytest.mark.skipif(
    not VIDEOS.is_dir(), reason="the clips of ../shared are not on this machine"
)


def numbered_frames(num_frames, height=64, width=96):
    """Grey frames (T, H, W, 3) whose brightness tells their place; a bright block is top left."""
    levels = (np.arange(num_frames) * 7) % 200 + 20
    frames = np.repeat(levels, height * width * 3).reshape(num_frames, height, width, 3)
    frames[:, : height // 4, : width // 4] = 255
    return frames.astype(np.uint8)


def place_of(frame_HW3, num_frames):
    """Which numbered frame this is, read back from its brightness in the lower right."""
    level = float(frame_HW3[-8:, -8:].mean())
    return int(np.abs((np.arange(num_frames) * 7) % 200 + 20 - level).argmin())


def write_video(
    path, frames, fps=10, ticks=None, codec="libx264", options=None, gop=250, rotation=0
):
    """Encode frames at a constant rate, or at the given presentation ticks of 1/1000 s."""
    container = av.open(str(path), "w")
    stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = "yuv420p"
    stream.options = {"g": str(gop), **(options or {})}
    if ticks is not None:
        stream.codec_context.time_base = Fraction(1, 1000)
    if rotation:
        stream.set_display_rotation(rotation)
    for place, array in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(array, format="rgb24")
        if ticks is not None:
            frame.pts, frame.time_base = int(ticks[place]), Fraction(1, 1000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()
    return path


def copy_packets(source_path, target_path, keep=lambda packet: True, shift_seconds=0.0, **options):
    """Remux without encoding: the kept packets, moved in time, with options of the muxer."""
    with (
        av.open(str(source_path)) as source,
        av.open(str(target_path), "w", options=options) as sink,
    ):
        stream = source.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        shift = round(Fraction(shift_seconds) / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is not None and keep(packet):
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = copy
                sink.mux(packet)
    return target_path
