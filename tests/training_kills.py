"""A training that is killed at random moments: what is on disk then, and what comes of it.

`python tests/training_kills.py > data_manifests/measurements/training_kills.json` (with the package
importable) makes the report; tests/test_training_kills.py reads it and makes a short one.
"""

import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tempo_lib.training.loop import train_and_summarise
from tempo_lib.training.progress import FACTS, LOSSES, newest_state
from tests.test_training_loop import stage_run
from tests.training_samples import world_samples

STEPS = 60  # a state after each: most kills fall into a save or next to one


def kill_until_done(make_model, folder, kills, seed=0, between=(1.0, 2.6)):
    """Train with ``kills`` SIGKILLs, then to the end; one fact per kill, and the end's."""
    samples = world_samples(folder, 1)
    (folder / "own.yaml").write_text("a manifest")
    whole, cut = (trained(folder / name) for name in ("whole", "cut"))
    manifest, moments = folder / "own.yaml", random.Random(seed)
    in_child(lambda: train_and_summarise(make_model(), samples, whole, manifest))
    facts = []
    for _ in range(kills):
        seconds = moments.uniform(*between)
        died = in_child(lambda: train_and_summarise(make_model(), samples, cut, manifest), seconds)
        facts.append({"after_seconds": round(seconds, 2), "killed": died, **on_disk(cut.out_dir)})
        if finished(cut):  # it was over before its kill: once more from nothing
            clear(cut)
    in_child(lambda: train_and_summarise(make_model(), samples, cut, manifest))
    return {"kills": facts, "end": compare(whole, cut)}


def trained(folder):
    run = stage_run(folder, STEPS)
    return replace(run, save_every=1)


def finished(run):
    return (run.out_dir / "card.json").is_file()


def clear(run):
    import shutil

    shutil.rmtree(run.out_dir)


def in_child(function, seconds=None):
    """Run in a process of its own, killed after ``seconds``; whether the kill met it alive."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its bar
            function()
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"a training ended with code {os.waitstatus_to_exitcode(status)}")
    return os.WIFSIGNALED(status)


def on_disk(out_dir):
    """Steps of the state that is left, whether it is whole, and what half-written things lie by."""
    state = newest_state(out_dir)
    halves = [path for path in out_dir.rglob("*") if ".part" in path.name]
    if state is None:
        return {"steps": 0, "whole": True, "half_written": len(halves)}
    done = json.loads((state / FACTS).read_text(encoding="utf-8"))["done"]
    losses = (state / LOSSES).read_text(encoding="utf-8").splitlines()
    whole = [json.loads(line)["step"] for line in losses] == list(range(done))
    return {"steps": done, "whole": whole, "half_written": len(halves)}


def compare(whole, cut):
    """Whether a killed training ended as the other: losses of every step, weights bit for bit."""
    losses = [
        [
            (record["step"], record["loss"])
            for record in map(json.loads, (run.out_dir / LOSSES).open(encoding="utf-8"))
        ]
        for run in (whole, cut)
    ]
    weights = [(run.out_dir / "model.safetensors").read_bytes() for run in (whole, cut)]
    left = [path.name for path in cut.out_dir.rglob("*") if "part" in path.name]
    return {
        "steps": len(losses[1]),
        "steps_lost": STEPS - len({step for step, _ in losses[1]}),
        "steps_doubled": len(losses[1]) - len({step for step, _ in losses[1]}),
        "losses_equal": losses[0] == losses[1],
        "weights_equal": weights[0] == weights[1],
        "half_written_left": left,
    }


def main():
    """Twenty kills, as JSON on standard output."""
    import torch

    from tests import conftest

    torch.set_num_threads(1)
    make = conftest.make_tiny_tempo._get_wrapped_function()()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_until_done(lambda: make(seed=3), Path(folder), kills=20)
    machine = f"{platform.system()} {platform.machine()}, 1 thread"
    print(json.dumps({"made_by": "tests/training_kills.py", "machine": machine, **found}, indent=1))


if __name__ == "__main__":
    main()
