"""Learn in which order memory positions matter, without labels, and keep it beside its provenance.

    python -m tempo_lib.analysis.memory_order tiny                  the preset's checkpoint
    python -m tempo_lib.analysis.memory_order tiny --checkpoint F   another one

The videos are of a world seed that no table uses. What counts is how far the distribution of the
model's own answer moves (``label_free``): by *ablation* of one position at a time, or by *forward*
selection, which adds the position that brings a cut nearest to whole memories. The latter sees that
near copies are worth one of them, and is the default; it needs about K^2 / 2 readings per question.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm.auto import tqdm

from tempo_lib.analysis.label_free import Reading, ablation_costs, divergences, readings
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import benchmark_names, load_benchmark
from tempo_lib.evaluation.ordered import order_file
from tempo_lib.evaluation.records import weights_digest
from tempo_lib.fingerprint import write_atomic
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import provenance_facts

FORWARD, ABLATION = "forward", "ablation"
VALIDATION_SEED = 9_000  # of the world; tables use 0, readers small numbers
NUM_QUESTIONS = 12  # of each of the suites
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def forward_order(model: Tempo, all_readings: Sequence[Reading]) -> list[int]:
    """Positions in the order in which each next one lowers the mean divergence most.

    Half of them are chosen this way, which is as long a head as tables keep; the others follow by
    the divergence that they gave beside the last one chosen. ValueError for no readings.
    """
    if not all_readings:
        raise ValueError("an order is learned from questions, and there is none")
    capacity = all_readings[0].memories.memories.shape[1]
    chosen: list[int] = []
    for _ in tqdm(range(capacity // 2 + 1), desc="positions"):
        left = [place for place in range(capacity) if place not in chosen]
        total = [0.0] * len(left)
        for reading in all_readings:
            whole_NKd = reading.memories.memories
            cuts = [whole_NKd[:, sorted([*chosen, place])] for place in left]
            found = divergences(model, reading, cuts)
            total = [one + more for one, more in zip(total, found, strict=True)]
        ranked = [place for _, place in sorted(zip(total, left, strict=True))]
        if len(chosen) < capacity // 2:
            chosen.append(ranked[0])
    return [*chosen, *(place for place in ranked if place not in chosen)]


def learn_order(model: Tempo, all_readings: Sequence[Reading], method: str = FORWARD) -> list[int]:
    """The positions 0..K-1, the most important first. ValueError for an unknown method."""
    if method == FORWARD:
        return forward_order(model, all_readings)
    if method == ABLATION:
        return [int(place) for place in ablation_costs(model, all_readings)["position"]]
    raise ValueError(f"unknown method {method!r}; known: {FORWARD}, {ABLATION}")


def write_order(path: Path, order: Sequence[int], facts: dict[str, Any]) -> None:
    """The order with what it was learned from."""
    write_atomic(path, json.dumps({"order": list(order), **facts}, indent=1) + "\n")


@app.command()
def learn(
    preset: str,
    checkpoint: Path | None = None,
    method: str = FORWARD,
    num_questions: int = NUM_QUESTIONS,
    world_seed: int = VALIDATION_SEED,
    suites: Annotated[list[str] | None, typer.Option("--suite")] = None,
    out: Path | None = None,
) -> None:
    """Learn the order of a checkpoint's memory positions on videos that no table uses."""
    started = datetime.now(UTC)
    model = Tempo.from_pretrained(checkpoint or find_checkpoint(load_preset(preset)))
    names = suites or benchmark_names(preset)
    chosen = {"num_questions": num_questions, "world_seed": world_seed}
    loaded = [load_benchmark(preset, name, **chosen) for name in names]
    found = [each for suite in loaded for each in readings(model, suite)]
    order = learn_order(model, found, method)
    facts = {
        "method": method,
        "weights": weights_digest(model),
        "suites": {suite.name: suite.data_hash for suite in loaded},
        **chosen,
        "questions": len(found),
        **provenance_facts(started, "tempo_lib.analysis.memory_order"),
    }
    path = out or order_file(model)
    write_order(path, order, facts)
    print(f"{', '.join(map(str, order))}\nwrote {path}")


if __name__ == "__main__":
    app()
