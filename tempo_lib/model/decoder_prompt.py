"""The decoder's sequence: time tags, memory slots, question, answer.

A slot (id -200) stands where one memory token will be placed; text and memories are joined by
count, so a disagreement between the two is an error and never a silent shift.
"""

from dataclasses import dataclass

from tempo_lib import prompts
from tempo_lib.model.processing import TextEncoder

MEMORY_PLACEHOLDER = -200  # the release's placeholder id, one a memory token here
IGNORE = -100  # torch's cross entropy leaves these labels out


@dataclass(frozen=True)
class Turn:
    """One question on one video: seconds and token count of each segment, question, answer.

    A segment that keeps no token leaves no time tag either. ``is_image``: no time tags at all.
    """

    seconds: list[float]
    counts: list[int]
    question: str
    answer: str | None = None
    is_image: bool = False


def decoder_ids(text: TextEncoder, system: str, turn: Turn) -> list[int]:
    """Ids of the prompt, up to and including the opening of the assistant's turn."""
    if len(turn.seconds) != len(turn.counts):
        raise ValueError(f"{len(turn.seconds)} segment times but {len(turn.counts)} token counts")
    ids = text.ids(prompts.system_parts(system))
    for seconds, count in zip(turn.seconds, turn.counts, strict=True):
        if count == 0:
            continue
        ids += [] if turn.is_image else text.encode(prompts.timestamp(seconds))
        ids += [MEMORY_PLACEHOLDER] * count
    return ids + text.ids(prompts.question_parts(turn.question))


def training_ids(text: TextEncoder, system: str, turn: Turn) -> tuple[list[int], list[int]]:
    """Ids of prompt and answer with labels: -100 on everything but the answer and its end."""
    if turn.answer is None:
        raise ValueError("a training sample needs an answer")
    prompt = decoder_ids(text, system, turn)
    answer = [*text.encode(turn.answer), text.special(prompts.IM_END)]
    return prompt + answer, [IGNORE] * len(prompt) + answer
