"""Sprites of the world: actors, bystanders, plates with a digit, what drifts by.

A digit is 30 x 46 units of 128: 11 x 17 pixels when a frame is read at 48x48. Sprites are painted
once per process, supersampled.

Shape suffixes: H height, W width, C the three colours.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tempo_lib.miniature.world.places import Canvas
from tempo_lib.miniature.world.scenes import BYSTANDER_SHAPES, VISUAL_SHAPES

ACTOR_SIDE = 46  # units, outline included
PLATE_WIDTH, PLATE_HEIGHT = 42, 58
DIGIT_WIDTH, DIGIT_HEIGHT = 30, 46
SWAY_DEGREES = 9.0
NOISE_LIMIT = 4  # grey levels; sprites keep this far from 0 and 255, so adding cannot wrap
NUM_TILTS = 7

INKS = {
    "red": (222, 44, 48),
    "green": (44, 176, 74),
    "blue": (44, 96, 224),
    "yellow": (250, 208, 36),
}
DARK, LIGHT = (34, 34, 48), (250, 248, 242)


@dataclass(frozen=True)
class Sprite:
    """A picture with soft edges: colour times alpha (H, W, C) and 256 - alpha (H, W, 1), uint16."""

    weighted_HWC: np.ndarray
    rest_HW1: np.ndarray


def _sprite(rgba_HWC: np.ndarray) -> Sprite:
    alpha_HW1 = np.rint(rgba_HWC[..., 3:] * (256 / 255)).astype(np.uint16)
    colour_HWC = np.clip(rgba_HWC[..., :3], NOISE_LIMIT, 255 - NOISE_LIMIT).astype(np.uint16)
    return Sprite(colour_HWC * alpha_HW1, (256 - alpha_HW1).astype(np.uint16))


@lru_cache(maxsize=32)
def plate(number: int, size: int) -> Sprite:
    """Return the light plate with a one-digit number."""
    if not 0 <= number <= 9:
        raise ValueError(f"a number has one digit (0..9), got {number}")
    board = Canvas(PLATE_WIDTH, PLATE_HEIGHT, size, mode="RGBA")
    board.box(0, 0, PLATE_WIDTH, PLATE_HEIGHT, (*DARK, 255), radius=9)
    board.box(1.5, 1.5, PLATE_WIDTH - 3, PLATE_HEIGHT - 3, (*LIGHT, 255), radius=7.5)
    glyph = _glyph(str(number))
    width = DIGIT_WIDTH * min(1.0, glyph.width / glyph.height * DIGIT_HEIGHT / DIGIT_WIDTH * 1.2)
    box = (round(width * board.scale_x), round(DIGIT_HEIGHT * board.scale_y))
    x, y = (PLATE_WIDTH - width) / 2, (PLATE_HEIGHT - DIGIT_HEIGHT) / 2
    corner = (round(x * board.scale_x), round(y * board.scale_y))
    ink = Image.new("RGBA", box, (*DARK, 255))
    board.image.paste(ink, corner, glyph.resize(box, Image.Resampling.LANCZOS))
    return _sprite(board.array())


@lru_cache(maxsize=16)
def _glyph(digit: str) -> Image.Image:
    """Return a bold digit, cut to its ink, as a mask; Pillow's own font, no system font."""
    font = ImageFont.load_default(size=160)
    mask = Image.new("L", (320, 320))
    ImageDraw.Draw(mask).text((80, 60), digit, fill=255, font=font, stroke_width=4)
    return mask.crop(mask.getbbox())


@lru_cache(maxsize=2048)
def figure(name: str, side: int, tilt: int, size: int) -> Sprite:
    """Return an actor or bystander ("red star"), tilted: light rim, dark rim, ink, eyes."""
    colour, shape = name.split()
    shapes = (*VISUAL_SHAPES, *BYSTANDER_SHAPES)
    if colour not in INKS or shape not in shapes:
        raise ValueError(f"no picture for {name!r}; colours {sorted(INKS)}, shapes {shapes}")
    board = Canvas(side, side, size, mode="RGBA")
    turn, unit = math.radians(SWAY_DEGREES * tilt / (NUM_TILTS // 2)), side / ACTOR_SIDE
    for inset, paint in ((0.0, LIGHT), (1.8, DARK), (4.6, INKS[colour])):
        _body(board, shape, inset, turn, unit, (*paint, 255))
    for eye in (-1, 1) if shape in VISUAL_SHAPES else ():
        x = side / 2 + eye * 4.6 * math.cos(turn) + 1.5 * math.sin(turn)
        y = side / 2 + eye * 4.6 * math.sin(turn) - 1.5 * math.cos(turn)
        board.ellipse(x, y, 2.0, 2.7, (*DARK, 255))
    return _sprite(board.array())


def _body(
    board: Canvas, shape: str, inset: float, turn: float, unit: float, paint: tuple[int, ...]
) -> None:
    """One layer of a figure, ``inset`` from its rim; measures times ``unit``."""
    middle = ACTOR_SIDE / 2 * unit
    if shape == "circle":
        radius = (20.5 - inset) * unit
        board.ellipse(middle, middle, radius, radius, paint)
        return
    points = [
        (middle + unit * r * math.cos(angle + turn), middle + unit * r * math.sin(angle + turn))
        for r, angle in _outline(shape, inset)
    ]
    board.polygon(points, paint)


def _outline(shape: str, inset: float) -> list[tuple[float, float]]:
    """Radius and angle of a shape's corners, ``inset`` from its rim, for sides of ACTOR_SIDE."""
    up = -math.pi / 2
    if shape == "square":  # corners stay inside of the sprite at the largest tilt
        return [(25.0 - 1.41 * inset, math.pi / 4 + math.pi / 2 * i) for i in range(4)]
    if shape == "star":
        radii = (23.0 - 1.7 * inset, 12.5 - 0.9 * inset)
        return [(radii[i % 2], up + math.pi / 5 * i) for i in range(10)]
    if shape == "cross":
        arm, half = 22.0 - inset, 8.5 - inset
        corners = [
            (half, -arm),
            (half, -half),
            (arm, -half),
            (arm, half),
            (half, half),
            (half, arm),
        ]
        points = [*corners, *((-x, -y) for x, y in corners)]
    elif shape == "moon":  # a crescent open to the right
        outer, inner, shift = 22.0 - inset, 15.0 + 0.8 * inset, 13.0
        # where the two circles meet
        x = (shift**2 + outer**2 - inner**2) / (2 * shift)
        tip, back = math.acos(x / outer), math.acos((x - shift) / inner)
        sweep = np.linspace(tip, 2 * math.pi - tip, 25)
        points = [(outer * math.cos(a), outer * math.sin(a)) for a in sweep]
        inside = np.linspace(2 * math.pi - back, back, 21)
        points += [(shift + inner * math.cos(a), inner * math.sin(a)) for a in inside]
    else:  # heart
        scale = (21.0 - inset) / 17.0
        ts = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        points = [
            (
                scale * 16 * math.sin(t) ** 3,
                scale
                * -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)),
            )
            for t in ts
        ]
    return [(math.hypot(x, y), math.atan2(y, x)) for x, y in points]


@lru_cache(maxsize=64)
def distractor(kind: str, size: int) -> Sprite:
    """Return a small sprite that is no actor: cloud, bird, flake or firefly."""
    if kind == "cloud":
        board = Canvas(34, 15, size, mode="RGBA")
        for x, y, radius in ((9, 10, 5), (17, 7.5, 7), (25, 10, 5)):
            board.ellipse(x, y, radius, radius, (246, 248, 250, 225))
        board.box(5, 9.5, 25, 5.5, (246, 248, 250, 225), radius=2.7)
    elif kind == "bird":
        board = Canvas(12, 6, size, mode="RGBA")
        board.line([(1, 1.5), (3.5, 1.2), (6, 4.5), (8.5, 1.2), (11, 1.5)], (*DARK, 200), 1.3)
    else:
        board = Canvas(4, 4, size, mode="RGBA")
        paint = (250, 250, 250, 235) if kind == "flake" else (236, 226, 150, 210)
        board.ellipse(2, 2, 1.7 if kind == "flake" else 1.3, 1.7 if kind == "flake" else 1.3, paint)
    return _sprite(board.array())
