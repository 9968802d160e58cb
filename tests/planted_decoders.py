"""Openers of videos that misbehave, for tests of the child process that runs them."""

import os
import time

import numpy as np

from tempo_lib.video.clip import VideoStream


def frames(num_frames, before_frame):
    """A stream of small frames; ``before_frame(place)`` runs before each."""

    def one_by_one():
        for place in range(num_frames):
            before_frame(place)
            yield np.full((4, 6, 3), place, np.uint8)

    return VideoStream(iter_frames=one_by_one, fps=2.0, seconds=np.arange(num_frames) / 2)


def good(path, num_frames):
    return frames(num_frames, lambda place: None)


def hangs_when_opened(path):
    time.sleep(600)


def hangs_at_third_frame(path):
    return frames(5, lambda place: time.sleep(600 if place == 2 else 0))


def is_slow_but_steady(path):
    return frames(4, lambda place: time.sleep(1))


def eats_memory(path):
    held = []

    def grow(place):
        for _ in range(64):
            held.append(np.ones(1 << 22))  # 32 MiB each

    return frames(5, grow)


def crashes(path):
    return frames(5, lambda place: os.abort() if place == 2 else None)


def leaves(path):
    os._exit(3)


def chatters(path):
    print("a library's own words on standard output")
    os.write(1, b"and those of native code\n")
    return frames(3, lambda place: print("frame", place))


def fails(path):
    raise RuntimeError("a defect of the opener")
