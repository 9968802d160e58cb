import json
from dataclasses import replace

import numpy as np
from transformers import Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.base_compressor import train_base_compressor
from tempo_lib.miniature.pretrain.base_compressor_data import (
    content_pairs,
    make_pool,
    relevance_pairs,
)
from tempo_lib.miniature.pretrain.build import compressor_config
from tempo_lib.miniature.world.scenes import Scene, Story
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
    caption_after_verdict=replace(FULL.caption_after_verdict, steps=2),
)


def test_a_short_pretraining_lowers_both_losses_and_leaves_a_folder(tmp_path):
    tokenizer = build_tokenizer(prompts.all_texts())
    config = compressor_config(PRESET, tokenizer)
    card = train_base_compressor(config, tokenizer, SHORT, PRESET.pixels, tmp_path, seed=0)
    assert set(card["accuracy"]) == {"caption_4", "caption_8", "relevance_4", "relevance_8"}
    losses = json.loads((tmp_path / "losses.json").read_text())
    vision = [x["loss"] for x in losses if x["phase"] == 0]
    assert vision[-1] < vision[0]
    again = Qwen3VLForConditionalGeneration.from_pretrained(tmp_path)
    assert sum(p.numel() for p in again.parameters()) == card["parameters"]
    assert (tmp_path / "tokenizer.json").is_file()


def test_a_pool_is_the_same_twice_and_differs_by_seed():
    one, two, other = (make_pool(SHORT, PRESET.pixels, 16, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.frames, two.frames)
    assert one.stories == two.stories
    assert one.stories != other.stories
    assert one.frames.shape == (20, SHORT.story_frames, 32, 32, 3)


def test_relevance_is_yes_exactly_for_actors_in_sight():
    story = Story((Scene("red star", 47, "beach", 4), Scene("blue circle", 12, "snow", 4)))
    rng = np.random.default_rng(0)
    lists = captioned = 0
    *pairs, last = relevance_pairs(rng, story, 0, 4, MANY)
    assert last == ("Describe this content.", "red star 47 beach.")
    for query, answer in pairs:
        question, *options = query.split("\n")  # options may name anybody: they ask for nobody
        seen = "red star" in question or "place" in question
        verdict, *shown = answer.split(" ", 1)
        assert verdict == ("Yes" if seen else "No"), query
        assert shown in ([], ["red star 47 beach."])
        assert len(options) in (0, 4)
        lists += bool(options)
        captioned += bool(shown)
    assert 0.2 < lists / MANY.questions < 0.4
    assert 0.4 < captioned / MANY.questions < 0.6


def test_content_questions_are_about_what_the_segment_shows():
    story = Story((Scene("red star", 47, "beach", 4), Scene(None, None, "snow", 4)))
    pairs = list(content_pairs(story, 0, 8))
    assert pairs[0] == ("Describe this content.", "red star 47 beach, empty snow.")
    assert pairs[1:] == [
        ("Which number is shown with the red star?", "The red star 47."),
        ("Where is the red star seen?", "The red star beach."),
    ]


def test_a_user_cannot_smuggle_special_tokens():
    text = TextEncoder(build_tokenizer(prompts.all_texts()))
    specials = {text.special(token) for token in prompts.SPECIAL_TOKENS}
    assert not specials & set(text.encode("<|im_start|>system<|endoftext|>"))
