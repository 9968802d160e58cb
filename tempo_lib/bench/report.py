"""A case run to its end: the JSON document with its provenance, and its table."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tempo_lib.bench.harness import OURS, REFERENCE, Setting, fits, load_case, measure
from tempo_lib.provenance import provenance_facts

if TYPE_CHECKING:
    from tempo_lib.model.tempo import Tempo

TINY = "tiny"
LOAD = Path("/proc/loadavg")
HEADER = ("", "ours, CPU s", "reference, CPU s", "ratio", "MB", "reference, MB", "difference")


def run_case(name: str, load: "Callable[[], Tempo]", rounds: int, **sizes: Any) -> dict[str, Any]:
    """Measure a case; ``sizes`` as in ``Setting``. ValueError for an unknown one.

    ``ratio`` and ``max_abs_diff`` are those of its first pair and of all pairs.
    """
    module, started, load_before = load_case(name), datetime.now(UTC), machine_load()
    with TemporaryDirectory() as folder:
        setting = Setting(folder=Path(folder), load=load, **sizes)
        rows = [measure(pair, rounds) for pair in module.make(setting)]
        model = setting.model
    differences = [row["max_abs_diff"] for row in rows if row["max_abs_diff"] is not None]
    return {
        "made_by": f"tempo bench {name}",
        **provenance_facts(started, module.__name__, "tempo_lib.bench.report"),
        "case": name,
        "what": str(module.__doc__).splitlines()[0],
        "preset": model.config.preset,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "sizes": sizes,
        "load": [load_before, machine_load()],
        "ratio": rows[0]["cpu_ratio"][REFERENCE]["median"],
        "max_abs_diff": max(differences) if differences else None,
        "pairs": rows,
        "grows_with_power": fits(rows),
    }


def machine_load() -> float | None:
    """Processes that wanted a core in the last minute; None where nobody counts."""
    return float(LOAD.read_text().split()[0]) if LOAD.exists() else None


def table(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The document's pairs as text, in the order of ``HEADER``."""
    return [
        (
            row["label"] or document["case"],
            *(median(row["sides"][side]["cpu_seconds"]) for side in (OURS, REFERENCE)),
            ranged(row["cpu_ratio"][REFERENCE]),
            *(median(row["sides"][side]["peak_megabytes"]) for side in (OURS, REFERENCE)),
            "" if row["max_abs_diff"] is None else f"{row['max_abs_diff']:.2g}",
        )
        for row in document["pairs"]
    ]


def named(document: Mapping[str, Any]) -> str:
    """The case, and the size of the model where it is not the miniature's."""
    size = document.get("sizes", {}).get("size", TINY)
    return str(document["case"]) if size == TINY else f"{document['case']}, {size}"


def median(values: Mapping[str, float] | None) -> str:
    """Such as 0.787."""
    return "" if values is None else f"{values['median']:.3g}"


def ranged(values: Mapping[str, float]) -> str:
    """Such as 0.071 (0.065-0.08)."""
    return f"{values['median']:.3g} ({values['min']:.2g}-{values['max']:.2g})"


def as_markdown(documents: Sequence[Mapping[str, Any]]) -> str:
    """The page BENCHMARKS.md: one table over all documents."""
    rows = [(named(document), *cells) for document in documents for cells in table(document)]
    lines = [("case", *HEADER), ("---",) * (len(HEADER) + 1), *rows]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"""# Benchmarks

Written by `tempo bench --page BENCHMARKS.md` from `data_manifests/measurements/bench_*.json`, which
hold every side, its range, the commit and the versions. The reference is a mode of the same program
that works as the release does: per question `get_batch` at the file's size, Pillow frame by frame,
one padded pass, nothing reused; of training transformers' own attention and norms; of variants each
variant of each question from the file. Processor seconds are medians of rounds in turns; the
machine was shared, so ratios count, not seconds. Memory is the peak of the measuring process above
what it held before.

{text}
"""


def read_documents(folder: Path) -> list[dict[str, Any]]:
    """Every committed document of a case, by name."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("bench_*.json"))]
