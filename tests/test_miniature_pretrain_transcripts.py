"""Samples spell the decoder's chat layout, and are drawn as their shares and weights say."""

import numpy as np
import pytest

from tempo_lib import prompts
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.transcripts import (
    caption_sample,
    context_ids,
    draw_offset,
    opening_ids,
    pick_questions,
    question_block,
    recall_sample,
)
from tempo_lib.miniature.world.captions import transcript
from tempo_lib.miniature.world.questions import all_questions
from tempo_lib.miniature.world.scenes import ALL_NAMES, make_story
from tempo_lib.miniature.world.tokenizer import LAST_SECOND, build_tokenizer
from tempo_lib.model.processing import TextEncoder
from tempo_lib.prompts import IM_END, all_texts

FULL = load_preset("tiny").miniature.base_decoder


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(all_texts())


@pytest.fixture(scope="module")
def text(tokenizer):
    return TextEncoder(tokenizer)


def test_phrase_by_phrase_encoding_equals_encoding_the_whole(tokenizer, text):
    for seed in range(20):
        story = make_story(np.random.default_rng(seed), 40, actors=ALL_NAMES)
        opening = opening_ids(text)
        whole = tokenizer(transcript(story, 8, 10.2), add_special_tokens=False).input_ids
        assert context_ids(text, story, 8, 10.2) == opening + whole
        known = all_questions(story, 8)[0]
        question, answer = question_block(text, known.text, known.answer)
        parts = [*prompts.question_parts(known.text), ("text", known.answer)]
        written = "".join(part for _, part in parts) + prompts.IM_END
        assert question + answer == tokenizer(written, add_special_tokens=False).input_ids


def test_a_block_is_the_tail_of_the_chat_layout(tokenizer, text):
    story = make_story(np.random.default_rng(0), 32)
    needle = next(q for q in all_questions(story, 8) if q.kind == "needle")
    question, answer = question_block(text, needle.text, needle.answer)
    assert tokenizer.decode(question + answer) == (
        f"\n{needle.text}<|im_end|>\n<|im_start|>assistant\n{needle.answer}<|im_end|>"
    )
    assert tokenizer.decode(answer) == needle.answer + IM_END


def test_captions_answer_with_the_caption_of_the_whole_clip(tokenizer, text):
    story = make_story(np.random.default_rng(1), 8)
    sample = caption_sample(text, story, 8)
    ((_, answer),) = sample.blocks
    scenes = tokenizer.decode(sample.context).split("seconds> ")[1]
    assert tokenizer.decode(answer) == scenes + IM_END


def test_recall_lists_answers_and_neighbours_in_one_direction_only(tokenizer, text):
    story = make_story(np.random.default_rng(2), 64)
    for seed in range(4):
        sample = recall_sample(np.random.default_rng(seed), text, story, 8, 0.0, 0.0)
        listed = tokenizer.decode(sample.context[sample.first_label :])
        assert ("After the" in listed) != ("Before the" in listed)
        wanted = [q.answer for q in all_questions(story, 8) if q.kind in ("needle", "grounding")]
        assert wanted and all(f" {answer}" in listed for answer in wanted)


def test_backwards_recall_lists_the_actors_from_last_to_first(tokenizer, text):
    story = make_story(np.random.default_rng(2), 64)
    sample = recall_sample(np.random.default_rng(0), text, story, 8, 0.0, 0.0, 1.0)
    listed = tokenizer.decode(sample.context[sample.first_label :])
    assert listed == "".join(f" {scene.actor}" for scene in reversed(story.scenes) if scene.actor)


def test_offsets_stay_inside_the_trained_timestamps():
    rng = np.random.default_rng(0)
    drawn = [draw_offset(rng, LAST_SECOND - 30, 1.0) for _ in range(200)]
    assert min(drawn) >= 0 and max(drawn) < 30 and len(set(drawn)) > 20
    assert draw_offset(rng, float(LAST_SECOND), 1.0) == 0.0


def test_questions_are_picked_without_repetition_and_by_weight():
    story = make_story(np.random.default_rng(0), 400)
    questions = all_questions(story, 8)
    weights = dict.fromkeys(FULL.kind_weights, 1.0) | {"needle": 1e6}
    picked = pick_questions(np.random.default_rng(0), questions, 6, weights)
    assert len(set(picked)) == 6
    assert sum(q.kind == "needle" for q in picked) == sum(q.kind == "needle" for q in questions)


def test_counts_are_drawn_evenly():
    story = make_story(np.random.default_rng(0), 800)
    questions = [q for q in all_questions(story, 8) if q.kind == "counting"]
    weights = dict.fromkeys(FULL.kind_weights, 1.0)
    picked = [
        pick_questions(np.random.default_rng(seed), questions, 1, weights)[0].answer.split()[-1]
        for seed in range(300)
    ]
    numbers = sorted({q.answer.split()[-1] for q in questions})
    shares = [picked.count(number) / len(picked) for number in numbers]
    assert len(numbers) > 2 and max(shares) < 2 / len(numbers)
