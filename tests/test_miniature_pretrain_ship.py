"""The shipped miniature is what its recipe makes: a short run follows its curve, its cards hold.

Accuracies are compared on other stories than the cards', within what their numbers allow.
"""

import json
import math
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, Qwen3ForCausalLM, Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.base_compressor import SegmentReader, evaluate_base
from tempo_lib.miniature.pretrain.base_compressor_data import CAPTIONS, CONTENT, make_pool
from tempo_lib.miniature.pretrain.base_decoder_eval import evaluate_base_decoder
from tempo_lib.miniature.pretrain.build import Miniature, make_corpus, make_stage
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.model.processing import TextEncoder

TINY = load_preset("tiny")
ASSETS = Path(str(resources.files("tempo_lib"))) / "assets" / "tiny"
OTHER_SEED = 77
FEW_IMAGES, FIRST, LATER = 448, slice(0, 3), slice(20, 28)  # steps of a run of 28


def card(name):
    return json.loads((ASSETS / name / "card.json").read_text())


def near(measured, shipped, n):
    """Whether a share of ``n`` fits the shipped share, within four standard errors."""
    share = min(max(shipped, 1 / n), 1 - 1 / n)
    return abs(measured - shipped) <= 4 * math.sqrt(share * (1 - share) / n)


def mean_loss(lines, steps):
    return np.mean([json.loads(line)["loss"] for line in lines[steps]])


def test_a_short_stage_0_follows_the_shipped_curve(tmp_path):
    few = f"miniature.corpora.stage0.sources.images.num_stories={FEW_IMAGES}"
    mini = Miniature(load_preset("tiny", [few]), tmp_path, seed=OTHER_SEED)
    for name in ("base_compressor", "base_decoder"):
        mini.folder(name).symlink_to(ASSETS / name)
    make_corpus(mini, 0, workers=1)
    ours = (make_stage(mini, 0) / "losses.jsonl").read_text().splitlines()
    shipped = (ASSETS / "stage0" / "losses.jsonl").read_text().splitlines()
    assert len(ours) == LATER.stop
    assert mean_loss(ours, FIRST) == pytest.approx(mean_loss(shipped, FIRST), rel=0.15)
    assert mean_loss(ours, LATER) == pytest.approx(mean_loss(shipped, LATER), rel=0.25)
    assert mean_loss(ours, LATER) < 0.8 * mean_loss(ours, FIRST)


def test_the_shipped_base_decoder_reads_transcripts_as_its_card_says():
    folder = ASSETS / "base_decoder"
    model = Qwen3ForCausalLM.from_pretrained(folder, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    shipped = card("base_decoder")["accuracy"]["8"]
    scores = evaluate_base_decoder(model, tokenizer, [8], num_stories=12, seed=OTHER_SEED)[8]
    for kind in ("needle", "attribute", "grounding", "after", "before"):
        assert near(scores[kind]["accuracy"], shipped[kind]["accuracy"], scores[kind]["n"]), kind


@pytest.mark.parametrize("name", ["base_compressor", "reranker"])
def test_the_shipped_readers_of_segments_judge_as_their_cards_say(name):
    config = replace(getattr(TINY.miniature, name), num_stories=40)
    model = Qwen3VLForConditionalGeneration.from_pretrained(ASSETS / name, dtype="float32")
    text = TextEncoder(build_tokenizer(prompts.all_texts()))
    pool = make_pool(config, TINY.pixels, 16, OTHER_SEED)
    reader = SegmentReader(model, text, TINY.pixels)
    scores = evaluate_base(reader, pool, config, OTHER_SEED, batches=2)
    shipped = card(name)["accuracy"]
    assert {metric.split("_")[0] for metric in scores} == {CAPTIONS, *config.task_shares} - {
        CONTENT
    }
    for metric, score in scores.items():
        assert near(score, shipped[metric], n=config.batch), metric
