"""Frames at the file's size -> patch rows of the vision tower."""

from collections.abc import Iterator

from tempo_lib.bench import release
from tempo_lib.bench.film import frames
from tempo_lib.bench.harness import Pair, Setting
from tempo_lib.bench.questions import largest
from tempo_lib.model.processing import SegmentPixels, segment_pixels
from tempo_lib.video.clip import Video, open_video


def make(setting: Setting) -> Iterator[Pair]:
    """Ours streams, as ``tempo ask`` does: a window is shrunk, resized and let go."""
    model = setting.model
    numbers, rules = model.config.video_numbers, model.config.pixel_rules
    num_frames = max(numbers.window, round(setting.seconds * numbers.fps))
    native = Video(frames(num_frames, setting.height, setting.width), numbers.fps)
    cut = (model.patch_shape, numbers.window, numbers.stride)

    def ours() -> SegmentPixels:
        small = open_video(native.frames, numbers.fps, num_frames, max_edge=rules.max_edge)
        return segment_pixels(small, rules, *cut)

    def reference() -> SegmentPixels:
        return release.read_pixels(native, model)

    yield Pair(
        label="",
        sides={"ours": ours, "reference": reference},
        difference=lambda: largest(ours().pixel_rows_PC, reference().pixel_rows_PC),
    )
