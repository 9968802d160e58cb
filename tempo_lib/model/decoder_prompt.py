"""The decoder's sequence: timestamps, memory tokens, question; and the answer it gives.

A placeholder id (-200) stands where one memory token will be placed; text and memories are joined
by count, so a disagreement between the two is an error and never a silent shift.
"""

from dataclasses import dataclass

import torch

from tempo_lib import prompts
from tempo_lib.checkpoints.config import TempoConfig
from tempo_lib.model.processing import TextEncoder

MEMORY_PLACEHOLDER = -200  # the release's placeholder id; here one per memory token
IGNORE = -100  # torch's cross entropy leaves these labels out


class ContextError(ValueError):
    """A prompt and its answer that are ``excess`` tokens too long for the decoder's context."""

    def __init__(self, num_prompt: int, num_new: int, context: int) -> None:
        self.excess = num_prompt + num_new - context
        super().__init__(
            f"prompt of {num_prompt} tokens plus {num_new} new ones exceeds the decoder's context "
            f"of {context}; lower the budget or max_new_tokens"
        )


@dataclass(frozen=True)
class Turn:
    """One question on one video: seconds and token count of each segment, question, answer.

    A segment that keeps no token leaves no timestamp either. ``is_image``: no timestamps at all.
    """

    seconds: list[float]
    counts: list[int]
    question: str
    answer: str | None = None
    is_image: bool = False


@dataclass(frozen=True)
class Answer:
    """An answer and what it cost: counts (N,), scores (N,), seconds (N,) of the segments."""

    text: str
    token_ids: list[int]
    counts: torch.Tensor
    scores: torch.Tensor
    seconds: torch.Tensor
    budget: int

    @property
    def tokens_used(self) -> int:
        return int(self.counts.sum())


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


def prompt_ids(
    text: TextEncoder, config: TempoConfig, turn: Turn, max_new_tokens: int
) -> list[int]:
    """``decoder_ids`` under a model's config; ContextError when they leave no room for new ones."""
    ids = decoder_ids(text, config.decoder_system_prompt, turn)
    if len(ids) + max_new_tokens > config.max_context:
        raise ContextError(len(ids), max_new_tokens, config.max_context)
    return ids


def training_ids(text: TextEncoder, system: str, turn: Turn) -> tuple[list[int], list[int]]:
    """Ids of prompt and answer with labels: -100 on everything but the answer and its end."""
    if turn.answer is None:
        raise ValueError("a training sample needs an answer")
    prompt = decoder_ids(text, system, turn)
    answer = [*text.encode(turn.answer), text.special(prompts.IM_END)]
    return prompt + answer, [IGNORE] * len(prompt) + answer
