"""What the miniature's training changes of the paper's, measured: trainings with and without.

The paper trains on windows of 4 frames under the standard prompt alone. The miniature's recipe
departs from both in stages 2 and 3, and ``tempo train`` has a switch that takes each departure
back. A training is compared with the recipe's of equal seed, length and base models; one seed at
the preset's length, and the prompt in several at the length of the shipped weights.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from tempo_lib.analysis.cards import read_card
from tempo_lib.analysis.measurements import (
    flags,
    provenance,
    read_measurement,
    train_command,
    write_measurement,
)
from tempo_lib.analysis.training_seed_tables import POOLED
from tempo_lib.checkpoints.loading import CheckpointError
from tempo_lib.config import Preset, load_preset
from tempo_lib.evaluation.benchmark import load_benchmark
from tempo_lib.evaluation.jobs import MAIN_CHECKPOINT
from tempo_lib.miniature.benchmark import SUITES
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import project_root
from tempo_lib.statistics.claims_table import accuracies, answers_of_seeds, seed_checkpoint
from tempo_lib.statistics.summaries import ALL as ALL_KINDS
from tempo_lib.statistics.summaries import difference_of as compare

if TYPE_CHECKING:
    import pandas as pd

NAME = "training_switches"
RECIPE, WINDOWS, PROMPT = "recipe", "paper-windows", "paper-prompt"
# what the cards of a training tell: the switches that are not as usual
SWITCHES: dict[str, dict[str, Any]] = {
    RECIPE: {},
    WINDOWS: {"paper_windows": True},
    PROMPT: {"paper_prompt": True},
}
USUAL, LONGER = 1.0, 4.0  # lengths: the preset's own, and that of the shipped weights
SEEDS = (0, 1)  # of the long trainings
TOUCHED = (2, 3)  # the stages that a switch changes
VARIANTS = ("no-ata", "ata", "ata-two-pass")  # two-pass: memories read under the standard prompt
COMPARED = ["training", "longer"]  # columns that name what is set against the recipe


@dataclass(frozen=True)
class Training:
    """Stages 0 to 3 with a name of ``SWITCHES``; ``longer`` and ``seed`` as in ``tempo train``."""

    switch: str
    longer: float = USUAL
    seed: int = 0

    @property
    def switches(self) -> dict[str, Any]:
        """As cards tell them."""
        length = {} if self.longer == USUAL else {"longer": self.longer}
        return {**SWITCHES[self.switch], **length}

    @property
    def name(self) -> str:
        """Of its folder below ``runs/<preset>``, and in the facts of the measurement."""
        if self.longer == USUAL:
            return f"train-{self.switch}"
        own = "" if self.switch == RECIPE else f"{self.switch}-"
        return f"train-{own}seed{self.seed}"


TRAININGS = (
    *(Training(switch) for switch in SWITCHES),
    *(Training(switch, LONGER, seed) for switch in (RECIPE, PROMPT) for seed in SEEDS),
)


@dataclass(frozen=True)
class SwitchMeasurement:
    """accuracy: rows (training, longer, model_seed, suite, variant, kind) with n, accuracy, low,
    high and tokens; differences: such rows of a training minus the recipe, ``POOLED`` for a seed
    where there are several."""

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
    places = {training: training_folder(numbers, training) for training in TRAININGS}
    check_equal(places)
    models = {training: Tempo.from_pretrained(place) for training, place in places.items()}
    suites = [load_benchmark(numbers, name, num_questions=num_questions) for name in SUITES]
    total = len(models) * sum(suite.num_questions for suite in suites)
    parts = []
    with tqdm(total=total, unit="question", disable=None if progress else True) as bar:
        for training, model in models.items():
            for suite in suites:
                bar.set_description(f"{training.name}, {suite.name}")
                answers = answers_of_seeds({training.seed: model}, [suite], VARIANTS, seed)
                parts.append(answers.assign(training=training.switch, longer=training.longer))
                bar.update(suite.num_questions)
    answers = pd.concat(parts, ignore_index=True)
    facts = {
        "preset": numbers.name,
        **provenance({training.name: model for training, model in models.items()}, suites),
        "commands": [*_trained(numbers.name, TRAININGS), _measuring(numbers.name)],
        "seed": seed,
        "variants_asked": list(VARIANTS),
        "seconds": round(time.monotonic() - started, 1),
    }
    return SwitchMeasurement(accuracy_table(answers), differences(answers, seed), facts)


def training_folder(preset: Preset, training: Training) -> Path:
    """Stage 3 of a training; CheckpointError, with the commands that train it, without one."""
    if training.switch == RECIPE and training.longer == LONGER:
        return Path(seed_checkpoint(preset, training.seed))
    folder = project_root() / "runs" / preset.name / training.name / MAIN_CHECKPOINT
    if not (folder / "card.json").is_file():
        command = " && ".join(_commands(preset.name, training))
        raise CheckpointError(f"no training at {folder}; make it with `{command}`")
    return folder


def check_equal(places: Mapping[Training, Path]) -> None:
    """ValueError unless each card tells the switches, length and seed of its training."""
    for training, place in places.items():
        card = read_card(place)
        found = dict(card.get("switches") or {})
        if found != training.switches or card["seed"] != training.seed:
            raise ValueError(
                f"{place} was trained with seed {card['seed']} and {found or 'no switches'}; "
                f"{training.switch!r} is compared with its equals alone: seed {training.seed}, "
                f"{training.switches or 'no switches'}"
            )


def accuracy_table(answers: "pd.DataFrame") -> "pd.DataFrame":
    """``accuracies`` of every training, with what it is in front."""
    import pandas as pd

    tables = []
    for place, part in answers.groupby([*COMPARED, "model_seed"], sort=False):
        found = accuracies(part)
        for column, value in zip((*COMPARED, "model_seed"), place, strict=True):
            found.insert(found.columns.get_loc("suite"), column, value)
        tables.append(found)
    return pd.concat(tables, ignore_index=True)


def differences(answers: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """Each training minus its equal on the same questions: n, difference, low, high, p_value.

    Intervals of 95 % and sign-flip tests are clustered by video, as in ``metrics.compare``; of
    seeds pooled they speak of other videos under these models, not of other seeds.
    """
    import pandas as pd

    tables = []
    for (name, longer), part in answers.groupby(COMPARED, sort=False):
        if name == RECIPE:
            continue
        equal = answers[(answers["training"] == RECIPE) & (answers["longer"] == longer)]
        seeds = list(dict.fromkeys(part["model_seed"]))
        for model_seed in (*seeds, *([POOLED] if len(seeds) > 1 else ())):
            pair = pd.concat([equal, part])
            pair = pair[pair["model_seed"].isin(seeds if model_seed == POOLED else [model_seed])]
            place = {"training": name, "longer": longer, "model_seed": str(model_seed)}
            tables += [{**place, **row} for row in _compared(pair, str(name), seed)]
    return pd.DataFrame(tables)


def _compared(pair: "pd.DataFrame", name: str, seed: int) -> Iterable[dict[str, Any]]:
    """Rows (suite, variant, kind): a training minus the recipe, suites and kinds also as one."""
    names = list(dict.fromkeys(pair["suite"]))
    for suite in (ALL_KINDS, *(names if len(names) > 1 else ())):
        of_suite = pair if suite == ALL_KINDS else pair[pair["suite"] == suite]
        for variant, part in of_suite.groupby("variant", sort=False):
            for kind in (ALL_KINDS, *dict.fromkeys(sorted(part["kind"]))):
                asked = part if kind == ALL_KINDS else part[part["kind"] == kind]
                found = compare(asked.assign(variant=asked["training"]), name, RECIPE, seed)
                yield {"suite": suite, "variant": variant, "kind": kind, **vars(found)}


def write(measured: SwitchMeasurement, folder: Path) -> Path:
    """Write both tables and, beside them, where they come from; returns the path of the latter."""
    tables = {"accuracy": measured.accuracy, "differences": measured.differences}
    return write_measurement(NAME, tables, measured.facts, folder)


def read(preset: str, folder: Path | None = None) -> SwitchMeasurement:
    """The measurement kept with the code, or that of ``folder``; errors of ``read_measurement``."""
    tables, facts = read_measurement(NAME, preset, _measuring(preset), folder)
    return SwitchMeasurement(tables["accuracy"], tables["differences"], facts)


def _commands(preset: str, training: Training) -> list[str]:
    """One for a long training. The others share its stages 0 and 1: no switch changes those."""
    if training.longer == LONGER:
        return [train_command(preset, training.name, training.seed, training.switches)]
    seed, work = f"--seed {training.seed}", f"--work runs/{preset}/{training.name}"
    first = f"tempo train --from-scratch --stage 1 {seed}{flags({'longer': LONGER})} {work}"
    own = f"{seed}{flags(training.switches)} {work}"
    bases = f"--bases runs/{preset}/train"
    return [f"{first} {bases}", *(f"tempo train --stage {stage} {own}" for stage in TOUCHED)]


def _trained(preset: str, trainings: Sequence[Training]) -> list[str]:
    """How all of them were trained but the shipped weights, whose manifest tells it."""
    made = [training for training in trainings if training != Training(RECIPE, LONGER, SEEDS[0])]
    return [command for training in made for command in _commands(preset, training)]


def _measuring(preset: str) -> str:
    return f"python -m tempo_lib.reproduce.jobs --preset {preset} switches"
