"""A stage that streams from an index: resumed exactly with any workers, what is broken replaced."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from tempo_lib import Tempo
from tempo_lib.config import LoaderNumbers, load_preset
from tempo_lib.miniature.world.clips import write_clip, write_image
from tempo_lib.training import loop
from tempo_lib.training.data import Manifest, Source
from tempo_lib.training.frames import FrameStore
from tempo_lib.training.index import Index
from tempo_lib.training.indexing import Wanted, open_index
from tempo_lib.training.loop import train_and_summarise, train_stage
from tempo_lib.training.preparing import make_feed
from tempo_lib.training.ranks import Ranks, start_ranks
from tempo_lib.training.records import TrainingError
from tempo_lib.training.replaced import REPLACED, num_replaced
from tempo_lib.training.run import StageRun
from tempo_lib.training.sampler import GlobalBatches, Neighbours, make_batches
from tempo_lib.training.sizes import model_size
from tempo_lib.training.targets import OURS
from tests.rank_jobs import Job, launch, read_samples, run_job, write_world
from tests.training_samples import turn

ALONE = Ranks(0, 1, torch.device("cpu"), "no")
FRAMES = np.random.default_rng(0).integers(0, 255, (16, 32, 48, 3), np.uint8)


@pytest.fixture(autouse=True)
def forget_accelerator():
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def write_media(root, num_clips=6):
    """Clips of 6 to 16 frames, one image of another size each, texts; the records about them."""
    files = {"clips": [], "images": [], "texts": []}
    for n in range(num_clips):
        write_clip(root / f"{n}.mp4", FRAMES[: 6 + 2 * n])
        write_image(root / f"{n}.png", np.tile(FRAMES[0], (n + 1, n + 1, 1)))
        files["clips"].append(
            {
                "id": f"v{n}",
                "video": f"{n}.mp4",
                "conversations": turn("<video>\nWho?", "Red " * (n + 1)),
            }
        )
        files["images"].append(
            {
                "id": f"i{n}",
                "image": f"{n}.png",
                "conversations": turn("<image>\nA?", "B." * (n + 1)),
            }
        )
        files["texts"].append({"id": f"t{n}", "conversations": turn(f"{n}?", "Text.")})
    for name, records in files.items():
        (root / f"{name}.json").write_text(json.dumps(records))


def damage(file):
    """What no header tells: the body of a clip is noise behind its first pictures."""
    whole = bytearray(file.read_bytes())
    start = whole.index(b"mdat") + 4
    body = slice(start + (len(whole) - start) // 3, start + 2 * (len(whole) - start) // 3)
    whole[body] = np.random.default_rng(0).bytes(body.stop - body.start)
    file.write_bytes(bytes(whole))


def index_of(root, weights=(1.0, 1.0, 1.0)) -> Index:
    kinds = {"clips": "video", "images": "image", "texts": "text"}
    facts = {"licence": "Apache-2.0", "made_by": "a test", "note": ""}
    sources = tuple(
        Source(name=name, annotations=f"{name}.json", modality=kind, weight=weight, **facts)
        for (name, kind), weight in zip(kinds.items(), weights, strict=True)
    )
    manifest = Manifest(preset="tiny", stages={"stage1": sources})
    return open_index(Wanted(manifest, 1, root, OURS, 2.0, 0.0), root / "index/own.arrow")


def stage_run(folder, steps=4, workers=0, **changes):
    numbers = load_preset("tiny").training.stages[1]
    fields = {"max_steps": steps, "epochs": 100, "precision": "no", "micro_tokens": 400}
    fields |= {"global_batch": 4, "batch_segments": None, "batch_samples": None}
    fields |= {"max_frames": 16}
    return StageRun(
        stage=1,
        numbers=numbers.model_copy(update=fields),
        out_dir=folder / "out",
        cache_dir=folder / "frames",
        seed=0,
        save_every=2,
        loader=LoaderNumbers(streams=True, num_workers=workers, prefetch=2),
        **changes,
    )


def weights_of(folder):
    return dict(Tempo.from_pretrained(folder, dtype=torch.float32).named_parameters())


def interrupt(monkeypatch, step):
    real = loop.train_step

    def stop(trainer, one, number):
        if number == step:
            raise KeyboardInterrupt
        return real(trainer, one, number)

    monkeypatch.setattr(loop, "train_step", stop)
    return lambda: monkeypatch.setattr(loop, "train_step", real)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 2), (2, 0)])
def test_a_run_goes_on_to_the_bit_with_any_number_of_workers(
    make_tiny_tempo, tmp_path, monkeypatch, before, after
):
    write_media(tmp_path)
    index = index_of(tmp_path)
    whole = train_stage(make_tiny_tempo(), index, stage_run(tmp_path / "whole", workers=0))
    go_on = interrupt(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        train_stage(make_tiny_tempo(), index, stage_run(tmp_path / "cut", workers=before))
    go_on()
    cut = train_stage(make_tiny_tempo(), index, stage_run(tmp_path / "cut", workers=after))
    assert [one["loss"] for one in cut] == [one["loss"] for one in whole]
    ends = weights_of(tmp_path / "cut/out"), weights_of(tmp_path / "whole/out")
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[1])
    assert not (tmp_path / "cut/frames").exists()  # nothing decoded is kept


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_sample_is_named_counted_and_replaced(
    make_tiny_tempo, tmp_path, capsys, workers, monkeypatch
):
    write_media(tmp_path)
    index = index_of(tmp_path)
    damage(tmp_path / "4.mp4")
    run = stage_run(tmp_path, steps=10, workers=workers, most_broken=0.2)
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text("")
    go_on = interrupt(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        train_and_summarise(make_tiny_tempo(), index, run, manifest)
    go_on()
    summary = train_and_summarise(make_tiny_tempo(), index, run, manifest)
    lines = (tmp_path / "out" / REPLACED).read_text().splitlines()
    named = [json.loads(line) for line in lines]
    times = len(named)  # once in each of two epochs of five steps
    assert [one["sample"] for one in named] == ["v4:0"] * times and times == 2
    assert all("4.mp4" in one["reason"] for one in named)
    assert len({one["step"] for one in named}) == times
    records = [json.loads(one) for one in (tmp_path / "out/losses.jsonl").read_text().splitlines()]
    assert num_replaced(records) == summary["replaced"] == times
    assert (summary["samples"], summary["skipped"]) == (18, 0)
    assert capsys.readouterr().err.count("replaced: sample v4:0") >= times


def test_a_step_whose_sample_was_replaced_is_normalised_by_what_was_read(make_tiny_tempo, tmp_path):
    """The same step with the stand-in in its own right has the same loss and gradient."""
    write_media(tmp_path)
    index = index_of(tmp_path)
    records = json.loads((tmp_path / "clips.json").read_text())
    place = [one.id for one in index].index("v4:0")
    feed = make_feed(make_tiny_tempo(), index, stage_run(tmp_path), ALONE)
    stands_in = index[next(feed.encodings.neighbours(place))]
    assert stands_in.id == "v3:0"  # the next smaller one
    damage(tmp_path / "4.mp4")
    whole = {"steps": 1, "most_broken": 1.0}
    numbers = {"global_batch": len(index)}

    def one_step(folder):
        run = stage_run(tmp_path / folder, **whole)
        run = replace(run, numbers=run.numbers.model_copy(update=numbers))
        return train_stage(make_tiny_tempo(), index_of(tmp_path), run)[0]

    replaced = one_step("replaced")
    assert replaced["replaced"] == 1
    records[4] |= {"video": "3.mp4", "conversations": records[3]["conversations"]}
    (tmp_path / "clips.json").write_text(json.dumps(records))
    written = one_step("written")
    assert "replaced" not in written
    for name in ("loss", "grad_norm", "targets"):
        assert replaced[name] == pytest.approx(written[name], rel=1e-5)


def test_past_the_share_the_run_stops_and_says_where_all_are_named(make_tiny_tempo, tmp_path):
    write_media(tmp_path)
    index = index_of(tmp_path)
    damage(tmp_path / "4.mp4")
    run = stage_run(tmp_path, most_broken=0.04)
    message = r"1 of \d+ samples could not be read, more than the 4% that may be replaced"
    with pytest.raises(TrainingError, match=message) as caught:
        train_stage(make_tiny_tempo(), index, run)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out" / REPLACED).is_file()


def test_what_nothing_can_stand_in_for_is_a_row_without_targets(tiny_tempo, tmp_path):
    write_media(tmp_path, num_clips=1)
    index = index_of(tmp_path)
    feed = make_feed(tiny_tempo, index, stage_run(tmp_path), ALONE)
    (tmp_path / "0.mp4").write_bytes(b"")
    encoded = feed.encodings[0]
    assert encoded.segments is None and set(encoded.labels) == {-100}
    assert encoded.lost[0][0] == "v0:0" and "empty" in encoded.lost[0][1]


def test_passes_are_bounded_by_tokens_which_images_have_more_or_less_of(tiny_tempo, tmp_path):
    write_media(tmp_path)
    index = index_of(tmp_path)
    run = stage_run(tmp_path)
    feed = make_feed(tiny_tempo, index, run, ALONE)
    collate = feed.collate
    for place, sample in enumerate(index):
        assert feed.sizes.loads[place] == collate.num_tokens(sample)
        assert feed.sizes.segments[place] == collate.num_segments(sample)
        assert feed.sizes.frames[place] == collate.num_frames(sample)
    for step in feed.epoch(0):
        assert sorted(i for one in step.passes for i in one) == sorted(
            place for place, sample in enumerate(index) if sample in step.samples
        )
        for one in step.passes:
            assert sum(feed.sizes.loads[i] for i in one) <= 400 or len(one) == 1


@pytest.mark.parametrize(
    ("width", "height", "is_image", "tokens"),
    [(640, 480, True, 300), (4000, 3000, True, 11_750), (1280, 720, False, 128)],
)
def test_an_image_is_not_a_segment(width, height, is_image, tokens):
    """Of a clip per slice of two frames: 12 megapixels weigh as much as 45 segments of four."""
    found = model_size(height, width, load_preset("6b").pixels, 32, is_image)
    assert found[0] * found[1] // 32**2 == tokens


def test_sources_are_read_as_often_as_they_weigh(tiny_tempo, tmp_path):
    write_media(tmp_path)
    feed = make_feed(tiny_tempo, index_of(tmp_path, (2.0, 0.5, 1.0)), stage_run(tmp_path), ALONE)
    seen = []
    for epoch in (0, 1, 2):
        shown = [sample for step in feed.plan.epoch(epoch) for sample in step]
        counts = [sum(lo <= i < lo + 6 for i in shown) for lo in (0, 6, 12)]
        assert counts == [12, 3, 6]
        assert all(shown.count(i) == 2 for i in range(6))
        seen.append({i for i in shown if 6 <= i < 12})
    assert any(one != seen[0] for one in seen)  # another half in another epoch
    assert feed.plan.epoch(1) == feed.plan.epoch(1)


def test_weights_of_one_change_nothing_and_need_a_global_batch():
    numbers = load_preset("6b").training.stages[2]
    same = make_batches([1] * 300, numbers, 0, (), [1.0] * 300)
    assert same.epoch(3) == GlobalBatches(300, numbers.global_batch, 0).epoch(3)
    with pytest.raises(TrainingError, match="a source's weight must be 1; give it a global_batch"):
        make_batches([1, 2], load_preset("tiny").training.stages[2], 0, (), [1.0, 2.0])


def test_neighbours_are_of_the_same_source_and_the_smaller_ones_first():
    near = Neighbours(np.array([0, 1, 0, 0, 1, 0]), [5, 9, 1, 7, 3, 5])
    assert list(near(0)) == [2, 5, 3]
    assert list(near(3)) == [5, 0, 2]
    assert list(near(4)) == [1]


def test_decoded_clips_in_memory_are_bounded(tiny_tempo, tmp_path):
    write_media(tmp_path)
    video = tiny_tempo.config.video_numbers
    store = FrameStore(tiny_tempo, video, 40, tmp_path / "kept")
    store.most_bytes = 300_000
    clips = {n: store.get(tmp_path / f"{n}.mp4") for n in range(6)}
    assert store.num_bytes == sum(clip.frames.nbytes for clip in store._held.values())
    assert store.num_bytes <= 300_000 or len(store._held) == 1
    again = store.get(tmp_path / "0.mp4")
    assert again is not clips[0] and np.array_equal(again.frames, clips[0].frames)
    assert store.get(tmp_path / "0.mp4") is again
    streamed = FrameStore(tiny_tempo, video, 16, None)
    assert streamed.get(tmp_path / "0.mp4") is not streamed.get(tmp_path / "0.mp4")
    assert not streamed._held


def test_a_part_is_read_as_if_it_had_been_cut_out(tiny_tempo, tmp_path):
    write_clip(tmp_path / "whole.mp4", FRAMES)
    store = FrameStore(tiny_tempo, tiny_tempo.config.video_numbers, 16, tmp_path / "frames")
    whole, part = (store.get(tmp_path / "whole.mp4", one) for one in (None, (1.0, 3.0)))
    shown = (whole.seconds >= 1.0) & (whole.seconds < 3.0)
    assert np.array_equal(part.frames, whole.frames[shown])
    assert part.seconds.tolist() == (whole.seconds[shown] - 1.0).tolist()
    again = FrameStore(tiny_tempo, tiny_tempo.config.video_numbers, 16, tmp_path / "frames")
    assert np.array_equal(again.get(tmp_path / "whole.mp4", (1.0, 3.0)).frames, part.frames)


def test_two_ranks_and_one_plan_the_same_steps_of_an_index(tiny_tempo, tmp_path):
    write_media(tmp_path)
    index = index_of(tmp_path)
    pairs = [Ranks(rank, 2, torch.device("cpu"), "no") for rank in (0, 1)]
    one = make_feed(tiny_tempo, index, stage_run(tmp_path), ALONE)
    two = [make_feed(tiny_tempo, index, stage_run(tmp_path), rank) for rank in pairs]
    assert one.plan.epoch(0) == two[0].plan.epoch(0) == two[1].plan.epoch(0)
    for whole, first, second in zip(one.epoch(0), *(feed.epoch(0) for feed in two), strict=True):
        shared = [i for step in (first, second) for part in step.passes for i in part]
        assert sorted(shared) == sorted(i for part in whole.passes for i in part)
        assert len(first.passes) == len(second.passes)
        assert first.num_targets == second.num_targets == whole.num_targets


def test_a_part_and_decoding_apart_contradict_each_other(tiny_tempo, tmp_path):
    write_media(tmp_path)
    clips = json.loads((tmp_path / "clips.json").read_text())
    clips[0] |= {"start": 1.0, "end": 2.0}
    (tmp_path / "clips.json").write_text(json.dumps(clips))
    run = stage_run(tmp_path, safe=True)
    with pytest.raises(TrainingError, match="--safe reads whole files"):
        make_feed(tiny_tempo, index_of(tmp_path), run, start_ranks("no"))


def test_an_answer_longer_than_the_context_is_named_before_the_first_step(tiny_tempo, tmp_path):
    write_media(tmp_path)
    texts = json.loads((tmp_path / "texts.json").read_text())
    texts[2]["conversations"] = turn("Long?", "word " * 4000)
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    with pytest.raises(TrainingError, match=r"sample t2:0 needs \d+ decoder tokens"):
        make_feed(tiny_tempo, index_of(tmp_path), stage_run(tmp_path), ALONE)


def test_two_ranks_replace_what_is_broken_and_lose_as_one_does(fresh_tiny_tempo, tmp_path):
    """One rank alone finds it; both count it, and the step is divided by what was read."""
    fresh_tiny_tempo.save_pretrained(tmp_path / "start")
    write_world(tmp_path / "data")
    one, two = (
        Job(name, stage=2, steps=2, streams=True, numbers={"global_batch": 14, "micro_tokens": 900})
        for name in ("one", "two")
    )
    read_samples(tmp_path / "data", one)  # the index knows nothing of what comes
    damage(tmp_path / "data/videos/b.mp4")
    alone = run_job(tmp_path, one)
    assert all(record["replaced"] == 2 for record in alone)  # two questions about the clip
    launch(tmp_path, [two], 2)
    both = [json.loads(line) for line in (tmp_path / "two/losses.jsonl").read_text().splitlines()]
    for name in ("loss", "grad_norm", "targets", "samples", "replaced"):
        assert [r[name] for r in both] == pytest.approx([r[name] for r in alone], rel=1e-5)
    lines = (tmp_path / "two" / REPLACED).read_text().splitlines()
    assert sorted({json.loads(line)["sample"] for line in lines}) == ["b:0", "b:1"]
