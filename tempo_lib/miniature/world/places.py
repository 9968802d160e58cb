"""Draw the six places of the miniature's world, in flat design.

All drawing happens in units of 1/128 of the picture's side on a supersampled PIL
canvas, once per process; the results are cached numpy arrays. The places differ in
colour and in structure, so that they stay apart at 32x32. No shape drawn here has the
actors' double outline: a sun is pale and half hidden, a moon is a crescent.

Shape suffixes: H height, W width, C the three colours.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

UNITS = 128  # a picture's side in drawing units
EXTENT = 144  # a background is larger than a picture, so that each scene can crop its own view
SUPERSAMPLE = 3
NUM_VARIANTS = 4  # different drawings of one place

Colour = tuple[int, int, int]
Points = list[tuple[float, float]]


class Canvas:
    """A supersampled drawing board in units; origin at the top left, y downwards."""

    def __init__(self, width: float, height: float, size: int, mode: str = "RGB") -> None:
        """Open a board of width x height units for pictures with sides of ``size`` pixels."""
        self.pixels = (max(1, round(width * size / UNITS)), max(1, round(height * size / UNITS)))
        board = (self.pixels[0] * SUPERSAMPLE, self.pixels[1] * SUPERSAMPLE)
        self.scale_x, self.scale_y = board[0] / width, board[1] / height
        self.image = Image.new(mode, board)
        self.draw = ImageDraw.Draw(self.image)

    def _scaled(self, points: Points) -> Points:
        return [(x * self.scale_x, y * self.scale_y) for x, y in points]

    def polygon(self, points: Points, colour: tuple[int, ...]) -> None:
        """Fill a polygon."""
        self.draw.polygon(self._scaled(points), fill=colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: tuple[int, ...]) -> None:
        """Fill an ellipse around (x, y)."""
        self.draw.ellipse(self._scaled([(x - rx, y - ry), (x + rx, y + ry)]), fill=colour)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        colour: tuple[int, ...],
        radius: float = 0.0,
    ) -> None:
        """Fill a box with its top left corner at (x, y)."""
        corners = self._scaled([(x, y), (x + width, y + height)])
        self.draw.rounded_rectangle(corners, radius=radius * self.scale_x, fill=colour)

    def line(self, points: Points, colour: tuple[int, ...], width: float) -> None:
        """Draw a round-jointed line."""
        pixels = max(1, round(width * self.scale_x))
        self.draw.line(self._scaled(points), fill=colour, width=pixels, joint="curve")

    def gradient(self, y: float, height: float, top: Colour, bottom: Colour) -> None:
        """Fill a band from y to y + height with a vertical gradient."""
        start, stop = round(y * self.scale_y), round((y + height) * self.scale_y)
        share_H1 = np.linspace(0.0, 1.0, max(1, stop - start))[:, None]
        rows_HC = (1 - share_H1) * np.array(top) + share_H1 * np.array(bottom)
        band_HWC = np.repeat(np.rint(rows_HC).astype(np.uint8)[:, None], self.image.width, axis=1)
        self.image.paste(Image.fromarray(band_HWC), (0, start))

    def array(self) -> np.ndarray:
        """Return the board reduced to pixels, uint8 (H, W, channels)."""
        return np.asarray(self.image.resize(self.pixels, Image.Resampling.BOX))


def hills(
    board: Canvas, rng: np.random.Generator, y: float, height: float, colour: Colour, waves: float
) -> None:
    """Fill everything below a soft wavy line around y."""
    x = np.linspace(0.0, EXTENT, 73)
    phase, second = rng.uniform(0, 2 * np.pi, size=2)
    top = y + height * np.sin(waves * 2 * np.pi * x / EXTENT + phase)
    top += 0.35 * height * np.sin(2.3 * waves * 2 * np.pi * x / EXTENT + second)
    line = list(zip(x.tolist(), top.tolist(), strict=True))
    board.polygon([*line, (EXTENT, EXTENT), (0, EXTENT)], colour)


def pine(board: Canvas, x: float, y: float, height: float, colour: Colour, snow: bool) -> None:
    """Draw a pine whose foot stands at (x, y)."""
    board.box(x - 1.5, y - height * 0.15, 3, height * 0.15, (96, 72, 60))
    for step in range(3):
        base = y - height * (0.12 + 0.26 * step)
        half, tall = height * (0.30 - 0.06 * step), height * 0.36
        board.polygon([(x - half, base), (x + half, base), (x, base - tall)], colour)
        if snow:
            cap = [(x - half * 0.4, base - tall * 0.6), (x + half * 0.4, base - tall * 0.6)]
            board.polygon([*cap, (x, base - tall)], (238, 243, 247))


def _beach(board: Canvas, rng: np.random.Generator) -> None:
    board.gradient(0, 70, (92, 186, 232), (196, 232, 244))
    sun = rng.uniform(30, 114)
    board.ellipse(sun, 66, 20, 20, (250, 240, 214))
    board.gradient(66, 34, (28, 128, 184), (76, 190, 206))
    for _ in range(7):
        x, y = rng.uniform(0, 130), rng.uniform(70, 92)
        board.box(x, y, rng.uniform(8, 18), 1.4, (168, 222, 232), radius=0.7)
    hills(board, rng, 98, 2.0, (232, 244, 244), 1.5)
    hills(board, rng, 101, 2.0, (240, 214, 158), 1.5)
    hills(board, rng, 122, 3.0, (230, 196, 134), 1.0)
    root = float(rng.choice([14, 130]))
    lean = 10 if root < UNITS / 2 else -10
    trunk = [(root, 118.0), (root + lean * 0.3, 88.0), (root + lean, 60.0)]
    board.line(trunk, (150, 104, 70), 4.5)
    for angle in (-2.9, -2.3, -1.2, -0.5, 0.2, 2.8):
        tip = (root + lean + 21 * np.cos(angle), 61 + 15 * np.sin(angle) + 4)
        middle = (root + lean + 12 * np.cos(angle), 54 + 12 * np.sin(angle))
        board.polygon([(root + lean, 58), middle, tip, (root + lean, 63)], (70, 150, 84))


def _forest(board: Canvas, rng: np.random.Generator) -> None:
    board.gradient(0, EXTENT, (186, 218, 190), (226, 238, 206))
    layers = (
        ((146, 190, 150), 92, 52, 12),
        ((92, 148, 104), 106, 62, 16),
        ((48, 104, 72), 124, 78, 24),
    )
    for colour, foot, height, spacing in layers:
        for left in range(-8, EXTENT + 8, spacing):
            tall = height * rng.uniform(0.75, 1.1)
            pine(
                board,
                left + rng.uniform(-5, 5),
                foot + rng.uniform(-2, 3),
                tall,
                colour,
                snow=False,
            )
        board.box(0, foot - 0.22 * height, EXTENT, EXTENT, colour)
    hills(board, rng, 122, 2.5, (66, 92, 52), 1.2)
    for _ in range(14):
        x, y = rng.uniform(0, EXTENT), rng.uniform(128, 142)
        board.polygon([(x - 2, y), (x + 2, y), (x, y - 6)], (98, 128, 66))


def _desert(board: Canvas, rng: np.random.Generator) -> None:
    board.gradient(0, 100, (244, 172, 118), (252, 226, 182))
    board.ellipse(rng.uniform(30, 114), 62, 17, 17, (253, 240, 212))
    hills(board, rng, 72, 7.0, (226, 168, 108), 1.0)
    hills(board, rng, 90, 8.0, (208, 140, 82), 0.8)
    hills(board, rng, 108, 6.0, (188, 116, 64), 1.1)
    hills(board, rng, 126, 4.0, (166, 98, 54), 0.9)
    for x in (rng.uniform(10, 50), rng.uniform(90, 134)):
        foot, tall = rng.uniform(100, 118), rng.uniform(26, 36)
        green = (92, 124, 78)
        board.box(x - 3, foot - tall, 6, tall, green, radius=3)
        board.box(x - 10, foot - tall * 0.75, 4.5, tall * 0.32, green, radius=2)
        board.box(x - 10, foot - tall * 0.52, 10, 4.5, green, radius=2)
        board.box(x + 5.5, foot - tall * 0.85, 4.5, tall * 0.36, green, radius=2)
        board.box(x, foot - tall * 0.58, 10, 4.5, green, radius=2)


def _city(board: Canvas, rng: np.random.Generator) -> None:
    board.gradient(0, 110, (150, 166, 196), (232, 214, 212))
    for colour, lowest, highest in (((164, 168, 188), 36, 60), ((104, 110, 136), 58, 86)):
        x = -4.0
        while x < EXTENT:
            width, top = rng.uniform(14, 24), rng.uniform(lowest, highest)
            board.box(x, top, width - 1, EXTENT, colour)
            if colour[0] < 140:
                _windows(board, rng, x, top, width)
            x += width
    board.box(0, 108, EXTENT, 3, (176, 172, 176))
    board.box(0, 111, EXTENT, EXTENT, (70, 72, 84))
    for left in range(-4, EXTENT, 22):
        board.box(left, 121, 12, 2.2, (220, 214, 200))


def _windows(board: Canvas, rng: np.random.Generator, x: float, top: float, width: float) -> None:
    for left in np.arange(x + 3, x + width - 5, 5):
        for upper in np.arange(top + 4, 104, 7):
            lit = rng.random() < 0.45
            board.box(
                float(left), float(upper), 2.8, 3.6, (238, 214, 150) if lit else (84, 90, 114)
            )


def _snow(board: Canvas, rng: np.random.Generator) -> None:
    board.gradient(0, 100, (172, 194, 222), (230, 238, 246))
    for x in (rng.uniform(0, 40), rng.uniform(55, 85), rng.uniform(100, 144)):
        top, half = rng.uniform(24, 46), rng.uniform(38, 54)
        slope = half / (100 - top)
        board.polygon([(x - half, 100), (x + half, 100), (x, top)], (134, 154, 186))
        cap = [(x - 16 * slope, top + 16), (x - 5 * slope, top + 12), (x, top + 18)]
        cap += [(x + 6 * slope, top + 12), (x + 16 * slope, top + 16), (x, top)]
        board.polygon(cap, (246, 248, 250))
    hills(board, rng, 92, 5.0, (222, 230, 240), 1.0)
    for x in rng.permutation(np.arange(8, 140, 16))[:5]:
        pine(board, float(x), rng.uniform(94, 106), rng.uniform(24, 36), (74, 112, 116), snow=True)
    hills(board, rng, 108, 4.0, (240, 244, 248), 0.8)
    hills(board, rng, 126, 3.0, (222, 230, 242), 1.2)


def _night(board: Canvas, rng: np.random.Generator) -> None:
    board.gradient(0, EXTENT, (14, 16, 48), (62, 52, 104))
    for _ in range(46):
        radius = rng.uniform(0.5, 1.1)
        board.ellipse(rng.uniform(0, EXTENT), rng.uniform(0, 100), radius, radius, (226, 226, 240))
    x, y = rng.uniform(30, 114), rng.uniform(20, 34)
    board.ellipse(x, y, 11, 11, (232, 228, 206))
    board.ellipse(x + 5, y - 3, 10, 10, (20, 21, 55))
    hills(board, rng, 98, 7.0, (36, 34, 76), 1.0)
    hills(board, rng, 112, 5.0, (24, 24, 56), 1.3)
    hills(board, rng, 126, 3.0, (16, 16, 38), 0.9)


_PAINTERS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "beach": _beach,
    "forest": _forest,
    "desert": _desert,
    "city": _city,
    "snow": _snow,
    "night": _night,
}


@lru_cache(maxsize=128)
def background(place: str, variant: int, size: int) -> np.ndarray:
    """Return one drawing of a place for pictures of ``size`` pixels, uint8 (H, W, C).

    H = W = size * EXTENT / UNITS, so a scene can crop its own view. Raises ValueError
    for a place that has no painter.
    """
    if place not in _PAINTERS:
        raise ValueError(f"no painter for place {place!r}; known places: {sorted(_PAINTERS)}")
    board = Canvas(EXTENT, EXTENT, size)
    # each drawing has its own fixed seed: a background never depends on the story around it
    _PAINTERS[place](board, np.random.default_rng([sorted(_PAINTERS).index(place), variant]))
    return board.array()
