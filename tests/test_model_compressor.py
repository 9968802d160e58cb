import numpy as np
import pytest
import torch

from tempo_lib.model.attention import VISION_BATCHED, equal_length_attention
from tempo_lib.video.clip import Video


@pytest.fixture(scope="module")
def clip():
    frames = np.random.default_rng(0).integers(0, 256, (37, 48, 96, 3), dtype=np.uint8)
    return Video(frames, fps=2.0)


def test_one_pass_and_prefix_with_suffix_give_equal_memories_and_scores(tiny_tempo, clip):
    one = tiny_tempo.compress(clip, "Which number is shown with the red star?")
    two = tiny_tempo.open(clip).compress("Which number is shown with the red star?")
    torch.testing.assert_close(two.memories, one.memories, atol=1e-5, rtol=0)
    torch.testing.assert_close(two.scores, one.scores, atol=1e-5, rtol=0)


def test_a_prefix_serves_every_question_unchanged(tiny_tempo, clip):
    session = tiny_tempo.open(clip)
    first = session.compress("Who?")
    session.compress("Which place is seen most of all in the whole long video?")
    again = session.compress("Who?")
    assert torch.equal(first.memories, again.memories)
    assert torch.equal(first.scores, again.scores)


def test_how_many_segments_run_at_once_changes_no_result(tiny_tempo, clip):
    whole = tiny_tempo.compress(clip, "Who?")
    size = tiny_tempo.config.segment_batch
    try:
        tiny_tempo.config.segment_batch = 2
        parts = tiny_tempo.open(clip).compress("Who?")
    finally:
        tiny_tempo.config.segment_batch = size
    torch.testing.assert_close(parts.memories, whole.memories, atol=1e-5, rtol=0)


def test_memories_see_the_query_and_their_own_segment_only(tiny_tempo, clip):
    changed = clip.frames.copy()
    changed[8:16] = 255 - changed[8:16]
    one = tiny_tempo.compress(clip, "Who?").memories
    two = tiny_tempo.compress(Video(changed, fps=2.0), "Who?").memories
    same = [torch.allclose(a, b, atol=1e-6) for a, b in zip(one, two, strict=True)]
    assert same == [True, False, True, True, True]
    assert not torch.allclose(one[0], tiny_tempo.compress(clip, "What?").memories[0], atol=1e-4)


def test_the_score_is_the_sigmoid_of_the_yes_no_difference_in_float32(tiny_tempo):
    hidden = torch.randn(3, tiny_tempo.compressor.relevance_rows.shape[1])
    yes, no = tiny_tempo.compressor.relevance_rows
    expected = hidden @ yes - hidden @ no
    got = tiny_tempo.compressor.relevance_logits(hidden.to(torch.bfloat16))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, atol=0.2, rtol=0.05)  # the input was cut to bf16


def test_an_unknown_prompt_lists_the_known_ones(tiny_tempo, clip):
    with pytest.raises(ValueError, match="unknown prompt 'x'; known: assistant, rerank, routing"):
        tiny_tempo.compress(clip, "Who?", prompt="x")


def test_batched_vision_attention_equals_chunk_by_chunk():
    torch.manual_seed(0)
    lengths = [4, 4, 6, 6, 6, 4]
    bounds = torch.tensor([0, *np.cumsum(lengths)])
    query, key, value = torch.randn(3, 1, 2, sum(lengths), 8)
    got, _ = equal_length_attention(
        torch.nn.Identity(), query, key, value, None, scaling=0.3, cu_seq_lens_q=bounds
    )
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        part = [tensor[:, :, start:stop] for tensor in (query, key, value)]
        weights = (part[0] @ part[1].transpose(-1, -2) * 0.3).softmax(-1)
        expected = (weights @ part[2]).transpose(1, 2)
        torch.testing.assert_close(got[:, start:stop], expected)


def test_attention_back_ends_agree(tiny_tempo, clip):
    vision = tiny_tempo.compressor.vlm.visual
    assert vision.config._attn_implementation == VISION_BATCHED
    batched = tiny_tempo.compress(clip, "Who?").memories
    try:
        tiny_tempo.set_attn_implementation("eager")
        assert vision.config._attn_implementation == "eager"
        eager = tiny_tempo.compress(clip, "Who?").memories
    finally:
        tiny_tempo.set_attn_implementation("sdpa")
        vision.config._attn_implementation = VISION_BATCHED
    torch.testing.assert_close(eager, batched, atol=1e-5, rtol=0)
