"""Stories of the procedural world: names, places, and lists of scenes at two frames per second.

All starts, stops and lengths are frame numbers. A scene length is even, so that the pairs
of frames that a video patch spans never straddle a cut.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

FPS = 2.0
VISUAL_COLOURS = ("red", "green", "blue", "yellow")
COLOURS = (*VISUAL_COLOURS, "pink", "orange", "white", "purple")
VISUAL_SHAPES = ("star", "circle", "square")
SHAPES = (*VISUAL_SHAPES, "heart", "moon", "cross")
PLACES = ("beach", "forest", "desert", "city", "snow", "night")
# The twelve actors that are drawn; the text-only world has all 48 names, because a decoder
# that meets only twelve learns a table instead of copying.
ACTORS = tuple(f"{colour} {shape}" for colour in VISUAL_COLOURS for shape in VISUAL_SHAPES)
ALL_NAMES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)

MIN_SCENE_FRAMES = 4
MAX_SCENE_FRAMES = 16
SCENE_STEP_FRAMES = 8
MIN_VISIBLE_FRAMES = 2  # a scene cut to fewer frames of a window is not part of that window
MAX_COUNTED = 6  # a counted actor appears 2 to 6 times
CODES = range(10, 100)


@dataclass(frozen=True)
class Scene:
    """One shot: ``actor`` and two-digit ``code`` are both None in an empty scene."""

    actor: str | None
    code: int | None
    place: str
    num_frames: int

    def __post_init__(self) -> None:
        if (self.actor is None) != (self.code is None):
            raise ValueError(
                f"a scene has an actor and a code, or neither: got {self.actor!r}, {self.code!r}"
            )


@dataclass(frozen=True)
class Story:
    """Scenes that follow each other without gaps, from frame 0."""

    scenes: tuple[Scene, ...]

    @cached_property
    def starts(self) -> list[int]:
        """First frame of every scene, and the number of frames as a last entry."""
        return [0, *accumulate(scene.num_frames for scene in self.scenes)]

    @property
    def num_frames(self) -> int:
        return self.starts[-1]

    @cached_property
    def appearances(self) -> dict[str, list[int]]:
        """Scene indices of every actor, in order."""
        found: dict[str, list[int]] = {}
        for index, scene in enumerate(self.scenes):
            if scene.actor is not None:
                found.setdefault(scene.actor, []).append(index)
        return found

    def index_at(self, frame: int) -> int:
        """Index of the scene that shows ``frame``; IndexError outside the story."""
        if not 0 <= frame < self.num_frames:
            raise IndexError(f"frame {frame} is outside a story of {self.num_frames} frames")
        return bisect_right(self.starts, frame) - 1

    def scene_at(self, frame: int) -> Scene:
        return self.scenes[self.index_at(frame)]

    def visible(self, start: int, stop: int) -> list[Scene]:
        """Scenes shown for at least 2 frames of [start, stop), in order.

        A window of a single frame (an image) shows the scene of that frame.
        """
        start, stop = max(start, 0), min(stop, self.num_frames)
        if stop <= start:
            return []
        needed = min(MIN_VISIBLE_FRAMES, stop - start)
        indices = range(self.index_at(start), self.index_at(stop - 1) + 1)
        return [self.scenes[i] for i in indices if self._overlap(i, start, stop) >= needed]

    def _overlap(self, index: int, start: int, stop: int) -> int:
        return min(stop, self.starts[index + 1]) - max(start, self.starts[index])


def num_segments(num_frames: int, window: int) -> int:
    """Segments of ``window`` frames that cover ``num_frames``; the last may be short."""
    return -(-num_frames // window)


def segment_seconds(index: int, window: int) -> float:
    """Centre of segment ``index`` in seconds, as its timestamp shows it."""
    return (index * window + window / 2) / FPS


def make_story(
    rng: np.random.Generator,
    num_frames: int,
    actors: Sequence[str] = ACTORS,
    max_unique: int = 4,
    max_counted: int = 4,
    empty_share: float = 0.25,
) -> Story:
    """Draw a story of exactly ``num_frames`` frames (even, at least 4).

    Up to ``max_unique`` actors appear once, up to ``max_counted`` 2 to 6 times, the other
    actors are a crowd. Two actor scenes that follow each other, empty scenes aside, never
    show the same actor; an actor wears a new code at each appearance. Places are drawn with
    weights of the story's own, so that one of them usually leads: with even weights, the
    leader among 100 scenes would be decided by a frame or two that no window resolves.
    """
    if num_frames < MIN_SCENE_FRAMES or num_frames % 2:
        raise ValueError(f"a story needs an even number of frames, at least 4, got {num_frames}")
    if len(actors) < max_unique + max_counted + 3:
        # the crowd fills gaps between two actors, so it needs a third one to choose
        raise ValueError(f"{len(actors)} actors leave fewer than 3 for the crowd; name more")
    lengths = draw_lengths(rng, num_frames)
    is_empty = rng.random(len(lengths)) < empty_share
    if is_empty.all():
        is_empty[rng.integers(len(lengths))] = False
    cast = iter(draw_cast(rng, int((~is_empty).sum()), actors, max_unique, max_counted))
    weights = rng.dirichlet(np.ones(len(PLACES)))
    places = rng.choice(len(PLACES), size=len(lengths), p=weights)
    used_codes: dict[str, set[int]] = {}
    scenes = []
    for length, empty, place in zip(lengths, is_empty, places, strict=True):
        actor = None if empty else next(cast)
        code = None if actor is None else _new_code(rng, used_codes.setdefault(actor, set()))
        scenes.append(Scene(actor, code, PLACES[place], length))
    return Story(tuple(scenes))


def draw_lengths(rng: np.random.Generator, num_frames: int) -> list[int]:
    """Scene lengths of 8 or 16 frames that sum to ``num_frames``; the last takes what is left over.

    Cuts fall on multiples of 8 frames, the window of inference, so that a segment shows one
    scene: what a segment is about is never in doubt, and neither is its relevance.
    """
    lengths: list[int] = []
    rest = num_frames // SCENE_STEP_FRAMES
    while rest:
        steps = min(rest, int(rng.integers(1, MAX_SCENE_FRAMES // SCENE_STEP_FRAMES + 1)))
        lengths.append(SCENE_STEP_FRAMES * steps)
        rest -= steps
    left_over = num_frames % SCENE_STEP_FRAMES
    return [*lengths[:-1], lengths[-1] + left_over] if lengths else [left_over]


def draw_cast(
    rng: np.random.Generator,
    num_slots: int,
    actors: Sequence[str],
    max_unique: int,
    max_counted: int,
) -> list[str]:
    """Actors of the ``num_slots`` actor scenes, no two neighbours equal."""
    order = [actors[i] for i in rng.permutation(len(actors))]
    unique, counted = order[:max_unique], order[max_unique : max_unique + max_counted]
    crowd = order[max_unique + max_counted :]
    roles: list[str | None] = list(unique[:num_slots])
    for actor in counted:
        count = int(rng.integers(2, MAX_COUNTED + 1))
        # as many others as repeats must exist, or some repeat would follow itself
        if len(roles) + count <= num_slots and 2 * count < num_slots:
            roles += [actor] * count
    roles += [None] * (num_slots - len(roles))
    return _fill_crowd(rng, _shuffle_apart(rng, roles), crowd)


def _shuffle_apart(rng: np.random.Generator, roles: list[str | None]) -> list[str | None]:
    """Shuffle until no named role meets itself; clashing entries swap places first.

    No actor fills half of the slots, so a few rounds suffice; 1000 mean an impossible cast.
    """
    for _ in range(1000):
        mixed = [roles[i] for i in rng.permutation(len(roles))]
        for i in range(1, len(mixed)):
            if mixed[i] is not None and mixed[i] == mixed[i - 1]:
                j = int(rng.integers(len(mixed)))
                mixed[i], mixed[j] = mixed[j], mixed[i]
        pairs = pairwise(mixed)
        if all(left is None or left != right for left, right in pairs):
            return mixed
    raise ValueError(f"no order keeps equal actors apart: {Counter(roles)}; lower max_counted")


def _fill_crowd(
    rng: np.random.Generator, roles: list[str | None], crowd: Sequence[str]
) -> list[str]:
    cast: list[str] = []
    for i, role in enumerate(roles):
        if role is None:
            previous = cast[-1] if cast else None
            following = roles[i + 1] if i + 1 < len(roles) else None
            options = [actor for actor in crowd if actor not in (previous, following)]
            role = options[rng.integers(len(options))]
        cast.append(role)
    return cast


def _new_code(rng: np.random.Generator, used: set[int]) -> int:
    """A code this actor has not worn yet; after all 90, codes start over."""
    if len(used) == len(CODES):
        used.clear()
    free = [code for code in CODES if code not in used]
    code = free[rng.integers(len(free))]
    used.add(code)
    return code
