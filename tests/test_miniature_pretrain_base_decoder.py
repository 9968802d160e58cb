"""Blocks are isolated exactly, gradients agree with transformers, runs repeat and resume."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain import block_attention
from tempo_lib.miniature.pretrain.base_decoder import (
    build_model,
    build_optimizers,
    embed,
    kind_accuracy,
    labelled_logits,
    train_base_decoder,
)
from tempo_lib.miniature.pretrain.base_decoder_config import (
    Curriculum,
    is_robust,
    rate_factor,
)
from tempo_lib.miniature.pretrain.base_decoder_data import draw_batch, draw_num_segments
from tempo_lib.miniature.pretrain.base_decoder_eval import answer_texts, prompt_text
from tempo_lib.miniature.pretrain.fast_norm import speed_up_norms
from tempo_lib.miniature.world.questions import ask_all
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.miniature.world.transcripts import (
    IGNORE,
    Encoder,
    caption_sample,
    collate,
    draw_offset,
    pick_questions,
    question_sample,
    recall_sample,
)
from tempo_lib.prompts import IM_END, all_texts

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
def encoder(tokenizer):
    return Encoder(tokenizer)


def make_samples(encoder, num_segments=5, count=3, stretch=0):
    samples = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        story = make_story(rng, (num_segments + seed) * 8)
        weights = FULL.kind_weights
        samples.append(question_sample(rng, encoder, story, 8, 4, weights, 0.5, stretch))
    return samples


def dense_mask(batch):
    """(B, 1, S, S) additive mask built directly from the layout, one pair at a time."""
    length, size = batch.mask_BL.shape[1], batch.ids_BS.shape[1]
    block_S = torch.full((size,), -1)
    block_S[length:] = torch.arange(size - length) // batch.block_length
    causal_SS = torch.ones(size, size, dtype=torch.bool).tril()
    same_SS = (block_S[:, None] == block_S) | (block_S == -1)
    real_BS = torch.cat((batch.mask_BL, torch.ones(len(batch.ids_BS), size - length)), 1).bool()
    allowed_BSS = (causal_SS & same_SS) & real_BS[:, None]
    return torch.zeros(allowed_BSS.shape).masked_fill(~allowed_BSS, -1e30)[:, None]


def test_block_attention_and_fast_norms_equal_a_dense_mask_in_values_and_gradients(
    tokenizer, encoder
):
    batch = collate(make_samples(encoder, stretch=3), encoder.pad)
    fast = build_model(TINY, tokenizer, 0, block_attention.register())
    speed_up_norms(fast)
    plain = build_model(TINY, tokenizer, 0, "eager")
    logits_MV, index_M = labelled_logits(fast, batch, embed(fast, batch, 0.0, None))
    expected_MV = plain(
        input_ids=batch.ids_BS,
        attention_mask={"full_attention": dense_mask(batch)},
        position_ids=batch.positions_BS,
        use_cache=False,
    ).logits.flatten(0, 1)[index_M]
    # float32 with sums in another order: measured 7e-6
    torch.testing.assert_close(logits_MV, expected_MV, atol=5e-5, rtol=1e-4)
    target_MV = torch.randn(logits_MV.shape, generator=torch.Generator().manual_seed(0))
    (logits_MV * target_MV).sum().backward()
    (expected_MV * target_MV).sum().backward()
    for (name, left), right in zip(fast.named_parameters(), plain.parameters(), strict=True):
        scale = float(right.grad.abs().max())
        torch.testing.assert_close(left.grad, right.grad, atol=1e-4 * scale, rtol=1e-3, msg=name)


def test_a_block_never_sees_another_block(tokenizer, encoder):
    model = build_model(TINY, tokenizer, 0, block_attention.register())
    batch = collate(make_samples(encoder), encoder.pad)
    length = batch.mask_BL.shape[1]
    changed = batch.ids_BS.clone()
    changed[:, length : length + batch.block_length] = 11  # the first block, wholly
    other = dataclasses.replace(batch, ids_BS=changed)
    with torch.no_grad():
        before_MV, index_M = labelled_logits(model, batch, embed(model, batch, 0.0, None))
        after_MV, _ = labelled_logits(model, other, embed(model, other, 0.0, None))
    later_M = index_M % batch.ids_BS.shape[1] >= length + batch.block_length
    first_M = index_M % batch.ids_BS.shape[1] >= length
    first_M &= ~later_M
    # the softmax's shift is a bound over all keys: it cancels, up to rounding
    torch.testing.assert_close(before_MV[later_M], after_MV[later_M], atol=1e-5, rtol=1e-5)
    assert float((before_MV[first_M] - after_MV[first_M]).abs().max()) > 0.01


def test_a_block_is_the_tail_of_the_chat_layout_and_labels_cover_the_answer(tokenizer, encoder):
    story = make_story(np.random.default_rng(0), 32)
    question = next(q for q in ask_all(story, 8) if q.kind == "needle")
    block = encoder.block(question.kind, question.text, question.answer)
    text = tokenizer.decode(block.ids)
    assert text == (
        f"\n{question.text}<|im_end|>\n<|im_start|>assistant\n{question.answer}<|im_end|>"
    )
    assert tokenizer.decode(block.ids[-block.num_answer :]) == question.answer + IM_END


def test_a_whole_sample_spells_the_prompt_that_evaluation_uses(tokenizer, encoder):
    sample = make_samples(encoder, count=1)[0]
    block = sample.blocks[0]
    story = make_story(np.random.default_rng(0), 40)
    transcript = tokenizer.decode(sample.context[len(encoder.opening) :])
    question = next(q for q in ask_all(story, 8) if q.kind == block.kind)
    told = tokenizer.decode([*sample.context, *block.ids[: -block.num_answer]])
    assert told.startswith(
        prompt_text(transcript, "")[: -len("<|im_end|>\n<|im_start|>assistant\n")]
    )
    assert told.endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert question.kind == block.kind


def test_collated_labels_are_shifted_and_positions_continue_from_the_context(encoder):
    samples = make_samples(encoder, stretch=2)
    batch = collate(samples, encoder.pad)
    length = batch.mask_BL.shape[1]
    for row, sample in enumerate(samples):
        assert int(batch.mask_BL[row].sum()) == len(sample.context)
        start = length
        for block in sample.blocks:
            stop = start + len(block.ids)
            labels = batch.labels_BS[row, start : stop - 1]
            wanted = torch.tensor(block.ids[1:])
            kept = labels != IGNORE
            assert torch.equal(labels[kept], wanted[kept]) and int(kept.sum()) == block.num_answer
            assert int(batch.positions_BS[row, start]) == sample.positions[-1] + 1
            start += batch.block_length


def test_captions_answer_with_the_caption_of_the_whole_clip(tokenizer, encoder):
    story = make_story(np.random.default_rng(1), 8)
    sample = caption_sample(encoder, story, 8)
    block = sample.blocks[0]
    scenes = tokenizer.decode(sample.context).split("seconds> ")[1]
    assert tokenizer.decode(block.ids[-block.num_answer :]) == scenes + IM_END


def test_recall_tells_answers_and_neighbours_in_one_direction_only(tokenizer, encoder):
    story = make_story(np.random.default_rng(2), 64)
    for seed in range(4):
        sample = recall_sample(np.random.default_rng(seed), encoder, story, 8, 0.0, 0.0)
        told = tokenizer.decode(sample.context[sample.first_label :])
        assert ("After the" in told) != ("Before the" in told)
        wanted = [q.answer for q in ask_all(story, 8) if q.kind in ("needle", "grounding")]
        assert wanted and all(f" {answer}" in told for answer in wanted)


def test_offsets_stay_inside_the_trained_tags():
    rng = np.random.default_rng(0)
    drawn = [draw_offset(rng, 400.0, 1.0) for _ in range(200)]
    assert min(drawn) >= 0 and max(drawn) < 30 and len(set(drawn)) > 20
    assert draw_offset(rng, 430.0, 1.0) == 0.0


def test_questions_are_picked_without_repetition_and_by_weight():
    story = make_story(np.random.default_rng(0), 400)
    questions = ask_all(story, 8)
    weights = dict.fromkeys(FULL.kind_weights, 1.0) | {"needle": 1e6}
    picked = pick_questions(np.random.default_rng(0), questions, 6, weights)
    assert len(set(picked)) == 6
    assert sum(q.kind == "needle" for q in picked) == sum(q.kind == "needle" for q in questions)


def test_rates_warm_up_stay_and_fall_to_zero():
    config = dataclasses.replace(TINY, steps=100, warmup_steps=1, decay_share=0.5)
    assert [rate_factor(config, step) for step in (0, 49, 75, 100)] == [1.0, 1.0, 0.5, 0.0]


def test_recall_gives_way_to_questions_once_transcripts_grow_and_robustness_comes_last():
    assert Curriculum(float(FULL.first_segments)).recall_share(FULL) == FULL.recall_share
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


def test_what_is_known_is_asked_less():
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


def test_batches_depend_on_seed_and_step_alone(encoder):
    drawn = [
        draw_batch(np.random.default_rng([1, 2]), encoder, TINY, Curriculum(4.0), 2)
        for _ in range(2)
    ]
    assert torch.equal(drawn[0].batch.ids_BS, drawn[1].batch.ids_BS)
    assert drawn[0].batch.ids_BS.numel() <= 3 * TINY.last_tokens


def test_counts_are_asked_for_evenly():
    story = make_story(np.random.default_rng(0), 800)
    questions = [q for q in ask_all(story, 8) if q.kind == "counting"]
    weights = dict.fromkeys(FULL.kind_weights, 1.0)
    picked = [
        pick_questions(np.random.default_rng(seed), questions, 1, weights)[0].answer.split()[-1]
        for seed in range(300)
    ]
    numbers = sorted({q.answer.split()[-1] for q in questions})
    shares = [picked.count(number) / len(picked) for number in numbers]
    assert len(numbers) > 2 and max(shares) < 2 / len(numbers)


def test_backwards_recall_tells_the_actors_from_last_to_first(tokenizer, encoder):
    story = make_story(np.random.default_rng(2), 64)
    sample = recall_sample(np.random.default_rng(0), encoder, story, 8, 0.0, 0.0, 1.0)
    told = tokenizer.decode(sample.context[sample.first_label :])
    assert told == "".join(f" {scene.actor}" for scene in reversed(story.scenes) if scene.actor)


def test_kind_accuracy_counts_a_block_as_wrong_for_one_wrong_token(encoder):
    batch = collate(make_samples(encoder, count=1), encoder.pad)
    index_M = (batch.labels_BS.flatten() != IGNORE).nonzero().squeeze(1)
    right_M = torch.ones(len(index_M), dtype=torch.bool)
    assert set(kind_accuracy(batch, index_M, right_M).values()) == {1.0}
    right_M[-1] = False  # the last token of the last block
    assert min(kind_accuracy(batch, index_M, right_M).values()) < 1.0


def test_only_matrices_inside_layers_are_trained_by_muon(tokenizer):
    model = build_model(TINY, tokenizer, 0, "eager")
    muon, adam = build_optimizers(model, TINY)
    shapes = [p.ndim for group in muon.param_groups for p in group["params"]]
    assert shapes == [2] * 14  # 7 matrices in each of 2 layers
    count = sum(len(g["params"]) for o in (muon, adam) for g in o.param_groups)
    assert count == len(list(model.parameters()))


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
    train_base_decoder(TINY, tmp_path / "b", seed=3)
    weights = [AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in "ab"]
    for left, right in zip(weights[0].parameters(), weights[1].parameters(), strict=True):
        assert torch.equal(left, right)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "a")
    answers = answer_texts(weights[0], loaded, "<2.0 seconds> red star 47 beach", ["When?", "Who?"])
    assert len(answers) == 2 and not (tmp_path / "a" / "state.pt").exists()
