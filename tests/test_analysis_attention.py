"""Attention of models whose attention is known: uniform, causal, and summing to one."""

import numpy as np
import pandas as pd
import pytest
import torch

from tempo_lib import Tempo, Video
from tempo_lib.analysis.attention import (
    TARGETS,
    attention_halves,
    clip_attention,
    memory_attention,
    segment_clip,
)
from tempo_lib.analysis.hooks import recorded
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.miniature.lessons import labelled_clips
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import Scene, Story

QUESTION = "Which number is shown with the red star?"
EMPTY = Story((Scene(None, None, "snow", 8),))
STORY = Story((Scene("red star", 7, "beach", 8), Scene("blue circle", 2, "city", 16)))


@pytest.fixture(scope="module")
def video():
    return Video(render(STORY, 0, 64), fps=2.0)


@pytest.fixture(scope="module")
def model():
    return Tempo.from_pretrained(find_checkpoint("tiny"))


@pytest.fixture(scope="module")
def indifferent(make_tiny_tempo):
    """A Tempo whose text models look at everything alike: their queries are zero."""
    model = make_tiny_tempo()
    with torch.no_grad():
        for part in (model.compressor.vlm.language_model, model.decoder.model):
            for layer in part.layers:
                layer.self_attn.q_proj.weight.zero_()
    return model


def test_indifferent_memory_tokens_spread_evenly_over_all_they_may_see(indifferent, video):
    found = memory_attention(indifferent, video, QUESTION, segment=1)
    layers, count, *grid = found.patches.shape
    assert (layers, count, grid) == (3, 32, [4, 3, 3])
    length = 1 / found.memory[0, -1, 0]  # the last memory token sees the whole sequence
    seen_K = length - 31 + np.arange(32)
    even_YK = np.broadcast_to(1 / seen_K, (layers, count))
    np.testing.assert_allclose(
        found.patches, even_YK[..., None, None, None] + 0 * found.patches, rtol=1e-4
    )
    np.testing.assert_allclose(found.query, even_YK[..., None] + 0 * found.query, rtol=1e-4)
    earlier = np.tril(np.ones((32, 32)))
    np.testing.assert_allclose(found.memory, even_YK[..., None] * earlier, rtol=1e-4)
    words = length - 32 - 36 - len(found.words)  # all but memory, patches and query
    np.testing.assert_allclose(found.prompt, even_YK * words, rtol=1e-4)


def test_attention_of_a_trained_model_sums_to_one_and_never_looks_ahead(model, video):
    found = memory_attention(model, video, QUESTION, segment=0)
    assert "".join(found.words) == f"\nQuery:\n{QUESTION}"
    assert np.triu(found.memory, 1).max() == 0.0
    assert found.memory.max() > 0.0
    shares = found.shares()
    assert set(shares["target"]) == set(TARGETS)
    sums = shares.groupby(["layer", "position"])["share"].sum()
    assert len(sums) == 3 * 32
    assert sums.tolist() == pytest.approx([1.0] * len(sums), abs=1e-4)
    assert found.patches.std() > 0  # it does choose


def test_a_segment_alone_is_compressed_as_in_its_video(model, video):
    numbers = model.config.video_numbers
    whole = model.compress(video, QUESTION).memories
    for segment in range(3):
        clip = segment_clip(video, segment, numbers.window, numbers.stride)
        alone = model.compress(clip, QUESTION).memories
        torch.testing.assert_close(alone[0], whole[segment], atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match=r"segment must be in 0..2, got 3"):
        memory_attention(model, video, QUESTION, segment=3)


def test_a_question_changes_what_memory_tokens_look_at(model, video):
    one, two = (
        memory_attention(model, video, f"Where is the {name} seen?", 0)
        for name in ("red star", "blue circle")
    )
    assert not np.allclose(one.patches, two.patches, atol=1e-5)


def test_recording_leaves_a_model_as_it_was(model, video):
    before = model.compress(video, QUESTION).memories
    parts = (model.compressor.vlm.language_model, model.decoder.model)
    settings = [part.config._attn_implementation for part in parts]
    memory_attention(model, video, QUESTION)
    with pytest.raises(RuntimeError, match="inside"), recorded(parts[0], attention=True):
        raise RuntimeError("inside")
    assert [part.config._attn_implementation for part in parts] == settings
    assert torch.equal(model.compress(video, QUESTION).memories, before)
    with recorded(parts[0], attention=True) as calls:
        pass
    model.compress(video, QUESTION)
    assert calls == []  # nothing listens after the block


def test_a_clip_shows_the_attention_of_its_first_labelled_segment(indifferent, video):
    shares = clip_attention(indifferent, labelled_clips([EMPTY, STORY], 8, 8, size=64))
    assert set(shares["story"]) == {1}
    sums = shares.groupby("position")["share"].sum()
    assert sums.tolist() == pytest.approx([1.0] * 32)
    alone = memory_attention(indifferent, video, QUESTION, segment=0).shares()
    mean = alone.groupby(["position", "target"])["share"].mean()
    found = shares.set_index(["position", "target"])["share"]
    assert found.loc[mean.index].tolist() == pytest.approx(mean.tolist(), abs=1e-4)
    with pytest.raises(ValueError, match="none of 1 clips has a labelled segment"):
        clip_attention(indifferent, labelled_clips([EMPTY], 8, 8))


def test_halves_of_attention_take_the_second_from_the_first():
    shares = pd.DataFrame(
        {"story": story, "position": position, "target": target, "share": share}
        for story in range(10)
        for position in range(4)
        for target, share in (("patches", 0.5 - 0.1 * position), ("memory", 0.1 * position))
    )
    assert attention_halves(shares, "patches", seed=0).difference == pytest.approx(0.2)
    assert attention_halves(shares, "memory", seed=0).difference == pytest.approx(-0.2)
    with pytest.raises(ValueError, match="unknown target 'sky'; known: patches, query"):
        attention_halves(shares, "sky", seed=0)
