"""Training summaries and learning curves as tables, and kept measurements.

A training summary is the ``card.json`` beside a checkpoint. A measurement lies in
``data_manifests/measurements``: ``<name>.json`` holds its facts and the digests of its tables,
``<name>_<table>.csv``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.checkpoints.folders import CheckpointError, find_checkpoint, part_names
from tempo_lib.config import Preset, load_preset
from tempo_lib.fingerprint import sha256_of_file
from tempo_lib.provenance import manifest_path

if TYPE_CHECKING:
    import pandas as pd

PHASES = ("vision", "language", "telling")  # of a base compressor, numbered in its losses.json
CURVE_FACTS = ("step", "longest", "loss")  # of the decoder's history; the rest are accuracies


def find_parts(preset: Preset | str) -> dict[str, Path]:
    """Folder of every part that there is, your own run's before the shipped one's.

    Untrained parts are left out; CheckpointError when the last stage is among them.
    """
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    names = part_names(numbers)
    find_checkpoint(numbers, names[-1])
    found = {}
    for name in names:
        try:
            found[name] = Path(find_checkpoint(numbers, name))
        except CheckpointError:
            continue
    return found


def read_summary(folder: Path) -> dict[str, Any]:
    """The training summary of a part. FileNotFoundError without one."""
    summary: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return summary


def summary_table(parts: Mapping[str, Path], preset: Preset) -> "pd.DataFrame":
    """One row per part: what it is, steps, samples, minutes, seed, loss at the end, accuracy.

    A cell is empty where the summary has no entry. ``minutes`` are those of its training alone.
    """
    import pandas as pd

    stages = {} if preset.training is None else preset.training.stages
    rows = []
    for name, folder in parts.items():
        summary = read_summary(folder)
        stage = summary.get("stage")
        rows.append(
            {
                "part": name,
                "what": "base model" if stage is None else stages[stage].name,
                "steps": summary.get("steps", _configured_steps(summary)),
                "samples": summary.get("samples", ""),
                "minutes": round(summary["seconds"] / 60, 1) if "seconds" in summary else "",
                "seed": summary.get("seed", ""),
                "loss at the end": summary.get("final_loss", ""),
                "accuracy, held out": _headline(summary.get("accuracy", {})),
            }
        )
    return pd.DataFrame(rows).set_index("part")


def decoder_accuracy(summary: Mapping[str, Any], kinds: Sequence[str]) -> "pd.DataFrame":
    """Rows (segments, kind, accuracy, n) of a base decoder, in the order of ``kinds``, then the
    kinds that are not among them."""
    import pandas as pd

    rows = [
        {"segments": int(length), "kind": kind, **cell}
        for length, cells in summary["accuracy"].items()
        for kind, cell in cells.items()
    ]
    order = {kind: place for place, kind in enumerate(kinds)}
    rows.sort(key=lambda row: (row["segments"], order.get(row["kind"], len(order))))
    return pd.DataFrame(rows, columns=["segments", "kind", "accuracy", "n"])


def decoder_history(summary: Mapping[str, Any], kinds: Sequence[str]) -> "pd.DataFrame":
    """Rows (step, longest, loss, kinds ...): running accuracies at the longest transcript yet.

    Empty where the summary has no curriculum.
    """
    import pandas as pd

    history = summary.get("curriculum", {}).get("history", [])
    known = [kind for kind in kinds if any(kind in record for record in history)]
    return pd.DataFrame(history, columns=[*CURVE_FACTS, *known])


def base_losses(folder: Path) -> "pd.DataFrame":
    """Rows (phase, step, loss) of a base compressor or reranker; phase by name."""
    import pandas as pd

    records = json.loads((folder / "losses.json").read_text(encoding="utf-8"))
    table = pd.DataFrame(records, columns=["phase", "step", "loss"])
    return table.assign(phase=[PHASES[int(phase)] for phase in table["phase"]])


def read_measurement(
    name: str, preset: str, folder: Path | None = None
) -> "tuple[dict[str, pd.DataFrame], dict[str, Any]]":
    """Tables by name and the facts of a measurement (default: as kept with the code).

    A measurement of one table, ``<name>.csv``, has it under "". ValueError where there is none of
    this preset, and where a table is not the one that was written with its facts.
    """
    import pandas as pd

    folder = manifest_path("measurements") if folder is None else folder
    path = folder / f"{name}.json"
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if facts.get("preset") != preset:
        raise ValueError(f"no {path.name} of preset {preset} among the measurements")
    tables = {}
    for file, sha256 in facts.get("files", {f"{name}.csv": None}).items():
        place = folder / file
        if not place.is_file() or (sha256 and sha256_of_file(place) != sha256):
            raise ValueError(f"{file} is not the table that {path.name} was written with")
        kind = file.removeprefix(name).removeprefix("_").removesuffix(".csv")
        tables[kind] = pd.read_csv(place, dtype={"model_seed": str})
    return tables, facts


def _configured_steps(summary: Mapping[str, Any]) -> Any:
    """A base compressor's summary lists the steps of its phases apart."""
    config = summary.get("config", {})
    # the shipped model's summary has the last phase under its earlier name
    last = (config.get("caption_after_verdict") or config.get("telling") or {}).get("steps", 0)
    return sum(config.get(key, 0) for key in ("vision_steps", "steps")) + last or ""


def _headline(accuracy: Mapping[str, Any]) -> str:
    """``caption_4 0.98, ...`` for flat accuracies; the longest length for those by length."""
    if not accuracy:
        return ""
    if all(isinstance(value, Mapping) for value in accuracy.values()):
        longest = max(accuracy, key=int)
        cells = [f"{kind} {cell['accuracy']:.2f}" for kind, cell in accuracy[longest].items()]
        return f"at {longest} segments: {', '.join(cells)}"
    return ", ".join(f"{name} {float(value):.2f}" for name, value in accuracy.items())
