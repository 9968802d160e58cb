"""Paint a story as frames: a place, an actor that sways, a plate with its number, bystanders.

Actor and plate never overlap; bystanders cross behind both, smaller, and are hidden there in part.
Frames are numpy blends of sprites.

Shape suffixes: T frames, H height, W width, C the three colours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tempo_lib.miniature.world.places import NUM_VARIANTS, UNITS, background
from tempo_lib.miniature.world.scenes import Scene, Story
from tempo_lib.miniature.world.sprites import (
    ACTOR_SIDE,
    NOISE_LIMIT,
    NUM_TILTS,
    PLATE_HEIGHT,
    PLATE_WIDTH,
    Sprite,
    distractor,
    figure,
    plate,
)

BYSTANDER_SIDES = (28, 38)  # smallest and largest
BYSTANDER_STEP = 1.6  # units a frame at most
BYSTANDER_PLAY = 14  # units up or down: at its end a large one is half behind the actor
SWAY_X, SWAY_Y = 1.5, 5.0

# distractors of a place: what drifts there, how many of them, units per frame in x and y
DISTRACTORS = {
    "beach": (("cloud", 1, 0.8, 0.0), ("bird", 2, 2.2, 0.3)),
    "forest": (("bird", 2, 2.4, -0.2),),
    "desert": (("bird", 1, 1.8, 0.0), ("cloud", 1, 0.6, 0.0)),
    "city": (("cloud", 2, 0.9, 0.0),),
    "snow": (("flake", 9, 0.5, 2.6),),
    "night": (("firefly", 5, 0.6, -0.3),),
}


@dataclass(frozen=True)
class Drifter:
    """A distractor: its sprite, where it starts and how far it goes per frame, in units."""

    sprite: Sprite
    x: float
    y: float
    dx: float
    dy: float


def render(story: Story, seed: int | Sequence[int], size: int = 128) -> np.ndarray:
    """Return the story's frames, uint8 (T, size, size, 3), T = story.num_frames.

    Equal story, seed and size give equal frames. Raises ValueError for a size that is odd
    or below 32 pixels, and for a place, colour or shape that has no picture.
    """
    if size < 32 or size % 2:
        raise ValueError(f"size must be even and at least 32 pixels, got {size}")
    rng = np.random.default_rng(seed)
    frames_THWC = np.empty((story.num_frames, size, size, 3), dtype=np.uint8)
    start = 0
    for scene in story.scenes:
        _paint_scene(frames_THWC[start : start + scene.num_frames], scene, rng)
        start += scene.num_frames
    _add_noise(frames_THWC, rng)
    return frames_THWC


def _paint_scene(frames_THWC: np.ndarray, scene: Scene, rng: np.random.Generator) -> None:
    size = frames_THWC.shape[1]
    frames_THWC[:] = _view(scene.place, size, rng)
    drifters = _drifters(scene.place, size, rng)
    for index, frame_HWC in enumerate(frames_THWC):
        for drifter in drifters:
            x = (drifter.x + index * drifter.dx + 24) % (UNITS + 48) - 24
            y = (drifter.y + index * drifter.dy) % UNITS
            _paste(frame_HWC, drifter.sprite, x, y)
    is_high = bool(rng.random() < 0.5)  # the actor; bystanders keep to the other half
    _paint_bystanders(frames_THWC, scene, not is_high, rng)
    if scene.actor is not None and scene.number is not None:
        _paint_actor(frames_THWC, scene.actor, scene.number, is_high, rng)


def _paint_bystanders(
    frames_THWC: np.ndarray, scene: Scene, is_high: bool, rng: np.random.Generator
) -> None:
    """Let each bystander walk through the frames that show it, two of them side by side."""
    size, count = frames_THWC.shape[1], len(scene.bystanders)
    for place, one in enumerate(scene.bystanders):
        side = int(rng.integers(BYSTANDER_SIDES[0], BYSTANDER_SIDES[1] + 1))
        sprite, num_frames = figure(one.name, side, 0, size), one.stop - one.start
        room = UNITS / count - side - 2
        walked = min(float(rng.uniform(0, BYSTANDER_STEP)) * num_frames, room)
        left = place * UNITS / count + rng.uniform(1, 1 + room - walked)
        y = rng.uniform(1, 1 + BYSTANDER_PLAY) + (
            0 if is_high else UNITS - side - 2 - BYSTANDER_PLAY
        )
        xs = left + np.linspace(0, walked, num_frames)
        xs = xs if rng.random() < 0.5 else xs[::-1]
        for frame_HWC, x in zip(frames_THWC[one.start : one.stop], xs, strict=True):
            _paste(frame_HWC, sprite, float(x), float(y))


def _paint_actor(
    frames_THWC: np.ndarray, actor: str, number: int, is_high: bool, rng: np.random.Generator
) -> None:
    """Paint plate and swaying actor into all frames of a scene, side by side."""
    size = frames_THWC.shape[1]
    actor_x, actor_y, plate_x, plate_y = _layout(is_high, rng)
    phase_x, phase_y, phase_tilt = rng.uniform(0, 2 * math.pi, size=3)
    period = rng.uniform(6, 12)  # frames
    board = plate(number, size)
    for index, frame_HWC in enumerate(frames_THWC):
        angle = 2 * math.pi * index / period
        tilt = round((NUM_TILTS // 2) * math.sin(angle + phase_tilt))
        x = actor_x + SWAY_X * math.sin(0.5 * angle + phase_x)
        y = actor_y + SWAY_Y * math.sin(angle + phase_y)
        _paste(frame_HWC, board, plate_x, plate_y)
        _paste(frame_HWC, figure(actor, ACTOR_SIDE, tilt, size), x, y)


def _layout(is_high: bool, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw the top left corners (actor x, y, plate x, y) in units; they never overlap.

    ``is_high``: in the upper half of the picture, about.
    """
    margin, gap = SWAY_X + 0.5, SWAY_X + 1.0
    slack = UNITS - PLATE_WIDTH - ACTOR_SIDE - 2 * margin - gap
    left, between = slack * rng.dirichlet([1, 1, 1])[:2]
    plate_y = rng.uniform(6, 28) if is_high else rng.uniform(UNITS - PLATE_HEIGHT - 28, 64)
    actor_y = plate_y + (PLATE_HEIGHT - ACTOR_SIDE) / 2 + rng.uniform(-10, 10)
    actor_y = min(max(actor_y, SWAY_Y + 1), UNITS - ACTOR_SIDE - SWAY_Y - 1)
    if rng.random() < 0.5:
        actor_x = margin + left
        return actor_x, actor_y, actor_x + ACTOR_SIDE + gap + between, plate_y
    plate_x = margin + left
    return plate_x + PLATE_WIDTH + gap + between, actor_y, plate_x, plate_y


def _view(place: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Crop one view of a place, uint8 (size, size, C), sometimes mirrored."""
    picture_HWC = background(place, int(rng.integers(NUM_VARIANTS)), size)
    room = picture_HWC.shape[0] - size
    y, x = (round(share * room) for share in rng.random(2))  # shares: the same view at any size
    view_HWC = picture_HWC[y : y + size, x : x + size]
    mirrored = rng.random() < 0.5
    view_HWC = view_HWC[:, ::-1] if mirrored else view_HWC
    return np.clip(view_HWC, NOISE_LIMIT, 255 - NOISE_LIMIT)


def _drifters(place: str, size: int, rng: np.random.Generator) -> list[Drifter]:
    drifters = []
    for kind, count, dx, dy in DISTRACTORS[place]:
        sprite = distractor(kind, size)
        lowest = UNITS if kind in ("flake", "firefly") else 44  # clouds and birds keep to the sky
        for _ in range(count):
            x, y = rng.uniform(0, UNITS), rng.uniform(2, lowest)
            speed = rng.uniform(0.6, 1.4) * (1 if rng.random() < 0.5 else -1)
            drifters.append(Drifter(sprite, x, y, speed * dx, abs(speed) * dy))
    return drifters


def _add_noise(frames_THWC: np.ndarray, rng: np.random.Generator) -> None:
    """Add grey sensor noise in place: every frame takes its own window of a fixed noise field."""
    size = frames_THWC.shape[1]
    field_HW1 = _noise_field(size)
    corners = rng.integers(field_HW1.shape[0] - size + 1, size=(len(frames_THWC), 2))
    for frame_HWC, (y, x) in zip(frames_THWC, corners, strict=True):
        frame_HWC += field_HW1[y : y + size, x : x + size]


@lru_cache(maxsize=4)
def _noise_field(size: int) -> np.ndarray:
    """Return rounded Gaussian noise (sigma 1.2 grey levels), uint8 modulo 256, (H, W, 1)."""
    noise_HW1 = np.random.default_rng(0).normal(0.0, 1.2, size=(2 * size, 2 * size, 1))
    return np.clip(np.rint(noise_HW1), -NOISE_LIMIT, NOISE_LIMIT).astype(np.int8).view(np.uint8)


def _paste(frame_HWC: np.ndarray, sprite: Sprite, x_units: float, y_units: float) -> None:
    """Blend a sprite into a frame in place; what lies outside of the frame is cut off."""
    size = frame_HWC.shape[0]
    x, y = round(x_units * size / UNITS), round(y_units * size / UNITS)
    height, width = sprite.rest_HW1.shape[:2]
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(height, size - y), min(width, size - x)
    if top >= bottom or left >= right:
        return
    part = (slice(top, bottom), slice(left, right))
    target_HWC = frame_HWC[y + top : y + bottom, x + left : x + right]
    target_HWC[...] = (target_HWC * sprite.rest_HW1[part] + sprite.weighted_HWC[part]) >> 8
