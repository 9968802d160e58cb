"""Slices whose positions are known, and accuracy where the answer lies at a known end."""

import pandas as pd
import pytest
import torch
from evaluation_samples import brief, first_video, run, small_suite
from planted_memories import paper_suite, plant

from tempo_lib import Tempo, load_video
from tempo_lib.allocation.reduction import reduce_memories
from tempo_lib.analysis import slices
from tempo_lib.analysis.slices import (
    SCHEMES,
    accuracy_by_slice,
    kept_positions,
    slice_answers,
    slice_memories,
)
from tempo_lib.checkpoints.folders import CheckpointError, find_checkpoint

SUITE = paper_suite(6)
LAST = 31
ENDS = ("head", "tail")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def curves(answers, kind="all"):
    table = accuracy_by_slice(answers)
    return table[table["kind"] == kind].pivot(index="k", columns="scheme", values="accuracy")


def test_every_takes_the_middles_of_equal_stretches():
    assert kept_positions(16, 4, "every").tolist() == [2, 6, 10, 14]
    assert kept_positions(16, 1, "every").tolist() == [8]
    assert kept_positions(16, 16, "every").tolist() == list(range(16))
    assert kept_positions(128, 3, "every").tolist() == [21, 64, 106]


@pytest.mark.parametrize("k", range(1, 17))
def test_every_and_random_keep_k_different_positions_in_order(k):
    for scheme in ("every", "random"):
        kept = kept_positions(16, k, scheme, seeded()).tolist()
        assert len(set(kept)) == k and kept == sorted(kept) and set(kept) <= set(range(16))


def test_random_positions_come_from_the_generator_and_favour_none():
    assert torch.equal(*(kept_positions(16, 5, "random", seeded(3)) for _ in range(2)))
    generator = seeded()
    drawn = [kept_positions(16, 4, "random", generator) for _ in range(2000)]
    share = torch.cat(drawn).bincount(minlength=16) / 2000
    assert (share - 0.25).abs().max() < 0.05
    with pytest.raises(ValueError, match="needs a generator"):
        kept_positions(16, 4, "random")


def test_a_slice_holds_the_positions_that_its_scheme_names():
    memories = torch.arange(16.0).expand(2, -1)[..., None] + torch.tensor([0.0, 0.5])
    places = {
        scheme: slice_memories(memories, 4, scheme, seeded())[..., 0]
        for scheme in ("head", "tail", "every", "random")
    }
    assert places["head"].tolist() == [[0, 1, 2, 3]] * 2
    assert places["tail"].tolist() == [[12, 13, 14, 15]] * 2
    assert places["every"].tolist() == [[2, 6, 10, 14]] * 2
    assert places["random"][0].tolist() != places["random"][1].tolist()
    kept = slice_memories(memories, 4, "random", seeded())
    assert torch.equal(kept[..., 1], kept[..., 0] + 0.5)  # whole memories, not single channels


def test_merged_memories_are_those_of_the_reduction():
    memories = torch.randn(3, 16, 8, generator=seeded())
    expected = torch.stack(reduce_memories(memories, [5, 5, 5], scheme="merge"))
    assert torch.equal(slice_memories(memories, 5, "merge"), expected)


def test_wrong_slices_are_refused_before_anything_is_computed(tiny_tempo, monkeypatch):
    questions = plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: True)
    memories = torch.zeros(2, 16, 4)
    with pytest.raises(ValueError, match="unknown scheme 'middle'; known: head, tail"):
        slice_memories(memories, 4, "middle")
    with pytest.raises(ValueError, match=r"k must be in 1..16, got 17"):
        slice_memories(memories, 17, "head")
    with pytest.raises(ValueError, match="known: head, tail, every, random, merge"):
        slice_answers(tiny_tempo, SUITE, schemes=["head", "middle"])
    with pytest.raises(ValueError, match=r"ks must lie in 1..32, got \[0, 2\]"):
        slice_answers(tiny_tempo, SUITE, ks=[2, 0])
    assert questions == []


def test_what_lies_at_the_head_is_answered_from_heads_alone(tiny_tempo, monkeypatch):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: positions >= {0, 1, 2})
    table = curves(slice_answers(tiny_tempo, SUITE, schemes=ENDS, progress=False))
    assert table.index.tolist() == list(range(1, 33))
    assert table["head"].tolist() == [0.0] * 2 + [1.0] * 30
    assert table["tail"].tolist() == [0.0] * 31 + [1.0]


def test_what_lies_at_the_tail_is_answered_from_tails_alone(tiny_tempo, monkeypatch):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: LAST in positions)
    table = curves(slice_answers(tiny_tempo, SUITE, [1, 8, 32], ENDS, progress=False))
    assert table["head"].tolist() == [0.0, 0.0, 1.0]
    assert table["tail"].tolist() == [1.0, 1.0, 1.0]


def test_what_lies_anywhere_is_answered_as_often_from_either_end(tiny_tempo, monkeypatch):
    suite = paper_suite(16)  # 64 questions, each position twice
    plant(monkeypatch, tiny_tempo, suite, lambda positions, number: number % 32 in positions)
    assert suite.num_questions == 64
    answers = slice_answers(tiny_tempo, suite, [8, 16], ("head", "tail", "every"), progress=False)
    assert set(curves(answers).loc[8]) == {0.25}
    assert set(curves(answers).loc[16]) == {0.5}


def test_random_slices_grow_and_depend_on_the_seed_alone(tiny_tempo, monkeypatch):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: number % 32 in positions)
    ask = [
        slice_answers(tiny_tempo, SUITE, schemes=["random"], seed=seed, progress=False)
        for seed in (0, 0, 1)
    ]
    assert ask[0].equals(ask[1]) and not ask[0].equals(ask[2])
    by_question = ask[0].pivot(index="question_id", columns="k", values="correct").astype(int)
    assert (by_question.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_whole_memories_are_decoded_once_for_all_schemes(tiny_tempo, monkeypatch):
    questions = plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: True)
    answers = slice_answers(tiny_tempo, SUITE, [2, 32], progress=False)
    assert len(questions) == SUITE.num_questions * (len(SCHEMES) + 1)
    assert len(answers) == SUITE.num_questions * len(SCHEMES) * 2
    assert answers["correct"].all()


def test_kinds_add_up_to_all_questions(tiny_tempo, monkeypatch):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: number % 3 == 0)
    answers = slice_answers(tiny_tempo, SUITE, [3], ["head"], progress=False)
    table = accuracy_by_slice(answers).set_index("kind")
    kinds = table.drop(index="all")
    assert table.columns.tolist() == ["scheme", "k", "n", "accuracy", "low", "high"]
    assert kinds["n"].sum() == table.loc["all", "n"] == SUITE.num_questions
    assert (kinds["n"] * kinds["accuracy"]).sum() == answers["correct"].sum()
    assert (table["low"] <= table["accuracy"]).all() and (table["accuracy"] <= table["high"]).all()


def test_a_real_model_answers_slices_as_its_evaluation_does(tmp_path_factory):
    suite = first_video(small_suite(tmp_path_factory.mktemp("suites")))
    model = brief(Tempo.from_pretrained(find_checkpoint("tiny")))
    k = model.config.k_min + 1
    sliced = slice_answers(model, suite, [k, 32], ["head", "tail"], progress=False)
    tails = sliced[sliced["scheme"] == "tail"].set_index("k")["prediction"]
    assert tails.loc[32].tolist() == [r.prediction for r in run(model, suite, ["no-ata"])]
    one = next(iter(suite.videos[0].questions)).text
    memories = model.compress(load_video(suite.videos[0].path), one)
    counts = torch.full((len(memories.scores),), k)
    expected = model.decode(memories, one, counts=counts, scheme="tail").text
    assert tails.loc[k].iloc[0] == expected


def test_answers_are_computed_again_only_when_something_changes(tiny_tempo, monkeypatch, tmp_path):
    suite = paper_suite(3)
    questions = plant(monkeypatch, tiny_tempo, suite, lambda positions, number: number % 2 == 0)
    last = slices.Checkpoint("tiny", "stage3", "one", 0)
    how = {"ks": [1, 32], "schemes": ["head", "tail"], "seed": 0, "progress": False}

    def keep(checkpoint=last, **change):
        return slices.cached_answers(
            *(checkpoint, suite, slices.slice_answers, tmp_path),
            **{"model": tiny_tempo, **how, **change},
        )

    first = keep()
    count = len(questions)
    again = keep()
    assert len(questions) == count > 0
    pd.testing.assert_frame_equal(first, again)
    direct = slices.slice_answers(tiny_tempo, suite, **how).assign(checkpoint="stage3")
    pd.testing.assert_frame_equal(again, direct, check_dtype=False)  # empty predictions stay text
    for number, change in enumerate(({"ks": [2, 32]}, {"seed": 1}), start=2):
        keep(**change)
        assert len(list(tmp_path.glob("*.csv"))) == number
    keep(slices.Checkpoint("tiny", "stage3", "other weights", 0))
    assert len(list(tmp_path.glob("*.csv"))) == len(list(tmp_path.glob("*.json"))) == 4


def test_the_base_checkpoint_joins_both_base_models_with_drawn_parts():
    one, other = (slices.find_stage("tiny", "base", seed) for seed in (0, 1))
    trained = slices.find_stage("tiny", "stage3")
    assert one.digest != other.digest and trained.digest not in one.digest
    model = one.load()
    assert not model.training
    drawn = [checkpoint.load().compressor.memory_tokens for checkpoint in (one, other)]
    assert torch.equal(model.compressor.memory_tokens, drawn[0])
    assert not torch.equal(*drawn)
    with pytest.raises(CheckpointError, match="stage9"):
        slices.find_stage("tiny", "stage9")
