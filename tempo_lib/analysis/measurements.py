"""Small measured tables that are kept with the code, each set beside where it comes from.

They are read where the models that they tell of are not at hand. ``<name>.json`` holds the facts
of a measurement and the digests of its tables, ``<name>_<table>.csv``.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.analysis.cards import read_card
from tempo_lib.checkpoints.loading import checkpoint_digest
from tempo_lib.evaluation.benchmark import Benchmark
from tempo_lib.evaluation.records import code_facts
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import (
    CSV_FLOAT_FORMAT,
    git_state,
    manifest_path,
    project_root,
    sha256_of_file,
)
from tempo_lib.training.stages import STAGES

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "measurements"  # below data_manifests
CARD_FACTS = ("seed", "steps", "seconds")


def write_measurement(
    name: str, tables: "Mapping[str, pd.DataFrame]", facts: Mapping[str, Any], folder: Path
) -> Path:
    """Write the tables and, beside them, where they come from; returns the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for kind, table in tables.items():
        path = folder / f"{name}_{kind}.csv"
        table.to_csv(path, index=False, float_format=CSV_FLOAT_FORMAT, lineterminator="\n")
        files[path.name] = sha256_of_file(path)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**facts, "files": files}, indent=1) + "\n", encoding="utf-8")
    return path


def read_measurement(
    name: str, preset: str, remedy: str, folder: Path | None = None
) -> "tuple[dict[str, pd.DataFrame], dict[str, Any]]":
    """Tables by name and the facts, of ``folder`` or as kept with the code.

    ValueError, with ``remedy``, the command that makes it, where there is none of this preset,
    and where a table is not the one that was written with its provenance.
    """
    import pandas as pd

    folder = manifest_path(FOLDER) if folder is None else folder
    path = folder / f"{name}.json"
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if facts.get("preset") != preset:
        raise ValueError(
            f"no {path.name} of preset {preset} among the measurements; make it with `{remedy}`"
        )
    tables = {}
    for file, sha256 in facts["files"].items():
        if not (folder / file).is_file() or sha256_of_file(folder / file) != sha256:
            raise ValueError(
                f"{file} is not the table that {path.name} tells of; make it with `{remedy}`"
            )
        kind = file.removeprefix(f"{name}_").removesuffix(".csv")
        tables[kind] = pd.read_csv(folder / file, dtype={"model_seed": str})
    return tables, facts


def provenance(models: Mapping[Any, Tempo], suites: Sequence[Benchmark]) -> dict[str, Any]:
    """Checkpoints, questions and code that a measurement rests on."""
    commit, dirty = git_state(project_root())
    places = {str(name): Path(model.name_or_path).parent for name, model in models.items()}
    return {
        "checkpoints": {name: stage_facts(place) for name, place in places.items()},
        "data_hash": {suite.name: suite.data_hash for suite in suites},
        "questions": {suite.name: suite.num_questions for suite in suites},
        "world_seeds": sorted({suite.world_seed for suite in suites}),
        **code_facts(),
        "commit": commit,
        "dirty": dirty,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def stage_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Digest, seed, steps, seconds and switches of every stage that lies in a folder."""
    found: dict[str, dict[str, Any]] = {}
    for stage in STAGES:
        place = folder / f"stage{stage}"
        if (place / "card.json").is_file():
            card = read_card(place)
            own = {name: card.get(name) for name in CARD_FACTS}
            switches = card.get("switches") or {}
            found[place.name] = {"sha256": checkpoint_digest(place), **own, "switches": switches}
    return found


def train_command(preset: str, work: str, seed: int, switches: Mapping[str, Any]) -> str:
    """The public command that trains the four stages upon the base models that are there.

    ``work``: its folder below ``runs/<preset>``; ``switches``: as cards tell them.
    """
    home = f"runs/{preset}"
    return (
        f"tempo train --from-scratch --seed {seed}{flags(switches)} "
        f"--work {home}/{work} --bases {home}/train"
    )


def flags(switches: Mapping[str, Any]) -> str:
    """The options of ``tempo train`` for switches as cards tell them, a space before each."""
    options = ""
    for name, value in switches.items():
        flag = f" --{name.replace('_', '-')}"
        options += flag if value is True else f"{flag} {value:g}"
    return options
