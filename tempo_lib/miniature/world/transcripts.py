"""Transcripts with many questions each: what the base decoder reads before it meets memories.

A sample is a context (system turn, transcript) and blocks; a block is exactly the tail of the
decoder's chat layout: newline, question, end of turn, assistant, answer, end of turn.

Shape suffixes: B samples, L context tokens, Q blocks, T tokens per block, S = L + Q * T.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from tempo_lib import prompts
from tempo_lib.miniature.world.captions import CAPTION_QUESTION, caption, describe, segment_captions
from tempo_lib.miniature.world.question_sets import as_choice
from tempo_lib.miniature.world.questions import KINDS, Question, all_questions, first_segment
from tempo_lib.miniature.world.scenes import FPS, Story, segment_seconds
from tempo_lib.miniature.world.tokenizer import LAST_SECOND
from tempo_lib.prompts import timestamp

IGNORE = -100  # label that cross_entropy skips
BLOCK_KINDS = (*KINDS, "caption")


@dataclass(frozen=True)
class Block:
    kind: str
    ids: tuple[int, ...]
    num_answer: int  # the last tokens of ids: answer and end of turn


@dataclass(frozen=True)
class Sample:
    context: list[int]
    positions: list[int]  # of the context; blocks continue from the last one
    blocks: list[Block]
    first_label: int  # context tokens from here on carry a language-model loss


@dataclass(frozen=True)
class Batch:
    """``ids_BS`` is the context, then the blocks; labels are IGNORE where nothing is asked."""

    ids_BS: torch.Tensor
    positions_BS: torch.Tensor
    mask_BL: torch.Tensor
    labels_BS: torch.Tensor  # already shifted: the label of a token is the one to predict
    kinds_BQ: torch.Tensor  # index into BLOCK_KINDS, -1 for padding
    block_length: int


class Encoder:
    """Token ids of world text, remembered phrase by phrase.

    Tokenisation is local (no piece crosses a phrase border here), so ids of the whole are
    the ids of its phrases; a test pins that.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self._phrases: dict[str, tuple[int, ...]] = {}

    def phrase(self, text: str) -> tuple[int, ...]:
        if text not in self._phrases:
            ids = self.tokenizer(text, add_special_tokens=False).input_ids
            self._phrases[text] = tuple(ids)
        return self._phrases[text]

    @cached_property
    def opening(self) -> tuple[int, ...]:
        parts = prompts.system_parts(prompts.DECODER_SYSTEM)
        return self.phrase("".join(text for _, text in parts))

    @cached_property
    def pad(self) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(prompts.END_OF_TEXT))

    def segments(self, story: Story, window: int, offset_seconds: float) -> list[list[int]]:
        """Token ids of every segment: time tag, caption."""
        segments = []
        for seconds, text in segment_captions(story, window):
            ids = list(self.phrase(timestamp(seconds + offset_seconds)))
            for i, scene in enumerate(text.split(", ")):
                ids += self.phrase(f", {scene}" if i else f" {scene}")
            segments.append(ids)
        return segments

    def block(self, kind: str, question: str, answer: str) -> Block:
        closing = "".join(text for _, text in prompts.question_parts(question))
        answer_ids = self.phrase(f"{answer}{prompts.IM_END}")
        return Block(kind, self.phrase(closing) + answer_ids, len(answer_ids))


def draw_offset(rng: np.random.Generator, num_seconds: float, share: float) -> float:
    """A time the transcript begins at: 0, or with probability ``share`` anything tags can say.

    A tenth of the shifted ones end on .2, so that those tags are trained too.
    """
    latest = int(LAST_SECOND - num_seconds)
    if latest < 1 or rng.random() >= share:
        return 0.0
    return float(rng.integers(latest)) + (0.2 if rng.random() < 0.1 else 0.0)


def pick_questions(
    rng: np.random.Generator, questions: Sequence[Question], n: int, weights: Mapping[str, float]
) -> list[Question]:
    """``n`` questions without repetition; ``weights`` say how often a kind is taken.

    Of the counts, each number is as likely as the others: most actors are seen once, and a
    decoder would learn to say so unseen.
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
    encoder: Encoder,
    story: Story,
    window: int,
    num_questions: int,
    kind_weights: Mapping[str, float],
    offset_share: float,
    stretch: int,
    as_choices: bool = False,
) -> Sample:
    """A transcript and questions about it.

    ``stretch`` > 0 draws position steps of 1 to 1 + stretch between tokens, the range itself
    drawn per sample: memories will lie further apart than the words they replace.
    ``as_choices`` asks all of them with four options.
    """
    offset = draw_offset(rng, story.num_frames / FPS, offset_share)
    context = list(encoder.opening)
    for segment in encoder.segments(story, window, offset):
        context += segment
    known = all_questions(story, window, offset)
    questions = pick_questions(rng, known, num_questions, kind_weights)
    if as_choices:
        questions = [as_choice(rng, q, story, window, offset) for q in questions]
    blocks = [encoder.block(q.kind, q.text, q.answer) for q in questions]
    positions = draw_positions(rng, len(context), stretch)
    return Sample(context, positions, blocks, len(encoder.opening))


def draw_positions(rng: np.random.Generator, num_tokens: int, stretch: int) -> list[int]:
    """Positions from 0 on; steps are 1, or with ``stretch`` uniform in 1 to 1 + its drawn part."""
    widest = int(rng.integers(stretch + 1))
    steps = rng.integers(1, 2 + widest, size=num_tokens)
    steps[0] = 0
    return [int(position) for position in np.cumsum(steps)]


def unique_scenes(story: Story, window: int, offset_seconds: float) -> list[str]:
    """``red star 47 beach<14.0 seconds>`` for every actor that appears once."""
    texts = []
    for indices in story.appearances.values():
        if len(indices) == 1:
            seconds = segment_seconds(first_segment(story, indices[0], window), window)
            tag = timestamp(seconds + offset_seconds)
            texts.append(f"{describe(story.scenes[indices[0]])}{tag}")
    return texts


def recall_sample(
    rng: np.random.Generator,
    encoder: Encoder,
    story: Story,
    window: int,
    offset_share: float,
    listing_share: float,
    backwards_share: float = 0.0,
) -> Sample:
    """A transcript, then what could be asked of it, in random order.

    A share of the samples lists the unique scenes by name with the time tag each is first
    seen at, the others tell answers. A value right after its key teaches looking up. This
    has about three times as many slots a token as question blocks. Neighbours are told in one
    direction only, as "after A comes B" gives "before B comes A" away. A second copy of the
    transcript would not do: its time tags say where to read on, so names need not be looked at.
    """
    offset = draw_offset(rng, story.num_frames / FPS, offset_share)
    context = list(encoder.opening)
    for segment in encoder.segments(story, window, offset):
        context += segment
    context += encoder.phrase("\n")
    first = len(context)
    told = {"needle", "grounding", str(rng.choice(["after", "before"]))}
    questions = [q for q in all_questions(story, window, offset) if q.kind in told]
    if rng.random() < backwards_share:
        texts = [f" {scene.actor}" for scene in reversed(story.scenes) if scene.actor]
    else:
        if rng.random() < listing_share:
            texts = [f" {text}" for text in unique_scenes(story, window, offset)]
        else:
            texts = [f" {question.answer}" for question in questions]
        texts = [texts[index] for index in rng.permutation(len(texts))]
    for text in texts:
        context += encoder.phrase(text)
    return Sample(context, list(range(len(context))), [], first)


def caption_sample(encoder: Encoder, story: Story, window: int) -> Sample:
    """A short transcript with its plain caption as the answer, and the story's questions."""
    context = list(encoder.opening)
    for segment in encoder.segments(story, window, 0.0):
        context += segment
    text = caption(story, 0, story.num_frames)
    blocks = [encoder.block("caption", CAPTION_QUESTION, text)]
    return Sample(context, list(range(len(context))), blocks, len(context))


def collate(samples: Sequence[Sample], pad: int) -> Batch:
    """Pad samples to one shape."""
    length = max(len(sample.context) for sample in samples)
    num_blocks = max(len(sample.blocks) for sample in samples)
    block_length = max((len(b.ids) for s in samples for b in s.blocks), default=0)
    shape = (len(samples), length + num_blocks * block_length)
    ids_BS, positions_BS = np.full(shape, pad), np.zeros(shape, dtype=np.int64)
    labels_BS = np.full(shape, IGNORE)
    mask_BL = np.zeros((len(samples), length), dtype=bool)
    kinds_BQ = np.full((len(samples), num_blocks), -1)
    for row, sample in enumerate(samples):
        size, first = len(sample.context), sample.first_label
        ids_BS[row, :size] = sample.context
        positions_BS[row, :size] = sample.positions
        mask_BL[row, :size] = True
        labels_BS[row, first - 1 : size - 1] = sample.context[first:]
        for number, block in enumerate(sample.blocks):
            start = length + number * block_length
            stop = start + len(block.ids)
            ids_BS[row, start:stop] = block.ids
            after = sample.positions[-1] + 1
            positions_BS[row, start : start + block_length] = after + np.arange(block_length)
            labels_BS[row, stop - block.num_answer - 1 : stop - 1] = block.ids[-block.num_answer :]
            kinds_BQ[row, number] = BLOCK_KINDS.index(block.kind)
    return Batch(
        ids_BS=torch.from_numpy(ids_BS),
        positions_BS=torch.from_numpy(positions_BS),
        mask_BL=torch.from_numpy(mask_BL),
        labels_BS=torch.from_numpy(labels_BS),
        kinds_BQ=torch.from_numpy(kinds_BQ),
        block_length=block_length,
    )
