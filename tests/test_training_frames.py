"""Media of samples: what is broken is counted and left out; a damaged store is made again."""

import pytest

from tempo_lib.config import load_preset
from tempo_lib.training.frames import FrameStore, without_broken
from tempo_lib.training.records import TrainingError
from tests.training_samples import collator, world_samples

STAGE_2 = load_preset("tiny").training.stages[2]


def store_of(model, folder):
    return FrameStore(model, model.config.video_numbers, 8, folder / "frames")


def test_an_empty_and_a_cut_clip_are_left_out_and_named(tiny_tempo, tmp_path, capsys):
    samples = world_samples(tmp_path, 2)
    (tmp_path / "videos/a.mp4").write_bytes(b"")
    cut = (tmp_path / "videos/b.mp4").read_bytes()[:400]
    (tmp_path / "videos/b.mp4").write_bytes(cut)
    broken = store_of(tiny_tempo, tmp_path).prepare(samples)
    assert sorted(path.name for path in broken) == ["a.mp4", "b.mp4"]
    kept = without_broken(samples, broken, most=0.6)
    assert [sample.modality for sample in kept] == ["image", "text"]
    assert capsys.readouterr().err.count("skipped: ") == 2
    with pytest.raises(TrainingError, match=r"3 of 5 samples show one of 2 broken files, .* 59%"):
        without_broken(samples, broken, most=0.59)


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:100], lambda whole: b"", lambda whole: b"?"]
)
def test_a_damaged_store_of_frames_is_made_again(tiny_tempo, tmp_path, damage):
    path = world_samples(tmp_path, 0)[0].media
    first = store_of(tiny_tempo, tmp_path).get(path)
    (file,) = (tmp_path / "frames").glob("*.npz")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    again = store_of(tiny_tempo, tmp_path).get(path)
    assert (again.frames == first.frames).all()
    assert len(file.read_bytes()) == len(whole)


def test_several_images_are_segments_of_one_sample(tiny_tempo, tmp_path):
    from dataclasses import replace

    import numpy as np

    from tempo_lib.miniature.world.clips import write_image

    sample = world_samples(tmp_path, 0)[0]
    write_image(tmp_path / "wide.png", np.zeros((32, 96, 3), np.uint8))
    both = replace(sample, more_media=(tmp_path / "wide.png",))
    collate = collator(tiny_tempo, tmp_path, STAGE_2)
    alone, batch = collate([sample]), collate([both])
    assert collate.num_segments(both) == len(batch["grid_thw"]) == 2
    assert batch["grid_thw"][0].tolist() == alone["grid_thw"][0].tolist()
    assert batch["grid_thw"][1].tolist() != alone["grid_thw"][0].tolist()
    num_memories = (batch["input_ids"] == -200).sum().item()
    assert num_memories == 2 * tiny_tempo.config.num_memory_tokens
    assert tiny_tempo(**batch).loss.isfinite()


def test_a_system_turn_replaces_the_decoders_prompt(tiny_tempo, tmp_path):
    from dataclasses import replace

    sample = world_samples(tmp_path, 0)[0]
    collate = collator(tiny_tempo, tmp_path, STAGE_2)
    rows = [collate([one])["input_ids"][0] for one in (sample, replace(sample, system="Be brief."))]
    texts = [tiny_tempo.encoder.tokenizer.decode(row.clamp(min=0)) for row in rows]
    assert tiny_tempo.config.decoder_system_prompt in texts[0]
    assert "system\nBe brief.<|im_end|>" in texts[1]
    assert tiny_tempo.config.decoder_system_prompt not in texts[1]


def test_lengths_are_checked_without_tokenising_what_is_short(tiny_tempo, tmp_path, monkeypatch):
    from dataclasses import replace

    samples = world_samples(tmp_path, 2)
    collate = collator(tiny_tempo, tmp_path, STAGE_2)
    long = replace(samples[1], answer="word " * 9000)
    with pytest.raises(TrainingError, match=r"sample a:0 needs \d+ decoder tokens.*shorten its"):
        collate.check_lengths([samples[0], long])
    monkeypatch.setattr(collate, "_decoder_ids", lambda sample: pytest.fail("tokenised"))
    collate.check_lengths(samples)


def test_media_decoded_by_processes_of_their_own_are_the_same(tiny_tempo, tmp_path):
    samples = world_samples(tmp_path, 1)
    media = sorted({path for sample in samples for path in sample.all_media})
    for path in media:
        here = store_of(tiny_tempo, tmp_path / "here").get(path)
        numbers = tiny_tempo.config.video_numbers
        apart = FrameStore(tiny_tempo, numbers, 8, tmp_path / "apart", safe=True).get(path)
        assert (here.frames == apart.frames).all() and (here.seconds == apart.seconds).all()
        assert here.is_image == apart.is_image
    assert {path.suffix for path in media} >= {".png", ".mp4"}


def test_an_animation_is_a_clip_whatever_its_name(tiny_tempo, tmp_path):
    from PIL import Image

    pages = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    pages[0].save(tmp_path / "a.webp", save_all=True, append_images=pages[1:], duration=1000)
    clip = store_of(tiny_tempo, tmp_path).get(tmp_path / "a.webp")
    assert not clip.is_image and clip.num_frames == 6
