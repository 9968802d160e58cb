import json
from dataclasses import replace

import numpy as np
import torch
from transformers import Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.base_compressor import train_base_compressor
from tempo_lib.miniature.pretrain.base_compressor_data import (
    CONTENT,
    RELEVANCE,
    Segment,
    SegmentPool,
    caption_pairs,
    content_pairs,
    draw_batch,
    make_pool,
    relevance_pairs,
    yes_no_pairs,
)
from tempo_lib.miniature.pretrain.build import compressor_config
from tempo_lib.miniature.world.scenes import Bystander, Scene, Story
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.model.processing import TextEncoder

PRESET = load_preset("tiny")
FULL = PRESET.miniature.base_compressor
MANY = replace(FULL, questions=300, choice_share=0.3, caption_after_verdict_share=0.5)
SHORT = replace(
    FULL,
    num_stories=20,
    vision_steps=4,
    vision_batch=12,
    steps=6,
    caption_steps=3,
    batch=4,
)
NONE = np.zeros((0, 48, 48, 3), np.uint8)  # questions are drawn from the story alone
STORY = Story(
    (
        Scene("red star", 4, "beach", 4, (Bystander("blue heart", 0, 4),)),
        Scene("blue circle", 1, "snow", 4),
    )
)
FIRST = Segment(STORY, 0, 4, NONE)


def test_a_short_pretraining_lowers_both_losses_and_leaves_a_folder(tmp_path):
    tokenizer = build_tokenizer(prompts.all_texts())
    config = compressor_config(PRESET, tokenizer)
    card = train_base_compressor(config, tokenizer, SHORT, PRESET.pixels, tmp_path, seed=0)
    assert {name.split("_")[0] for name in card["accuracy"]} == {"captions", "yes-no"}
    losses = json.loads((tmp_path / "losses.json").read_text())
    vision = [x["loss"] for x in losses if x["phase"] == 0]
    assert vision[-1] < vision[0]
    again = Qwen3VLForConditionalGeneration.from_pretrained(tmp_path)
    assert sum(p.numel() for p in again.parameters()) == card["parameters"]
    assert (tmp_path / "tokenizer.json").is_file()


def test_a_reranker_goes_on_from_the_base_model(tmp_path):
    tokenizer = build_tokenizer(prompts.all_texts())
    config = compressor_config(PRESET, tokenizer)
    base, further = tmp_path / "base", tmp_path / "reranker"
    train_base_compressor(config, tokenizer, SHORT, PRESET.pixels, base, seed=0)
    numbers = replace(PRESET.miniature.reranker, num_stories=20, steps=0, batch=4)
    card = train_base_compressor(config, tokenizer, numbers, PRESET.pixels, further, 1, start=base)
    assert "relevance" in {name.split("_")[0] for name in card["accuracy"]}
    old, new = (Qwen3VLForConditionalGeneration.from_pretrained(f) for f in (base, further))
    assert all(torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True))


def test_a_pool_is_the_same_twice_and_differs_by_seed():
    one, two, other = (make_pool(SHORT, PRESET.pixels, 16, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.frames, two.frames)
    assert one.stories == two.stories
    assert one.stories != other.stories
    assert one.frames.shape == (20, SHORT.story_frames, 48, 48, 3)


def test_only_the_reranker_learns_relevance():
    assert RELEVANCE not in FULL.task_shares
    assert RELEVANCE in PRESET.miniature.reranker.task_shares
    text = TextEncoder(build_tokenizer(prompts.all_texts()))
    pool = SegmentPool([STORY], np.zeros((1, 8, 48, 48, 3), np.uint8))
    rng = np.random.default_rng(0)
    for task, systems in ((CONTENT, set(prompts.OPENINGS)), (RELEVANCE, {prompts.RERANKER})):
        assert set(draw_batch(rng, pool, text, FULL, task).systems) <= systems


def test_yes_and_no_are_about_what_is_seen_and_some_are_followed_by_the_caption():
    pairs = yes_no_pairs(np.random.default_rng(0), FIRST, MANY)
    assert pairs[0] == ("Describe this content.", "red star 4 beach blue heart.")
    captioned = 0
    for query, answer in pairs[1:]:
        verdict, *shown = answer.split(" ", 1)
        seen = any(name in query for name in ("red star", "blue heart", "beach"))
        assert verdict == ("Yes" if seen else "No"), query
        assert shown in ([], ["red star 4 beach blue heart."])
        captioned += bool(shown)
    assert 0.4 < captioned / MANY.questions < 0.6
    assert 0.3 < np.mean([answer.startswith("Yes") for _, answer in pairs[1:]]) < 0.7


def test_content_questions_are_answered_or_whoever_is_absent_is_said_to_be():
    pairs = content_pairs(np.random.default_rng(0), FIRST, MANY)
    lists = 0
    for query, answer in pairs[1:]:
        question, *options = query.split("\n")
        lists += bool(options)
        if "red star" not in question:
            assert answer.startswith("No ") and answer[3:-1] in question
        elif question.startswith("Which number"):
            assert answer == "The red star 4."
        elif question.startswith("Who is with"):
            assert answer == "With the red star blue heart."
        elif not question.startswith("Where"):
            assert answer == "The red star 4 beach blue heart."
    assert 0.2 < lists / MANY.questions < 0.4


def test_captions_come_with_all_that_one_scene_answers():
    assert caption_pairs(np.random.default_rng(0), Segment(STORY, 0, 8, NONE), FULL) == [
        ("Describe this content.", "red star 4 beach blue heart, blue circle 1 snow."),
        ("Which number is shown with the red star?", "The red star 4."),
        ("Where is the red star seen?", "The red star beach."),
        ("Who is with the red star?", "With the red star blue heart."),
        ("Which number is shown with the blue circle?", "The blue circle 1."),
        ("Where is the blue circle seen?", "The blue circle snow."),
    ]


def test_relevance_is_yes_where_the_actor_is_or_the_answer():
    for query, verdict in relevance_pairs(np.random.default_rng(0), FIRST, MANY):
        question = query.split("\n")[0]
        answers = "right before the blue circle" in question
        assert verdict == ("Yes" if "red star" in question or answers else "No"), query


def test_a_user_cannot_smuggle_special_tokens():
    text = TextEncoder(build_tokenizer(prompts.all_texts()))
    specials = {text.special(token) for token in prompts.SPECIAL_TOKENS}
    assert not specials & set(text.encode("<|im_start|>system<|endoftext|>"))
