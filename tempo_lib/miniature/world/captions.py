"""What a story shows, in words: captions of segments, and transcripts in place of memories."""

from tempo_lib import prompts
from tempo_lib.miniature.world.scenes import Scene, Story, num_segments, segment_seconds

CAPTION_QUESTION = prompts.BLANK_QUERY  # "Describe this content."
DESCRIPTION_QUESTION = "Describe the {actor}."


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
    """(seconds of the timestamp, caption) of every segment of ``window`` frames."""
    return [
        (segment_seconds(i, window), caption(story, i * window, (i + 1) * window))
        for i in range(num_segments(story.num_frames, window))
    ]


def transcript(story: Story, window: int, offset_seconds: float = 0.0) -> str:
    """The text stand-in for memories: per segment the timestamp, a space and the caption.

    ``offset_seconds`` shifts all timestamps, as if the story began later.
    """
    return "".join(
        f"{prompts.timestamp(seconds + offset_seconds)} {text}"
        for seconds, text in segment_captions(story, window)
    )
