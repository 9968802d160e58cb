"""How much the findings depend on the training seed: the same questions, models of other seeds.

The seeds share their base models and differ in what stages 0 to 3 draw. Two small tables are kept
with the code, so that they can be read where only seed 0 is trained: accuracies, and every claim
that two variants of Table 2 decide, by seed and pooled. The points of Figure 3 are not asked.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from tempo_lib.analysis.cards import read_card
from tempo_lib.analysis.measurements import (
    provenance,
    read_measurement,
    train_command,
    write_measurement,
)
from tempo_lib.analysis.training_seed_tables import accuracy_by_seed, claims_by_seed
from tempo_lib.checkpoints.loading import checkpoint_digest
from tempo_lib.config import Preset, load_preset
from tempo_lib.evaluation.benchmark import load_benchmark
from tempo_lib.evaluation.jobs import MAIN_CHECKPOINT
from tempo_lib.evaluation.variants import VARIANTS, get_variant, matched_name
from tempo_lib.miniature.benchmark import SUITES
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.claims_table import answers_of_seeds, load_models, missing_part

if TYPE_CHECKING:
    import pandas as pd

NAME = "training_seeds"
TWO_PASS = "ata-two-pass"  # memories read under the training prompt; the paper does not have it


@dataclass(frozen=True)
class SeedMeasurement:
    """The tables of ``accuracy_by_seed`` and ``claims_by_seed``, and where they come from."""

    accuracy: "pd.DataFrame"
    claims: "pd.DataFrame"
    facts: dict[str, Any]


def measure(
    preset: Preset | str,
    model_seeds: Sequence[int],
    num_questions: int = 0,
    seed: int = 0,
    suites: Sequence[str] = (),
    progress: bool = False,
) -> SeedMeasurement:
    """Ask every suite of every training seed; what a record answers already is not asked again.

    ``suites``: all four where none is named; ``num_questions`` of each, 0 for all. ``seed`` draws
    bootstraps, sign flips and the segments of random drop. CheckpointError names a seed that is
    not trained, and the command that trains it.
    """
    import pandas as pd

    started = time.monotonic()
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    models = load_models(numbers, list(dict.fromkeys(model_seeds)))
    variants, left_out = seed_variants(models)
    loaded = [
        load_benchmark(numbers, name, num_questions=num_questions) for name in suites or SUITES
    ]
    total = len(models) * sum(suite.num_questions for suite in loaded)
    parts = []
    with tqdm(total=total, unit="question", disable=None if progress else True) as bar:
        for model_seed, model in models.items():
            for suite in loaded:
                bar.set_description(f"training seed {model_seed}, {suite.name}")
                parts.append(answers_of_seeds({model_seed: model}, [suite], variants, seed))
                bar.update(suite.num_questions)
    answers = pd.concat(parts, ignore_index=True)
    tables = accuracy_by_seed(answers), claims_by_seed(answers, seed)
    facts = {
        "preset": numbers.name,
        "model_seeds": list(models),
        **provenance(models, loaded),
        "commands": commands(numbers.name, models, num_questions),
        "seed": seed,
        "variants_asked": variants,
        "variants_left_out": left_out,
        "seconds": round(time.monotonic() - started, 1),
    }
    return SeedMeasurement(*tables, facts)


def seed_variants(models: Mapping[int, Tempo]) -> tuple[list[str], dict[str, str]]:
    """Every row of Table 2, its token-matched twin and two-pass reading; and what is left out.

    Left out is what lacks a part beside one of the models, with the name of that part.
    """
    rows = [name for name, row in VARIANTS.items() if row.paper_row is not None]
    wanted = list(dict.fromkeys([*rows, *map(matched_name, rows), TWO_PASS]))
    parts = {name: missing_part(get_variant(name), models.values()) for name in wanted}
    missing = {name: part for name, part in parts.items() if part is not None}
    return [name for name in wanted if name not in missing], missing


def origin(facts: Mapping[str, Any]) -> str:
    """One line: whether seed 0 was measured on the checkpoint that the package ships."""
    found = facts["checkpoints"].get("0")
    if found is None:
        return "training seed 0 was not measured"
    if found[MAIN_CHECKPOINT]["sha256"] == checkpoint_digest(shipped_checkpoint(facts["preset"])):
        return "measured on the shipped checkpoint"
    return "measured on another checkpoint than the shipped one"


def shipped_checkpoint(preset: str) -> Path:
    """Where the package keeps its own model of a preset, whatever was trained beside it."""
    return Path(str(resources.files("tempo_lib") / "assets" / preset / MAIN_CHECKPOINT))


def parse_seeds(text: str) -> list[int]:
    """``0,1,2`` as numbers, each once. ValueError for anything else."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 0:
        raise ValueError(f"training seeds must be written like 0,1,2, got {text!r}")
    return list(dict.fromkeys(found))


def write(measured: SeedMeasurement, folder: Path) -> Path:
    """Write both tables and, beside them, where they come from; returns the path of the latter."""
    tables = {"accuracy": measured.accuracy, "claims": measured.claims}
    return write_measurement(NAME, tables, measured.facts, folder)


def read(preset: str, folder: Path | None = None) -> SeedMeasurement:
    """The measurement kept with the code, or that of ``folder``; errors of ``read_measurement``."""
    tables, facts = read_measurement(NAME, preset, _measuring(preset, [0, 1, 2]), folder)
    accuracy = tables["accuracy"].astype({"model_seed": int})
    return SeedMeasurement(accuracy, tables["claims"], facts)


def commands(preset: str, models: Mapping[int, Tempo], num_questions: int = 0) -> list[str]:
    """How the models of all seeds but 0 were trained, by their cards, and how they were asked."""
    trained = []
    for seed, model in models.items():
        if seed:
            switches = read_card(Path(model.name_or_path)).get("switches") or {}
            trained.append(train_command(preset, f"train-seed{seed}", seed, switches))
    return [*trained, _measuring(preset, list(models), num_questions)]


def _measuring(preset: str, seeds: Sequence[int], num_questions: int = 0) -> str:
    part = f" --num-questions {num_questions}" if num_questions else ""
    names = ",".join(map(str, seeds))
    return f"python -m tempo_lib.reproduce.jobs --preset {preset} seeds --name {names}{part}"
