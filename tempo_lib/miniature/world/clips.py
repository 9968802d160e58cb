"""Write frames to disk the way a user's own data would lie there: .mp4 and .png.

Equal frames give equal bytes: one encoder thread, no dates, no version tags of the muxer.
(Equal bytes across machines also need the same libx264; PyAV's wheels carry theirs. Below 64
pixels per side, its lookahead reads memory outside the picture: 1 clip in 30 differs, measured.)

Shape suffixes: T frames, H height, W width, C the three colours.
"""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

# one key frame every 16 frames: a seek decodes at most two inference windows
KEY_FRAME_INTERVAL = 16
# crf 26: about 0.65 KB per frame; at 32x32 the model sees a PSNR above 38 dB, and a test holds it
DEFAULT_CRF = 26


def write_clip(
    path: str | Path, frames_THWC: np.ndarray, fps: float = 2.0, crf: int = DEFAULT_CRF
) -> None:
    """Encode uint8 frames (T, H, W, 3) as an H.264 .mp4 with one frame every 1/fps seconds.

    The file appears under its name only when complete. Raises ValueError for frames that
    are not uint8 (T, H, W, 3) with T >= 1 and even H and W (4:2:0 colour), or fps <= 0.
    """
    _check_frames(frames_THWC)
    if fps <= 0:
        raise ValueError(f"fps must be positive, got {fps}")
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with av.open(str(partial), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames_THWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        stream.options = {
            "preset": "veryfast",
            "crf": str(crf),
            "g": str(KEY_FRAME_INTERVAL),
            # no B frames: presentation order is decoding order, every reader starts at time 0
            "bf": "0",
            "x264-params": "threads=1:lookahead-threads=1:sliced-threads=0",
        }
        for frame_HWC in frames_THWC:
            frame = av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    os.replace(partial, path)


def write_image(path: str | Path, frame_HWC: np.ndarray) -> None:
    """Write one uint8 frame (H, W, 3) as a .png without metadata; complete or not at all."""
    _check_frames(frame_HWC[None])
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    Image.fromarray(frame_HWC).save(partial, format="PNG", compress_level=3)
    os.replace(partial, path)


def _check_frames(frames_THWC: np.ndarray) -> None:
    shape = frames_THWC.shape
    if frames_THWC.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or shape[0] < 1:
        raise ValueError(
            f"frames must be uint8 (T, H, W, 3) with T >= 1, got {frames_THWC.dtype} {shape}"
        )
    if shape[1] % 2 or shape[2] % 2:
        raise ValueError(f"height and width must be even for 4:2:0 colour, got {shape[1:3]}")
