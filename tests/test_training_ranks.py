"""A step is the same on any number of ranks: two processes of a CPU, by torch's ``fully_shard``.

All trainings of two ranks but ``tempo train`` itself share one launch, as starting it costs more
than they do.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from rank_jobs import Job, launch, losses, run_job, write_world

from tempo_lib import Tempo
from tempo_lib.cli.app import run
from tempo_lib.config import load_preset
from tempo_lib.training.ranks import Ranks
from tempo_lib.training.records import MEDIA_TAGS
from tempo_lib.training.stages import set_trainable
from tempo_lib.training.state import load_tensors
from tempo_lib.training.trainer import make_optimiser
from tests.training_samples import turn, write_corpus

IMAGE_TAG = MEDIA_TAGS[0]
WHOLE = Job("whole")
ACCUMULATED = Job("accumulated", numbers={"micro_segments": 2})
RANKS = Job("ranks")
LIGHT = Job("light", numbers={"activation_checkpointing": True, "micro_segments": 2})
TEXTS = Job("texts", only="text", steps=2)
CUT = Job("cut", stop_after=5)
BROKEN = Job("broken", poison="decoder.model.norm.weight", steps=2)
SAME = 1e-5  # relative: sums of float32 in another order


@pytest.fixture
def corpus(fresh_tiny_tempo, tmp_path):
    """A stage 1; 32 texts and 33 images: stage 2 gets a batch of texts, 32 images, one image."""
    manifest = write_corpus(tmp_path / "data")
    images = [
        {"id": f"i{n}", "image": "image.png", "conversations": turn(f"{IMAGE_TAG}\nA{n}?", "B.")}
        for n in range(33)
    ]
    texts = [{"id": f"t{n}", "conversations": turn(f"What is {n}?", "Text.")} for n in range(32)]
    (tmp_path / "data/images.json").write_text(json.dumps(images))
    (tmp_path / "data/texts.json").write_text(json.dumps(texts))
    sources = [source for source in manifest.stages["stage2"] if source.modality != "video"]
    shown = manifest.model_copy(update={"stages": {"stage2": tuple(sources)}})
    (tmp_path / "own.yaml").write_text(shown.model_dump_json())
    fresh_tiny_tempo.save_pretrained(tmp_path / "work/stage1")
    (tmp_path / "work/stage1/card.json").write_text('{"seed": 0}')
    return tmp_path


def train(ranks, folder):
    """``tempo train`` on ``ranks`` processes of one thread."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(ranks), "-m", "tempo_lib.cli", "train", "--stage", "2"]
    command += ["--work", str(folder / "work"), "--manifest", str(folder / "own.yaml")]
    command += ["--data", str(folder / "data"), "--out", str(folder / "out")]
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    settings.pop("ACCELERATE_USE_CPU", None)  # nobody has to know that accelerate wants it
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=240)


def test_two_ranks_take_the_steps_of_one_and_share_their_samples(fresh_tiny_tempo, corpus):
    """Three batches: 32 texts, 32 images, and one image, of which the second rank has nothing."""
    done = train(2, corpus)
    assert done.returncode == 0, done.stderr[-2000:]
    card = json.loads((corpus / "out/card.json").read_text())
    assert (card["samples"], card["steps"]) == (65, 3)
    lines = [json.loads(line) for line in (corpus / "out/losses.jsonl").read_text().splitlines()]
    assert sorted(line["samples"] for line in lines) == [1, 32, 32]
    trained = Tempo.from_pretrained(corpus / "out")
    before, after = (model.compressor.memory_tokens for model in (fresh_tiny_tempo, trained))
    assert not before.equal(after)


@pytest.fixture(scope="module")
def folder(make_tiny_tempo, tmp_path_factory):
    place = tmp_path_factory.mktemp("ranks")
    make_tiny_tempo(seed=3).save_pretrained(place / "start")
    write_world(place / "data")
    launch(place, [RANKS, LIGHT, TEXTS, CUT, BROKEN], num_ranks=2)
    shutil.copytree(place / CUT.out / "state", place / "unfinished" / "state")
    for job in (WHOLE, ACCUMULATED):
        run_job(place, job)
    return place


def weights(folder, job):
    return Tempo.from_pretrained(folder / job.out).state_dict()


@pytest.mark.parametrize("job", [ACCUMULATED, RANKS, LIGHT], ids=lambda job: job.out)
def test_loss_and_weights_of_a_step_do_not_depend_on_its_split(folder, job):
    """One pass, several passes of one rank, two ranks, and layers computed twice."""
    assert losses(folder, job) == pytest.approx(losses(folder, WHOLE), rel=SAME)
    before, after = weights(folder, WHOLE), weights(folder, job)
    start = Tempo.from_pretrained(folder / "start").state_dict()
    for name, value in after.items():
        # AdamW divides by gradients' own size, so where they are nearly zero their order decides
        moved = (before[name] - start[name]).abs().max()
        assert (value - before[name]).abs().mean() <= 1e-3 * moved, name


def test_a_rank_without_media_or_without_samples_does_not_hang(folder):
    """Steps of four samples, texts among them, and whole epochs of texts."""
    run_job(folder, Job("texts-alone", only="text", steps=2))
    assert losses(folder, TEXTS) == pytest.approx(losses(folder, Job("texts-alone")), rel=SAME)


def test_a_state_of_two_ranks_goes_on_with_one(folder):
    state = folder / CUT.out / "state"
    assert sorted(path.name for path in state.iterdir()) == ["step-00000002", "step-00000004"]
    facts = json.loads((state / "step-00000004" / "progress.json").read_text())
    assert (facts["done"], facts["facts"]["ranks"]) == (4, 2)
    records = run_job(folder, Job(CUT.out))
    assert [record["step"] for record in records] == list(range(6))
    assert losses(folder, CUT) == pytest.approx(losses(folder, WHOLE), rel=SAME)
    assert not state.exists()


@pytest.mark.parametrize("layout", ["tempo", "release"])
def test_a_state_of_two_ranks_is_converted_whole(folder, tmp_path, layout):
    """Equal bit for bit to what one rank loads from it, and read by the reader of each layout."""
    words = ["convert", str(folder / "unfinished"), str(tmp_path / "out"), "--layout", layout]
    assert run(words) == 0
    model = Tempo.from_pretrained(folder / "start", dtype=torch.float32, device="cpu")
    numbers = load_preset("tiny").training.stages[1]
    set_trainable(model, numbers)
    alone = Ranks(0, 1, torch.device("cpu"), "no")
    state = folder / "unfinished/state/step-00000004"
    load_tensors(state, model, *make_optimiser(model, numbers, steps=6), alone)
    found = Tempo.from_pretrained(tmp_path / "out", dtype=torch.float32, device="cpu").state_dict()
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], one) for name, one in model.state_dict().items())
    start = Tempo.from_pretrained(folder / "start").state_dict()
    assert not torch.equal(found["projector.weight"], start["projector.weight"])


def test_what_is_not_finite_stops_all_ranks_before_the_step(folder):
    message = (folder / "broken.error").read_text()
    assert message.startswith(
        "stage 1, step 1, rank 0: the weight decoder.model.norm.weight is not"
    )
    assert "samples " in message
    assert not (folder / "broken" / "model.safetensors").exists()


def test_a_record_counts_samples_and_targets_of_all_ranks(folder):
    lines = [json.loads(line) for line in (folder / "ranks/losses.jsonl").read_text().splitlines()]
    alone = [json.loads(line) for line in (folder / "whole/losses.jsonl").read_text().splitlines()]
    assert [line["samples"] for line in lines] == [4, 4, 4, 1, 4, 4]  # 13 samples an epoch
    for key in ("samples", "targets", "learning_rate"):
        assert [line[key] for line in lines] == [line[key] for line in alone]


def test_the_sharded_checkpoint_is_whole(folder):
    saved = weights(folder, RANKS)
    assert all(torch.isfinite(value).all() for value in saved.values())
    assert json.loads((folder / "ranks/config.json").read_text())["architectures"] == ["Tempo"]
