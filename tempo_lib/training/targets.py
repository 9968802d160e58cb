"""A conversation as one decoder row, and which of its tokens are targets.

The layout is the release's: media stand where their tags do, every turn ends with a line break.
"""

import re
from collections.abc import Sequence

from tempo_lib import prompts
from tempo_lib.config import LabelRules
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.processing import TextEncoder
from tempo_lib.training.records import MEDIA_TAGS, Sample

OURS = LabelRules(query="question", conversation="split", targets="answer")
TAG = re.compile("|".join(map(re.escape, MEDIA_TAGS)))
BREAK = "\n"


def conversation_ids(
    text: TextEncoder,
    system: str,
    turns: Sequence[tuple[str, str]],
    media: Sequence[list[int]],
    targets: str,
) -> tuple[list[int], list[int]]:
    """Ids and labels of (question, answer) turns; ``media``: what stands at each tag, in order.

    targets ``answer``: each answer and its end. ``turn``: each answer's whole turn, and every
    separator of all turns: start, end and line break. ValueError unless tags and media agree.
    """
    num_tags = sum(len(TAG.findall(question)) for question, _ in turns)
    if num_tags != len(media):
        raise ValueError(f"{num_tags} media tags but {len(media)} media")
    start, end = text.special(prompts.IM_START), text.special(prompts.IM_END)
    (line_break,) = text.encode(BREAK)
    separators, left = {start, end, line_break}, iter(media)
    ids: list[int] = []
    labels: list[int] = []

    def add(piece: list[int], is_target: bool = False) -> None:
        ids.extend(piece)
        kept = separators if targets == "turn" else set()
        labels.extend(one if is_target or one in kept else IGNORE for one in piece)

    def add_turn(role: str, words: str) -> None:
        first, *rest = TAG.split(f"{role}{BREAK}{words}")
        add([start, *text.encode(first)])
        for piece in rest:
            add(next(left))
            add(text.encode(piece) if piece else [])
        add([end, line_break])

    add_turn("system", system)
    for question, answer in turns:
        add_turn("user", question)
        if targets == "turn":
            add([start, *text.encode(f"assistant{BREAK}{answer}"), end, line_break], True)
        else:
            add([start, *text.encode(f"assistant{BREAK}")])
            add([*text.encode(answer), end], True)
            add([line_break])
    return ids, labels


def is_plain(rules: LabelRules) -> bool:
    """Whether a sample is one question and its answer, which inference too would read so."""
    return rules.conversation == "split" and rules.targets == "answer"


def tagged_turns(sample: Sample) -> tuple[tuple[str, str], ...]:
    """The sample's turns with a tag for each medium; one without any gets them all in front."""
    tags = MEDIA_TAGS[0] * len(sample.all_media)
    turns = sample.turns
    if not turns:
        return ((f"{tags}{BREAK}{sample.question}" if tags else sample.question, sample.answer),)
    if tags and not any(TAG.search(question) for question, _ in turns):
        (question, answer), *later = turns
        return ((f"{tags}{BREAK}{question}", answer), *later)
    return turns
