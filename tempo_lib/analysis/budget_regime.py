"""How far the budget of Table 2 binds on each suite, beside the paper's own benchmarks.

    python -m tempo_lib.analysis.budget_regime [--num-questions N]

writes ``data_manifests/measurements/budget_regime.csv`` and ``.json`` from the records of ATA on
the suites of a preset; what is not on disk is answered. A comparison of ways to use a budget says
something only where the budget cannot hold everything.
"""

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from tempo_lib.allocation.ata import unit
from tempo_lib.analysis.evaluations import load_models, records_of_seeds, seed_checkpoint
from tempo_lib.checkpoints.folders import checkpoint_digest
from tempo_lib.config import DEFAULT_PRESET, load_preset
from tempo_lib.evaluation.benchmark import (
    PAPER_BUDGETS,
    TABLE_ROLE,
    benchmark_names,
    load_benchmark,
)
from tempo_lib.evaluation.published import load_published, published_benchmark
from tempo_lib.evaluation.real.manifest import load_manifest
from tempo_lib.evaluation.records import Record
from tempo_lib.provenance import PAPER_PRESET, manifest_path, start_run

if TYPE_CHECKING:
    import pandas as pd

NAME = "budget_regime"
NUM_BINS = 8  # of scores that are scaled to 0..1 within each question
BINS = tuple(f"score_{bin + 1}_of_{NUM_BINS}" for bin in range(NUM_BINS))
TEMPO_8K = "Tempo* (8K Budget)"


def regime(records: Sequence[Record], k_max: int) -> dict[str, Any]:
    """One row of the table, of the records of ATA on a suite.

    Means over questions: segments; whole, the tokens that they hold; budget; anchors, the share of
    the budget that k_min takes; normalised_score, min-max scaled within the question; kept, where
    the counts lie between k_min and k_max. budget_share: budget by whole, of the median question;
    binds: share of questions whose segments hold more than the budget. BINS: share of segments.
    """
    whole = np.array([record.num_segments * k_max for record in records])
    budget = np.array([record.budget for record in records])
    anchors = np.array([record.num_segments * record.k_min for record in records]) / budget
    scaled = [unit(record.scores).numpy() for record in records]
    kept = [_share_kept(record, k_max) for record in records]
    histogram = np.histogram(np.concatenate(scaled), NUM_BINS, (0, 1))[0]
    return {
        "n": len(records),
        "segments": whole.mean() / k_max,
        "whole": whole.mean(),
        "budget": budget.mean(),
        "budget_share": float(np.median(budget / whole)),
        "binds": float((budget < whole).mean()),
        "anchors": float(anchors.mean()),
        "normalised_score": float(np.mean([each.mean() for each in scaled])),
        "kept": float(np.mean(kept)),
        **dict(zip(BINS, histogram / histogram.sum(), strict=True)),
    }


def published_regime(benchmark: str) -> dict[str, Any]:
    """The same of a real benchmark, as far as the paper tells: a video of mean length at 8K."""
    paper = load_preset(PAPER_PRESET)
    video, bounds = paper.video, paper.allocation
    seconds = load_manifest(manifest_path(f"benchmarks/{benchmark}.yaml")).mean_seconds
    segments = -(-min(seconds * video.fps, video.max_frames) // video.window)
    budget, whole = PAPER_BUDGETS[TABLE_ROLE], segments * bounds.k_max
    used = load_published("tokens_per_frame")
    rows = used[(used["model"] == TEMPO_8K) & (used["benchmark"] == published_benchmark(benchmark))]
    per_segment = rows["value"].item() * video.window
    return {
        "segments": segments,
        "whole": whole,
        "budget": budget,
        "budget_share": budget / whole,
        "anchors": segments * bounds.k_min / budget,
        "kept": (per_segment - bounds.k_min) / (bounds.k_max - bounds.k_min),
    }


def _share_kept(record: Record, k_max: int) -> float:
    """Mean over segments of (k - k_min) / (k_max - k_min)."""
    return float((np.mean(record.counts) - record.k_min) / (k_max - record.k_min))


def regime_table(records: dict[str, list[Record]], k_max: int) -> "pd.DataFrame":
    """Rows suite, source (measured, published) for every suite and its benchmark."""
    import pandas as pd

    rows = []
    for suite, of_suite in records.items():
        rows.append({"suite": suite, "source": "measured", **regime(of_suite, k_max)})
        real = suite.removeprefix("mini-")
        rows.append({"suite": suite, "source": "published", **published_regime(real)})
    return pd.DataFrame(rows)


def main(
    preset: str = DEFAULT_PRESET,
    num_questions: Annotated[int, typer.Option(min=0, help="Of each suite; 0: all.")] = 0,
) -> None:
    """Make the table; a part of the questions stays under runs/."""
    run = start_run(NAME, preset=preset, num_questions=num_questions)
    models = load_models(preset, [0])
    names, size = benchmark_names(preset), {"num_questions": num_questions}
    suites = [load_benchmark(preset, name, **size) for name in names]
    records = {
        suite.name: of_suite
        for suite in suites
        for of_suite in records_of_seeds(models, [suite]).values()
    }
    table = regime_table(records, models[0].config.k_max)
    run.record("checkpoint_sha256", checkpoint_digest(seed_checkpoint(preset, 0)))
    run.record("data_hash", {suite.name: suite.data_hash for suite in suites})
    folder = run.save(None, table)
    print(table.round(3).T.to_string())
    if not num_questions:
        for name in (f"{NAME}.csv", f"{NAME}.json"):
            shutil.copy(folder / name, manifest_path(f"measurements/{name}"))


if __name__ == "__main__":
    typer.run(main)
