import pytest

from tempo_lib.config import load_preset
from tempo_lib.training.sampler import GlobalBatches, LengthBatches, make_batches, split_step


def flat(batches):
    return [index for batch in batches for index in batch]


def test_batches_hold_every_sample_once_within_their_limits():
    lengths = [0, 1, 1, 2, 2, 2, 5, 9, 9, 30]
    batches = LengthBatches(lengths, segments=12, samples=3, seed=0)
    order = batches.epoch(0)
    assert sorted(flat(order)) == list(range(len(lengths)))
    for batch in order:
        assert len(batch) <= 3
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 12
    assert batches.epoch(0) == order
    assert batches.epoch(1) != order


def test_a_global_batch_is_of_one_size_whatever_the_lengths():
    batches = GlobalBatches(11, samples=4, seed=0)
    order = batches.epoch(0)
    assert [len(batch) for batch in order] == [4, 4, 3]
    assert sorted(flat(order)) == list(range(11))
    assert batches.epoch(0) == order
    assert batches.epoch(1) != order


@pytest.mark.parametrize(("preset", "kind"), [("tiny", LengthBatches), ("6b", GlobalBatches)])
def test_a_stage_fills_its_steps_one_way(preset, kind):
    numbers = load_preset(preset).training.stages[2]
    assert isinstance(make_batches([1, 2], numbers, seed=0), kind)


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("micro_segments", [None, 1, 4])
def test_a_step_is_split_without_loss_and_all_ranks_pass_equally_often(num_ranks, micro_segments):
    lengths = [9, 0, 0, 2, 1, 3]
    ranks = split_step([0, 1, 2, 3, 4, 5], lengths, num_ranks, micro_segments)
    assert len(ranks) == num_ranks
    assert len({len(passes) for passes in ranks}) == 1
    assert sorted(index for passes in ranks for index in flat(passes)) == [0, 1, 2, 3, 4, 5]
    for one in (one for passes in ranks for one in passes):
        load = sum(max(1, lengths[i]) for i in one)
        assert micro_segments is None or load <= micro_segments or len(one) == 1


def test_one_rank_without_a_limit_takes_the_step_as_it_is():
    assert split_step([3, 0, 2], [1, 1, 1, 1], 1, None) == [[[3, 0, 2]]]


def test_long_clips_are_spread():
    shares = split_step([0, 1, 2, 3], [8, 8, 1, 1], 2, None)
    assert [sorted(flat(passes)) for passes in shares] == [[0, 2], [1, 3]]


def test_samples_that_come_first_fill_the_first_steps_of_every_epoch():
    first = [i % 3 == 0 for i in range(30)]
    numbers_of = load_preset("6b").training.stages[2]
    for numbers in (
        numbers_of.model_copy(update={"global_batch": 4}),
        numbers_of.model_copy(
            update={"global_batch": None, "batch_segments": 8, "batch_samples": 4}
        ),
    ):
        plan = make_batches([1] * 30, numbers, 0, first)
        for epoch in (0, 1):
            steps = plan.epoch(epoch)
            assert sorted(i for step in steps for i in step) == list(range(30))
            turns = [{first[i] for i in step} for step in steps]
            assert turns == [{True}] * 3 + [{False}] * 5
        assert plan.epoch(0) != plan.epoch(1)
        assert make_batches([1] * 30, numbers, 0, [True] * 30).epoch(0) == (
            make_batches([1] * 30, numbers, 0).epoch(0)
        )
