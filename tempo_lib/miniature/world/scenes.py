"""Stories of the procedural world: names, places, and lists of scenes at two frames per second.

All starts, stops and lengths are frame numbers. A scene length is even, so that the pairs
of frames that a video patch spans never straddle a cut; cuts know nothing of the windows that a
video is read in. A scene has a place, at most one actor, which carries a number, and bystanders,
which are smaller, carry none, and cross the scene for a part of its time.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

FPS = 2.0
VISUAL_COLOURS = ("red", "green", "blue", "yellow")
COLOURS = (*VISUAL_COLOURS, "pink", "orange", "white", "purple")
VISUAL_SHAPES = ("star", "circle", "square")
SHAPES = (*VISUAL_SHAPES, "ring", "arrow", "drop")
BYSTANDER_SHAPES = ("heart", "moon", "cross")
PLACES = ("beach", "forest", "desert", "city", "snow", "night")
# The twelve actors that are drawn; the text-only world has all 48 names, because a decoder
# that meets only twelve learns a table instead of copying.
ACTORS = tuple(f"{colour} {shape}" for colour in VISUAL_COLOURS for shape in VISUAL_SHAPES)
ALL_NAMES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
BYSTANDERS = tuple(f"{colour} {shape}" for colour in VISUAL_COLOURS for shape in BYSTANDER_SHAPES)
ALL_BYSTANDERS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in BYSTANDER_SHAPES)

MIN_SCENE_FRAMES = 4
MAX_SCENE_FRAMES = 18
MIN_VISIBLE_FRAMES = 2  # what a window shows in fewer frames is not part of that window
MAX_COUNTED = 6  # a counted actor appears 2 to 6 times
NUMBERS = range(10)
BYSTANDER_WEIGHTS = (0.2, 0.5, 0.3)  # of scenes with 0, 1 and 2 bystanders


@dataclass(frozen=True)
class Bystander:
    """Something small without a number, on screen in frames [start, stop) of its scene."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Scene:
    """One shot: ``actor`` and its one-digit ``number`` are both None in an empty scene."""

    actor: str | None
    number: int | None
    place: str
    num_frames: int
    bystanders: tuple[Bystander, ...] = ()

    def __post_init__(self) -> None:
        if (self.actor is None) != (self.number is None):
            raise ValueError(
                "a scene has an actor and a number, or neither: "
                f"got {self.actor!r}, {self.number!r}"
            )

    def names(self, start: int = 0, stop: int | None = None) -> list[str]:
        """Actor and bystanders in frames [start, stop) of the scene, the actor first.

        A bystander counts from two frames on, or where it fills a shorter span.
        """
        stop = self.num_frames if stop is None else stop
        needed = min(MIN_VISIBLE_FRAMES, stop - start)
        seen = [
            b.name for b in self.bystanders if min(stop, b.stop) - max(start, b.start) >= needed
        ]
        return ([] if self.actor is None else [self.actor]) + seen


def read_scene(values: Sequence[Any]) -> Scene:
    """A scene from the list that its corpus holds (``dataclasses.astuple``)."""
    actor, number, place, num_frames, bystanders = values
    others = tuple(Bystander(*one) for one in bystanders)
    return Scene(actor, number, place, num_frames, others)


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
        """Scenes shown for at least 2 frames of [start, stop), in order, as far as they are shown.

        A scene's bystanders are those that the window shows. A window of a single frame (an
        image) shows the scene of that frame.
        """
        return [self.part(index, start, stop) for index in self.visible_indices(start, stop)]

    def visible_indices(self, start: int, stop: int) -> list[int]:
        """Indices of the scenes of ``visible``."""
        start, stop = max(start, 0), min(stop, self.num_frames)
        if stop <= start:
            return []
        needed = min(MIN_VISIBLE_FRAMES, stop - start)
        indices = range(self.index_at(start), self.index_at(stop - 1) + 1)
        return [i for i in indices if self.part(i, start, stop).num_frames >= needed]

    def part(self, index: int, start: int, stop: int) -> Scene:
        """What frames [start, stop) of the story show of scene ``index``."""
        scene, begin = self.scenes[index], self.starts[index]
        first, last = max(start - begin, 0), min(stop - begin, scene.num_frames)
        seen = set(scene.names(first, last))
        kept = tuple(
            Bystander(b.name, max(b.start, first) - first, min(b.stop, last) - first)
            for b in scene.bystanders
            if b.name in seen
        )
        return replace(scene, num_frames=last - first, bystanders=kept)


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
    bystanders: Sequence[str] = BYSTANDERS,
    max_unique: int = 4,
    max_counted: int = 4,
    empty_share: float = 0.2,
) -> Story:
    """Draw a story of exactly ``num_frames`` frames (even, at least 4).

    Up to ``max_unique`` actors appear once, up to ``max_counted`` 2 to 6 times, the other
    actors are a crowd. Two actor scenes that follow each other, empty scenes aside, never
    show the same actor. Places are drawn with weights of the story's own, so that one of them
    usually leads: with even weights, the leader among 100 scenes would be decided by a frame or
    two that no window resolves.
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
    scenes = []
    for length, empty, place in zip(lengths, is_empty, places, strict=True):
        actor = None if empty else next(cast)
        number = None if actor is None else int(rng.choice(NUMBERS))
        others = draw_bystanders(rng, length, bystanders)
        scenes.append(Scene(actor, number, PLACES[place], length, others))
    return Story(tuple(scenes))


def draw_bystanders(
    rng: np.random.Generator, num_frames: int, names: Sequence[str]
) -> tuple[Bystander, ...]:
    """None, one or two different bystanders of a scene, each for at least 4 of its frames."""
    count = int(rng.choice(len(BYSTANDER_WEIGHTS), p=BYSTANDER_WEIGHTS))
    chosen = rng.choice(len(names), size=count, replace=False)
    found = []
    for index in chosen:
        length = 2 * int(rng.integers(MIN_SCENE_FRAMES // 2, num_frames // 2 + 1))
        start = 2 * int(rng.integers((num_frames - length) // 2 + 1))
        found.append(Bystander(names[index], start, start + length))
    return tuple(found)


def draw_lengths(rng: np.random.Generator, num_frames: int) -> list[int]:
    """Even scene lengths of 4 to 18 frames that sum to ``num_frames``.

    Their borders fall anywhere, not on those of windows: a segment shows one to three scenes.
    """
    lengths: list[int] = []
    rest = num_frames
    while rest > MAX_SCENE_FRAMES:
        longest = min(MAX_SCENE_FRAMES, rest - MIN_SCENE_FRAMES)
        lengths.append(2 * int(rng.integers(MIN_SCENE_FRAMES // 2, longest // 2 + 1)))
        rest -= lengths[-1]
    return [*lengths, rest]


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
