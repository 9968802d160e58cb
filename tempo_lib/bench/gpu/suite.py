"""The GPU suite: parts in order of worth, each guarded, the document written after each.

Whoever has a GPU for minutes runs it once: what fails is in the document with its place, and the
other parts go on. On a processor the scale ``tiny`` takes the same lines.
"""

import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tempo_lib.bench.gpu.scale import SCALES, Scale, Workbench
from tempo_lib.bench.gpu.stopwatch import forget_peak, now, peak_gigabytes
from tempo_lib.model.attention import resolve_attention, training_attention
from tempo_lib.model.tempo import Tempo
from tempo_lib.parity.cases import bf16_rows, case_rows
from tempo_lib.parity.records import BASE, CHECKPOINT, Row, case_names, find_data, load_case
from tempo_lib.provenance import provenance_facts

Part = Callable[[Workbench], dict[str, Any]]
CALLS = 10  # products whose fastest is the ceiling


def device_facts(bench: Workbench) -> dict[str, Any]:
    """What the numbers were measured on."""
    facts: dict[str, Any] = {
        "attention": resolve_attention("auto"),
        "attention_in_training": training_attention(),
        "torch_cuda": torch.version.cuda,
    }
    if torch.device(bench.scale.device).type == "cuda":
        found = torch.cuda.get_device_properties(0)
        facts |= {"name": found.name, "gigabytes": round(found.total_memory / 1e9, 1)}
        facts |= {"capability": f"{found.major}.{found.minor}"}
    return facts


def ceiling(bench: Workbench) -> dict[str, Any]:
    """Operations per second of the fastest square product: what utilisation is measured by."""
    side, device = bench.scale.matmul, bench.scale.device
    found = {}
    for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        one @ other
        best = min(timed(partial(torch.matmul, one, other), device) for _ in range(CALLS))
        found[f"{name}_teraflops"] = 2 * side**3 / best / 1e12
    own = "bf16" if bench.scale.dtype == torch.bfloat16 else "float32"
    bench.ceiling = found[f"{own}_teraflops"] * 1e12
    return {"side": side, **found}


def timed(run: Callable[[], Any], device: str) -> float:
    """Seconds of one call."""
    started = now(device)
    run()
    return now(device) - started


def parity_float32(bench: Workbench) -> dict[str, Any]:
    """Every recorded quantity of the golden cases, on this device in float32.

    Tolerances are those of a processor: a row beyond its own is a fact here, not a failure.
    """
    data, device = find_data(), bench.scale.device
    base = data / BASE
    model = Tempo.from_pretrained(
        data / CHECKPOINT, base_compressor=base, dtype=torch.float32, device=device
    )
    rows = [row for name in case_names(data) for row in case_rows(model, load_case(data, name))]
    return parity_facts(rows)


def parity_bf16(bench: Workbench) -> dict[str, Any]:
    """Scores, allocations and greedy ids of the golden cases under the release's own dtypes."""
    return parity_facts(list(bf16_rows(find_data(), bench.scale.device)))


def parity_facts(rows: list[Row]) -> dict[str, Any]:
    """Rows as JSON; ``bad``: those beyond their tolerance."""
    return {
        "rows": len(rows),
        "bad": sum(not row.ok for row in rows),
        "cases": [asdict(row) | {"ok": row.ok} for row in rows],
    }


# name -> module and function: what a part imports must not stop the others
PARTS = {
    "device": ("suite", "device_facts"),
    "ceiling": ("suite", "ceiling"),
    "read": ("answering", "read"),
    "first question": ("answering", "first"),
    "follow-up": ("answering", "follow_up"),
    "budgets": ("answering", "budgets"),
    "training stage 3": ("training", "train_stage3"),
    "training stage 1": ("training", "train_stage1"),
    "training stage 2": ("training", "train_stage2"),
    "training stage 0": ("training", "train_stage0"),
    "native": ("answering", "native"),
    "parity float32": ("suite", "parity_float32"),
    "parity bf16": ("suite", "parity_bf16"),
}
SOURCES = [f"tempo_lib.bench.gpu.{name}" for name in ("suite", "answering", "training")]


def run_suite(
    preset: str, write: Callable[[dict[str, Any]], None], minutes: float = 9.0
) -> dict[str, Any]:
    """All parts at the scale ``preset``; ``write`` gets the document after each of them.

    A part that would begin after ``minutes`` is left out, and says so. ValueError for a scale
    that there is not.
    """
    if preset not in SCALES:
        raise ValueError(f"no GPU suite of preset {preset!r}; known: {', '.join(SCALES)}")
    scale, started = SCALES[preset], datetime.now(UTC)
    begun = time.perf_counter()
    document: dict[str, Any] = {"parts": {}}
    with TemporaryDirectory() as folder:
        bench = Workbench(scale, Path(folder))
        for name, place in PARTS.items():
            late = time.perf_counter() - begun > 60 * minutes
            found = {"error": f"not begun: {minutes:g} minutes were over"} if late else {}
            document["parts"][name] = found or guarded(place, bench)
            document = {**header(scale, started), "parts": document["parts"]}
            write(document)
    return document


def header(scale: Scale, started: datetime) -> dict[str, Any]:
    """What made the document."""
    return {
        "made_by": f"tempo bench gpu --preset {scale.preset}",
        **provenance_facts(started, *SOURCES),
        "what": "random weights of the exact shapes; seconds wait for the device",
        "scale": asdict(scale) | {"dtype": str(scale.dtype)},
    }


def guarded(place: tuple[str, str], bench: Workbench) -> dict[str, Any]:
    """What a part found, its seconds and its peak memory; or its error and where it rose."""
    device = bench.scale.device
    forget_peak(device)
    started = time.perf_counter()
    try:
        module, function = place
        part: Part = getattr(import_module(f"tempo_lib.bench.gpu.{module}"), function)
        found = part(bench)
    except Exception as error:  # one chance on a lent machine: the next part may still succeed
        steps = traceback.extract_tb(error.__traceback__)
        places = [f"{Path(step.filename).name}:{step.lineno} {step.name}" for step in steps]
        found = {"error": f"{type(error).__name__}: {error}", "at": places[-6:]}
    taken = round(time.perf_counter() - started, 3)
    return {**found, "part_seconds": taken, "part_peak_gigabytes": peak_gigabytes(device)}
