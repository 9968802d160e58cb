"""Every sentence the two models read, and the text of time tags.

Chat layout is Qwen's ChatML. Text comes from the paper's appendix E.1 (prompts) and
from the release's recorded prompts (layout, time tags).
"""

from collections.abc import Iterator

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


def question_parts(question: str) -> list[Part]:
    """What the decoder reads after the memories."""
    return closing_parts(f"\n{question}")


def timestamp(seconds: float) -> str:
    """Time tag ``<2.0 seconds>`` as the release writes it (the paper prints ``<t=2.0s>``)."""
    return TIMESTAMP_FORMAT.format(seconds)


def all_texts() -> Iterator[str]:
    """Every fixed sentence, for building a vocabulary that holds their words."""
    yield from (STANDARD, ROUTING, DECODER_SYSTEM, BLANK_QUERY, "system\n", "user\n", "assistant\n")
    yield from ("\nQuery:\n", YES, NO, " Yes", " No")
