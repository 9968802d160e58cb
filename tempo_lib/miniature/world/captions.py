"""What a story shows, in words: captions of segments, and transcripts in place of memories."""

from tempo_lib import prompts
from tempo_lib.miniature.world.scenes import Scene, Story, num_segments, segment_seconds

CAPTION_QUESTION = prompts.BLANK_QUERY  # "Describe this content."
DESCRIPTION_QUESTION = "Describe the {actor}."
CONTENT_QUESTIONS = (  # Yes or No, of anything that has a name
    "Is the {name} seen?",
    "Is the {name} here?",
    "Does the {name} appear?",
    "Can you see the {name}?",
    "Is there a {name} in the video?",
    "Does this show the {name}?",
)


def describe(scene: Scene) -> str:
    """``red star 4 beach blue heart``, or ``empty beach`` with whoever else crosses it."""
    subject = "empty" if scene.actor is None else f"{scene.actor} {scene.number}"
    return " ".join([subject, scene.place, *(one.name for one in scene.bystanders)])


def describe_actor(scene: Scene) -> str:
    """``The red star 4 beach blue heart.``"""
    if scene.actor is None:
        raise ValueError(f"an empty {scene.place} shows nobody to describe")
    return f"The {describe(scene)}."


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
