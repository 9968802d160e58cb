"""Blocks are isolated exactly, gradients agree with transformers, runs repeat and resume."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tempo_lib import prompts
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.base_decoder import (
    build_model,
    build_optimiser,
    embed,
    forward_blocks,
    kind_accuracy,
    train_base_decoder,
)
from tempo_lib.miniature.pretrain.base_decoder_data import (
    Curriculum,
    draw_batch,
    draw_num_segments,
    is_robust,
)
from tempo_lib.miniature.pretrain.base_decoder_eval import answer_texts, prompt_text
from tempo_lib.miniature.pretrain.blocks import collate_blocks
from tempo_lib.miniature.pretrain.optimiser import rate_factor
from tempo_lib.miniature.pretrain.transcripts import (
    caption_sample,
    context_ids,
    draw_offset,
    opening_ids,
    pick_questions,
    question_block,
    question_sample,
    recall_sample,
)
from tempo_lib.miniature.world.captions import transcript
from tempo_lib.miniature.world.questions import all_questions
from tempo_lib.miniature.world.scenes import ALL_NAMES, make_story
from tempo_lib.miniature.world.tokenizer import build_tokenizer
from tempo_lib.model.attention import CPU_TRAINING
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.processing import TextEncoder
from tempo_lib.prompts import IM_END, all_texts
from tempo_lib.training.fast_norm import speed_up_norms

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


def test_captions_answer_with_the_caption_of_the_whole_clip(tokenizer, text):
    story = make_story(np.random.default_rng(1), 8)
    sample = caption_sample(text, story, 8)
    ((_, answer),) = sample.blocks
    scenes = tokenizer.decode(sample.context).split("seconds> ")[1]
    assert tokenizer.decode(answer) == scenes + IM_END


def test_recall_tells_answers_and_neighbours_in_one_direction_only(tokenizer, text):
    story = make_story(np.random.default_rng(2), 64)
    for seed in range(4):
        sample = recall_sample(np.random.default_rng(seed), text, story, 8, 0.0, 0.0)
        told = tokenizer.decode(sample.context[sample.first_label :])
        assert ("After the" in told) != ("Before the" in told)
        wanted = [q.answer for q in all_questions(story, 8) if q.kind in ("needle", "grounding")]
        assert wanted and all(f" {answer}" in told for answer in wanted)


def test_offsets_stay_inside_the_trained_tags():
    rng = np.random.default_rng(0)
    drawn = [draw_offset(rng, 400.0, 1.0) for _ in range(200)]
    assert min(drawn) >= 0 and max(drawn) < 30 and len(set(drawn)) > 20
    assert draw_offset(rng, 430.0, 1.0) == 0.0


def test_questions_are_picked_without_repetition_and_by_weight():
    story = make_story(np.random.default_rng(0), 400)
    questions = all_questions(story, 8)
    weights = dict.fromkeys(FULL.kind_weights, 1.0) | {"needle": 1e6}
    picked = pick_questions(np.random.default_rng(0), questions, 6, weights)
    assert len(set(picked)) == 6
    assert sum(q.kind == "needle" for q in picked) == sum(q.kind == "needle" for q in questions)


def test_rates_warm_up_stay_and_fall_to_zero():
    rates = [rate_factor(step, 100, 0.5, warmup_steps=10) for step in (0, 9, 49, 75, 100)]
    assert rates == [0.1, 1.0, 1.0, 0.5, 0.0]


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


def test_batches_depend_on_seed_and_step_alone(text):
    drawn = [
        draw_batch(np.random.default_rng([1, 2]), text, TINY, Curriculum(4.0), 2) for _ in range(2)
    ]
    assert torch.equal(drawn[0].batch.ids, drawn[1].batch.ids)
    assert drawn[0].batch.ids.numel() <= 3 * TINY.last_tokens


def test_counts_are_asked_for_evenly():
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


def test_backwards_recall_tells_the_actors_from_last_to_first(tokenizer, text):
    story = make_story(np.random.default_rng(2), 64)
    sample = recall_sample(np.random.default_rng(0), text, story, 8, 0.0, 0.0, 1.0)
    told = tokenizer.decode(sample.context[sample.first_label :])
    assert told == "".join(f" {scene.actor}" for scene in reversed(story.scenes) if scene.actor)


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


def test_only_matrices_inside_layers_are_trained_by_muon(tokenizer):
    model = build_model(TINY, tokenizer, 0, "eager")
    muon, adam = build_optimiser(model, TINY).optimisers
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
