"""Conditions of a training that may carry front-loading, each with one thing changed.

A condition is data; ``conditions`` makes a model compute under one.
"""

from dataclasses import dataclass
from typing import Literal

BASELINE = "baseline"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One thing changed. ``factor``: which suspect it is about; ``says``: what is done.

    ``num_memory_tokens`` 0: as many as the preset has. ``is_reversed``: the decoder reads every
    segment's memories from the last to the first. ``is_truncated``: while training, each segment
    keeps a head of random length (nested dropout). ``tasks``: what the memories are trained on.
    """

    name: str
    factor: str
    says: str
    num_memory_tokens: int = 0
    is_reversed: bool = False
    is_bidirectional: bool = False
    is_shuffled: bool = False
    has_equal_memories: bool = False
    is_truncated: bool = False
    is_decoder_frozen: bool = False
    tasks: Literal["all", "captions", "questions"] = "all"


ATTENTION, PLACE, HABIT = "causal attention", "positions", "the decoder's habit"
TASK, NUMBER, PRESSURE = "the task", "the number of memories", "pressure to be short"
_ALL = (
    Condition(name=BASELINE, factor="none", says="nothing is changed"),
    Condition(
        name="bidirectional",
        factor=ATTENTION,
        says="memories of a segment see each other in both directions",
        is_bidirectional=True,
    ),
    Condition(
        name="reversed",
        factor=HABIT,
        says="the decoder reads each segment's memories from the last to the first",
        is_reversed=True,
    ),
    Condition(
        name="shuffled-positions",
        factor=PLACE,
        says="the memories' position ids are dealt out in another, fixed order",
        is_shuffled=True,
    ),
    Condition(
        name="equal-init",
        factor=PLACE,
        says="all memory tokens start as one and the same vector",
        has_equal_memories=True,
    ),
    Condition(
        name="truncated",
        factor=PRESSURE,
        says="while training, each segment keeps a head of random length",
        is_truncated=True,
    ),
    Condition(
        name="captions-only",
        factor=TASK,
        says="memories are trained on captions and descriptions alone",
        tasks="captions",
    ),
    Condition(
        name="questions-only",
        factor=TASK,
        says="memories are trained on questions alone",
        tasks="questions",
    ),
    Condition(name="k4", factor=NUMBER, says="4 memories a segment", num_memory_tokens=4),
    Condition(name="k8", factor=NUMBER, says="8 memories a segment", num_memory_tokens=8),
    Condition(name="k32", factor=NUMBER, says="32 memories a segment", num_memory_tokens=32),
    Condition(
        name="frozen-decoder",
        factor=HABIT,
        says="the decoder stays as its text training left it",
        is_decoder_frozen=True,
    ),
)
CONDITIONS = {condition.name: condition for condition in _ALL}


def get_condition(name: str) -> Condition:
    """The condition called ``name``; ValueError lists the known ones."""
    if name not in CONDITIONS:
        raise ValueError(f"unknown condition {name!r}; known: {', '.join(CONDITIONS)}")
    return CONDITIONS[name]
