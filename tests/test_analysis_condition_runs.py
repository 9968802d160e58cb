"""A training under a condition: what it reads, how it is judged, what it leaves behind."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from accelerate.state import AcceleratorState

from tempo_lib import Tempo
from tempo_lib.allocation.reduction import reduce_memories
from tempo_lib.analysis import condition_runs
from tempo_lib.analysis.condition_data import (
    CORPUS_SEED,
    STAGES,
    is_caption,
    make_data,
    scaled_miniature,
)
from tempo_lib.analysis.condition_list import get_condition
from tempo_lib.analysis.condition_runs import (
    ConditionRun,
    exact_answers,
    parse_name,
    run_condition,
    sizes,
    slice_answers,
)
from tempo_lib.analysis.conditions import applied
from tempo_lib.checkpoints.loading import find_checkpoint
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.build import Miniature, corpus_spec
from tempo_lib.miniature.world.corpora import spec_digest
from tempo_lib.model.processing import segment_pixels
from tempo_lib.provenance import manifest_path


@pytest.fixture(autouse=True)
def forget_accelerator():
    """accelerate keeps one state a process, whose precision the next test may not change."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conditions")
    return make_data(load_preset("tiny"), folder, share=0.004, num_clips=4)


@pytest.fixture(scope="module")
def trained():
    """Reads short clips well, so that some answers are right and some are not."""
    return Tempo.from_pretrained(find_checkpoint("tiny", "stage1"), dtype=torch.float32)


def short_run(data, name="baseline", **changes):
    run = ConditionRun(
        preset=load_preset("tiny"),
        condition=get_condition(name),
        seed=0,
        folder=data.folder,
        num_steps=2,
        stage0_steps=1,
    )
    return replace(run, **changes)


def test_held_out_clips_are_asked_for_everything_that_a_scene_holds(data, trained):
    held_out = data.held_out(trained)
    kinds = pd.Series([named["kind"] for named in held_out.named]).value_counts()
    assert set(kinds.index) == {"needle", "attribute", "caption", "description"}
    assert kinds["caption"] == 4
    trained_on = {s.media for stage in (0, 1) for s in data.samples(stage) if s.media}
    assert not trained_on & {s.media for s in held_out.samples}


def test_tasks_part_the_samples_with_pictures_and_leave_texts(data):
    every = {s.id for s in data.samples(1)}
    parts = {tasks: data.samples(1, tasks) for tasks in ("captions", "questions")}
    assert all(is_caption(s.question) for s in parts["captions"] if s.media)
    assert not any(is_caption(s.question) for s in parts["questions"] if s.media)
    ids = {tasks: {s.id for s in part} for tasks, part in parts.items()}
    assert ids["captions"] | ids["questions"] == every
    texts = {s.id for s in data.samples(1) if s.media is None}
    assert texts
    assert ids["captions"] & ids["questions"] == texts
    assert data.samples(0, "questions") == data.samples(0)  # captions are all there is


@pytest.mark.parametrize("scheme", ["head", "tail"])
def test_one_pass_judges_as_greedy_decoding_does(data, trained, scheme):
    held_out = data.held_out(trained)
    (_, batch), *_ = held_out.batches()
    vision = trained.compressor.encode_vision(batch["pixel_rows"], batch["grid_thw"])
    ids, mask = batch["compressor_ids"], batch["compressor_mask"]
    memories, _ = trained.compressor(vision, ids, mask, batch["grid_thw"])
    verdicts = []
    for size in (2, 4, 6):
        keep_K = torch.arange(16) < size if scheme == "head" else torch.arange(16) >= 16 - size
        judged = exact_answers(trained, batch, memories.detach(), keep_K).tolist()
        said = []
        for index, sample in enumerate(held_out.samples):
            mine = memories[2 * index : 2 * index + 2].detach()
            kept = torch.stack(reduce_memories(mine, [size, size], scheme=scheme))
            said.append(greedy(trained, held_out, sample, kept))
        assert judged == said
        verdicts += said
    assert set(verdicts) == {True, False} or scheme == "tail"


def greedy(model, held_out, sample, kept_Nkd):
    clip = held_out.collate.store.get(sample.media)
    segments = segment_pixels(clip, held_out.collate.rules, model.patch_shape, 4, 4)
    from tempo_lib.model.compressor import SegmentMemories

    none = torch.zeros(len(kept_Nkd))
    memories = SegmentMemories(kept_Nkd, none, segments.seconds_N, none)
    counts = torch.full((len(kept_Nkd),), kept_Nkd.shape[1])
    said = model.decode(memories, sample.question, counts=counts, scheme="none")
    return said.text == sample.answer


def test_whole_memories_answer_alike_from_both_ends(data, trained):
    answers = slice_answers(trained, data.held_out(trained), ks=[2, 16])
    right = answers.set_index(["k", "scheme", "question_id"])["correct"]
    assert right[16, "head"].equals(right[16, "tail"])
    assert right[16, "head"].mean() > right[2, "tail"].mean()


def test_head_is_the_end_that_the_compressor_makes_first(data, trained):
    held_out = data.held_out(trained)
    plain = slice_answers(trained, held_out, ks=[1])
    with applied(trained, get_condition("reversed")):
        turned = slice_answers(trained, held_out, is_reversed=True, ks=[1])
    pd.testing.assert_frame_equal(plain, turned)  # one memory has no order


@pytest.mark.parametrize(
    ("capacity", "expected"), [(4, [1, 2, 4]), (16, [1, 2, 4, 8, 16]), (6, [1, 2, 4, 6])]
)
def test_sizes_double_up_to_all_memories(capacity, expected):
    assert sizes(capacity) == expected


def test_names_say_condition_and_seed():
    condition, seed = parse_name("shuffled-positions-seed12")
    assert (condition.name, seed) == ("shuffled-positions", 12)
    with pytest.raises(ValueError, match="as in baseline-seed0"):
        parse_name("baseline")
    with pytest.raises(ValueError, match="unknown condition 'both'"):
        parse_name("both-seed1")


def test_a_short_run_leaves_a_record_and_a_finished_one_is_kept(data, monkeypatch):
    run = short_run(data, "k4")
    record = run_condition(run, data)
    answers = pd.read_csv(record / "answers.csv")
    assert sorted(answers["step"].unique()) == [0, 1, 2]
    assert sorted(answers["k"].unique()) == [1, 2, 4]
    asked = answers.groupby(["step", "scheme", "k"])["question_id"].nunique()
    assert (asked == asked.iloc[0]).all()
    facts = json.loads((record / "run.json").read_text())
    assert (facts["condition"]["name"], facts["seed"], facts["num_steps"]) == ("k4", 0, 2)
    assert len(json.loads((record / "losses.json").read_text())) == 2
    monkeypatch.setattr(condition_runs, "train_and_measure", lambda *_: 1 / 0)
    assert run_condition(run, data) == record
    with pytest.raises(ValueError, match="other num_steps, numbers; delete it"):
        run_condition(replace(run, num_steps=3), data)


def test_a_frozen_decoder_stays_as_it_was(data, monkeypatch):
    trained_parts = []
    monkeypatch.setattr(
        condition_runs,
        "train_stage",
        lambda model, samples, run: trained_parts.append(run.numbers.trainable) or [{"loss": 1.0}],
    )
    run = short_run(data, "frozen-decoder", num_steps=0)
    answers, losses = condition_runs.train_and_measure(run, data)
    assert losses == [1.0]
    assert trained_parts[1] == ("compressor", "memory_tokens", "projector")
    assert set(answers["condition"]) == {"frozen-decoder"}


def test_the_kept_table_rests_on_the_corpora_that_are_made_today():
    kept = json.loads(manifest_path("measurements/conditions.json").read_text())
    mini = scaled_miniature(Miniature(load_preset("tiny"), Path(), CORPUS_SEED), 1.0)
    today = [spec_digest(corpus_spec(mini, stage), CORPUS_SEED) for stage in STAGES]
    assert kept["corpora"] == today


def test_a_preset_without_a_miniature_has_no_data(tmp_path):
    with pytest.raises(ValueError, match="6b is no miniature"):
        make_data(load_preset("6b"), tmp_path)
