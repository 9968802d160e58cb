"""Ablations of planted positions, gradients against differences, and ranks known by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation_samples import first_video, small_suite
from planted_memories import paper_suite, plant

from tempo_lib import Tempo, Video, prompts
from tempo_lib.analysis import slices
from tempo_lib.analysis.ablation import (
    BACKWARDS,
    WHOLE,
    ablate,
    ablated_answers,
    ablation_table,
    answer_gradients,
    answer_ids,
    block_difference,
    effective_rank,
    geometry_by_position,
    gradient_halves,
    gradient_shares,
    half_blocks,
    mean_memory,
    position_blocks,
    position_similarity,
)
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.model.compressor import SegmentMemories

SUITE = paper_suite(6)
QUESTION, ANSWER = "Which number is shown with the red star?", "The red star 47."


@pytest.fixture(scope="module")
def model():
    return Tempo.from_pretrained(find_checkpoint("tiny"))


@pytest.fixture(scope="module")
def memories(model):
    frames = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    return model.compress(Video(frames, fps=2.0), QUESTION)


def test_blocks_cover_every_position_once():
    assert position_blocks(4) == [range(1), range(1, 2), range(2, 3), range(3, 4)]
    assert [list(block) for block in position_blocks(5, 2)] == [[0, 1], [2, 3], [4]]
    with pytest.raises(ValueError, match="at least 1 position, got 0"):
        position_blocks(4, 0)


def test_an_ablation_replaces_or_drops_its_positions_alone():
    given = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    mean = torch.full((4, 2), 9.0)
    replaced = ablate(given, [1, 3], mean)
    assert torch.equal(replaced[:, [0, 2]], given[:, [0, 2]])
    assert (replaced[:, [1, 3]] == 9.0).all()
    assert torch.equal(ablate(given, [1, 3], None), given[:, [0, 2]])
    with pytest.raises(ValueError, match=r"positions must be in 0..3, got \[4\]"):
        ablate(given, [0, 4], mean)
    with pytest.raises(ValueError, match="dropping all 4 positions"):
        ablate(given, range(4), None)


@pytest.mark.parametrize(("method", "place"), [("mean", 0), ("token", 6), ("mean", 31)])
def test_the_planted_position_hurts_and_no_other(tiny_tempo, monkeypatch, method, place):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: place in positions)
    answers = ablated_answers(tiny_tempo, SUITE, method=method, progress=False)
    table = ablation_table(answers, seed=0).set_index("first")
    assert (table["whole"] == 1.0).all() and (table["n"] == SUITE.num_questions).all()
    assert table["difference"].to_dict() == {k: -1.0 if k == place else 0.0 for k in range(32)}
    assert table.loc[place, ["low", "high"]].tolist() == [-1.0, -1.0]


def test_blocks_hurt_by_the_share_of_answers_that_lie_in_them(tiny_tempo, monkeypatch):
    suite = paper_suite(16)  # 64 questions: half at 0, the others at 8..15
    plant(
        monkeypatch,
        tiny_tempo,
        suite,
        lambda positions, number: (0 if number % 2 else 8 + number // 2 % 8) in positions,
    )
    blocks = [*position_blocks(16, 8), [0, 15]]
    table = ablation_table(ablated_answers(tiny_tempo, suite, blocks, progress=False), seed=0)
    assert table["block"].tolist() == ["0-7", "8-15", "0,15"]
    assert table["difference"].tolist() == [-0.5, -0.5, -0.5 - 1 / 16]


def test_the_mean_memory_is_that_of_each_position(tiny_tempo, monkeypatch):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: True)
    assert torch.equal(mean_memory(tiny_tempo, SUITE), torch.zeros(32, 32))  # signs in turns
    odd = first_video(paper_suite(1, per_video=3))  # signs - + -
    plant(monkeypatch, tiny_tempo, odd, lambda positions, number: True)
    torch.testing.assert_close(mean_memory(tiny_tempo, odd), -torch.eye(32) / 3)


def test_unknown_or_mixed_methods_are_refused(tiny_tempo, monkeypatch):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: True)
    with pytest.raises(ValueError, match="unknown method 'noise'; known: mean, token"):
        ablated_answers(tiny_tempo, SUITE, method="noise")
    answers = ablated_answers(tiny_tempo, SUITE, [[0]], method="token", progress=False)
    answers.loc[0, "method"] = "mean"
    with pytest.raises(ValueError, match="one method of ablation, got mean, token"):
        ablation_table(answers, seed=0)


def test_answers_are_forced_on_whole_memories(model, memories):
    ids, labels = answer_ids(model, memories, QUESTION, ANSWER)
    assert ids.count(-200) == 2 * 32
    said = [label for label in labels if label != -100]
    assert said == [*model.encoder.encode(ANSWER), model.encoder.special(prompts.IM_END)]


def test_gradients_agree_with_scaling_a_memory_a_little(model, memories):
    found = answer_gradients(model, memories, QUESTION, ANSWER)
    assert found.shape == (2, 32) and (found > 0).any()
    step = 1e-2
    for segment, position in ((0, 0), (1, 7), (1, 31)):
        pair = []
        for scale in (1 + step, 1 - step):
            moved = memories.memories.clone()
            moved[segment, position] *= scale
            pair.append(_loss(model, memories, moved))
        slope = abs(pair[0] - pair[1]) / (2 * step)
        assert found[segment, position].item() == pytest.approx(slope, rel=0.05, abs=1e-4)


def test_a_memory_of_zeros_carries_no_attribution(model, memories):
    alone = torch.zeros_like(memories.memories)
    alone[:, 5] = memories.memories[:, 5]
    planted = SegmentMemories(alone, memories.scores, memories.seconds, memories.logits)
    found = answer_gradients(model, planted, QUESTION, ANSWER).sum(0)
    assert found[5] > 0 and found.sum() == found[5]


def test_gradient_shares_of_a_question_sum_to_one(model, tmp_path_factory):
    suite = first_video(small_suite(tmp_path_factory.mktemp("suites")))
    table = gradient_shares(model, suite, progress=False)
    sums = table.groupby("question_id")["share"].sum()
    assert len(sums) == suite.num_questions and len(table) == 32 * len(sums)
    assert sums.tolist() == pytest.approx([1.0] * len(sums), abs=1e-5)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_effective_rank_counts_directions():
    assert effective_rank(np.eye(5)) == pytest.approx(5.0)
    assert effective_rank(np.outer([1, 2, 3], [1.0, -1.0])) == pytest.approx(1.0)
    # singular values 3 and 1: shares 3/4 and 1/4
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(4 / 3**0.75)
    assert effective_rank(np.zeros((3, 2))) == 0.0


def test_similarity_tells_equal_opposite_and_orthogonal_positions():
    one = np.array([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, 0.0]])
    similar = position_similarity(np.stack([one, 7 * one]))
    assert similar[0].tolist() == pytest.approx([1.0, 1.0, 0.0, -1.0, 0.0])
    assert np.allclose(similar, similar.T)


def test_geometry_finds_the_positions_that_vary_and_those_that_repeat():
    rng = np.random.default_rng(0)
    rows = np.zeros((400, 4, 6))
    rows[:, 0] = rng.normal(size=(400, 6)) + 10.0
    rows[:, 1] = rows[:, 0]  # repeats the first
    rows[:, 2] = 10.0  # the same in every segment
    rows[:, 3, 0] = rng.normal(size=400)  # varies along one line
    table = geometry_by_position(rows).set_index("position")
    assert table["rank"].tolist() == pytest.approx([6, 6, 0, 1], abs=0.1)
    assert table["to_previous"][1] == pytest.approx(1.0) and np.isnan(table["to_previous"][0])
    assert abs(table["to_first"][3]) < 0.1
    assert (table["n"] == 400).all()


def _loss(model, memories, moved):
    """Cross entropy of the right answer, word by word."""
    ids, labels = answer_ids(model, memories, QUESTION, ANSWER)
    with torch.no_grad():
        embeds = model.embed(torch.tensor([ids]), moved.flatten(0, 1))
        logits = model.decoder(inputs_embeds=embeds).logits[0, :-1].double()
    targets = torch.tensor(labels)[1:]
    said = targets != -100
    return torch.nn.functional.cross_entropy(logits[said], targets[said]).item()


def test_half_blocks_are_both_halves_and_every_position():
    assert half_blocks(4) == [[0, 1], [2, 3], [0], [1], [2], [3]]


def test_blocks_are_compared_on_the_same_questions(tiny_tempo, monkeypatch):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: 3 in positions)
    answers = ablated_answers(tiny_tempo, SUITE, half_blocks(16), progress=False)
    lost = block_difference(answers, "8-15", "0-7", seed=0)
    assert (lost.difference, lost.n) == (1.0, SUITE.num_questions)
    assert block_difference(answers, WHOLE, BACKWARDS, seed=0).difference == 0.0
    with pytest.raises(ValueError, match="no records of block '99'; the frame holds none, "):
        block_difference(answers, "99", "0-7", seed=0)


def test_backwards_gives_whole_memories_last_one_first(tiny_tempo, monkeypatch):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: len(positions) == 16)
    given = []
    planted = slices.decode_many

    def decode_many(model, question, cuts):
        given.extend(cut.memories.memories for cut in cuts)
        return planted(model, question, cuts)

    monkeypatch.setattr(slices, "decode_many", decode_many)
    answers = ablated_answers(tiny_tempo, first_video(SUITE), [[0]], progress=False)
    assert answers["block"].tolist()[:3] == [WHOLE, BACKWARDS, "0"]
    assert torch.equal(given[1], given[0].flip(1)) and not torch.equal(given[1], given[0])


def test_gradient_halves_take_the_second_from_the_first():
    shares = pd.DataFrame(
        {"suite": "s", "world_seed": 0, "video": str(video), "question_id": str(video)}
        | {"position": position, "share": share}
        for video in range(10)
        for position, share in enumerate([0.5, 0.2, 0.2, 0.1])
    )
    measured = gradient_halves(shares, seed=0)
    assert measured.difference == pytest.approx(0.4) and measured.n == 10
