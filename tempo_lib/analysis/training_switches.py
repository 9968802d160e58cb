"""What the miniature's training changes of the paper's, measured: trainings with and without.

The paper trains on windows of 4 frames under the standard prompt alone. The miniature's recipe
departs from both in stages 2 and 3, and ``tempo train`` has a switch that takes each departure
back. Three trainings of equal seed and length, begun from one stage 1, are asked the
same questions.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from tempo_lib.analysis.cards import read_card
from tempo_lib.analysis.claims_table import accuracies, answers_of_seeds
from tempo_lib.analysis.measurements import (
    flags,
    provenance,
    read_measurement,
    write_measurement,
)
from tempo_lib.checkpoints import CheckpointError, find_checkpoint
from tempo_lib.evaluation.jobs import MAIN_CHECKPOINT
from tempo_lib.evaluation.metrics import ALL_KINDS, compare
from tempo_lib.evaluation.suites import SUITES, load_suite
from tempo_lib.model import Tempo
from tempo_lib.presets import Preset, load_preset
from tempo_lib.runs import project_root

if TYPE_CHECKING:
    import pandas as pd

NAME = "training_switches"
RECIPE = "recipe"
# what the cards of a training tell: the switches that are not as usual
TRAININGS: dict[str, dict[str, Any]] = {
    RECIPE: {},
    "paper-windows": {"paper_windows": True},
    "paper-prompt": {"paper_prompt": True},
}
VARIANTS = ("no-ata", "ata", "ata-two-pass")  # two-pass: memories read under the standard prompt
SEED = 0
TOUCHED = (2, 3)  # the stages that a switch changes
BEFORE = "stage1"


@dataclass(frozen=True)
class SwitchMeasurement:
    """accuracy: rows (training, suite, variant, kind) with n, accuracy, low, high and tokens;
    differences: rows (training, suite, variant, kind), a training minus the recipe."""

    accuracy: "pd.DataFrame"
    differences: "pd.DataFrame"
    facts: dict[str, Any]


def measure(
    preset: Preset | str, num_questions: int = 0, seed: int = 0, progress: bool = False
) -> SwitchMeasurement:
    """Ask every suite of all trainings; what a record answers already is not asked again.

    ``num_questions`` of each suite, 0 for all; ``seed`` draws bootstraps and sign flips.
    CheckpointError names a training that is missing, and the command that makes it; ValueError
    one that is no equal of the others.
    """
    import pandas as pd

    started = time.monotonic()
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    places = {name: training_folder(numbers.name, name) for name in TRAININGS}
    check_equal(places)
    models = {name: Tempo.from_pretrained(place) for name, place in places.items()}
    suites = [load_suite(numbers, name, num_questions=num_questions) for name in SUITES]
    total = len(models) * sum(suite.num_questions for suite in suites)
    parts = []
    with tqdm(total=total, unit="question", disable=None if progress else True) as bar:
        for name, model in models.items():
            for suite in suites:
                bar.set_description(f"{name}, {suite.name}")
                answers = answers_of_seeds({SEED: model}, [suite], VARIANTS, seed)
                parts.append(answers.assign(training=name))
                bar.update(suite.num_questions)
    answers = pd.concat(parts, ignore_index=True)
    facts = {
        "preset": numbers.name,
        **provenance(models, suites),
        "commands": [*_training(numbers.name), _measuring(numbers.name)],
        "seed": seed,
        "variants_asked": list(VARIANTS),
        "seconds": round(time.monotonic() - started, 1),
    }
    return SwitchMeasurement(accuracy_table(answers), differences(answers, seed), facts)


def training_folder(preset: str, name: str) -> Path:
    """Stage 3 of a training; CheckpointError, with the command that trains it, without one."""
    folder = project_root() / "runs" / preset / f"train-{name}" / MAIN_CHECKPOINT
    if not (folder / "card.json").is_file():
        command = " && ".join(_commands(preset, name))
        raise CheckpointError(f"no training {name!r} at {folder}; make it with `{command}`")
    return folder


def check_equal(places: Mapping[str, Path]) -> None:
    """ValueError unless the cards differ in their own switch alone, and seeds not at all."""
    cards = {name: read_card(place) for name, place in places.items()}
    for name, card in cards.items():
        switches = dict(card.get("switches") or {})
        own = {key: switches.pop(key, None) for key in TRAININGS[name]}
        shared = dict(cards[RECIPE].get("switches") or {})
        if own != TRAININGS[name] or switches != shared or card["seed"] != cards[RECIPE]["seed"]:
            raise ValueError(
                f"{places[name]} was trained with seed {card['seed']} and "
                f"{card.get('switches') or 'no switches'}; {name!r} must differ from the recipe "
                f"(seed {cards[RECIPE]['seed']}, {shared or 'no switches'}) in "
                f"{', '.join(TRAININGS[name]) or 'nothing'} alone"
            )


def accuracy_table(answers: "pd.DataFrame") -> "pd.DataFrame":
    """``accuracies`` of every training, with its name in front."""
    import pandas as pd

    tables = []
    for name, part in answers.groupby("training", sort=False):
        found = accuracies(part)
        found.insert(0, "training", name)
        tables.append(found)
    return pd.concat(tables, ignore_index=True)


def differences(answers: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """Each training minus the recipe on the same questions: n, difference, low, high, p_value.

    Intervals of 95 % and sign-flip tests are clustered by video, as in ``metrics.compare``.
    """
    import pandas as pd

    rows = []
    names = list(dict.fromkeys(answers["suite"]))
    suites = [ALL_KINDS, *(names if len(names) > 1 else ())]
    for name in list(TRAININGS)[1:]:
        pair = answers[answers["training"].isin([RECIPE, name])]
        for suite in suites:
            of_suite = pair if suite == ALL_KINDS else pair[pair["suite"] == suite]
            for variant, part in of_suite.groupby("variant", sort=False):
                for kind in (ALL_KINDS, *dict.fromkeys(sorted(part["kind"]))):
                    asked = part if kind == ALL_KINDS else part[part["kind"] == kind]
                    asked = asked.assign(variant=asked["training"])
                    found = compare(asked, name, RECIPE, seed)
                    place = {"training": name, "suite": suite, "variant": variant, "kind": kind}
                    rows.append({**place, **vars(found)})
    return pd.DataFrame(rows)


def write(measured: SwitchMeasurement, folder: Path) -> Path:
    """Write both tables and, beside them, where they come from; returns the path of the latter."""
    tables = {"accuracy": measured.accuracy, "differences": measured.differences}
    return write_measurement(NAME, tables, measured.facts, folder)


def read(preset: str, folder: Path | None = None) -> SwitchMeasurement:
    """The measurement kept with the code, or that of ``folder``; errors of ``read_measurement``."""
    tables, facts = read_measurement(NAME, preset, _measuring(preset), folder)
    return SwitchMeasurement(tables["accuracy"], tables["differences"], facts)


def _commands(preset: str, name: str) -> list[str]:
    """Stages 0 and 1 as the checkpoint at hand was trained, then those that a switch touches."""
    work = f"--work runs/{preset}/train-{name}"
    shared = flags(read_card(Path(find_checkpoint(preset, BEFORE)))["switches"])
    first = f"tempo train --from-scratch --stage 1 --seed {SEED}{shared} {work}"
    own = f"--seed {SEED}{flags(TRAININGS[name])} {work}"
    bases = f"--bases runs/{preset}/train"
    return [f"{first} {bases}", *(f"tempo train --stage {stage} {own}" for stage in TOUCHED)]


def _training(preset: str) -> list[str]:
    return [command for name in TRAININGS for command in _commands(preset, name)]


def _measuring(preset: str) -> str:
    return f"python -m tempo_lib.workflow_jobs --preset {preset} switches"
