import json
from collections import Counter

import numpy as np
import pytest
import torch

from tempo_lib.config import load_preset
from tempo_lib.miniature.world.clips import write_clip
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER
from tempo_lib.model.processing import segment_pixels
from tempo_lib.training.data import load_manifest, load_samples
from tempo_lib.training.frames import FrameStore
from tempo_lib.video.clip import load_video
from tests.training_samples import collator, world_samples, write_corpus

STAGE_2 = load_preset("tiny").training.stages[2]


def test_every_question_of_a_conversation_is_a_sample(tmp_path):
    samples = world_samples(tmp_path, 2)
    assert Counter(s.modality for s in samples) == {"image": 1, "video": 3, "text": 1}
    assert [(s.question, s.answer) for s in samples][2:4] == [("Who?", "Blue."), ("When?", "Now.")]
    assert [s.window for s in samples] == [None, None, 8, 8, None]


def test_a_batch_joins_images_clips_and_text(tiny_tempo, tmp_path):
    samples = world_samples(tmp_path, 2)
    batch = collator(tiny_tempo, tmp_path, STAGE_2)(samples)
    slots = (batch["input_ids"] == MEMORY_PLACEHOLDER).sum(1)
    tokens = tiny_tempo.config.num_memory_tokens
    assert (slots // tokens).tolist() == [1, 2, 3, 3, 0]  # windows of 4, and of 8 where asked for
    assert len(batch["grid_thw"]) == len(batch["compressor_ids"]) == 9
    assert (batch["labels"][batch["attention_mask"] == 0] == IGNORE).all()
    loss = tiny_tempo(**batch).loss
    assert torch.isfinite(loss)


def test_only_the_standard_prompt_is_read_in_training(tiny_tempo, tmp_path):
    batch = collator(tiny_tempo, tmp_path, STAGE_2)(world_samples(tmp_path, 2))
    text = tiny_tempo.encoder.tokenizer.batch_decode(batch["compressor_ids"])
    standard = tiny_tempo.config.system_prompts["standard"]
    assert all(f"system\n{standard}<|im_end|>" in row for row in text)
    assert not any("'Yes' or 'No'" in row for row in text)


def test_a_share_of_samples_is_read_under_other_prompt_templates_and_never_under_the_routing_prompt(
    tiny_tempo, tmp_path
):
    def prompts_of(share, seed=0, order=1):
        collate = collator(tiny_tempo, tmp_path, STAGE_2, share, seed)
        samples = [s for s in world_samples(tmp_path, 2) if s.media is not None][::order]
        rows = [collate([sample])["compressor_ids"][0] for sample in samples][::order]
        texts = tiny_tempo.encoder.tokenizer.batch_decode(rows)
        return [text.split("<|im_end|>")[0] for text in texts]

    standard = tiny_tempo.config.system_prompts["standard"]
    routing = tiny_tempo.config.system_prompts["routing"]
    varied = prompts_of(share=1.0)
    assert not any(prompt in text for text in varied for prompt in (standard, routing))
    assert len(set(varied)) > 1
    assert prompts_of(share=1.0, order=-1) == varied  # a sample's draw, whatever comes before it
    assert prompts_of(share=1.0, seed=1) != varied
    some = [text for seed in range(6) for text in prompts_of(share=0.5, seed=seed)]
    assert 0.2 < sum(standard in text for text in some) / len(some) < 0.8


def test_media_are_decoded_once(tiny_tempo, tmp_path, monkeypatch):
    sample = world_samples(tmp_path, 2)[1]
    folder = tmp_path / "frames"
    store = FrameStore(tiny_tempo, tiny_tempo.config.video_numbers, 128, folder)
    first = store.get(sample.media)
    again = FrameStore(tiny_tempo, tiny_tempo.config.video_numbers, 128, folder)
    monkeypatch.setattr(again, "_decode", lambda path: pytest.fail("decoded twice"))
    assert (again.get(sample.media).frames == first.frames).all()
    assert first.frames.shape == (8, 48, 48, 3)


def test_frames_of_a_store_are_resized_once(tiny_tempo, tmp_path, monkeypatch):
    """The release's rules give another size the second time."""
    rules = load_preset("6b").pixels
    monkeypatch.setattr(type(tiny_tempo.config), "pixel_rules", rules)
    write_clip(tmp_path / "wide.mp4", np.zeros((8, 240, 320, 3), dtype=np.uint8))
    store = FrameStore(tiny_tempo, tiny_tempo.config.video_numbers, 8, tmp_path / "frames")
    clip, whole = store.get(tmp_path / "wide.mp4"), load_video(tmp_path / "wide.mp4")
    shape = tiny_tempo.patch_shape
    stored = segment_pixels(clip, rules, shape, 8, 8, is_sized=True)
    assert torch.equal(stored.grid_thw_N3, segment_pixels(whole, rules, shape, 8, 8).grid_thw_N3)


def test_broken_records_are_named(tmp_path):
    manifest = write_corpus(tmp_path)
    records = json.loads((tmp_path / "clips.json").read_text())
    records[1]["conversations"].pop()
    (tmp_path / "clips.json").write_text(json.dumps(records))
    with pytest.raises(ValueError, match=r"clips.json, record 1: turns must alternate"):
        load_samples(manifest, 2, tmp_path)
    records[1] = {**records[0], "video": "videos/none.mp4"}
    (tmp_path / "clips.json").write_text(json.dumps(records))
    with pytest.raises(ValueError, match=r"record 1: .*none.mp4 does not exist"):
        load_samples(manifest, 2, tmp_path)
    (tmp_path / "clips.json").unlink()
    with pytest.raises(ValueError, match=r"clips.json of source clips does not exist"):
        load_samples(manifest, 2, tmp_path)


def test_a_sample_longer_than_the_stage_allows_is_named(tiny_tempo, tmp_path):
    short = STAGE_2.model_copy(update={"max_context": 20})
    with pytest.raises(ValueError, match=r"sample b:0 needs \d+ decoder tokens.* allows 20"):
        collator(tiny_tempo, tmp_path, short)(world_samples(tmp_path, 2)[2:3])


def test_the_shipped_manifest_is_valid(repo_root):
    manifest = load_manifest(repo_root / "data_manifests/training/tiny.yaml")
    assert sorted(manifest.stages) == ["stage0", "stage1", "stage2", "stage3"]
    assert {s.modality for s in manifest.stages["stage1"]} == {"image", "video", "text"}


def test_the_manifest_of_the_papers_scale_names_its_holes(repo_root):
    """What public lists count, against Table B: every disagreement stands among the holes."""
    manifest = load_manifest(repo_root / "data_manifests/training/6b.yaml")
    known = Counter()
    for stage, sources in manifest.stages.items():
        assert len({one.name for one in sources}) == len(sources)
        for one in sources:
            known[stage, one.modality] += round((one.count or 0) * one.share)
    assert known["stage0", "image"] == 558_000
    assert known["stage1", "text"] == 143_000
    assert (known["stage1", "image"], known["stage1", "video"]) == (676_000, 3_006_000)
    assert (known["stage2", "image"], known["stage2", "video"]) == (294_099, 2_628_807)
    text = " ".join(" ".join(holes) for holes in manifest.holes.values())
    for number in ("676,000", "3,006,000", "294,099", "2,628,807", "71,000", "384,000"):
        assert number in text
    assert manifest.holes["stage0"] == () and manifest.stages["stage3"] == ()


def test_the_first_share_of_a_file_is_read(tmp_path):
    manifest = write_corpus(tmp_path)
    clips = manifest.stages["stage2"][1].model_copy(update={"share": 0.5})
    half = manifest.model_copy(update={"stages": {"stage2": (clips,)}})
    assert [one.id for one in load_samples(half, 2, tmp_path)] == ["a:0"]
    one_of_two = clips.model_copy(update={"share": 0.6})
    more = manifest.model_copy(update={"stages": {"stage2": (one_of_two,)}})
    assert [one.id for one in load_samples(more, 2, tmp_path)] == ["a:0", "b:0", "b:1"]


def test_a_manifest_with_an_unknown_field_is_refused(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text("preset: tiny\nstages: {}\nextra: 1\n")
    with pytest.raises(ValueError, match=r"m.yaml is not a valid training manifest"):
        load_manifest(path)


@pytest.mark.parametrize(("content", "found"), [("", "nothing"), ("- a", "a list"), ("a", "a str")])
def test_a_manifest_that_is_no_mapping_is_one_line(tmp_path, content, found):
    path = tmp_path / "own.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"expected preset and stages, it holds {found}; ") as one:
        load_manifest(path)
    assert "\n" not in str(one.value)
    path.write_text("preset: tiny\nstages: {}\n")
    with pytest.raises(ValueError, match="the manifest has no stage2; it has no stage at all"):
        load_samples(load_manifest(path), 2, tmp_path)
