"""Decide which frames of a file to take, and what time each one gets.

Sampling follows the release (golden tables): round(duration * fps) frames, kept within
min_frames..max_frames, spread evenly from the first frame to the last. The release takes every
file for one of constant rate; on a real variable-rate upload its times are off by up to 37 %,
so such files are sampled and timed by their presentation times, to the end of the last one.

Shape suffixes: T sampled frames, N frames of the source.
"""

import math

import numpy as np

from tempo_lib.video.base import StreamFacts

TIMESTAMPS = ("auto", "release", "pts")
# half of the last digit of "<2.0 seconds>": past it, a constant-rate clock prints a wrong time
CLOCK_TOLERANCE_SECONDS = 0.05
HELD_STEPS = 2  # a shorter stand is told well enough by its first frame's own time


def sample_indices(
    total_frames: int, original_fps: float, target_fps: float, min_frames: int, max_frames: int
) -> np.ndarray:
    """Return int64 places of the frames that the release's infer.py takes.

    The number is round(duration * target_fps) within min_frames..max_frames (max_frames wins);
    an unknown rate (0 or not a number) takes every frame up to max_frames. A short clip repeats
    places. The golden table fixes two corners: a file of one frame gives it once whatever
    min_frames is, and a single sample of a longer clip is its last frame.
    """
    check_sampling(target_fps, min_frames, max_frames)
    if total_frames < 1:
        raise ValueError(f"total_frames must be at least 1, got {total_frames}")
    if not (math.isfinite(original_fps) and original_fps > 0):
        num_samples = min(total_frames, max_frames)
    else:
        wanted = round(total_frames / original_fps * target_fps)
        num_samples = min(max(wanted, min_frames), max_frames)
    if total_frames == 1:
        num_samples = 1
    return np.round(_spread(total_frames - 1, num_samples)).astype(np.int64)


def is_variable_rate(facts: StreamFacts) -> bool:
    """Whether a constant-rate clock would misplace some frame enough to show in a timestamp."""
    if facts.average_fps <= 0:
        return False
    clock_N = np.arange(facts.num_frames) / facts.average_fps
    return bool(np.abs(facts.seconds_T - clock_N).max() > CLOCK_TOLERANCE_SECONDS)


def plan_samples(
    facts: StreamFacts, fps: float, min_frames: int, max_frames: int, timestamps: str
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return which frames to take (T,), the sampled fps, and the seconds (T,).

    A picture that stands for longer than HELD_STEPS samples is taken again at each of them, at
    the sample's own time; the last one until it ends.
    """
    total, rate, seconds_N = facts.num_frames, facts.average_fps, facts.seconds_T
    held = is_held(facts, fps)
    variable = held or is_variable_rate(facts)
    if not variable or timestamps == "release":
        index_T = sample_indices(total, rate, fps, min_frames, max_frames)
        sampled_fps = len(index_T) / (total / rate) if rate > 0 else fps
        by_pts = timestamps == "pts"
        return (
            index_T,
            sampled_fps,
            (seconds_N[index_T] if by_pts else np.arange(len(index_T)) / sampled_fps),
        )
    last = float(seconds_N[-1])
    if held:
        rate = total / (last + facts.last_seconds)
    else:
        rate = (total - 1) / last  # the last frame lasts as long as the mean one
    num = len(sample_indices(total, rate, fps, min_frames, max_frames))
    sampled_fps = num / (total / rate)
    grid_T = _spread(max(last, (num - 1) / sampled_fps) if held else last, num)
    index_T, seconds_T = _taken(facts, grid_T)
    return index_T, sampled_fps, seconds_T


def is_held(facts: StreamFacts, fps: float) -> bool:
    """Whether a picture stands long enough to be sampled again, or the last one past the mean."""
    if facts.num_frames < 2 or facts.last_seconds <= 0:
        return False
    gaps = np.diff(facts.seconds_T)
    in_between = is_variable_rate(facts) and gaps.max() > HELD_STEPS / fps
    return bool(in_between or facts.last_seconds - gaps.mean() > 1 / fps)


def check_sampling(fps: float, min_frames: int, max_frames: int) -> None:
    """Raise ValueError for a rate or a number of frames that nothing can be sampled with."""
    check_rate(fps)
    check_counts(min_frames=min_frames, max_frames=max_frames)


def check_counts(**counts: int) -> None:
    """Raise ValueError that names the count below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def check_timestamps(timestamps: str) -> None:
    """Raise ValueError for a clock that does not exist."""
    if timestamps not in TIMESTAMPS:
        raise ValueError(f"timestamps must be one of {', '.join(TIMESTAMPS)}; got {timestamps!r}")


def check_rate(fps: float) -> None:
    """Raise ValueError unless the rate is a positive finite number."""
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps must be a positive number, got {fps}")


def _spread(last: float, num_samples: int) -> np.ndarray:
    return np.array([last]) if num_samples == 1 else np.linspace(0, last, num_samples)


def _taken(facts: StreamFacts, grid_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each grid time which frame to take (T,), and the seconds (T,).

    It is the nearest frame with its own time, or, where a picture is held, that picture.
    """
    seconds_N = facts.seconds_T
    index_T = _nearest(seconds_N, grid_T)
    step = float(grid_T[1] - grid_T[0]) if len(grid_T) > 1 else math.inf
    stands_N = np.append(np.diff(seconds_N), facts.last_seconds)
    shown_T = np.searchsorted(seconds_N, grid_T, side="right") - 1
    held_T = stands_N[shown_T] > HELD_STEPS * step
    return np.where(held_T, shown_T, index_T), np.where(held_T, grid_T, seconds_N[index_T])


def _nearest(seconds_N: np.ndarray, grid_T: np.ndarray) -> np.ndarray:
    """Return for each grid time the place of the nearest frame, the earlier one on a tie."""
    right_T = np.searchsorted(seconds_N, grid_T).clip(1, len(seconds_N) - 1)
    left_is_near_T = grid_T - seconds_N[right_T - 1] <= seconds_N[right_T] - grid_T
    return (right_T - left_is_near_T).astype(np.int64)
