"""k_min chosen on data: the policy ``ata-k-min``.

The choice is made on the questions of a validation world that no evaluation may use, and its
number goes into the preset with the record it came from:

    miniature:
      learned_k_min: {k_min: 4, record: "world seed 9000, 4 suites, n = 1920: ..."}
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tempo_lib.config import Preset
from tempo_lib.evaluation.variants import Variant, get_variant
from tempo_lib.statistics.intervals import accuracy
from tempo_lib.statistics.summaries import clusters

if TYPE_CHECKING:
    import pandas as pd

    from tempo_lib.evaluation.benchmark import Benchmark
    from tempo_lib.model.tempo import Tempo

VALIDATION_SEED = 9000  # world seed that k_min is chosen on and nothing is reported of
GRID = (0, 1, 2, 4, 8)
KEY = "learned_k_min"


@dataclass(frozen=True)
class KMinChoice:
    """The number, and the sentence that goes beside it into the preset."""

    k_min: int
    record: str

    def as_yaml(self) -> str:
        return f'{KEY}: {{k_min: {self.k_min}, record: "{self.record}"}}'


def learned_k_min(preset: Preset) -> int | None:
    """The preset's learned k_min, None where none was chosen yet. ValueError for a broken one."""
    given = (preset.miniature or {}).get(KEY)
    if given is None:
        return None
    if set(given) != {"k_min", "record"} or not isinstance(given["k_min"], int):
        raise ValueError(f"preset {preset.name}: {KEY} must be {{k_min: number, record: text}}")
    return given["k_min"]


def k_min_grid(grid: Sequence[int] = GRID) -> list[Variant]:
    """ATA at every k_min of the grid: ``ata-k0``, ``ata-k1``, ..."""
    return [replace(get_variant("ata"), name=f"ata-k{k}", paper_row=None, k_min=k) for k in grid]


def learn_k_min(
    model: "Tempo",
    suites: Sequence["Benchmark"],
    grid: Sequence[int] = GRID,
    budget: int | None = None,
    root: Path | None = None,
) -> KMinChoice:
    """Ask the suites of the validation world at every k_min and choose (``choose_k_min``)."""
    import pandas as pd

    from tempo_lib.evaluation.runner import evaluate

    frames = [
        evaluate(model, suite, k_min_grid(grid), budget=budget, root=root) for suite in suites
    ]
    return choose_k_min(pd.concat(frames, ignore_index=True))


def choose_k_min(frame: "pd.DataFrame") -> KMinChoice:
    """The k_min of the highest accuracy in a frame of ``k_min_grid``; a tie takes the smaller.

    ValueError for records of any other world than the validation one, or where the values of
    k_min were not asked the same questions.
    """
    worlds = sorted(frame["world_seed"].unique().tolist())
    if worlds != [VALIDATION_SEED]:
        raise ValueError(f"k_min is chosen on world seed {VALIDATION_SEED} alone, got {worlds}")
    parts = {int(name.removeprefix("ata-k")): part for name, part in frame.groupby("variant")}
    if len({frozenset(zip(p["suite"], p["question_id"], strict=True)) for p in parts.values()}) > 1:
        raise ValueError("the values of k_min were not asked the same questions")
    found = {k: accuracy(parts[k]["correct"].tolist(), clusters(parts[k])) for k in sorted(parts)}
    best = max(found, key=lambda k: (found[k].accuracy, -k))
    listed = ", ".join(f"{k}: {100 * found[k].accuracy:.1f} %" for k in found)
    suites = ", ".join(sorted(frame["suite"].unique()))
    record = f"world seed {VALIDATION_SEED}, {suites}, n = {found[best].n}; {listed}"
    return KMinChoice(best, record)
