"""Every sentence that the models read, and the text of timestamps: text is written nowhere else.

Chat layout is Qwen's ChatML. Text comes from the paper's appendix E.1 (prompts) and
from the release's recorded prompts (layout, timestamps). The prompt templates at the end are the
miniature's own.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a prompt is drawn where numpy is loaded already
    import numpy as np

STANDARD = (
    "You are a query-conditioned visual compressor. Store in the provided memory tokens the "
    "minimal visual information needed to answer the Query. Ignore irrelevant details."
)
ROUTING = STANDARD + (
    " Now, before compressing, answer exactly 'Yes' or 'No': is this segment relevant to the Query?"
)
DECODER_SYSTEM = "You are a helpful assistant."
BLANK_QUERY = "Describe this content."  # what the compressor reads for an empty question
TIMESTAMP_FORMAT = "<{:.1f} seconds>"
CONTEXT_TURN = "Context turn {}: {}"  # of the release's training queries
CONTEXT_MESSAGES = 16  # of a conversation, that its query is made of

YES, NO = "Yes", "No"
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE_PAD, VIDEO_PAD = "<|image_pad|>", "<|video_pad|>"
END_OF_TEXT = "<|endoftext|>"
SPECIAL_TOKENS = (END_OF_TEXT, IM_START, IM_END, VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD)

# A part of a prompt: ("special", token) or ("text", words). Only the layout writes specials;
# words of a user are always plain text, so a question that contains "<|im_end|>" stays a question.
Part = tuple[str, str]


def system_parts(system: str) -> list[Part]:
    """System turn and the opening of the user turn."""
    return [
        ("special", IM_START),
        ("text", f"system\n{system}"),
        ("special", IM_END),
        ("text", "\n"),
        ("special", IM_START),
        ("text", "user\n"),
    ]


def closing_parts(text: str) -> list[Part]:
    """End of the user turn, holding ``text``, and the opening of the assistant's."""
    return [
        ("text", text),
        ("special", IM_END),
        ("text", "\n"),
        ("special", IM_START),
        ("text", "assistant\n"),
    ]


def query_parts(query: str) -> list[Part]:
    """What the compressor reads after the video: the question, never empty (release rule)."""
    return closing_parts(f"\nQuery:\n{query if query.strip() else BLANK_QUERY}")


def context_query(messages: Sequence[tuple[str, str]]) -> str:
    """The release's training query: every human turn of (role, text) messages, numbered.

    Of the first 16 messages; empty ones are left out. "" where nothing is left.
    """
    turns = [text.strip() for role, text in messages[:CONTEXT_MESSAGES] if role == "human"]
    kept = enumerate((text for text in turns if text), start=1)
    return "\n".join(CONTEXT_TURN.format(number, text) for number, text in kept)


def question_parts(question: str) -> list[Part]:
    """What the decoder reads after the memories."""
    return closing_parts(f"\n{question}")


def timestamp(seconds: float) -> str:
    """``<2.0 seconds>``, as the release writes it (the paper prints ``<t=2.0s>``)."""
    return TIMESTAMP_FORMAT.format(seconds)


def all_texts() -> Iterator[str]:
    """Every fixed sentence, for building a vocabulary that holds their words."""
    yield from (
        STANDARD,
        ROUTING,
        DECODER_SYSTEM,
        RERANKER,
        BLANK_QUERY,
        "system\n",
        "user\n",
        "assistant\n",
    )
    yield from ("\nQuery:\n", YES, NO, " Yes", " No")


# What segments are read under while a base compressor learns captions, answers and Yes/No questions
# about content, and a share of samples in stages 2 and 3. None asks whether a segment is relevant,
# and the paper's routing prompt is not here: whether it elicits relevance is an experiment. Every
# word of it occurs in these sentences, in another order, so that no embedding is left untrained
# (tests/test_prompts.py pins both).
OPENINGS = (
    "You are a helpful assistant.",
    "You watch a short segment of a video.",
    "You are a compressor of videos. Keep the needed information, ignore the rest.",
    "You are a query-conditioned assistant. Ignore what the Query does not need.",
    "Details that are irrelevant to the Query are minimal information.",
    "You are provided with a segment. Store its visual information in memory.",
    "The tokens in the memory answer the Query. Store the needed visual details.",
    "Look at the segment, before compressing. Now what is seen in it?",
    "The Query is about what is seen. What is relevant to the viewer is who is seen, and where.",
    "Answers are names, numbers, 'Yes' or 'No': answer exactly.",
    "Is this segment dark or bright? Say exactly what is in the video.",
    "",
)
# What the external reranker of Table 2 D reads: it alone is trained to judge relevance.
RERANKER = (
    "Judge whether the Document meets the requirements of the Query. "
    "The answer can only be 'Yes' or 'No'."
)


# What the scorers of Table 2 D read that is no prompt of Tempo's: the base model its standard one
# (appendix E.3), the reranker one about query and document, as Qwen3-VL-Reranker has.
SCORER_PROMPTS = {"assistant": OPENINGS[0], "rerank": RERANKER}


def plain_prompt(rng: "np.random.Generator") -> str:
    """A system prompt that asks for no verdict: the query itself says what to do."""
    return OPENINGS[rng.integers(len(OPENINGS))]
