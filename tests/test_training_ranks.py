"""``tempo train`` under torchrun: several ranks share the samples of every step."""

import json
import os
import subprocess
import sys

import pytest

from tempo_lib import Tempo
from tempo_lib.training.data import MEDIA_TAGS
from tests.training_samples import turn, write_corpus

IMAGE_TAG = MEDIA_TAGS[0]


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
    settings = {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=240
    )


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
