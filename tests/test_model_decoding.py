"""Many prompts decoded together give what ``generate`` gives each of them alone."""

import numpy as np
import pytest
import torch

from tempo_lib import Tempo, Video
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.miniature.world.questions import sample_questions
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.model.decoding import MOST_PADDING, MOST_TOKENS, Cut, batches_by_length, decode_many

SEGMENTS = 12


@pytest.fixture(scope="module")
def shipped():
    return Tempo.from_pretrained(find_checkpoint("tiny", "stage3"), device="cpu")


@pytest.fixture(scope="module")
def compressed(shipped):
    """Three questions with their memories."""
    rng = np.random.default_rng(3)
    story = make_story(rng, SEGMENTS * 8)
    session = shipped.open(Video(render(story, 3), fps=2.0))
    questions = [question.text for question in sample_questions(rng, story, 3, window=8)]
    return [(question, session.compress(question)) for question in questions]


def cuts_of(memories, rng):
    """Cuts of very different lengths, among them nothing at all, with every scheme."""
    counts = [rng.integers(0, high + 1, SEGMENTS) for high in (0, 1, 2, 4, 8, 16, 16)]
    schemes = ["head", "tail", "merge"]
    return [Cut(memories, torch.from_numpy(each), scheme) for each in counts for scheme in schemes]


def test_answers_are_those_of_one_prompt_at_a_time(shipped, compressed):
    rng = np.random.default_rng(0)
    distinct = set()
    for question, memories in compressed:
        cuts = cuts_of(memories, rng)
        alone = [
            shipped.decode(memories, question, counts=cut.counts, scheme=cut.scheme).text
            for cut in cuts
        ]
        assert decode_many(shipped, question, cuts) == alone
        distinct |= set(alone)
    assert len(distinct) > 5, "answers that hardly differ show nothing"


def test_an_answer_that_does_not_end_stops_at_the_most_new_tokens(shipped, compressed, monkeypatch):
    question, memories = compressed[0]
    monkeypatch.setattr(shipped.config, "max_new_tokens", 2)
    cuts = cuts_of(memories, np.random.default_rng(1))
    alone = [shipped.decode(memories, question, counts=c.counts, scheme=c.scheme) for c in cuts]
    assert decode_many(shipped, question, cuts) == [answer.text for answer in alone]


def test_a_prompt_longer_than_the_context_is_refused(shipped, compressed, monkeypatch):
    question, memories = compressed[0]
    monkeypatch.setattr(shipped.config, "max_context", 64)
    with pytest.raises(ValueError, match="exceeds the decoder's context of 64"):
        decode_many(shipped, question, [Cut(memories, torch.full((SEGMENTS,), 16))])


def test_batches_hold_every_prompt_once_with_little_padding():
    lengths = np.random.default_rng(0).integers(1, 900, 60).tolist() + [5000]
    batches = list(batches_by_length(lengths))
    assert sorted(place for batch in batches for place in batch) == list(range(61))
    assert len(batches) < 30
    for batch in batches:
        own = [lengths[place] for place in batch]
        assert min(own) >= (1 - MOST_PADDING) * max(own)
        assert len(own) == 1 or len(own) * max(own) <= MOST_TOKENS
    assert list(batches_by_length([])) == []
