"""Jobs of the workflow that are no command of their own: records of a suite, predictions of files.

    python -m tempo_lib.reproduce.jobs records tiny mini-mlvu --num-questions 60
    python -m tempo_lib.reproduce.jobs predictions tiny --out predictions.json

What this module imports is what these jobs depend on: nothing about the workflow belongs here.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tempo_lib.checkpoints.folders import CheckpointError, find_checkpoint
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import benchmark_names, load_benchmark
from tempo_lib.fingerprint import write_atomic

if TYPE_CHECKING:
    from tempo_lib.evaluation.variants import Variant

MODEL_SEED = 0  # whose records all tables share; other training seeds are evaluated by notebooks
NUM_PREDICTIONS = 9
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def records(preset: str, suite: str, num_questions: int = 0, part: int = 0, parts: int = 1) -> None:
    """Evaluate every variant that a table, figure or claim needs: each video compressed once.

    ``part`` of ``parts``: its share of the videos; other jobs make the others.
    """
    from tempo_lib.analysis import evaluations
    from tempo_lib.evaluation.ranks import Ranks
    from tempo_lib.evaluation.runner import evaluate_records

    models = evaluations.load_models(preset, [MODEL_SEED])
    rows = {row.name: row for row in rows_of_results(preset, suite)}
    can_run, left_out = evaluations.split_by_parts(rows.values(), models)
    benchmark = load_benchmark(preset, suite, num_questions=num_questions)
    if parts > 1:
        benchmark = replace(benchmark, videos=tuple(Ranks(part, parts).share(benchmark.videos)))
    chosen = [rows[name] for name in can_run]
    evaluate_records(models[MODEL_SEED], benchmark, chosen, progress=False)
    print(f"{suite}: {benchmark.num_questions} questions, {len(can_run)} variants")
    for name, lacking in left_out.items():
        print(f"left out: {name} needs {lacking}")


def rows_of_results(preset: str, suite: str) -> "list[Variant]":
    """Every variant behind a table, figure or claim about a suite, each once."""
    from tempo_lib.analysis.scaling import is_drawn, point_names
    from tempo_lib.analysis.stages import stage_variants
    from tempo_lib.analysis.tables import NATIVES
    from tempo_lib.evaluation.variants import NEW_QUESTIONS, VARIANTS, get_variant, matched_name
    from tempo_lib.registry import load_plugins
    from tempo_lib.statistics.claims import variants_of_claims

    given = load_preset(preset)
    load_plugins(given.plugins)  # they register native models
    numbers, is_real = given.evaluation, given.miniature is None
    points = point_names(() if numbers is None else numbers.frames) if is_drawn(suite) else []
    tables = [name for name, row in VARIANTS.items() if row.paper_row is not None]
    names = (*variants_of_claims(), *tables, *map(matched_name, tables), *points)
    names += tuple(name for pair in NEW_QUESTIONS for name in pair)
    names += tuple(NATIVES.values()) if is_real else ()
    stages = stage_variants(suite, preset).values()
    return list({row.name: row for row in (*map(get_variant, names), *stages)}.values())


@app.command()
def predictions(preset: str, out: Path = Path("predictions.json")) -> None:
    """Answer the first questions of the first suite as a user does: a file, a session, a text."""
    from tempo_lib.model.tempo import Tempo
    from tempo_lib.video.clip import load_video

    model = Tempo.from_pretrained(find_checkpoint(preset))
    suite = load_benchmark(preset, benchmark_names(preset)[0], num_questions=NUM_PREDICTIONS)
    rows = []
    for video in (video for video in suite.videos if not video.problem):
        session = model.open(load_video(video.path))
        for question in video.questions:
            answer = session.ask(question.text)
            row: dict[str, Any] = {
                "video": video.path.name,
                "question": question.text,
                "text": answer.text,
                "expected": question.answer,
                "tokens_used": answer.tokens_used,
                "correct": suite.score(question, answer.text),
            }
            rows.append(row)
    write_atomic(out, json.dumps(rows, indent=1) + "\n")
    print(f"{sum(row['correct'] for row in rows)} of {len(rows)} correct")


def main(arguments: list[str] | None = None) -> None:
    """Exit with 2 and one line for a checkpoint that is missing, else as typer does."""
    try:
        app(arguments)
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
