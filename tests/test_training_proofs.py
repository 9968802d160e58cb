"""Twenty steps of the loop in every way that a cluster may take them; writes the report.

Deselected by default (minutes): ``pytest -m slow tests/test_training_proofs.py``. Writes
``data_manifests/measurements/training_ranks.json``.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from rank_jobs import Job, launch, losses, run_job, write_world

STEPS = 20
SAME = 1e-5  # relative: sums of float32 in another order
PLAIN = "one rank, one pass"  # what the others are compared with
TWO = {"micro_segments": 4}  # 1 rank x 2 accumulation, as two ranks have it
ALONE = {
    PLAIN: Job("whole", steps=STEPS),
    "one rank, accumulation": Job("accumulated", steps=STEPS, numbers=TWO),
    "one rank, checkpointing": Job(
        "light", steps=STEPS, numbers={"activation_checkpointing": True}
    ),
    "one rank, texts alone": Job("texts-1", steps=STEPS, only="text"),
    **{f"one rank, stage {n}": Job(f"stage{n}-1", stage=n, steps=STEPS) for n in (0, 2, 3)},
}
SHARED = {
    2: {
        "two ranks": Job("two", steps=STEPS),
        "two ranks, accumulation": Job(
            "two-accumulated", steps=STEPS, numbers={"micro_segments": 2}
        ),
        "two ranks, checkpointing": Job(
            "two-light", steps=STEPS, numbers=dict(ALONE["one rank, checkpointing"].numbers)
        ),
        "two ranks, texts alone": Job("texts-2", steps=STEPS, only="text"),
        **{f"two ranks, stage {n}": Job(f"stage{n}-2", stage=n, steps=STEPS) for n in (0, 2, 3)},
        "cut after 11 steps on two ranks, on with one": Job("cut-1", steps=STEPS, stop_after=11),
        "cut after 11 steps on two ranks, on with four": Job("cut-4", steps=STEPS, stop_after=11),
    },
    4: {"four ranks": Job("four", steps=STEPS)},
}
REFERENCE = {  # what a job is compared with, where it is not one rank in one pass
    "two ranks, texts alone": "one rank, texts alone",
    **{f"two ranks, stage {n}": f"one rank, stage {n}" for n in (0, 2, 3)},
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_steps_are_the_same_on_any_ranks_and_in_any_passes(
    make_tiny_tempo, tmp_path, repo_root
):
    make_tiny_tempo(seed=3).save_pretrained(tmp_path / "start")
    write_world(tmp_path / "data")
    for job in ALONE.values():
        run_job(tmp_path, job)
    for num_ranks, jobs in SHARED.items():
        launch(tmp_path, list(jobs.values()), num_ranks)
    run_job(tmp_path, Job("cut-1", steps=STEPS))
    launch(tmp_path, [Job("cut-4", steps=STEPS)], 4)
    every = ALONE | SHARED[2] | SHARED[4]
    curves = {name: losses(tmp_path, job) for name, job in every.items()}
    alone = [n for n in every if "texts" in n or "stage" in n]  # other samples or another stage
    compared = [n for n in every if n in REFERENCE or n not in (*alone, PLAIN)]
    rows = {}
    for name in compared:
        reference = REFERENCE.get(name, PLAIN)
        pairs = list(zip(curves[name], curves[reference], strict=True))
        worst = max(abs(one - two) / two for one, two in pairs)
        rows[name] = {"against": reference, "largest_relative_difference": worst}
    report = {
        "what": f"losses of {STEPS} steps of 4 samples, the miniature's shapes, float32, gloo",
        "samples": "an image, clips of 2, 3 and 3 segments, 9 texts: some steps are texts alone",
        "torch": torch.__version__,
        "comparisons": rows,
        "losses": curves,
    }
    shutil.rmtree(tmp_path)
    for name, curve in curves.items():  # two steps may have one loss by chance, not most of them
        assert np.isfinite(curve).all() and len(curve) == STEPS, name
        assert len(set(curve)) > STEPS // 2, name
    assert all(row["largest_relative_difference"] <= SAME for row in rows.values()), rows
    out = repo_root / "data_manifests" / "measurements" / "training_ranks.json"
    out.write_text(json.dumps(report, indent=1) + "\n")
