"""All finished runs of the conditions as one table, which is small enough to be kept with the code.

One row a (condition, seed, step, kind of question). A change is against the baseline of the same
seed on the same questions, after the last step: of the head's lead, head area minus tail area.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tempo_lib.analysis.condition_list import BASELINE, CONDITIONS
from tempo_lib.analysis.condition_runs import ANSWERS, FACTS, runs_folder
from tempo_lib.analysis.front_loading import HEAD, TAIL, front_loading_index
from tempo_lib.config import Preset
from tempo_lib.provenance import CSV_FLOAT_FORMAT, manifest_path, project_root
from tempo_lib.statistics.intervals import paired_difference
from tempo_lib.statistics.summaries import ALL as ALL_KINDS

if TYPE_CHECKING:
    import pandas as pd

MEASUREMENTS = "measurements/conditions.csv"
SHARED = ("preset", "bases", "num_steps", "stage0_steps", "corpora", "questions")
CHANGES = ("change", "change_low", "change_high", "change_p")
SEED = 0  # of bootstraps


def summarise(records: Sequence[Path]) -> "pd.DataFrame":
    """One row a condition, seed, step and kind ("all" first): n, head, tail, index, low, high,
    whole (accuracy of all memories), lead (head minus tail) and its change against the baseline
    (NaN before the last step, for the baseline, and where a seed has no baseline).

    ValueError without records, or where they do not share bases, steps, corpora and questions.
    """
    import pandas as pd

    shared_facts(records)
    answers = {}
    for record in sorted(records, key=_place):
        facts = _facts(record)
        answers[facts["condition"]["name"], facts["seed"]] = pd.read_csv(record / ANSWERS)
    rows = []
    for (name, seed), frame in answers.items():
        baseline = answers.get((BASELINE, seed))
        for step, asked in frame.groupby("step", sort=True):
            is_last = step == frame["step"].max() and name != BASELINE
            for kind, part in [(ALL_KINDS, asked), *asked.groupby("kind", sort=True)]:
                where = {"condition": name, "seed": seed, "step": step, "kind": kind}
                other = None
                if is_last and baseline is not None:
                    other = baseline[baseline["step"] == baseline["step"].max()]
                    other = other if kind == ALL_KINDS else other[other["kind"] == kind]
                rows.append({**where, **_measured(part), **_change(part, other)})
    return pd.DataFrame(rows)


def index_by_step(answers: "pd.DataFrame", seed: int) -> "pd.DataFrame":
    """One row a step of a run's answers: step and the fields of ``FrontLoading``."""
    import pandas as pd

    steps = answers.groupby("step")
    return pd.DataFrame(
        [{"step": step, **vars(front_loading_index(part, seed))} for step, part in steps]
    )


def publish_summary(preset: Preset, folder: Path | None = None) -> Path:
    """Write ``data_manifests/measurements/conditions.csv`` and its provenance; return its path."""
    folder = folder or runs_folder(preset)
    records = finished_runs(folder)
    table = summarise(records)
    path = project_root() / "data_manifests" / MEASUREMENTS
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format=CSV_FLOAT_FORMAT, lineterminator="\n")
    facts = [_facts(record) for record in records]
    own = ("condition", "seed", "seconds", "finished", "commit", "dirty", "threads", "final_loss")
    text = {**shared_facts(records), "versions": facts[0]["versions"]}
    runs = [{name: fact[name] for name in own} for fact in facts]
    for run in runs:
        run["condition"] = run["condition"]["name"]
    path.with_suffix(".json").write_text(json.dumps({**text, "runs": runs}, indent=1) + "\n")
    return path


def read_summary(path: Path | None = None) -> "pd.DataFrame":
    """The published table; ValueError with the commands that make it where there is none."""
    import pandas as pd

    path = path or manifest_path(MEASUREMENTS)
    if not path.is_file():
        raise ValueError(
            f"no {path.name} among the measurements; make it with `snakemake --cores 2 conditions`"
        )
    return pd.read_csv(path)


def find_summary(preset: str) -> "pd.DataFrame | None":
    """The published table if there is one, and it is of this preset."""
    path = manifest_path(MEASUREMENTS)
    if not path.is_file() or read_provenance(path)["preset"] != preset:
        return None
    return read_summary(path)


def read_provenance(path: Path | None = None) -> dict[str, Any]:
    """What lies beside the published table: what the runs share, and the runs."""
    path = path or manifest_path(MEASUREMENTS)
    found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return found


def finished_runs(folder: Path) -> list[Path]:
    """Folders of the finished records, in the order of the conditions, then of seeds."""
    return sorted((path.parent for path in folder.glob(f"*/{FACTS}")), key=_place)


def shared_facts(records: Sequence[Path]) -> dict[str, Any]:
    """What all records must have in common; ValueError names the first one that differs."""
    if not records:
        raise ValueError("no finished run of a condition; train one first")
    first, *others = records
    facts = {name: _facts(first)[name] for name in SHARED}
    for record in others:
        found = _facts(record)
        differ = [name for name in SHARED if found[name] != facts[name]]
        if differ:
            raise ValueError(
                f"{record.name} and {first.name} differ in {', '.join(differ)}: one table cannot "
                "hold both; delete the older one"
            )
    return facts


def _place(record: Path) -> tuple[int, int]:
    facts = _facts(record)
    return list(CONDITIONS).index(facts["condition"]["name"]), facts["seed"]


def _facts(record: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((record / FACTS).read_text(encoding="utf-8"))
    return found


def _measured(part: "pd.DataFrame") -> dict[str, float]:
    index = front_loading_index(part, SEED)
    whole = part.loc[part["k"] == part["k"].max(), "correct"].mean()
    facts = {name: value for name, value in vars(index).items() if name != "num_videos"}
    return {**facts, "whole": float(whole), "lead": index.head - index.tail}


def _change(part: "pd.DataFrame", baseline: "pd.DataFrame | None") -> dict[str, float]:
    if baseline is None:
        return dict.fromkeys(CHANGES, np.nan)
    lead, other = leads(part), leads(baseline)
    if list(lead.index) != list(other.index):
        raise ValueError("a condition and its baseline were not asked the same questions")
    videos = lead.index.get_level_values("video").tolist()
    found = paired_difference(lead.tolist(), other.tolist(), videos, SEED)
    values = (found.difference, found.low, found.high, found.p_value)
    return dict(zip(CHANGES, values, strict=True))


def leads(answers: "pd.DataFrame") -> "pd.Series":
    """Head area minus tail area of every question, by video and question."""
    keys = ["scheme", "video", "question_id"]
    right = answers.set_index([*keys, "k"])["correct"].astype(float).unstack("k")
    sizes = right.columns.to_numpy(dtype=float)
    width = sizes[-1] - sizes[0]
    area = right.apply(lambda row: np.trapezoid(row.to_numpy(), sizes) / width, axis=1)
    return area.xs(HEAD).sort_index() - area.xs(TAIL).sort_index()
