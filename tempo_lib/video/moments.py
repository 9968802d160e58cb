"""Segments on the axis of time: where they meet, and the frames nearest to given seconds.

Shape suffixes: N segments, H height, W width.
"""

import numpy as np

from tempo_lib.video.clip import Video, VideoStream


def segment_edges(seconds_N: np.ndarray) -> np.ndarray:
    """Borders (N + 1,) in seconds of segments whose centres are ``seconds_N``.

    Neighbours meet halfway; the first and the last are as wide as what they touch.
    """
    if len(seconds_N) == 1:
        half = max(float(seconds_N[0]), 0.5)  # one window from 0; an image has no width of its own
        return np.array([seconds_N[0] - half, seconds_N[0] + half])
    middles = (seconds_N[1:] + seconds_N[:-1]) / 2
    first, last = 2 * seconds_N[0] - middles[0], 2 * seconds_N[-1] - middles[-1]
    return np.concatenate([[first], middles, [last]])


def pick_frames(video: Video | VideoStream, wanted_seconds: list[float]) -> list[np.ndarray]:
    """The frames (H, W, 3) nearest to increasing times; a stream is decoded once."""
    assert video.seconds is not None  # both kinds of video fill it in
    places = [int(np.abs(video.seconds - second).argmin()) for second in wanted_seconds]
    found: dict[int, np.ndarray] = {}
    for place, window_1HW3 in enumerate(video.windows(1, 1)):
        if place in places:
            found[place] = window_1HW3[0].copy()
    return [found[place] for place in places]
