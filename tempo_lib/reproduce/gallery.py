"""What a batch run shows of itself: the time of each job, and a page with every picture.

Everything is read from files that jobs left: Snakemake's measurements, and the provenance beside
each published picture.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.fingerprint import write_atomic
from tempo_lib.provenance import start_run
from tempo_lib.reproduce.workflow import Workflow

if TYPE_CHECKING:
    import pandas as pd

TIMES = "reproduce"  # name of the published table of times
# Columns of Snakemake's measurement and what they are called here.
MEASURED = {"s": "seconds", "cpu_time": "cpu_seconds", "max_rss": "memory_mb"}
STATES = {True: "with uncommitted changes", False: "clean", None: "state unknown"}


def job_times(flow: Workflow) -> "pd.DataFrame":
    """One row per job that was ever measured here: job, seconds, cpu_seconds, memory_mb."""
    import pandas as pd

    rows = []
    for path in sorted((flow.folder / "benchmarks").glob("*.tsv")):
        measured = pd.read_csv(path, sep="\t").iloc[-1]
        rows.append({"job": path.stem, **{new: measured[old] for old, new in MEASURED.items()}})
    return pd.DataFrame(rows, columns=["job", *MEASURED.values()])


def publish_times(flow: Workflow, whole_run: dict[str, float]) -> None:
    """Save the table of times; ``whole_run``: seconds on the clock and jobs that ended in them."""
    run = start_run(TIMES, preset=flow.preset.name)
    run.record("alt_text", "Seconds, processor seconds and memory of each job, last time it ran.")
    run.record("whole_run", whole_run)
    run.save(None, job_times(flow), publish=flow.publishes)


def write_gallery(folder: Path) -> None:
    """Write ``README.md`` into ``folder``: every picture, its description and its origin."""
    lines = ["# Figures", "", "Written by `tempo reproduce` from the provenance file beside each"]
    lines += ["picture: its parameters, the code it came from, and when it was made.", ""]
    for provenance in sorted(folder.glob("*/*.json")):
        facts = json.loads(provenance.read_text(encoding="utf-8"))
        lines += _entry(provenance.parent.name, facts)
    write_atomic(folder / "README.md", "\n".join(lines).rstrip() + "\n")


def _entry(preset: str, facts: dict[str, Any]) -> list[str]:
    name, files = facts["name"], sorted(facts["files"])
    parameters = ", ".join(f"{key}={value}" for key, value in facts["parameters"].items())
    alt = " ".join(str(facts.get("alt_text") or name).replace("]", "").split())
    picture = [f"![{alt}]({preset}/{name}.png)", ""] if f"{name}.png" in files else []
    links = [f"[{file.removeprefix(name).lstrip('-.')}]({preset}/{file})" for file in files]
    return [
        f"## {name} (preset {facts['preset']})",
        "",
        *picture,
        f"- files: {', '.join(links)}, [provenance]({preset}/{name}.json)",
        f"- parameters: {parameters or 'none'}",
        f"- code: commit {facts['commit']}, {STATES[facts['dirty']]}",
        f"- made: {facts['finished']} in {facts['duration_seconds'] or '?'} s on {facts['device']}",
        "",
    ]
