"""Words of the procedural world: names, places, time tags, captions and transcripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tempo_lib.miniature.world.scenes import Scene, Story

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
CAPTION_QUESTION = "Describe this content."
DESCRIPTION_QUESTION = "Describe the {actor}."


def time_tag(seconds: float) -> str:
    """``<2.0 seconds>``: how world text (transcripts, answers) writes a time."""
    return f"<{seconds:.1f} seconds>"


def num_segments(num_frames: int, window: int) -> int:
    """Segments of ``window`` frames that cover ``num_frames``; the last may be short."""
    return -(-num_frames // window)


def segment_seconds(index: int, window: int) -> float:
    """Centre of segment ``index`` in seconds, as its time tag shows it."""
    return (index * window + window / 2) / FPS


def describe(scene: Scene) -> str:
    """``red star 47 beach`` or ``empty beach``."""
    if scene.actor is None:
        return f"empty {scene.place}"
    return f"{scene.actor} {scene.code} {scene.place}"


def describe_actor(scene: Scene) -> str:
    """``The red star 4 7 beach.``: the code digit by digit.

    A code is one of 90 words, each met too seldom for memories to learn it as a whole; of the ten
    digits each is met often, and a code is then little more than its two digits.
    """
    if scene.code is None:
        raise ValueError(f"an empty {scene.place} shows nobody to describe")
    tens, ones = divmod(scene.code, 10)
    return f"The {scene.actor} {tens} {ones} {scene.place}."


def caption(story: Story, start: int, stop: int) -> str:
    """Scenes visible in frames [start, stop), in order, joined by commas."""
    return ", ".join(describe(scene) for scene in story.visible(start, stop))


def segment_captions(story: Story, window: int) -> list[tuple[float, str]]:
    """(seconds of the time tag, caption) of every segment of ``window`` frames."""
    return [
        (segment_seconds(i, window), caption(story, i * window, (i + 1) * window))
        for i in range(num_segments(story.num_frames, window))
    ]


def transcript(story: Story, window: int, offset_seconds: float = 0.0) -> str:
    """The text stand-in for memories: per segment the time tag, a space and the caption.

    ``offset_seconds`` shifts all tags, as if the story began later.
    """
    return "".join(
        f"{time_tag(seconds + offset_seconds)} {text}"
        for seconds, text in segment_captions(story, window)
    )
