"""What is shown of a batch run: the time of each job, the gallery, and one page to send around.

Everything is read from files that jobs left: measurements of the workflow, and the provenance
beside each published picture.
"""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.provenance import manifest_path, start_run
from tempo_lib.reproduce.workflow import Workflow

if TYPE_CHECKING:
    import pandas as pd

TIMES = "reproduce"  # name of the published table of times
TIMES_MANIFEST = "measurements/reproduce_times.json"
STARTED = "TEMPO_REPRODUCE_STARTED"  # in the environment of the jobs: when the whole run began
# Columns of Snakemake's measurement and what they are called here.
MEASURED = {"s": "seconds", "cpu_time": "cpu_seconds", "max_rss": "memory_mb"}


def job_times(flow: Workflow) -> "pd.DataFrame":
    """One row per job that was ever measured here: job, seconds, cpu_seconds, memory_mb."""
    import pandas as pd

    rows = []
    for path in sorted((flow.folder / "benchmarks").glob("*.tsv")):
        measured = pd.read_csv(path, sep="\t").iloc[-1]
        rows.append({"job": path.stem, **{new: measured[old] for old, new in MEASURED.items()}})
    return pd.DataFrame(rows, columns=["job", *MEASURED.values()])


def publish_times(flow: Workflow) -> int:
    """Write times.json beside the receipts and the table to ``figures/``; number of jobs."""
    run = start_run(TIMES, preset=flow.preset.name)
    table = job_times(flow)
    seconds = {row["job"]: float(row["seconds"]) for row in table.to_dict("records")}
    content = {"preset": flow.preset.name, "seconds": seconds}
    flow.folder.mkdir(parents=True, exist_ok=True)
    (flow.folder / "times.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    run.record("alt_text", "Seconds, processor seconds and memory of each job, last time it ran.")
    run.record("whole_run", whole_run(flow))
    run.save(None, table, publish=flow.publishes)
    return len(table)


def whole_run(flow: Workflow) -> dict[str, float] | None:
    """Seconds on the clock since ``tempo reproduce`` began, and how many jobs ended in them.

    None where a job is asked for by itself, or runs on a machine that was not told the start.
    """
    if STARTED not in os.environ:
        return None
    started = float(os.environ[STARTED])
    measured = (flow.folder / "benchmarks").glob("*.tsv")
    jobs = sum(path.stat().st_mtime >= started for path in measured)
    return {"seconds": round(time.time() - started, 1), "jobs": jobs}


def expected_seconds(flow: Workflow) -> dict[str, float]:
    """Job -> seconds: as measured here last time, else as the manifest of this preset tells."""
    known: dict[str, float] = {}
    for path in (manifest_path(TIMES_MANIFEST), flow.folder / "times.json"):
        if path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["preset"] == flow.preset.name:
                known |= content["seconds"]
    return known


def write_gallery(path: Path) -> None:
    """Write a page with every published picture, its description and where it comes from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(gallery_text(path.parent), encoding="utf-8")


def write_report(path: Path, figures: Path) -> None:
    """Write the gallery as one HTML file that holds its pictures, to send or to keep."""
    from nbconvert import HTMLExporter
    from nbformat import v4

    # Nothing on the page needs a script, so none is fetched from elsewhere.
    quiet = {"mathjax_url": "", "require_js_url": "", "jquery_url": "", "mermaid_js_url": ""}
    exporter = HTMLExporter(embed_images=True, **quiet)
    entries = gallery_text(figures).split("\n## ")
    cells = [
        v4.new_markdown_cell(text if i == 0 else f"## {text}") for i, text in enumerate(entries)
    ]
    page = v4.new_notebook(cells=cells, metadata={"title": "Figures"})
    html, _ = exporter.from_notebook_node(page, resources={"metadata": {"path": str(figures)}})
    path.write_text(html, encoding="utf-8")


def gallery_text(folder: Path) -> str:
    """The page in Markdown, with links relative to ``folder``."""
    lines = ["# Figures", "", "Written by `tempo reproduce` from the provenance file beside each"]
    lines += ["picture: its parameters, the code it came from, and when it was made.", ""]
    for provenance in sorted(folder.glob("*/*.json")):
        facts = json.loads(provenance.read_text(encoding="utf-8"))
        lines += _entry(provenance, facts, folder)
    return "\n".join(lines).rstrip() + "\n"


def _entry(provenance: Path, facts: dict[str, Any], folder: Path) -> list[str]:
    base = provenance.relative_to(folder).with_suffix("").as_posix()
    state = {True: "with uncommitted changes", False: "clean", None: "state unknown"}[
        facts["dirty"]
    ]
    parameters = ", ".join(f"{name}={value}" for name, value in facts["parameters"].items())
    lines = [f"## {facts['name']} (preset {facts['preset']})", ""]
    if f"{facts['name']}.png" in facts["files"]:
        alt = " ".join(str(facts.get("alt_text") or facts["name"]).replace("]", "").split())
        lines += [f"![{alt}]({base}.png)", ""]
    files = [
        f"[{Path(name).suffix[1:]}]({Path(base).parent.as_posix()}/{name})"
        for name in sorted(facts["files"])
    ]
    lines += [
        f"- files: {', '.join([*files, f'[provenance]({base}.json)'])}",
        f"- parameters: {parameters or 'none'}",
        f"- code: commit {facts['commit']}, {state}",
        f"- made: {facts['finished']} in {facts['duration_seconds']} s on {facts['device']}",
        "",
    ]
    return lines
