"""What holds for every input: sampling, windows, positions, packing, timestamps.

Those of the allocation are in test_allocation_*.py.
"""

import math
import re
from itertools import pairwise

import numpy as np
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tempo_lib import prompts
from tempo_lib.model.compressor import mrope_positions, next_positions, pad_rows
from tempo_lib.model.decoding import MOST_PADDING, MOST_TOKENS, batches_by_length
from tempo_lib.model.processing import cut_windows
from tempo_lib.training.sampler import GlobalBatches, LengthBatches, split_step
from tempo_lib.video.base import StreamFacts
from tempo_lib.video.sampling import TIMESTAMPS, plan_samples, sample_indices

counts = st.integers(1, 300)
rates = st.floats(0.01, 240)
WORD = 500  # a token of plain text


def many(num_examples):
    return settings(
        max_examples=num_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


@st.composite
def streams(draw):
    """Frames at a constant rate, or with gaps of any kind; the last one stands for any time."""
    num = draw(counts)
    if draw(st.booleans()):
        rate = draw(rates)
        return StreamFacts(rate, np.arange(num) / rate, draw(st.sampled_from([0.0, 1 / rate])))
    gap = st.one_of(st.sampled_from([0.001, 0.04, 1.0]), st.floats(0.001, 4000))
    gaps = draw(st.lists(gap, min_size=1, max_size=60))
    seconds = np.cumsum([0.0, *gaps[:-1]])
    return StreamFacts(len(gaps) / sum(gaps), seconds, gaps[-1])


@many(300)
@given(
    st.integers(1, 10**6),
    st.one_of(st.just(0.0), st.just(math.nan), rates),
    rates,
    counts,
    counts,
)
def test_samples_span_the_clip_in_order_and_keep_their_bounds(total, rate, fps, low, high):
    index = sample_indices(total, rate, fps, low, high)
    assert 1 <= len(index) <= high
    assert index.min() >= 0 and index.max() == total - 1
    assert (np.diff(index) >= 0).all()
    assert len(index) == 1 or index[0] == 0
    if total > 1 and rate > 0:
        assert len(index) == min(max(round(total / rate * fps), low), high)


@many(300)
@given(streams(), rates, counts, counts, st.sampled_from(TIMESTAMPS))
def test_planned_samples_are_in_time_order_and_within_the_clip(facts, fps, low, high, clock):
    index, sampled_fps, seconds = plan_samples(facts, fps, low, high, clock)
    assert 1 <= len(index) == len(seconds) <= high
    assert index.min() >= 0 and index.max() < facts.num_frames
    assert (np.diff(index) >= 0).all() and (np.diff(seconds) >= 0).all()
    assert sampled_fps > 0 and np.isfinite(seconds).all() and seconds[0] >= 0
    whole = facts.num_frames / facts.average_fps
    longest = max(whole, facts.seconds_T[-1] + facts.last_seconds)
    assert seconds[-1] <= longest * (1 + 1e-9)


@many(150)
@given(counts, rates, st.integers(1, 12), st.data())
def test_windows_hold_every_frame_and_their_times_follow_it(num, fps, half_window, data):
    window = 2 * half_window
    stride = data.draw(st.integers(1, window))
    cut = cut_windows(np.arange(num) / fps, fps, window, stride, 2)
    starts = range(0, num, stride)
    assert len(cut.pairs_N) == len(cut.pair_seconds) == len(cut.seconds_N) == len(starts)
    parts = cut.index_F.split((2 * cut.pairs_N).tolist())
    for start, part, times in zip(starts, parts, cut.pair_seconds, strict=True):
        real = list(range(start, min(start + window, num)))
        assert part.tolist() == real + real[-1:] * (len(real) % 2)  # an odd tail's last, twice
        assert len(times) == len(part) // 2
        middle = [(real[0] + 2 * place + 0.5) / fps for place in range(len(times))]
        np.testing.assert_allclose(times, middle, rtol=1e-12)
    if stride == window:
        twice = len(cut.index_F) - num
        assert set(cut.index_F.tolist()) == set(range(num)) and twice == num % 2
    centres = [(start + window / 2) / fps for start in starts]
    np.testing.assert_allclose(cut.seconds_N, centres, rtol=1e-12)


def rows_of(model, shapes):
    """Prompts with text of these lengths around ``pairs`` grids, and the grids (N, 3)."""
    config, rows, grids = model.compressor.config, [], []
    merge = config.vision_config.spatial_merge_size
    for before, after, pairs, height, width in shapes:
        row = [WORD] * before
        for _ in range(pairs):
            row += [config.vision_start_token_id, *[config.video_token_id] * (height * width)]
            row += [config.vision_end_token_id]
        rows.append(row + [WORD] * after)
        grids.append([pairs, height * merge, width * merge])
    return rows, torch.tensor(grids)


shapes = st.tuples(*(st.integers(1, most) for most in (9, 9, 3, 3, 3)))


@many(40)
@example(shapes=[(2, 2, 1, 1, 2), (2, 2, 1, 2, 1)])  # the same ids and mask, another grid
@given(shapes=st.lists(shapes, min_size=1, max_size=4))
def test_positions_of_a_row_are_its_own_whatever_shares_the_batch(tiny_tempo, shapes):
    vlm = tiny_tempo.compressor.vlm
    rows, grids = rows_of(tiny_tempo, shapes)
    together = mrope_positions(vlm, *pad_rows(rows, torch.device("cpu")), grids)
    mask = pad_rows(rows, torch.device("cpu"))[1]
    following = next_positions(together, mask)
    for number, (row, shape) in enumerate(zip(rows, shapes, strict=True)):
        one = slice(number, number + 1)
        alone = mrope_positions(vlm, *pad_rows([row], torch.device("cpu")), grids[one])
        mine = together[:, number, : len(row)]
        assert torch.equal(mine, alone[:, 0])
        assert int(following[number]) == int(mine.max()) + 1
        for text in (mine[:, : shape[0]], mine[:, len(row) - shape[1] :]):
            assert (text[0] == text[1]).all() and (text[0] == text[2]).all()
            assert (text[0].diff() == 1).all()
        assert mine[:, 0].tolist() == [0, 0, 0]
        assert (mine.amax(0).cummax(0).values.diff() >= 0).all()


lengths = st.lists(st.integers(0, 64), min_size=1, max_size=80)


@many(200)
@given(lengths, st.integers(1, 64), st.integers(1, 16), st.integers(0, 9))
def test_an_epoch_packs_every_sample_once_within_its_bounds(sizes, segments, samples, seed):
    for plan in (
        LengthBatches(sizes, segments, samples, seed),
        GlobalBatches(len(sizes), samples, seed),
    ):
        epochs = [plan.epoch(number) for number in (0, 1, 0)]
        assert epochs[0] == epochs[2]
        for batches in epochs:
            assert sorted(i for batch in batches for i in batch) == list(range(len(sizes)))
            assert all(1 <= len(batch) <= samples for batch in batches)
    for batch in LengthBatches(sizes, segments, samples, seed).epoch(0):
        assert len(batch) == 1 or len(batch) * max(sizes[i] for i in batch) <= segments


@many(200)
@given(lengths, st.integers(1, 9), st.one_of(st.none(), st.integers(1, 32)))
def test_a_step_is_split_over_ranks_without_loss(sizes, ranks, most):
    shares = split_step(list(range(len(sizes))), sizes, ranks, most)
    assert len(shares) == ranks and len({len(share) for share in shares}) == 1
    passes = [one for share in shares for one in share]
    assert sorted(i for one in passes for i in one) == list(range(len(sizes)))
    for one in passes:
        assert most is None or len(one) <= 1 or sum(max(1, sizes[i]) for i in one) <= most
    loads = [sum(max(1, sizes[i]) for one in share for i in one) for share in shares]
    assert max(loads) - min(loads) <= max(1, *sizes)


@many(200)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=60))
def test_prompts_decoded_together_are_of_about_one_length(sizes):
    batches = list(batches_by_length(sizes))
    assert sorted(place for batch in batches for place in batch) == list(range(len(sizes)))
    for batch in batches:
        longest = max(sizes[place] for place in batch)
        assert len(batch) == 1 or len(batch) * longest <= MOST_TOKENS
        assert min(sizes[place] for place in batch) >= (1 - MOST_PADDING) * longest


@many(300)
@given(st.lists(st.floats(0, 10**6), min_size=1, max_size=20))
def test_timestamps_tell_their_time_and_never_go_back(times):
    texts = [prompts.timestamp(seconds) for seconds in sorted(times)]
    told = [re.fullmatch(r"<(\d+\.\d) seconds>", text) for text in texts]
    assert all(told) and not any(
        token in text for text in texts for token in prompts.SPECIAL_TOKENS
    )
    values = [float(one[1]) for one in told]
    assert all(one <= two for one, two in pairwise(values))
    np.testing.assert_allclose(values, sorted(times), atol=0.05 + 1e-9)
