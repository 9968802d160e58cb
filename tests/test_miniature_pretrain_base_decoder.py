"""Blocks are isolated exactly, gradients agree with transformers, runs repeat and resume."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.base_decoder import (
    build_model,
    embed,
    forward_blocks,
    kind_accuracy,
    train_base_decoder,
)
from tempo_lib.miniature.pretrain.base_decoder_eval import answer_texts, prompt_text
from tempo_lib.miniature.pretrain.blocks import collate_blocks
from tempo_lib.miniature.pretrain.transcripts import (
    opening_ids,
    question_sample,
)
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.model.attention import CPU_TRAINING
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.processing import TextEncoder
from tempo_lib.prompts import all_texts
from tempo_lib.training.fast_norm import speed_up_norms
from tempo_lib.training.progress import ResumeError

FULL = load_preset("tiny").miniature.base_decoder
TINY = dataclasses.replace(
    FULL,
    hidden_size=32,
    num_layers=2,
    num_heads=2,
    head_dim=16,
    intermediate_size=48,
    steps=7,
    first_segments=2,
    last_segments=4,
    first_tokens=400,
    last_tokens=600,
    num_questions=4,
    save_every=2,
    eval_segments=(2,),
    eval_stories=1,
)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(all_texts())


@pytest.fixture(scope="module")
def text(tokenizer):
    return TextEncoder(tokenizer)


def make_samples(text, num_segments=5, count=3, stretch=0):
    samples = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        story = make_story(rng, (num_segments + seed) * 8)
        weights = FULL.kind_weights
        samples.append(question_sample(rng, text, story, 8, 4, weights, 0.5, stretch))
    return samples


def labels_alone(model, sample):
    """Logits of the labels of a sample, each block read alone after its context."""
    for number, (question, answer) in enumerate([([], []), *sample.blocks]):
        ids = torch.tensor([sample.context + question + answer])
        after = sample.positions[-1] + 1
        positions = sample.positions + list(range(after, after + len(question) + len(answer)))
        # with the mask given, gaps between positions are not taken for borders of packed rows
        options = {"attention_mask": torch.ones_like(ids), "use_cache": False}
        logits = model(ids, position_ids=torch.tensor([positions]), **options).logits[0]
        first = sample.first_label if number == 0 else ids.shape[1] - len(answer)
        yield logits[first - 1 : -1]


def test_many_blocks_are_read_as_each_alone_in_values_and_gradients(tokenizer, text):
    samples = make_samples(text, stretch=3)
    batch = collate_blocks(samples)
    fast = build_model(TINY, tokenizer, 0, CPU_TRAINING)
    speed_up_norms(fast)
    plain = build_model(TINY, tokenizer, 0, "eager")
    out_MV = forward_blocks(fast, batch, embed(fast, batch, 0.0, None)).logits
    expected_MV = torch.cat([part for sample in samples for part in labels_alone(plain, sample)])
    # float32 with sums in another order
    torch.testing.assert_close(out_MV, expected_MV, atol=5e-5, rtol=1e-4)
    target_MV = torch.randn(out_MV.shape, generator=torch.Generator().manual_seed(0))
    (out_MV * target_MV).sum().backward()
    (expected_MV * target_MV).sum().backward()
    for (name, left), right in zip(fast.named_parameters(), plain.parameters(), strict=True):
        scale = float(right.grad.abs().max())
        torch.testing.assert_close(left.grad, right.grad, atol=1e-4 * scale, rtol=1e-3, msg=name)


def test_a_block_never_sees_another_block(tokenizer, text):
    model = build_model(TINY, tokenizer, 0, CPU_TRAINING)
    batch = collate_blocks(make_samples(text))
    changed = batch.ids.masked_fill(batch.block == 1, 11)  # the first block, wholly
    other = dataclasses.replace(batch, ids=changed)
    with torch.no_grad():
        before, after = (
            forward_blocks(model, b, embed(model, b, 0.0, None)) for b in (batch, other)
        )
    first_M = before.blocks == 1
    torch.testing.assert_close(
        before.logits[~first_M], after.logits[~first_M], atol=1e-5, rtol=1e-5
    )
    assert float((before.logits[first_M] - after.logits[first_M]).abs().max()) > 0.01


def test_noise_goes_on_the_context_alone(tokenizer, text):
    model = build_model(TINY, tokenizer, 0, "eager")
    batch = collate_blocks(make_samples(text))
    plain = embed(model, batch, 0.0, None)
    changed = (embed(model, batch, 0.5, np.random.default_rng(0)) != plain).any(-1)
    assert torch.equal(changed, batch.block == 0)


def test_a_whole_sample_spells_the_prompt_that_evaluation_uses(tokenizer, text):
    sample = make_samples(text, count=1)[0]
    question, _ = sample.blocks[0]
    transcript = tokenizer.decode(sample.context[len(opening_ids(text)) :])
    written = tokenizer.decode([*sample.context, *question])
    closing = "<|im_end|>\n<|im_start|>assistant\n"
    assert written.startswith(prompt_text(transcript, "")[: -len(closing)])
    assert written.endswith(closing)


def test_labels_cover_the_answers_and_positions_continue_from_the_context(text):
    samples = make_samples(text, stretch=2)
    batch = collate_blocks(samples)
    for row, sample in enumerate(samples):
        start = len(sample.context)
        assert batch.positions[row, :start].tolist() == sample.positions
        wanted = [IGNORE] * sample.first_label + sample.context[sample.first_label :]
        assert batch.labels[row, :start].tolist() == wanted
        for question, answer in sample.blocks:
            stop = start + len(question) + len(answer)
            wanted = [IGNORE] * len(question) + answer
            assert batch.labels[row, start:stop].tolist() == wanted
            assert int(batch.positions[row, start]) == sample.positions[-1] + 1
            start = stop
        assert (batch.labels[row, start:] == IGNORE).all()
        assert (batch.block[row, start:] == -1).all()


def test_kind_accuracy_counts_a_block_as_wrong_for_one_wrong_token(tokenizer, text):
    model = build_model(TINY, tokenizer, 0, "eager")
    batch = collate_blocks(make_samples(text, count=1))
    with torch.no_grad():
        out = forward_blocks(model, batch, embed(model, batch, 0.0, None))
    right = torch.nn.functional.one_hot(out.targets, out.logits.shape[1]).float()
    assert set(kind_accuracy(batch, dataclasses.replace(out, logits=right)).values()) == {1.0}
    right[-1] = right[-1].roll(1)  # the last token of the last block
    wrong = kind_accuracy(batch, dataclasses.replace(out, logits=right))
    assert [wrong[kind] for kind in batch.kinds[0]].count(1.0) == len(batch.kinds[0]) - 1


def test_training_repeats_resumes_and_saves_a_folder_that_loads(tokenizer, tmp_path, monkeypatch):
    metrics = train_base_decoder(TINY, tmp_path / "a", seed=3)
    assert metrics["steps"] == 7
    assert (
        json.loads((tmp_path / "a" / "card.json").read_text())["accuracy"]["2"]["caption"]["n"] == 1
    )

    import tempo_lib.miniature.pretrain.base_decoder as module

    real, calls = module.train_step, []

    def stop_after_five(*args):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(module, "train_step", stop_after_five)
    with pytest.raises(KeyboardInterrupt):
        train_base_decoder(TINY, tmp_path / "b", seed=3)
    monkeypatch.setattr(module, "train_step", real)
    other = dataclasses.replace(TINY, steps=9, lm_weight=0.5)
    said = "state.pt is of another run: config: lm_weight .*, now 0.5; steps 7, now 9; add --fresh"
    with pytest.raises(ResumeError, match=said):
        train_base_decoder(other, tmp_path / "b", seed=3)
    with pytest.raises(ResumeError, match=r"state.pt is of another run: seed 3, now 4; add"):
        train_base_decoder(TINY, tmp_path / "b", seed=4)
    train_base_decoder(TINY, tmp_path / "b", seed=3)
    weights = [AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in "ab"]
    for left, right in zip(weights[0].parameters(), weights[1].parameters(), strict=True):
        assert torch.equal(left, right)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "a")
    answers = answer_texts(weights[0], loaded, "<2.0 seconds> red star 47 beach", ["When?", "Who?"])
    assert len(answers) == 2 and not (tmp_path / "a" / "state.pt").exists()
