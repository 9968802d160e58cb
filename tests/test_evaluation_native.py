"""Models that read frames themselves: what they are shown, and that they answer as transformers."""

import pytest
import torch
from evaluation_samples import BUDGET, brief, run, small_suite
from transformers import Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.analysis.evaluations import split_by_parts
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.config import load_preset
from tempo_lib.evaluation.native import NATIVE_MODELS, VisualTokens, as_native, fitting_tokens
from tempo_lib.evaluation.variants import get_variant
from tempo_lib.miniature.pretrain.build import compressor_config
from tempo_lib.miniature.world.captions import CAPTION_QUESTION
from tempo_lib.model.decoder_prompt import ContextError
from tempo_lib.model.processing import resize_frames, segment_pixels
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import Video, load_video

NAMES = ["ata", "native-base", "native-base-pooled", "native-base-matched"]


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return small_suite(tmp_path_factory.mktemp("suites"))


@pytest.fixture(scope="module")
def brief_tempo(make_tiny_tempo):
    return brief(make_tiny_tempo())


@pytest.fixture(scope="module")
def vlm(brief_tempo):
    config = compressor_config(load_preset("tiny"), brief_tempo.encoder.tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Qwen3VLForConditionalGeneration(config).eval()


@pytest.fixture(scope="module")
def native(brief_tempo, vlm):
    return as_native(vlm, brief_tempo.encoder, brief_tempo)


@pytest.fixture(scope="module")
def made(brief_tempo, suite, native):
    found = run(brief_tempo, suite, NAMES, natives={"base": native})
    return {name: [record for record in found if record.variant == name] for name in NAMES}


@pytest.fixture(scope="module")
def video(brief_tempo, suite):
    return sized(brief_tempo, suite)


def sized(model, suite):
    """The first video in frames of the size that the model reads."""
    clip = load_video(suite.videos[0].path)
    small = resize_frames(clip.frames, model.config.pixel_rules, model.patch_shape.factor)
    return Video(small.permute(0, 2, 3, 1).contiguous().numpy(), clip.fps, clip.seconds)


@pytest.mark.parametrize("num_frames", [1, 7, 64])
@pytest.mark.parametrize("budget", [1, 5, 60, 10_000])
@pytest.mark.parametrize("pooled", [False, True])
def test_what_is_read_fits_the_budget(num_frames, budget, pooled):
    found = fitting_tokens(num_frames, 9, 16, 2, budget, pooled)
    pairs = -(-found.num_frames // 2)
    assert 1 <= pairs * found.rows * found.columns <= budget
    assert found.num_frames <= num_frames
    if budget == 10_000:
        assert found == VisualTokens(num_frames, 9, 16)


def test_sparse_frames_stay_whole_and_pooled_ones_stay_many():
    assert fitting_tokens(64, 2, 2, 2, 60, pooled=False) == VisualTokens(30, 2, 2)
    assert fitting_tokens(64, 2, 2, 2, 60, pooled=True) == VisualTokens(64, 1, 1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        fitting_tokens(64, 2, 2, 2, 0, pooled=False)


@pytest.mark.parametrize("num_frames", [3, 16, 17])
def test_an_answer_is_that_of_transformers_own_generate(num_frames, suite):
    folder = find_checkpoint("tiny", "base_compressor")
    model = Tempo.from_pretrained(find_checkpoint("tiny"))
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(folder).eval()
    native, text = as_native(vlm, model.encoder, model), model.encoder
    video = sized(model, suite)
    part = Video(video.frames[:num_frames], video.fps, video.seconds[:num_frames])
    rows, columns = (side // model.patch_shape.factor for side in part.frames.shape[1:3])
    opened = native.open(part, model, VisualTokens(num_frames, rows, columns))
    rules, shape = model.config.pixel_rules, model.patch_shape
    pixels = segment_pixels(part, rules, shape, 64, 64, is_sized=True)
    seen = set()
    for question in (CAPTION_QUESTION, "Is the red star seen? Answer Yes or No.", CAPTION_QUESTION):
        ids = opened.ids[0] + text.ids(prompts.closing_parts(question))
        ids_1L = torch.tensor([ids])
        new_ids = vlm.generate(
            input_ids=ids_1L,
            attention_mask=torch.ones_like(ids_1L),
            pixel_values_videos=pixels.pixel_rows_PC,
            video_grid_thw=pixels.grid_thw_N3,
            mm_token_type_ids=2 * (ids_1L == vlm.config.video_token_id).int(),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=text.special(prompts.IM_END),
            pad_token_id=0,
        )[0, len(ids) :].tolist()
        assert opened.token_ids(question, 12) == new_ids
        seen.add(tuple(new_ids))
    assert len(seen) == 2  # the questions differ, and neither left anything behind


def test_pooled_features_are_means_of_the_whole_ones(brief_tempo, native, video):
    part = Video(video.frames[:16], video.fps, video.seconds[:16])
    rows, columns = (side // brief_tempo.patch_shape.factor for side in part.frames.shape[1:3])
    whole, small = (
        native.open(part, brief_tempo, shape)._given[0]
        for shape in (VisualTokens(16, rows, columns), VisualTokens(16, 1, 1))
    )
    means = whole.features[0].unflatten(0, (8, rows * columns)).mean(1)
    torch.testing.assert_close(small.features[0], means)
    assert [len(level[0]) for level in small.deepstack] == [8]


def test_records_of_native_models_hold_frame_pairs_and_no_scores(brief_tempo, suite, made):
    for name in NAMES[1:]:
        assert len(made[name]) == suite.num_questions
        for record in made[name]:
            assert record.scores == []
            assert record.num_segments == len(record.counts) == len(record.seconds)
            assert record.tokens_used == sum(record.counts) <= record.budget
            assert (record.relevant, record.auc) == (None, None)
    sparse, pooled = made["native-base"][0], made["native-base-pooled"][0]
    assert sparse.budget == BUDGET
    assert pooled.num_frames > sparse.num_frames
    matched = made["native-base-matched"][0]
    assert matched.budget == matched.matched_tokens == made["ata"][0].tokens_used


def test_a_prompt_beyond_the_context_is_a_failure_not_a_shorter_one(
    brief_tempo, native, video, monkeypatch
):
    monkeypatch.setattr(brief_tempo.config, "max_context", 20)
    rows, columns = (side // brief_tempo.patch_shape.factor for side in video.frames.shape[1:3])
    shape = VisualTokens(len(video.frames), rows, columns)
    with pytest.raises(ContextError):
        native.open(video, brief_tempo, shape).answer("Where?", 4)


def test_other_sizes_are_found_by_the_name_they_are_registered_under(brief_tempo, monkeypatch):
    monkeypatch.setitem(NATIVE_MODELS._found, "large", lambda model: "a folder")
    row = get_variant("native-large-pooled-matched")
    assert (row.native, row.pooled, row.match) == ("large", True, "ata")
    can_run, lacking = split_by_parts([row], {0: brief_tempo})
    assert (can_run, lacking) == ([row.name], {})
    monkeypatch.setitem(NATIVE_MODELS._found, "large", lambda model: "nobody/large")
    _, lacking = split_by_parts([row], {0: brief_tempo})  # a hub id that the cache lacks
    assert lacking == {row.name: "weights of large (hf download nobody/large)"}
    with pytest.raises(ValueError, match="native-large"):
        get_variant("native-huge")
