"""The table of bad days: one row per file. `python tests/video_fault_cases.py` prints it as
Markdown; with `--before FOLDER` it also asks the version whose package lies in FOLDER."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from video_clips import numbered_frames
from video_faults import (
    FPS,
    NUM,
    WHOLE,
    Case,
    animation,
    attached,
    changed,
    clip,
    corner,
    cover_art,
    cut,
    fifo,
    flipped,
    in_folder,
    is_half_white,
    is_ramp,
    is_whole,
    joined,
    matrix,
    named,
    noisy,
    number,
    numbered_stills,
    outcome,
    places,
    remuxed,
    still,
    streams,
    timed,
    transparent,
    without_box,
    written,
)

EVERY = "every frame, in order"
HEAD = """# Bad days of videos

What `load_video` makes of files as they come on bad days. Each is made by code
(`tests/video_faults.py`, `tests/video_fault_cases.py`) and is a test; pictures tell their place by
their brightness, so every frame is checked. *Before*: the version d443787 on the same files.
Written by `python tests/video_fault_cases.py --before FOLDER > BAD_DAYS.md`.

"""

FLIPS = """
## Flipped bytes

40 frames of noise, 2,000 of about 100,000 bytes flipped at 12 places in turn. A format without
checksums has hurts that no decoder notices; what salvage keeps is then not all good.

| format | refused | unnoticed | frames that salvage kept, of 480 | of these wrong |
|---|--:|--:|--:|--:|"""


def whole(group, name, make, **options):
    return Case(group, name, make, is_whole, EVERY, options)


def refused(group, name, make, words, **options):
    return Case(group, name, make, words, "refused in one line", options)


HUGE = Image.new("1", (20000, 20000))
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
NO_B = {"bf": "0"}
CONTAINERS = [
    whole("container", name, clip(file, **options))
    for name, file, options in [
        ("MP4, H.264, B frames", "a.mp4", {}),
        ("MP4, H.265", "b.mp4", {"codec": "libx265"}),
        ("MP4, MPEG-4", "c.mp4", {"codec": "mpeg4", "bit_rate": 4_000_000}),
        ("MP4, index in front", "d.mp4", {"muxer": {"movflags": "faststart"}}),
        ("MP4, fragmented", "e.mp4", {"muxer": {"movflags": "frag_keyframe+empty_moov"}}),
        ("MOV, H.264", "f.mov", {}),
        ("MOV, ProRes", "g.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
        ("MOV, Animation", "h.mov", {"codec": "qtrle", "pix_fmt": "rgb24"}),
        ("3GP, H.264", "i.3gp", {}),
        ("Matroska, H.264", "j.mkv", {}),
        ("Matroska, FFV1", "k.mkv", {"codec": "ffv1"}),
        ("Matroska, H.265", "l.mkv", {"codec": "libx265"}),
        ("Matroska, no end declared (live)", "m.mkv", {"muxer": {"live": "1"}}),
        ("WebM, VP8", "n.webm", {"codec": "libvpx"}),
        ("WebM, VP9", "o.webm", {"codec": "libvpx-vp9"}),
        ("AVI, MPEG-4", "p.avi", {"codec": "mpeg4", "bit_rate": 4_000_000}),
        ("AVI, Motion JPEG", "q.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("AVI, HuffYUV", "r.avi", {"codec": "huffyuv", "pix_fmt": "yuv422p"}),
        ("FLV, Sorenson", "s.flv", {"codec": "flv"}),
        ("FLV, H.264", "t.flv", {}),
        ("transport stream, H.264, B frames", "u.ts", {}),
        ("transport stream, MPEG-2", "v.ts", {"codec": "mpeg2video"}),
        ("program stream, MPEG-2", "w.mpg", {"codec": "mpeg2video", "form": "vob"}),
        ("NUT, FFV1", "x.nut", {"codec": "ffv1"}),
        ("Ogg, VP8", "y.ogv", {"codec": "libvpx", "form": "ogg"}),
        ("ASF, WMV2", "z.wmv", {"codec": "wmv2", "form": "asf"}),
        ("IVF, VP9", "aa.ivf", {"codec": "libvpx-vp9"}),
        ("YUV4MPEG", "ab.y4m", {"codec": "wrapped_avframe", "form": "yuv4mpegpipe"}),
    ]
    if file != "ab.y4m"
] + [
    Case(
        "container",
        f"bare {codec} stream (25 fps assumed)",
        clip(file, codec, options=NO_B),
        lambda video: places(video) == WHOLE,
        EVERY,
        {"fps": 25},
    )
    for codec, file in [("libx264", "bare.h264"), ("libx265", "bare.hevc")]
]

NAMES = [
    whole("name", f"`{name[:24]}`", named(name))
    for name in [
        "two words.mp4",
        "it's.mp4",
        'a "quote".mp4',
        "line\nbreak.mp4",
        "50%03d.mp4",
        "a:b.mp4",
        "-dash.mp4",
        "\u6620\u753b.mp4",
        "\U0001f3ac.mp4",
        "[1]{2}.mp4",
        "#1?.mp4",
        "no-suffix",
        "wrong.txt",
        "picture.png",
        "x" * 200 + ".mp4",
        "concat|a.mp4",
    ]
]

TURNS = {  # display matrix: size and place of the bright block as a player shows them
    (1, 0, 0, 1): ((48, 64), "top left"),
    (-1, 0, 0, 1): ((48, 64), "top right"),
    (1, 0, 0, -1): ((48, 64), "bottom left"),
    (-1, 0, 0, -1): ((48, 64), "bottom right"),
    (0, 1, 1, 0): ((64, 48), "top left"),
    (0, 1, -1, 0): ((64, 48), "top right"),
    (0, -1, 1, 0): ((64, 48), "bottom left"),
    (0, -1, -1, 0): ((64, 48), "bottom right"),
}
SHAPES = (
    [
        Case(
            "picture",
            f"display matrix {' '.join(map(str, turn))}",
            changed(clip("turned.mp4"), matrix(*turn)),
            lambda video, seen=seen: corner(video) == seen and video.num_frames == NUM,
            f"the corner stands {seen[1]}",
        )
        for turn, seen in TURNS.items()
    ]
    + [
        Case(
            "picture",
            f"{width}x{height} {pix_fmt}",
            clip(f"{width}x{height}{pix_fmt}.mkv", codec, 3, height, width, pix_fmt),
            lambda video, size=(height, width): video.frames.shape == (3, *size, 3),
            "its own size",
        )
        for height, width, codec, pix_fmt in [
            (1, 1, "ffv1", "bgr0"),
            (2, 2, "libx264", "yuv420p"),
            (47, 63, "libx264", "yuv444p"),
            (47, 63, "ffv1", "yuv420p"),
            (16, 640, "libx264", "yuv420p"),
            (640, 16, "libx264", "yuv420p"),
        ]
    ]
    + [
        whole("picture", "10 bits", clip("ten.mp4", pix_fmt="yuv420p10le")),
        whole("picture", "12 bits, 4:4:4", clip("twelve.mkv", "ffv1", pix_fmt="yuv444p12le")),
        whole("picture", "grey, 16 bits", clip("grey.mkv", "ffv1", pix_fmt="gray16le")),
        whole("picture", "4:2:2", clip("broad.mp4", pix_fmt="yuv422p")),
        whole("picture", "interlaced", clip("fields.mp4", options={"flags": "+ildct+ilme"})),
        Case(
            "picture",
            "anamorphic (pixels 2:1)",
            clip("wide.mp4", sample_aspect_ratio=2),
            lambda video: video.frames.shape == (NUM, 48, 64, 3),
            "as stored, as in the release (DIFFERENCES.md)",
        ),
        Case(
            "picture",
            "anamorphic, `square_pixels`",
            clip("wide2.mp4", sample_aspect_ratio=2),
            lambda video: video.frames.shape == (NUM, 48, 128, 3),
            "stretched",
            {"square_pixels": True},
        ),
        *(
            Case("picture", f"transparent, {name}", make, is_half_white, "laid on white")
            for name, make in [
                ("VP9", transparent("clear.webm", "libvpx-vp9", "yuva420p")),
                ("VP8", transparent("clear8.webm", "libvpx", "yuva420p")),
                ("Animation", transparent("clear.mov", "qtrle", "argb")),
                ("PNG in MOV", transparent("clearp.mov", "png", "rgba")),
                ("FFV1", transparent("clear.mkv", "ffv1", "bgra")),
            ]
        ),
    ]
)

HALF = (np.arange(48 * 64).reshape(48, 64) % 64 < 32)[:, :, None]
CLEAR = np.concatenate([np.zeros((48, 64, 3)), HALF * 255], axis=2).astype(np.uint8)
RAMP = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
PAGES = {"save_all": True, "append_images": [Image.new("L", (64, 48), 9)] * 2}
PALETTE = Image.fromarray(CLEAR).quantize(4)
STILLS = [
    *(
        Case("still", f"transparent {name}", make, is_half_white, "laid on white")
        for name, make in [
            ("PNG", still("rgba.png", CLEAR)),
            ("PNG, grey", still("la.png", Image.fromarray(CLEAR).convert("LA"))),
            ("PNG, palette", still("pa.png", PALETTE)),
            ("WebP", still("a.webp", CLEAR, lossless=True)),
            ("TIFF", still("a.tiff", CLEAR)),
        ]
    ),
    *(
        Case("still", name, make, is_ramp, "the ramp")
        for name, make in [
            ("16-bit PNG", still("g16.png", RAMP)),
            ("16-bit TIFF", still("g16.tiff", RAMP)),
            ("32-bit TIFF", still("g32.tiff", RAMP.astype(np.int32) * 1000)),
            ("float TIFF, 0..1", still("f1.tiff", RAMP.astype(np.float32) / 65535)),
            ("float TIFF, -3..900", still("f9.tiff", RAMP.astype(np.float32) / 65535 * 903 - 3)),
        ]
    ),
    refused(
        "still", "float TIFF with a NaN", still("n.tiff", np.full((4, 4), np.nan, "f4")), "finite"
    ),
    refused(
        "still",
        "TIFF of three pages",
        still("p.tiff", Image.new("L", (64, 48)), **PAGES),
        "3 pages",
    ),
    Case(
        "still",
        "PNG named .mp4",
        still("png.mp4", RAMP, format="PNG"),
        is_ramp,
        "an image",
    ),
    Case(
        "still",
        "PNG cut in half",
        changed(still("h.png", CLEAR), cut(5), "h2.png"),
        "damaged image",
        "refused in one line",
    ),
    refused("still", "text named .png", written("text.png", b"text"), "not an image"),
]
ANIMATIONS = [
    whole("animation", "GIF", animation("a.gif")),
    whole("animation", "WebP", animation("a.webp", lossless=True)),
    whole("animation", "PNG", animation("a.png")),
    whole("animation", "WebP named .gif", animation("b.gif", format="WEBP", lossless=True)),
    Case(
        "animation",
        "PNG with a plain picture before it",
        animation("c.png", default_image=True),
        lambda video: places(video) == WHOLE[1:],
        "the animation alone",
    ),
    *(
        Case(
            "animation",
            f"{name}, delays of 1 and 3 s",
            animation(f"d.{name}", [1000, 3000] * 10),
            lambda video: video.num_frames == 80 and places(video)[:9] == [0, 0] + [1] * 6 + [2],
            "40 s",
            {"fps": 2, **more},
        )
        for name, more in [("webp", {}), ("png", {}), ("gif", {})]
    ),
]

TIMES = (
    [
        Case(
            "time",
            f"{num} frame{'s' * (num > 1)}",
            clip(f"n{num}.mp4", num=num),
            lambda video, num=num: places(video, 3) == list(range(num)),
            EVERY,
        )
        for num in (1, 2, 3)
    ]
    + [
        Case("time", name, timed(file, ticks, last), check, says, {"fps": 2})
        for name, file, ticks, last, check, says in [
            (
                "the last picture held for 20 s",
                "held.mp4",
                range(0, 4000, 100),
                20000,
                lambda v: v.num_frames == 48 and places(v, 40)[8:] == [39] * 40,
                "24 s",
            ),
            (
                "the same in Matroska",
                "held.mkv",
                range(0, 4000, 100),
                20000,
                lambda v: v.num_frames == 48 and places(v, 40)[8:] == [39] * 40,
                "24 s",
            ),
            (
                "slide show of 10, 10 and 40 s",
                "slides.mp4",
                [0, 10000, 20000],
                40000,
                lambda v: places(v, 3) == [0] * 20 + [1] * 20 + [2] * 80,
                "60 s",
            ),
            (
                "the first picture held for 20 s",
                "first.mp4",
                [0, *range(20000, 24000, 100)],
                100,
                lambda v: v.num_frames == 48 and places(v, 41)[:39] == [0] * 39,
                "24 s",
            ),
            (
                "a picture held in the middle",
                "middle.mp4",
                [*range(0, 2000, 100), *range(22000, 24000, 100)],
                100,
                lambda v: v.num_frames == 48 and places(v, 40)[4:43] == [19] * 39,
                "24 s",
            ),
            (
                "variable rate",
                "vfr.mkv",
                [*range(0, 2000, 100), *range(2000, 12000, 500)],
                None,
                lambda v: v.num_frames == 24,
                "12 s",
            ),
            (
                "one frame an hour",
                "lapse.mp4",
                range(0, 36000000, 3600000),
                3600000,
                lambda v: v.num_frames == 1024 and set(places(v, 10)) == set(range(10)),
                "10 h",
            ),
        ]
    ]
    + [
        whole("time", "transport stream, clock starts again", joined("again.ts")),
        whole("time", "program stream, clock starts again", joined("again.mpg")),
        whole("time", "transport stream, clock leaps by 1 h", joined("leap.ts", 3600)),
        whole("time", "late start (5 s)", remuxed("late.mp4", shift_seconds=5)),
        whole("time", "late start, transport stream", remuxed("late.ts", shift_seconds=500)),
        whole("time", "late start, Matroska", remuxed("late.mkv", shift_seconds=5)),
        Case(
            "time",
            "0.5 s hidden by an edit list",
            remuxed("hidden.mp4", shift_seconds=-0.5, avoid_negative_ts="disabled"),
            lambda v: places(v) == WHOLE[5:],
            "what is not hidden",
        ),
        whole("time", "33-bit clock rolls over", remuxed("roll.ts", shift_seconds=95441.5)),
    ]
)

TIMES += [
    whole("time", "MP4 whose header declares 60 h", changed(clip("lie.mp4"), number(b"mdhd", 20))),
    whole("time", "MP4 whose film header does", changed(clip("lie2.mp4"), number(b"mvhd", 20))),
    whole("time", "fragments without a duration", clip("frag.mp4", muxer=FRAGMENTS)),
    refused(
        "time",
        "AVI that declares 16 million frames",
        changed(clip("lie.avi", "mjpeg", pix_fmt="yuvj420p"), number(b"strh", 40, 1 << 24)),
        "truncated: only 20 of 16777216 declared frames",
    ),
    refused("time", "no frame at all", clip("none.mp4", num=0), "no frame|no video|not a video"),
]

STREAMS = [
    whole("stream", "with sound", streams("sound.mp4")),
    whole("stream", "with sound, Matroska", streams("sound.mkv")),
    whole("stream", "two films: the larger one", streams("twice.mp4", twice=True)),
    refused("stream", "sound alone", streams("only.mp4", video=False), "no video stream"),
    refused("stream", "sound alone, Matroska", streams("only.mkv", video=False), "no video stream"),
    refused("stream", "a song with cover art", cover_art, "no video stream"),
]

STREAMS += [
    whole("stream", "with an attached font", attached("font.mkv")),
    Case(
        "stream",
        "the size changes in the middle",
        joined("sizes.ts", sizes=((48, 64), (96, 128))),
        lambda v: v.frames.shape == (NUM, 48, 64, 3) and places(v) == WHOLE,
        "every frame, at the first one's size",
    ),
]
SIZES = [
    Case(
        "size",
        "8K wide",
        clip("8k.mp4", num=3, height=64, width=7680),
        lambda v: v.frames.shape == (3, 16, 512, 3),
        "shrunk while it streams",
        {"max_edge": 512},
    ),
    refused(
        "size", "PNG of 400 megapixels", still("g.png", HUGE), "damaged image .*could be decom"
    ),
    whole("size", "64x48, `max_edge` 16", clip("s.mp4"), max_edge=16),
]

MP4 = noisy("noise.mp4", movflags="faststart")
DAMAGE = (
    [
        refused(
            "damage",
            f"MP4 cut at {tenth} tenths",
            changed(MP4, cut(tenth), f"c{tenth}.mp4"),
            "truncated|not a video|damaged|holds no frame",
        )
        for tenth in range(1, 10)
    ]
    + [
        refused(
            "damage",
            f"Matroska cut at {tenth} tenths",
            changed(noisy("noise.mkv"), cut(tenth), f"c{tenth}.mkv"),
            "truncated",
        )
        for tenth in range(1, 10)
    ]
    + [
        Case(
            "damage",
            f"MP4 cut at {tenth} tenths, `salvage`",
            changed(MP4, cut(tenth), f"s{tenth}.mp4"),
            lambda v, tenth=tenth: (
                v.salvaged.num_total == 40 and 4 * tenth - 9 <= v.salvaged.num_read < 40
            ),
            "what is there, and the count",
            {"salvage": True},
        )
        for tenth in (3, 6, 9)
    ]
    + [
        refused(
            "damage",
            f"bytes flipped at {share}",
            changed(MP4, flipped(share), f"f{share}.mp4"),
            r"damaged: .*40 frames could be read|damaged: its data end",
        )
        for share in (0.2, 0.35, 0.5, 0.65, 0.8)
    ]
    + [
        Case(
            "damage",
            "bytes flipped in the middle, `salvage`",
            changed(MP4, flipped(0.5), "fs.mp4"),
            lambda v: v.salvaged.num_total == 40 and 24 <= v.salvaged.num_read < 40,
            "all but the frames up to the next key frame",
            {"salvage": True},
        ),
        Case(
            "damage",
            "a whole file, `salvage`",
            clip("whole.mp4"),
            lambda v: is_whole(v) and v.salvaged is None,
            EVERY,
            {"salvage": True},
        ),
        refused(
            "damage", "no moov", changed(clip("nomoov.mp4"), without_box(b"moov")), "not a video"
        ),
        refused(
            "damage",
            "bytes overwritten with FF",
            changed(noisy("ff.mp4"), lambda data: data[:9000] + b"\xff" * 9000 + data[18000:]),
            r"damaged: \d+ of 40 frames could be read",
        ),
        refused("damage", "empty", written("empty.mp4", b""), "empty"),
        refused("damage", "text", written("text.mp4", b"hello " * 200), "not a video"),
        refused(
            "damage",
            "a web page",
            written("page.mp4", b"<!DOCTYPE html><html></html>"),
            "not a video",
        ),
        refused("damage", "zeros", written("zeros.mp4", bytes(5000)), "not a video"),
        refused(
            "damage",
            "random bytes",
            written("random.mp4", np.random.default_rng(0).bytes(5000)),
            "not a video|no video",
        ),
        refused(
            "damage",
            "a playlist of addresses",
            written("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
            "cannot read|not a video|denied|Invalid|Input|holds no",
        ),
    ]
)

PATHS = [
    Case("path", "a folder of numbered stills", in_folder(numbered_stills), is_whole, EVERY),
    Case(
        "path",
        "a contact sheet of equal size among them",
        in_folder(numbered_stills, still("contact.png", numbered_frames(1, 48, 64)[0])),
        lambda v: places(v)[:NUM] == WHOLE,
        "numbered frames first",
    ),
    refused(
        "path",
        "a larger contact sheet among them",
        in_folder(numbered_stills, still("contact.png", numbered_frames(1, 96, 99)[0])),
        "99x96",
    ),
    refused(
        "path", "a folder of clips and stills", in_folder(numbered_stills, clip("a.mp4")), "clips"
    ),
    refused(
        "path",
        "a folder of clips",
        in_folder(clip("a.mp4"), clip("b.mkv")),
        "clips|holds no frames",
    ),
    refused("path", "an empty folder", in_folder(), "holds no frames"),
    refused("path", "a pipe", fifo, "not a file"),
    refused("path", "a device", lambda folder: "/dev/null", "not a file"),
    refused("path", "no such file", lambda folder: folder / "none.mp4", "no such file"),
    refused("path", "an empty text", lambda folder: "", "empty"),
    refused("path", "a question of 300 letters", lambda folder: "Who is it" * 34, "too long"),
    refused("path", "a zero byte", lambda folder: "a\0b.mp4", "zero byte|no such file"),
    refused("path", "an address", lambda folder: "https://a.b/c.mp4", "not fetched"),
    whole("path", "`file://`", lambda folder: clip("two words.mp4")(folder).as_uri()),
]

CASES = [
    *CONTAINERS,
    *NAMES,
    *SHAPES,
    *STILLS,
    *ANIMATIONS,
    *TIMES,
    *STREAMS,
    *SIZES,
    *DAMAGE,
    *PATHS,
]


def results():
    """(is right, what happened) of every case, by the package that is importable."""
    from tempo_lib import load_video

    with tempfile.TemporaryDirectory() as folder:
        found = []
        for number, case in enumerate(CASES):
            own = Path(folder) / str(number)
            own.mkdir()
            found.append(outcome(case, own, load_video))
        return found


def results_of(package_folder, cases="video_fault_cases"):
    """The same of another version, whose package lies in a folder."""
    code = f"import json, {cases} as v; print(json.dumps(v.results()))"
    path = [str(package_folder), str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": ":".join(path), "PATH": "", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def table(now, before, cases=CASES, what="file"):
    """The page in Markdown."""
    count = Counter(case.group for case in cases)
    good = Counter(case.group for case, (right, _) in zip(cases, now, strict=True) if right)
    old = Counter(case.group for case, (right, _) in zip(cases, before, strict=True) if right)
    lines = [f"| group | {what}s | right before | right now |", "|---|--:|--:|--:|"]
    lines += [f"| {group} | {count[group]} | {old[group]} | {good[group]} |" for group in count]
    lines.append(f"| all | {len(cases)} | {old.total()} | {good.total()} |")
    lines += ["", f"| {what} | right | what happens | before |", "|---|---|---|---|"]
    for case, (right, said), (was_right, was) in zip(cases, now, before, strict=True):
        cells = (case.says, ("" if right else "**wrong**: ") + said)
        same = "right" if was_right else f"**{was}**"
        name = f"{case.group}: {case.name}"
        lines.append("| " + " | ".join(map(cell, (name, *cells, same))) + " |")
    return "\n".join(lines)


def flips():
    """Format -> of 12 runs of 2,000 flipped bytes: refused, unnoticed; wrong frames salvaged."""
    from tempo_lib.video.base import VideoError
    from tempo_lib.video.readers import open_reader

    def read(path, **options):
        reader = open_reader(path, **options)
        times = np.round(reader.facts.seconds_T * FPS).astype(int).tolist()
        return dict(zip(times, reader.frames(np.arange(len(times))), strict=True))

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("flips.mp4", "flips.mkv", "flips.ts"):
            make = noisy(name)
            good = read(make(Path(folder)))
            refusals = unnoticed = wrong = kept = 0
            for share in np.linspace(0.1, 0.9, 12):
                path = changed(make, flipped(share), f"hurt-{name}")(Path(folder))
                try:
                    read(path)
                    unnoticed += 1
                except VideoError:
                    refusals += 1
                rest = read(path, salvage=True)
                kept += len(rest)
                wrong += sum(not np.array_equal(rest[time], good.get(time)) for time in rest)
            found[name.split(".")[1]] = (refusals, unnoticed, kept, wrong)
    return found


def cell(text):
    shown = text.encode("ascii", "backslashreplace").decode()
    return " ".join(shown.replace("|", "\\|").split())


if __name__ == "__main__":
    older = results_of(Path(sys.argv[2]).resolve()) if sys.argv[1:2] == ["--before"] else results()
    print(HEAD + table(results(), older))
    print(FLIPS)
    for form, numbers in flips().items():
        print(f"| {form} | " + " | ".join(map(str, numbers)) + " |")
