"""The base model alone: transformers' own generation is the reference, the budget its price."""

import pytest
import torch
from evaluation_samples import BUDGET, brief, first_video, other_scorers, run, small_suite
from transformers import Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.evaluation.base_alone import answer_alone, frames_that_fit, visual_tokens
from tempo_lib.model.processing import prefix_ids
from tempo_lib.video.clip import load_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return first_video(small_suite(tmp_path_factory.mktemp("suites")))


@pytest.fixture(scope="module")
def model(make_tiny_tempo):
    return brief(make_tiny_tempo())


@pytest.fixture(scope="module")
def scorers(make_tiny_tempo):
    return other_scorers(make_tiny_tempo)


def session_of(model, video, scorer, frames):
    clip = load_video(video.videos[0].path, max_frames=frames)
    return scorer.open(model.open(clip, window=frames))


def native(session, question, new):
    """What ``generate`` of transformers answers in the same layout."""
    with torch.device("meta"):
        vlm = Qwen3VLForConditionalGeneration(session.compressor.config)
    vlm.model = session.compressor.vlm
    vlm.lm_head.weight = session.compressor.vlm.language_model.embed_tokens.weight
    text, segments = session.text, session.segments
    (row,) = prefix_ids(text, prompts.DECODER_SYSTEM, segments, 2)
    ids_1L = torch.tensor([row + text.ids(prompts.query_parts(question))])
    found = vlm.eval().generate(
        input_ids=ids_1L,
        attention_mask=torch.ones_like(ids_1L),
        mm_token_type_ids=2 * (ids_1L == text.special(prompts.VIDEO_PAD)).int(),
        pixel_values_videos=segments.pixel_rows_PC,
        video_grid_thw=segments.grid_thw_N3,
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=text.special(prompts.IM_END),
        pad_token_id=text.special(prompts.END_OF_TEXT),
    )
    return text.decode(found[0, ids_1L.shape[1] :].tolist())


def test_an_answer_is_that_of_transformers_own_generation(model, video, scorers, monkeypatch):
    session = session_of(model, video, scorers["base"], 12)
    session.compressor.vlm.visual.config._attn_implementation = "sdpa"  # generate knows no other
    for question in video.videos[0].questions:
        expected = native(session, question.text, 12)
        assert answer_alone(session, question.text, "assistant", 12) == expected
    first = video.videos[0].questions[0].text  # what was answered before leaves no trace
    assert answer_alone(session, first, "assistant", 12) == native(session, first, 12)


def test_frames_cost_what_they_put_into_the_language_model(model, video):
    session = model.open(load_video(video.videos[0].path, max_frames=16))
    per_pair = visual_tokens(session) // 8
    assert frames_that_fit(session, 5 * per_pair + 1) == 10
    assert frames_that_fit(session, 0) == 2


def test_the_variant_reads_as_many_frames_as_the_budget_buys(model, video, scorers):
    records = run(model, video, ["base-alone"], scorers=scorers)
    per_pair = visual_tokens(model.open(load_video(video.videos[0].path, max_frames=2)))
    for record in records:
        assert record.num_frames == 2 * (BUDGET // per_pair) < video.videos[0].num_frames
        assert record.counts == [record.tokens_used] == [per_pair * (BUDGET // per_pair)]
        assert record.tokens_used <= record.budget == BUDGET
        assert (record.num_segments, len(record.seconds)) == (1, 1)
    session = session_of(model, video, scorers["base"], records[0].num_frames)
    again = answer_alone(session, records[0].question, "assistant", model.config.max_new_tokens)
    assert records[0].prediction == again


def test_several_segments_are_refused(model, video, scorers):
    session = scorers["base"].open(model.open(load_video(video.videos[0].path)))
    with pytest.raises(ValueError, match="needs one segment"):
        answer_alone(session, "Who?", "assistant", 2)
