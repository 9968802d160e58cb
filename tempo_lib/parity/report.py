"""The parity report: every row, what it was measured on, and its Markdown and JSON forms."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tempo_lib.model.tempo import Tempo
from tempo_lib.parity.cases import case_rows
from tempo_lib.parity.half import half_rows
from tempo_lib.parity.records import BASE, CHECKPOINT, case_names, find_data, load_case
from tempo_lib.parity.rows import STATED, Row, TableRow
from tempo_lib.parity.tables import table_rows
from tempo_lib.provenance import library_versions

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "pillow")
CASE_HEADER = ("case", "quantity", "largest difference", "tolerance", "values", "verdict")
TABLE_HEADER = ("table", "rows", "equal", "by decision", "unexplained", "verdict")
RECORDED_WITH = (
    "Recorded with the published implementation at commit 0417256 under transformers 4.57.1, "
    "qwen-vl-utils 0.0.14 and torch 2.13.0, on a CPU, in float32, with attention sdpa, "
    "on tiny random weights in the released layout."
)


@dataclass(frozen=True)
class Report:
    """rows: quantities of the cases; tables: function tables; provenance: what computed them."""

    rows: list[Row]
    tables: list[TableRow]
    provenance: dict[str, str]

    @property
    def num_bad(self) -> int:
        """Rows out of tolerance and tables with unexplained rows."""
        return sum(not row.ok for row in self.rows) + sum(not row.ok for row in self.tables)

    @property
    def ok(self) -> bool:
        return self.num_bad == 0


def make_report(folder: Path | None = None) -> Report:
    """Compute every row on the CPU; MissingDataError when the recorded data is not there."""
    data = find_data(folder)
    model = Tempo.from_pretrained(
        data / CHECKPOINT, base_compressor=data / BASE, dtype=torch.float32, device="cpu"
    )
    rows = [row for name in case_names(data) for row in case_rows(model, load_case(data, name))]
    return Report([*rows, *half_rows(data)], list(table_rows(data)), provenance())


def provenance() -> dict[str, str]:
    """Libraries and processor that the differences depend on."""
    installed = library_versions()
    versions = {name: installed[name] for name in VERSIONS}
    return {
        "python": platform.python_version(),
        **versions,
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }


def case_cells(row: Row) -> tuple[str, ...]:
    """A row of the first table as text."""
    tolerance = STATED if row.tolerance is None else f"{row.tolerance:g}"
    verdict = "stated" if row.tolerance is None else "ok" if row.ok else "OUT OF TOLERANCE"
    extra = f" ({row.note})" if row.note not in ("", STATED) else ""
    difference = f"{row.difference:.2g}"
    return row.case, row.quantity + extra, difference, tolerance, str(row.num_values), verdict


def table_cells(row: TableRow) -> tuple[str, ...]:
    """A row of the second table as text."""
    decision = f"{row.num_by_decision}" + (f" ({row.decision})" if row.num_by_decision else "")
    verdict = "ok" if row.ok else "UNEXPLAINED"
    counts = str(row.num_rows), str(row.num_equal), decision, str(row.num_unexplained)
    return row.table, *counts, verdict


def as_json(report: Report) -> dict[str, Any]:
    """Everything, for ``json.dump``."""
    return {
        "ok": report.ok,
        "recorded_with": RECORDED_WITH,
        "provenance": report.provenance,
        "rows": [asdict(row) | {"ok": row.ok} for row in report.rows],
        "tables": [
            asdict(row) | {"num_unexplained": row.num_unexplained, "ok": row.ok}
            for row in report.tables
        ],
    }


def as_markdown(report: Report) -> str:
    """The page PARITY.md."""
    measured = ", ".join(f"{name} {value}" for name, value in report.provenance.items())
    lines = [
        "# Parity with the recorded release",
        "",
        "Written by `tempo doctor --parity --markdown PARITY.md`; the numbers are of one machine, "
        "rows and tolerances are the code's (`tests/test_parity.py`).",
        "",
        f"{RECORDED_WITH} The records are in `tests/data/golden`.",
        "",
        f"Measured with {measured}.",
        "",
        "## Recorded cases",
        "",
        "A tolerance of 0 means equal. Rows marked as the release's rule feed its counts or its "
        "cut explicitly: by default this kit does otherwise (`DIFFERENCES.md`).",
        "",
        *_lines(CASE_HEADER, map(case_cells, report.rows)),
        "",
        "## Function tables",
        "",
        "In brackets: the row of `DIFFERENCES.md` that decides the rows which differ.",
        "",
        *_lines(TABLE_HEADER, map(table_cells, report.tables)),
    ]
    return "\n".join(lines) + "\n"


def _lines(header: Sequence[str], cells: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for row in (header, ("---",) * len(header), *cells):
        yield f"| {' | '.join(row)} |"


def _processor() -> str:
    facts = Path("/proc/cpuinfo")  # platform.processor() says only x86_64 on Linux
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
