"""The curriculum grows with what is learned; a batch depends on seed and step alone."""

import numpy as np
import pytest
import torch

from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.base_decoder_data import (
    Curriculum,
    draw_batch,
    draw_num_segments,
    is_robust,
)
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.model.processing import TextEncoder
from tempo_lib.prompts import all_texts

FULL = load_preset("tiny").miniature.base_decoder


def test_recall_gives_way_to_questions_once_numbers_are_found_and_robustness_comes_last():
    assert Curriculum(float(FULL.first_segments)).recall_share(FULL) == FULL.recall_share
    found = Curriculum(float(FULL.first_segments), {"needle": FULL.gate["needle"]})
    assert found.recall_share(FULL) == FULL.recall_floor
    assert Curriculum(FULL.first_segments * 1.01).recall_share(FULL) == FULL.recall_floor
    assert not is_robust(FULL, 0) and is_robust(FULL, FULL.steps - 1)


def test_transcripts_grow_only_while_every_gated_kind_is_known():
    curriculum = Curriculum(float(FULL.first_segments))
    curriculum.advance(FULL)
    assert curriculum.longest == FULL.first_segments
    for _ in range(200):
        curriculum.learn(dict.fromkeys(FULL.gate, 1.0))
    curriculum.advance(FULL)
    assert curriculum.longest == pytest.approx(FULL.first_segments * (1 + FULL.growth))
    for _ in range(40):
        curriculum.learn({"needle": 0.0})
    before = curriculum.longest
    curriculum.advance(FULL)
    assert curriculum.longest == before
    for _ in range(200):
        curriculum.learn({"needle": 1.0})
    for _ in range(1000):
        curriculum.advance(FULL)
    assert curriculum.longest == FULL.last_segments


def test_what_is_known_is_drawn_less():
    curriculum = Curriculum(4.0)
    curriculum.accuracy = {"needle": 1.0, "before": 0.0}
    weights = curriculum.weights(FULL)
    assert weights["needle"] == pytest.approx(FULL.kind_weights["needle"] * FULL.error_floor)
    assert weights["before"] > weights["needle"] > 0


def test_lengths_lie_below_the_longest_and_near_it_where_marked():
    rng = np.random.default_rng(0)
    drawn = [draw_num_segments(rng, FULL, Curriculum(64.0)) for _ in range(400)]
    near = [number for number, is_long in drawn if is_long]
    others = [number for number, is_long in drawn if not is_long]
    assert min(near) >= 44 and max(near) <= 64
    assert min(others) < 12 and max(others) <= 64
    assert len(near) / len(drawn) == pytest.approx(FULL.long_share, abs=0.1)


def test_batches_depend_on_seed_and_step_alone():
    text = TextEncoder(build_tokenizer(all_texts()))
    drawn = [
        draw_batch(np.random.default_rng([1, 2]), text, FULL, Curriculum(4.0), 2) for _ in range(2)
    ]
    assert torch.equal(drawn[0].batch.ids, drawn[1].batch.ids)
    assert drawn[0].batch.ids.numel() <= 3 * FULL.last_tokens
