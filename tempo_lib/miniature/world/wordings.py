"""What the base compressor is asked while it learns relevance.

The paper's routing prompt is *not* here: a base model that had read it would make the zero-shot
claim true by construction. Every word of it occurs in these sentences, in another order, so that
no embedding is left untrained (test_wordings_never_hold_the_routing_prompt pins both).
"""

import numpy as np

OPENINGS = (
    "You are a helpful assistant.",
    "You are a visual judge.",
    "You watch a short segment of a video.",
    "You are a compressor of videos. Keep the needed information, ignore the rest.",
    "You are a query-conditioned assistant. Ignore what the Query does not need.",
    "Details that are irrelevant to the Query are minimal information.",
    "You are provided with a segment. Store its visual information in memory.",
    "The tokens in the memory answer the Query. Store the needed visual details.",
    "",
)
RELEVANCE_DIRECTIVES = (
    "Is the Query about this segment? Answer Yes or No.",
    "Answer 'Yes' or 'No': does this segment help with the Query?",
    "Say exactly 'Yes' if the segment is relevant, else 'No'.",
    "Now decide: relevant to the Query or irrelevant? 'Yes' or 'No'.",
    "Before compressing, say if this is needed for the Query: 'Yes' or 'No'.",
    "Relevant segment? Answer exactly Yes or No.",
    "Tell whether this segment shows what the Query asks for, 'Yes' or 'No'.",
    "Now, is this needed to answer the Query? Say 'Yes' or 'No'.",
    "Answer 'No' where the segment is irrelevant to the Query and 'Yes' where it is relevant.",
    "First judge the segment, then answer exactly 'Yes' or 'No'.",
)


def relevance_prompt(rng: np.random.Generator) -> str:
    """A system prompt that asks for Yes or No."""
    opening = OPENINGS[rng.integers(len(OPENINGS))]
    directive = RELEVANCE_DIRECTIVES[rng.integers(len(RELEVANCE_DIRECTIVES))]
    return f"{opening} {directive}".strip()


def plain_prompt(rng: np.random.Generator) -> str:
    """A system prompt that asks for nothing: the query itself says what to do."""
    return OPENINGS[rng.integers(len(OPENINGS) - 1)]


def all_texts() -> list[str]:
    """Every sentence, for building a vocabulary."""
    return [*OPENINGS, *RELEVANCE_DIRECTIVES]
