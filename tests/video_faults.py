"""Files as they come on bad days, made by code, and what is right for each of them.

`python tests/video_faults.py > BAD_DAYS.md` (with the package importable) writes the table.
Pictures tell their place by their brightness, so that pixels are checked without a second decoder.
"""

import io
import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import av
import numpy as np
from PIL import Image
from video_clips import copy_packets, numbered_frames, place_of, write_video

NUM, FPS = 20, 10
WHOLE = list(range(NUM))


@dataclass(frozen=True)
class Case:
    """``make(folder)`` gives what is loaded. ``right``: a refusal's words, or a check of frames."""

    group: str
    name: str
    make: Callable
    right: str | Callable
    says: str  # what is right, in the table's words
    options: dict = field(default_factory=dict)


def outcome(case, folder, load):
    """(is right, what happened) of one case; ``load`` is load_video, of any version."""
    options = {"fps": FPS, "min_frames": 1, "max_edge": None, **case.options}
    try:
        video = load(case.make(folder), **options)
    except ValueError as error:
        line = str(error).replace(str(folder), "...")
        kinds = {kind.__name__ for kind in type(error).__mro__}
        plain = "VideoError" in kinds and "\n" not in line
        fits = isinstance(case.right, str) and re.search(case.right, line) is not None
        return plain and fits, "refused: " + re.sub(r"^cannot read .*?: (?=\S)", "", line)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}".splitlines()[0].replace(str(folder), "...")
    found = f"{video.num_frames} frame{'s' * (video.num_frames != 1)}"
    found += "" if video.is_image else f", {video.seconds[-1]:.1f} s"
    lost = getattr(video, "salvaged", None)
    found += f"; {lost}" if lost else ""
    return (not isinstance(case.right, str)) and bool(case.right(video)), found


def places(video, total=NUM):
    return [place_of(frame, total) for frame in video.frames]


def is_whole(video):
    return places(video) == WHOLE and not video.is_image


def corner(video):
    """Where the bright block stands, and the size of the picture."""
    frame = video.frames[0].astype(float).mean(-1)
    up, left = frame[:8].mean() > frame[-8:].mean(), frame[:, :8].mean() > frame[:, -8:].mean()
    return frame.shape, ("top" if up else "bottom") + (" left" if left else " right")


def clip(name, codec="libx264", num=NUM, height=48, width=64, pix_fmt="yuv420p", **options):
    """A maker of a file of numbered frames; format and codec by name."""

    def make(folder):
        frames = numbered_frames(num, height, width)
        return encode(folder / name, frames, codec, pix_fmt, **options)

    return make


def encode(path, frames, codec, pix_fmt="yuv420p", form=None, options=None, muxer=None, **more):
    """Write frames; ``more``: attributes of the encoder (sample_aspect_ratio, ...)."""
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(str(path), "w", format=form, options=muxer or {}) as sink:
        stream = sink.add_stream(codec, rate=FPS)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        stream.options = {**quiet, **(options or {})}
        for name, value in more.items():
            setattr(stream.codec_context, name, value)
        sink.start_encoding()  # a header is written without a frame too
        for array in frames:
            kind = "rgba" if array.shape[2] == 4 else "rgb24"
            sink.mux(stream.encode(av.VideoFrame.from_ndarray(array, format=kind)))
        sink.mux(stream.encode(None))
    return path


def timed(name, ticks, last=None, codec="libx264"):
    """A maker of a file whose frames stand at the given milliseconds, the last one for ``last``."""

    def make(folder):
        plain = write_video(
            folder / f"plain-{name}",
            numbered_frames(len(ticks), 48, 64),
            ticks=ticks,
            codec=codec,
            options={"bf": "0"},
        )
        with av.open(str(plain)) as source, av.open(str(folder / name), "w") as sink:
            stream = source.streams.video[0]
            copy = sink.add_stream_from_template(stream)
            packets = [packet for packet in source.demux(stream) if packet.size]
            if last is not None:
                packets[-1].duration = round(last / 1000 / stream.time_base)
            for packet in packets:
                packet.stream = copy
                sink.mux(packet)
        return folder / name

    return make


def changed(make, change, name="changed.mp4"):
    """The maker of a file whose bytes are changed."""

    def made(folder):
        data = change(bytearray(make(folder).read_bytes()))
        (folder / name).write_bytes(data)
        return folder / name

    return made


def noisy(name, **muxer):
    """A maker of 40 noise frames of 10 fps: large enough to be cut and hurt anywhere.

    From 64 pixels per side on libx264 writes the same bytes each time.
    """

    def make(folder):
        noise = np.random.default_rng(1).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
        return encode(folder / name, noise, "libx264", options={"g": "8", "bf": "0"}, muxer=muxer)

    return make


def cut(tenth):
    return lambda data: data[: len(data) * tenth // 10]


def flipped(place, num=2000):
    """Bytes changer: so many that no decoder takes them for a picture."""

    def change(data):
        start = int(len(data) * place)
        data[start : start + num] = bytes(byte ^ 0xFF for byte in data[start : start + num])
        return data

    return change


def without_box(name):
    def change(data):
        start = data.index(name)
        data[start : start + 4] = b"xxxx"
        return data

    return change


def number(box, offset, value=0x7FFFFFFF):
    """Bytes changer: the 32-bit number at an offset from a box's name (AVI: little-endian)."""

    def change(data):
        start = data.index(box) + offset
        data[start : start + 4] = struct.pack("<I" if box == b"strh" else ">I", value)
        return data

    return change


def matrix(a, b, c, d):
    """Bytes changer: the display matrix of the first track that has a picture."""

    def change(data):
        start = data.index(b"tkhd") + 4 + 40
        for place, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
            data[start + place : start + place + 4] = struct.pack(">i", value * 65536)
        return data

    return change


def joined(name, shift=None, sizes=((48, 64), (48, 64))):
    """Two halves of 10 frames byte by byte, each with a clock of its own (or one that leaps)."""

    def make(folder):
        parts = []
        for half, size in enumerate(sizes):
            frames = numbered_frames(NUM, *size)[10 * half :][:10]
            options = {"bf": "0", "g": "5"}
            path = encode(folder / f"{half}-{name}", frames, "libx264", options=options)
            if half and shift:
                path = copy_packets(path, folder / f"shifted-{name}", shift_seconds=shift)
            parts.append(path.read_bytes())
        (folder / name).write_bytes(b"".join(parts))
        return folder / name

    return make


def attached(name):
    """A maker of a film that carries a font."""

    def make(folder):
        plain = clip(f"plain-{name}")(folder)
        with av.open(str(plain)) as source, av.open(str(folder / name), "w") as sink:
            stream = source.streams.video[0]
            copy = sink.add_stream_from_template(stream)
            sink.add_attachment("a.ttf", "application/x-truetype-font", bytes(2000))
            for packet in source.demux(stream):
                if packet.size:
                    packet.stream = copy
                    sink.mux(packet)
        return folder / name

    return make


def remuxed(name, **options):
    def make(folder):
        whole = clip("whole.mp4", options={"bf": "0"})(folder)
        return copy_packets(whole, folder / name, **options)

    return make


def streams(name, video=True, audio=True, twice=False):
    """A maker of files with sound, or with a second, smaller film of other pictures."""

    def make(folder):
        with av.open(str(folder / name), "w") as sink:
            film = sink.add_stream("libx264", rate=FPS) if video else None
            small = sink.add_stream("libx264", rate=FPS) if twice else None
            sound = sink.add_stream("aac", rate=16000, layout="mono") if audio else None
            films = [(film, (48, 64)), (small, (16, 16))]
            films = [(stream, size) for stream, size in films if stream is not None]
            for stream, size in films:
                stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
            for stream, size in films:
                for array in numbered_frames(NUM, *size)[:: 1 if stream is film else -1]:
                    sink.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
                sink.mux(stream.encode(None))
            if sound is not None:
                for block in range(32):
                    silence = np.zeros((1, 1024), np.float32)
                    frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
                    frame.sample_rate, frame.pts = 16000, block * 1024
                    sink.mux(sound.encode(frame))
                sink.mux(sound.encode(None))
        return folder / name

    return make


def cover_art(folder):
    """A song with a picture: the picture is no film."""
    picture = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(picture, "JPEG")
    data = streams("song.m4a", video=False)(folder).read_bytes()
    payload = picture.getvalue()
    box = struct.pack(">I4sII", 16 + len(payload), b"data", 13, 0) + payload
    for name in (b"covr", b"ilst"):
        box = struct.pack(">I4s", 8 + len(box), name) + box
    handler = struct.pack(">I4sIIII12sB", 33, b"hdlr", 0, 0, 0x6D646972, 0, b"appl" + bytes(8), 0)
    box = struct.pack(">I4sI", 12 + len(handler) + len(box), b"meta", 0) + handler + box
    box = struct.pack(">I4s", 8 + len(box), b"udta") + box
    place = data.index(b"moov")
    size = struct.unpack(">I", data[place - 4 : place])[0]
    end = place - 4 + size
    grown = struct.pack(">I", size + len(box))
    new = data[: place - 4] + grown + data[place:end] + box + data[end:]
    (folder / "song.m4a").write_bytes(new)
    return folder / "song.m4a"


def transparent(name, codec, pix_fmt):
    """Black and clear: what is clear is seen as white."""

    def make(folder):
        frames = np.zeros((NUM, 48, 64, 4), np.uint8)
        frames[:, :, :32, 3] = 255
        options = {"auto-alt-ref": "0"} if "vpx" in codec else {}
        return encode(folder / name, frames, codec, pix_fmt, options=options)

    return make


def is_half_white(video):
    return video.frames[0, :, :28].mean() < 20 and video.frames[0, :, 36:].mean() > 235


def animation(name, delays=100, **more):
    def make(folder):
        first, *rest = [Image.fromarray(frame) for frame in numbered_frames(NUM, 48, 64)]
        timing = {"save_all": True, "append_images": rest, "duration": delays, **more}
        first.save(folder / name, **timing)
        return folder / name

    return make


def still(name, array, **more):
    def make(folder):
        image = array if isinstance(array, Image.Image) else Image.fromarray(array)
        image.save(folder / name, **more)
        return folder / name

    return make


def is_ramp(video):
    means = video.frames[0].mean(axis=(0, 2))
    return video.is_image and means[0] < 3 and means[-1] > 252 and (np.diff(means) >= 0).all()


def written(name, data):
    def make(folder):
        (folder / name).write_bytes(data)
        return folder / name

    return make


def in_folder(*makers):
    def make(folder):
        inner = folder / "inner"
        inner.mkdir(exist_ok=True)
        for one in makers:
            one(inner)
        return inner

    return make


def numbered_stills(folder):
    for place, frame in enumerate(numbered_frames(NUM, 48, 64)):
        Image.fromarray(frame).save(folder / f"frame{place}.png")


def fifo(folder):
    path = folder / "pipe.mp4"
    if not path.exists():
        os.mkfifo(path)
    return path


def named(name):
    return lambda folder: clip("whole.mp4")(folder).rename(folder / name)
