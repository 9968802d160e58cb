"""Trainings of a few steps on any number of ranks: what the tests of several ranks start.

``python -m torch.distributed.run --nproc-per-node 2 tests/rank_jobs.py FOLDER`` runs the jobs of
``FOLDER/jobs.json``, one after the other, from the model in ``FOLDER/start``.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unittest import mock

import torch

from tempo_lib import Tempo
from tempo_lib.config import LoaderNumbers, load_preset
from tempo_lib.training import loop
from tempo_lib.training.data import load_samples
from tempo_lib.training.indexing import Wanted, open_index
from tempo_lib.training.loop import StageRun, train_stage
from tempo_lib.training.run import MOST_BROKEN
from tempo_lib.training.targets import OURS
from tests.training_samples import manifest_of, turn, write_corpus

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Job:
    """One training into ``folder/out``; ``stop_after``: steps before it is interrupted."""

    out: str
    stage: int = 1
    steps: int = 6
    stop_after: int | None = None
    only: str | None = None  # samples of one modality
    poison: str | None = None  # a parameter that is not a number from the second step on
    save_every: int = 2
    numbers: dict = field(default_factory=dict)
    streams: bool = False  # from an index, with a process that decodes


def write_world(root, num_texts=9):
    """The corpus of ``training_samples`` with more texts: steps without media, and mixed ones."""
    write_corpus(root)
    texts = [
        {"id": f"t{n}", "conversations": turn(f"What is {n}?", "Text.")} for n in range(num_texts)
    ]
    (root / "texts.json").write_text(json.dumps(texts))


def run_job(folder, job):
    """The records of one job; an interrupted one gives []."""
    torch.set_num_threads(1)
    manifest_root = folder / "data"
    samples = read_samples(manifest_root, job)
    changes = {"max_steps": job.steps, "epochs": 100, "precision": "no"}
    changes |= {"global_batch": 4, "batch_segments": None, "batch_samples": None, **job.numbers}
    numbers = load_preset("tiny").training.stages[job.stage].model_copy(update=changes)
    model = Tempo.from_pretrained(folder / "start", dtype=torch.float32, device="cpu")
    run = StageRun(
        stage=job.stage,
        numbers=numbers,
        out_dir=folder / job.out,
        cache_dir=folder / "frames",
        seed=0,
        save_every=job.save_every,
        loader=LoaderNumbers(streams=job.streams, num_workers=int(job.streams), prefetch=2),
        most_broken=1.0 if job.streams else MOST_BROKEN,
    )
    real = loop.train_step

    def step(trainer, step, number):
        if number == job.stop_after:
            raise KeyboardInterrupt
        if job.poison and number == 1:
            dict(trainer.model.named_parameters())[job.poison].data.fill_(torch.nan)
        return real(trainer, step, number)

    with mock.patch.object(loop, "train_step", step):
        try:
            return train_stage(model, samples, run)
        except KeyboardInterrupt:
            return []
        except FloatingPointError as error:
            (folder / f"{job.out}.error").write_text(str(error))
            return []


def read_samples(root, job):
    if job.streams:
        wanted = Wanted(manifest_of(), job.stage, root, OURS, 2.0, 0.0)
        return open_index(wanted, root / "index.arrow")
    samples = load_samples(manifest_of(), job.stage, root)
    return [s for s in samples if job.only in (None, s.modality)]


def launch(folder, jobs, num_ranks):
    """Run jobs on ``num_ranks`` processes; AssertionError with what they said where one fails."""
    started = start(folder, jobs, num_ranks)
    try:
        said = started.communicate(timeout=280)[1]
    finally:
        started.kill()
    assert started.returncode == 0, said[-3000:]


def start(folder, jobs, num_ranks):
    """Start ``launch``'s processes; each rank leaves its process id in ``folder/pids``."""
    (folder / "jobs.json").write_text(json.dumps([asdict(job) for job in jobs]))
    (folder / "pids").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(num_ranks), str(Path(__file__)), str(folder)]
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    env = {**os.environ, **settings}
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def losses(folder, job):
    """The curve that a job left."""
    lines = (folder / job.out / "losses.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "pids" / os.environ["RANK"]).write_text(str(os.getpid()))
    for one in json.loads((place / "jobs.json").read_text()):
        run_job(place, Job(**one))
