"""Allocate tokens again from saved scores: any budget, k_min and k_max, without a model.

Scores do not depend on what is allocated by them, so one evaluation serves all bounds: it gives
what each segment would keep, not what would then be predicted. Shape suffixes: N segments.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.allocation.ata import allocate
from tempo_lib.allocation.policies import Limits
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import Benchmark, benchmark_source
from tempo_lib.evaluation.records import Record, RecordFile, read_records
from tempo_lib.evaluation.variants import get_variant
from tempo_lib.provenance import project_root

if TYPE_CHECKING:
    import pandas as pd

# One row per segment; the columns of a question repeat in all of its rows.
QUESTION = ("suite", "model_seed", "world_seed", "video", "question_id", "kind")
BOUNDS = ("role", "budget", "k_min", "k_max")  # role: the benchmark's name of the budget
SEGMENT_COLUMNS = (*QUESTION, *BOUNDS, "segment", "seconds", "score", "relevant", "tokens")


def saved_records(
    preset: str, suite: str, variant: str = "ata", world_seed: int = 0, root: Path | None = None
) -> RecordFile:
    """The records that were written last for a variant on a suite, read from ``root``/runs.

    ValueError for an unknown name, and where there are none: with the command that makes them.
    """
    preset_name, name = load_preset(preset).name, get_variant(variant).name
    benchmark_source(preset, suite)
    base = project_root() if root is None else root
    folder = base / "runs" / preset_name / "evaluations" / suite
    own = re.compile(rf"{re.escape(name)}-[0-9a-f]{{16}}\.jsonl")  # ata is no part of ata-logit
    found = [path for path in folder.glob("*.jsonl") if own.fullmatch(path.name)]
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        saved = read_records(path)
        if saved.facts["suite"]["seed"] == world_seed and saved.records:
            return saved
    seed = f" --world-seed {world_seed}" if world_seed else ""
    raise ValueError(
        f"no records of {variant} on {suite} (world seed {world_seed}); make them with `tempo "
        f"evaluate --preset {preset} --suite {suite} --variant {variant}{seed}`"
    )


def recorded(records: Sequence[Record], k_max: int, model_seed: int = 0) -> "pd.DataFrame":
    """One row per segment, as it was kept; records do not hold ``k_max``. See SEGMENT_COLUMNS."""
    limits = [Limits(record.budget, record.k_min, k_max) for record in records]
    roles = [record.budget_role or str(record.budget) for record in records]
    return _segments(records, [record.counts for record in records], limits, roles, model_seed)


def reallocate(
    records: Sequence[Record],
    k_max: int,
    budget: int | str | None = None,
    k_min: int | None = None,
    model_seed: int = 0,
    suites: Sequence[Benchmark] = (),
) -> "pd.DataFrame":
    """One row per segment, as ATA would allocate ``budget`` by the saved scores.

    None of ``budget`` and ``k_min``: each record's own. ``suites``: those of the records, where
    the budget is one of their names. ValueError for records of a variant that does not share by
    its scores, whose counts another rule gave.
    """
    for name in dict.fromkeys(record.variant for record in records):
        row = get_variant(name)
        if row.allocation != "ata" or row.match is not None:
            raise ValueError(f"{name} does not share tokens by its scores; take records of ata")
    tokens_of = {suite.name: suite.tokens for suite in suites}
    limits = [
        Limits(
            record.budget if budget is None else tokens_of.get(record.suite, int)(budget),
            record.k_min if k_min is None else k_min,
            k_max,
        )
        for record in records
    ]
    own = [record.budget_role or str(record.budget) for record in records]
    roles = own if budget is None else [str(budget)] * len(records)
    # As float32 again: where all scores are near 1, their decimals alone can give a token more.
    scores = [np.array(record.scores, dtype=np.float32) for record in records]
    counts = [
        allocate(scores_N, bound.budget, bound.k_min, bound.k_max).tolist()
        for scores_N, bound in zip(scores, limits, strict=True)
    ]
    return _segments(records, counts, limits, roles, model_seed)


def reallocate_all(
    records: Mapping[int, Sequence[Record]],
    k_max: int,
    budgets: Sequence[int | str],
    k_min: int | None = None,
    suites: Sequence[Benchmark] = (),
) -> "pd.DataFrame":
    """``reallocate`` for every budget and training seed, as one frame."""
    import pandas as pd

    parts = [
        reallocate(of_seed, k_max, budget, k_min, model_seed, suites)
        for budget in dict.fromkeys(budgets)
        for model_seed, of_seed in records.items()
    ]
    if not parts:
        raise ValueError("nothing to share again: name at least one budget and one training seed")
    return pd.concat(parts, ignore_index=True)


def _segments(
    records: Sequence[Record],
    counts: Sequence[Sequence[int]],
    limits: Sequence[Limits],
    roles: Sequence[str],
    model_seed: int,
) -> "pd.DataFrame":
    import pandas as pd

    if not records:
        raise ValueError("no records, so there are no tokens to share")
    num_segments = [len(record.scores) for record in records]
    own = [name for name in QUESTION if name != "model_seed"]
    columns = {name: [getattr(record, name) for record in records] for name in own}
    bounds = {name: [getattr(limit, name) for limit in limits] for name in BOUNDS[1:]}
    questions = pd.DataFrame({**columns, "model_seed": model_seed, "role": roles, **bounds})
    frame = questions.loc[np.repeat(np.arange(len(records)), num_segments)].reset_index(drop=True)
    relevant: list[Sequence[float]] = [
        record.relevant or [np.nan] * len(record.scores) for record in records
    ]
    frame["segment"] = np.concatenate([np.arange(n) for n in num_segments])
    frame["seconds"] = np.concatenate([record.seconds for record in records])
    frame["score"] = np.concatenate([record.scores for record in records])
    frame["relevant"] = np.concatenate(relevant).astype(float)
    frame["tokens"] = np.concatenate([np.asarray(k_N, dtype=np.int64) for k_N in counts])
    return frame[list(SEGMENT_COLUMNS)]
