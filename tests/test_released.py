"""Numerical parity with the recorded release, on its tiny checkpoint and two recorded videos."""

import importlib.util
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tempo_lib import Tempo, Video, prompts
from tempo_lib.checkpoints import CheckpointError
from tempo_lib.compressor import pad_rows
from tempo_lib.processing import prefix_ids, segment_pixels

CASES = ("a", "d")


@pytest.fixture(scope="module")
def golden(shared_dir):
    return shared_dir / "golden"


@pytest.fixture(scope="module")
def released(golden):
    return Tempo.from_pretrained(golden / "Tempo-tiny", dtype=torch.float32, device="cpu")


@pytest.fixture(scope="module", params=CASES)
def case(golden, request):
    facts = json.loads((golden / "cases/cases.json").read_text())[request.param]
    spec = importlib.util.spec_from_file_location("golden_videos", golden / "videos.py")
    videos = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(videos)
    frames = videos.make_video(facts["seed"], facts["T"], facts["H"], facts["W"])
    tensors = load_file(golden / f"cases/{request.param}.safetensors")
    return facts, tensors, Video(frames, fps=facts["real_fps"])


def test_pixels_are_the_releases_bit_for_bit(released, case):
    _, tensors, video = case
    segments = segment_pixels(video, released.config.pixel_rules, released.patch_shape, 8, 8)
    rows = (segments.pixel_rows_PC * 127.5 + 127.5).round().to(torch.uint8)
    assert torch.equal(rows[tensors["pixel_rows_idx"].long()], tensors["pixel_rows_u8"])
    torch.testing.assert_close(
        segments.pixel_rows_PC.mean(1), tensors["pixel_row_mean"], atol=1e-6, rtol=0
    )
    assert torch.equal(segments.grid_thw_N3.int(), tensors["video_grid_thw"])


def test_compressor_ids_and_time_tags_are_the_releases(released, case):
    facts, tensors, video = case
    segments = segment_pixels(video, released.config.pixel_rules, released.patch_shape, 8, 8)
    query = released.encoder.ids(prompts.query_parts(facts["query"]))
    rows = prefix_ids(released.encoder, prompts.ROUTING, segments, released.patch_shape.merge)
    ids, mask = pad_rows([row + query for row in rows], torch.device("cpu"))
    assert torch.equal(mask.bool(), tensors["attention_mask"].bool())
    assert torch.equal(ids[mask.bool()].int(), tensors["input_ids"][mask.bool()])
    tags = [prompts.timestamp(seconds) for seconds in segments.seconds_N.tolist()]
    assert tags == facts["seg_timestamp_text"]


def test_memories_and_scores_are_within_1e_5_in_one_pass_and_in_two(released, case):
    facts, tensors, video = case
    one = released.compress(video, facts["query"])
    two = released.open(video).compress(facts["query"])
    for got in (one, two):
        torch.testing.assert_close(got.memories, tensors["H"], atol=1e-5, rtol=0)
        torch.testing.assert_close(got.scores, tensors["scores"], atol=1e-5, rtol=0)


def test_allocations_decoder_inputs_and_greedy_answers_are_the_releases(released, case):
    facts, _, video = case
    memories = released.compress(video, facts["query"])
    compared = 0
    for name, run in facts["runs"].items():
        if name == "trunc80" or sum(run["alloc"]) > run["options"].get("budget", 8192):
            continue  # the release overspends, or cuts without a word: see DIFFERENCES.md
        options = {"budget": run["options"].get("budget", 8192), "adaptive": name != "nodyn"}
        answer = released.decode(memories, facts["query"], max_new_tokens=12, **options)
        assert answer.counts.tolist() == run["alloc"], name
        assert answer.token_ids == run["output_ids"], name
        compared += 1
    assert compared >= 2


def test_a_released_checkpoint_with_a_lost_or_foreign_tensor_is_refused(golden, tmp_path):
    folder = tmp_path / "Tempo-tiny"
    folder.mkdir()
    for file in (golden / "Tempo-tiny").iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    state = load_file(golden / "Tempo-tiny/model.safetensors")
    base = golden / "Qwen3-VL-tiny"
    lost = state.pop("model.mm_projector.bias")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: projector\.bias"):
        Tempo.from_pretrained(folder, base_compressor=base)
    save_file(state | {"model.mm_projector.bias": lost[:-1]}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"mismatched: .*projector\.bias"):
        Tempo.from_pretrained(folder, base_compressor=base)
    save_file(state | {"odd": lost}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="odd is no tensor of a released Tempo checkpoint"):
        Tempo.from_pretrained(folder, base_compressor=base)
    (folder / "model.safetensors").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match="cannot read the released checkpoint"):
        Tempo.from_pretrained(folder, base_compressor=base)


def test_the_head_rows_are_the_base_models(released, golden):
    tensors = load_file(golden / "cases/a.safetensors")
    yes, no = released.compressor.relevance_rows
    torch.testing.assert_close(yes - no, tensors["w_yes_minus_no"], atol=0, rtol=0)
