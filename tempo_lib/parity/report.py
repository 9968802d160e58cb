"""The parity report: every row, what it was measured on, and its Markdown and JSON forms."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tempo_lib.fingerprint import library_versions
from tempo_lib.model.tempo import Tempo
from tempo_lib.parity.cases import bf16_rows, case_rows
from tempo_lib.parity.records import (
    BASE,
    CASE_HEADER,
    CHECKPOINT,
    TABLE_HEADER,
    Row,
    TableRow,
    case_names,
    find_data,
    load_case,
)
from tempo_lib.parity.tables import table_rows

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "pillow")
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
    return Report([*rows, *bf16_rows(data)], list(table_rows(data)), provenance())


def provenance() -> dict[str, str]:
    """Libraries and processor that the differences depend on."""
    installed = library_versions()
    return {
        "python": platform.python_version(),
        **{name: installed[name] for name in VERSIONS},
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }


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
    return f"""# Parity with the recorded release

Written by `tempo doctor --parity --markdown PARITY.md`; the numbers are of one machine, rows and
tolerances are the code's (`tests/test_parity.py`).

{RECORDED_WITH} The records are in `tests/data/golden`.

Measured with {measured}.

## Recorded cases

A tolerance of 0 means equal. Rows marked as the release's rule feed its counts or its cut
explicitly: by default this kit does otherwise (`DIFFERENCES.md`).

{_table(CASE_HEADER, report.rows)}

## Function tables

In brackets: the row of `DIFFERENCES.md` that decides the rows which differ.

{_table(TABLE_HEADER, report.tables)}
"""


def _table(header: tuple[str, ...], rows: Sequence[Row] | Sequence[TableRow]) -> str:
    lines = (header, ("---",) * len(header), *(row.cells for row in rows))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _processor() -> str:
    facts = Path("/proc/cpuinfo")  # platform.processor() says only x86_64 on Linux
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
