"""Samples of transcripts with many questions each: what the base decoder reads before memories.

A sample is a context (system turn, transcript) and blocks; a block is exactly the tail of the
decoder's chat layout: newline, question, end of turn, assistant, answer, end of turn.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tempo_lib import prompts
from tempo_lib.miniature.pretrain.blocks import Block, BlockRow, make_block
from tempo_lib.miniature.world.captions import (
    CAPTION_QUESTION,
    caption,
    describe,
    segment_captions,
)
from tempo_lib.miniature.world.question_sets import any_options, as_choice, option_lines
from tempo_lib.miniature.world.questions import (
    LETTERS,
    QUESTION_TEXT,
    Question,
    after_key,
    all_questions,
    first_segment,
)
from tempo_lib.miniature.world.scenes import (
    ALL_BYSTANDERS,
    ALL_NAMES,
    FPS,
    NUMBERS,
    PLACES,
    Story,
    segment_seconds,
)
from tempo_lib.miniature.world.tokenizer import LAST_SECOND
from tempo_lib.model.processing import TextEncoder

LETTER_KINDS = tuple(QUESTION_TEXT)


def opening_ids(text: TextEncoder) -> list[int]:
    return text.ids(prompts.system_parts(prompts.DECODER_SYSTEM))


def context_ids(
    text: TextEncoder, story: Story, window: int, offset_seconds: float = 0.0
) -> list[int]:
    """Token ids of the opening and of every segment: timestamp, caption.

    Encoded phrase by phrase, so that the encoder's cache serves them: no piece of the tokenizer
    crosses a phrase's border here, and a test pins that.
    """
    ids = opening_ids(text)
    for seconds, shown in segment_captions(story, window):
        ids += text.encode(prompts.timestamp(seconds + offset_seconds))
        for number, scene in enumerate(shown.split(", ")):
            ids += text.encode(f", {scene}" if number else f" {scene}")
    return ids


def question_block(text: TextEncoder, question: str, answer: str) -> Block:
    return make_block(text, prompts.question_parts(question), answer)


def draw_offset(rng: np.random.Generator, num_seconds: float, share: float) -> float:
    """When the transcript begins: 0, or with probability ``share`` anything timestamps can show."""
    latest = int(LAST_SECOND - num_seconds)
    if latest < 1 or rng.random() >= share:
        return 0.0
    return float(rng.integers(10 * latest)) / 10


def draw_positions(rng: np.random.Generator, num_tokens: int, stretch: int) -> list[int]:
    """Positions from 0 on; steps are 1, or with ``stretch`` uniform in 1 to 1 + its drawn part."""
    widest = int(rng.integers(stretch + 1))
    steps = rng.integers(1, 2 + widest, size=num_tokens)
    steps[0] = 0
    return [int(position) for position in np.cumsum(steps)]


def pick_questions(
    rng: np.random.Generator, questions: Sequence[Question], n: int, weights: Mapping[str, float]
) -> list[Question]:
    """``n`` questions without repetition; ``weights`` are how often a kind is taken.

    Of the counts, each number is as likely as the others: most actors are seen once, and a
    decoder would learn to answer so without reading.
    """
    groups = [(q.kind, q.answer.split()[-1] if q.kind == "counting" else "") for q in questions]
    sizes = Counter(groups)
    numbers = Counter(kind for kind, _ in sizes)
    chances = np.array([weights[kind] / numbers[kind] / sizes[kind, a] for kind, a in groups])
    # Gumbel top-n: a weighted sample without replacement in one pass
    keys = np.log(chances) + rng.gumbel(size=len(questions))
    return [questions[i] for i in np.argsort(-keys)[:n]]


def question_sample(
    rng: np.random.Generator,
    text: TextEncoder,
    story: Story,
    window: int,
    num_questions: int,
    kind_weights: Mapping[str, float],
    offset_share: float,
    stretch: int,
    as_choices: bool = False,
) -> BlockRow:
    """A transcript and questions about it.

    ``stretch`` > 0 draws position steps of 1 to 1 + stretch between tokens, the range itself
    drawn per sample: memories will lie further apart than the words they replace.
    ``as_choices``: all of them list four options.
    """
    offset = draw_offset(rng, story.num_frames / FPS, offset_share)
    context = context_ids(text, story, window, offset)
    known = all_questions(story, window, offset)
    questions = pick_questions(rng, known, num_questions, kind_weights)
    if as_choices:
        questions = [as_choice(rng, q, story, window, offset) for q in questions]
    return BlockRow(
        context=context,
        blocks=[question_block(text, q.text, q.answer) for q in questions],
        kinds=tuple(q.kind for q in questions),
        positions=draw_positions(rng, len(context), stretch),
        first_label=len(opening_ids(text)),
    )


def recall_sample(
    rng: np.random.Generator,
    text: TextEncoder,
    story: Story,
    window: int,
    offset_share: float,
    listing_share: float,
    backwards_share: float = 0.0,
) -> BlockRow:
    """A transcript, then answers to questions about it, in random order and without the questions.

    A share of the samples lists the unique scenes by name with the timestamp each is first seen
    at, the others list answers. A value right after its key teaches looking up. This has about
    three times as many slots per token as question blocks. Neighbours are given in one direction
    only, as "after A comes B" gives "before B comes A" away. A second copy of the transcript would
    not do: its timestamps show where to read on, so names need not be looked at.
    """
    offset = draw_offset(rng, story.num_frames / FPS, offset_share)
    context = [*context_ids(text, story, window, offset), *text.encode("\n")]
    first = len(context)
    kinds = {"needle", "grounding", str(rng.choice(["after", "before"]))}
    questions = [q for q in all_questions(story, window, offset) if q.kind in kinds]
    if rng.random() < backwards_share:
        phrases = [f" {scene.actor}" for scene in reversed(story.scenes) if scene.actor]
    else:
        if rng.random() < listing_share:
            phrases = [f" {scene}" for scene in unique_scenes(story, window, offset)]
        else:
            phrases = [f" {question.answer}" for question in questions]
        phrases = [phrases[index] for index in rng.permutation(len(phrases))]
    for phrase in phrases:
        context += text.encode(phrase)
    return BlockRow(context=context, blocks=[], first_label=first)


def unique_scenes(story: Story, window: int, offset_seconds: float) -> list[str]:
    """``red star 4 beach<14.0 seconds>`` for every actor that appears once."""
    texts = []
    for indices in story.appearances.values():
        if len(indices) == 1:
            seconds = segment_seconds(first_segment(story, indices[0], window), window)
            stamp = prompts.timestamp(seconds + offset_seconds)
            texts.append(f"{describe(story.scenes[indices[0]])}{stamp}")
    return texts


def caption_sample(text: TextEncoder, story: Story, window: int) -> BlockRow:
    """A short transcript with its plain caption as the answer."""
    shown = caption(story, 0, story.num_frames)
    return BlockRow(
        context=context_ids(text, story, window),
        blocks=[question_block(text, CAPTION_QUESTION, shown)],
        kinds=("caption",),
    )


def lookup_sample(rng: np.random.Generator, text: TextEncoder, num_pairs: int) -> BlockRow:
    """Names that each stand before a value, and then the same pairs in another order.

    Looking up what followed a name is the step that every other answer is made of. In short
    transcripts guessing among a handful of values does nearly as well, and it is learned late;
    among many pairs nothing else helps.
    """
    names = [ALL_NAMES[i] for i in rng.permutation(len(ALL_NAMES))[:num_pairs]]
    values = [_any_value(rng) for _ in names]
    phrases = [f" {name}{value}" for name, value in zip(names, values, strict=True)]
    context = [*opening_ids(text), *(i for phrase in phrases for i in text.encode(phrase))]
    context += text.encode("\n")
    first = len(context)
    for index in rng.permutation(len(phrases)):
        context += text.encode(phrases[index])
    return BlockRow(context=context, blocks=[], first_label=first)


def _any_value(rng: np.random.Generator) -> str:
    """What can follow a name in a transcript or in an answer."""
    kind = int(rng.integers(4))
    if kind == 0:
        return f" {rng.choice(NUMBERS)}"
    if kind == 1:
        return prompts.timestamp(int(rng.integers(10 * LAST_SECOND)) / 10)
    return f" {rng.choice(PLACES if kind == 2 else ALL_BYSTANDERS)}"


def letter_sample(rng: np.random.Generator, text: TextEncoder) -> BlockRow:
    """Four lettered options and then each option with its letter, in random order.

    A letter stands before its option and has to be named after it: reading backwards is learned
    late from questions alone, and an answer then names the right thing and the wrong letter.
    """
    kind = LETTER_KINDS[rng.integers(len(LETTER_KINDS))]
    options = any_options(rng, kind)
    context = [*opening_ids(text), *text.encode(option_lines(options)), *text.encode("\n")]
    first = len(context)
    for index in rng.permutation(len(options)):
        context += text.encode(f"{after_key(options[index])} {LETTERS[index]}.")
    return BlockRow(context=context, blocks=[], first_label=first)
