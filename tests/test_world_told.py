import json
from dataclasses import replace

import numpy as np
import pytest

from tempo_lib.world.corpora import build_corpus
from tempo_lib.world.corpus_specs import CorpusSpec, SourceSpec
from tempo_lib.world.language import segment_captions
from tempo_lib.world.questions import is_relevant, sample_questions
from tempo_lib.world.scenes import make_story
from tempo_lib.world.told import FEWEST_SEEN, told_segments

SOURCE = SourceSpec(
    name="told-clips",
    modality="video",
    num_stories=2,
    min_frames=64,
    max_frames=64,
    frame_step=8,
    window=8,
    questions_per_story=3,
    captions=False,
    most_seen=5,
)


@pytest.fixture(scope="module")
def told_questions():
    """(story, question, told) of many questions on 24 segments."""
    rows = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        story = make_story(rng, 24 * 8)
        for question in sample_questions(rng, story, 8):
            rows.append((story, question, told_segments(rng, story, question, SOURCE)))
    return rows


def test_a_told_segment_is_its_caption(told_questions):
    for story, _, told in told_questions:
        captions = [text for _, text in segment_captions(story, 8)]
        assert all(words in (None, text) for words, text in zip(told, captions, strict=True))


def test_between_two_and_the_most_are_seen(told_questions):
    numbers = {told.count(None) for _, _, told in told_questions}
    assert numbers == set(range(FEWEST_SEEN, SOURCE.most_seen + 1))


def test_what_is_asked_for_is_rather_seen_than_told(told_questions):
    asked, others = [], []
    for story, question, told in told_questions:
        for index, words in enumerate(told):
            shown = is_relevant(question, story, index * 8, index * 8 + 8)
            if question.actors and question.kind in ("needle", "after", "before"):
                (asked if shown else others).append(words is None)
    assert 0.5 < np.mean(asked) < 1.0  # at times it is told, so that the rest is read
    assert np.mean(others) < 0.3


def test_a_short_video_is_seen_whole():
    rng = np.random.default_rng(0)
    story = make_story(rng, 16)
    question = sample_questions(rng, story, 1)[0]
    assert told_segments(rng, story, question, replace(SOURCE, most_seen=64)).count(None) == 2


def test_questions_of_a_corpus_say_which_segments_are_told(tmp_path):
    build_corpus(tmp_path, CorpusSpec(name="t", size=64, crf=30, sources=(SOURCE,)), seed=0)
    records = json.loads((tmp_path / "told-clips.json").read_text())
    assert len(records) == 6
    assert all(len(record["told"]) == 8 for record in records)
    assert len({tuple(record["told"]) for record in records}) > 1  # drawn a question


@pytest.mark.parametrize("change", [{"most_seen": -1}, {"modality": "text"}])
def test_a_source_that_cannot_tell_is_refused(change):
    with pytest.raises(ValueError, match=r"told-clips: most_seen is a number of a video's"):
        replace(SOURCE, **change)
