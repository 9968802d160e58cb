"""Two ranks that train together are killed at random moments: nothing is lost, nothing differs.

Deselected by default (minutes): ``pytest -m slow tests/test_training_rank_kills.py``. Writes
``data_manifests/measurements/training_rank_kills.json``.
"""

import json
import os
import random
import shutil
import signal
import time

import pytest
import torch
from rank_jobs import Job, losses, start, write_world

from tempo_lib.training.progress import FACTS, LOCK, LOSSES, PART, STATE, newest_state

STEPS, KILLS, SEED = 8, 20, 0
VICTIMS = ("rank 0", "rank 1", "all")  # all: both ranks and what started them


def begin(folder, job):
    """Start two ranks; returns once they hold the folder they train in."""
    shutil.rmtree(folder / "pids", ignore_errors=True)
    (folder / job.out / LOCK).unlink(missing_ok=True)  # a killed process leaves the file behind
    started = start(folder, [job], num_ranks=2)
    while not (folder / job.out / LOCK).exists() and started.poll() is None:
        time.sleep(0.02)
    return started


def end(started):
    """Its exit code, once everything it started has gone."""
    started.communicate(timeout=280)
    return started.returncode


def kill(folder, started, victim):
    """SIGKILL to the victims; the launcher ends the rank that is left. Whether all were alive."""
    pids = [int((folder / "pids" / rank).read_text()) for rank in ("0", "1")]
    alive = started.poll() is None
    chosen = {"rank 0": pids[:1], "rank 1": pids[1:], "all": [started.pid, *pids]}[victim]
    for pid in chosen if alive else ():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            alive = False
    end(started)
    return alive


def look(out):
    """(steps of the last whole state, unfinished saves, whether its losses are of those steps)."""
    parts = len(list((out / STATE).glob(f"*{PART}")))
    state = newest_state(out)
    if state is None:
        return 0, parts, True
    done = json.loads((state / FACTS).read_text())["done"]
    steps = [json.loads(line)["step"] for line in (state / LOSSES).read_text().splitlines()]
    return done, parts, steps == list(range(done))


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_ranks_killed_at_random_moments_end_as_if_undisturbed(
    make_tiny_tempo, tmp_path, repo_root
):
    make_tiny_tempo(seed=3).save_pretrained(tmp_path / "start")
    write_world(tmp_path / "data")
    whole, cut = (Job(name, steps=STEPS, save_every=1) for name in ("whole", "cut"))
    started = begin(tmp_path, whole)
    begun = time.monotonic()
    assert end(started) == 0
    took, moments, rows, starts = time.monotonic() - begun, random.Random(SEED), [], 1
    while len(rows) < KILLS:
        started = begin(tmp_path, cut)
        seconds, victim = moments.uniform(0.0, took), VICTIMS[len(rows) % len(VICTIMS)]
        time.sleep(seconds)
        if kill(tmp_path, started, victim) and not (tmp_path / "cut/model.safetensors").exists():
            done, parts, is_whole = look(tmp_path / "cut")
            row = {"after_seconds": round(seconds, 2), "victim": victim, "steps_saved": done}
            rows.append({**row, "unfinished_saves": parts, "state_is_whole": is_whole})
            continue
        shutil.rmtree(tmp_path / "cut")  # it was over: once more from nothing
        starts += 1
    assert end(begin(tmp_path, cut)) == 0
    same = [tmp_path / job.out / "model.safetensors" for job in (whole, cut)]
    facts = {
        "what": f"{STEPS} steps of 4 samples on two ranks, the miniature's shapes, a state each",
        "kills": len(rows),
        "trainings_from_nothing": starts,
        "losses_equal": losses(tmp_path, whole) == losses(tmp_path, cut),
        "weights_equal": same[0].read_bytes() == same[1].read_bytes(),
        "torch": torch.__version__,
        "rows": rows,
    }
    assert all(row["state_is_whole"] for row in rows), rows
    assert len(losses(tmp_path, cut)) == STEPS and facts["losses_equal"] and facts["weights_equal"]
    out = repo_root / "data_manifests" / "measurements" / "training_rank_kills.json"
    out.write_text(json.dumps(facts, indent=1) + "\n")


def test_the_report_of_kills_of_two_ranks(repo_root):
    path = repo_root / "data_manifests" / "measurements" / "training_rank_kills.json"
    facts = json.loads(path.read_text())
    assert facts["losses_equal"] and facts["weights_equal"]
    assert len(facts["rows"]) == facts["kills"] == KILLS
    assert {row["victim"] for row in facts["rows"]} == set(VICTIMS)
    assert len({row["after_seconds"] for row in facts["rows"]}) == KILLS
