"""Answers of training seeds to the world that judges: made a seed at a time, kept with the code.

    tempo train --preset tiny --from-scratch --seed 3 --work runs/tiny/train-seed3
    python -m tempo_lib.analysis.seed_answers tiny 3

A verdict is one over trainings, and no training's weights are needed for it once its answers are
kept: ``data_manifests/measurements/seeds/seed3.csv.gz``, a row per question and variant, with its
facts in ``seed3.json``.
"""

import gzip
import json
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tempo_lib.checkpoints.folders import checkpoint_digest
from tempo_lib.evaluation.benchmark import benchmark_names, load_benchmark
from tempo_lib.fingerprint import git_state, library_versions, sha256_of_file, write_atomic
from tempo_lib.provenance import manifest_path, project_root
from tempo_lib.statistics.preregistration import read_preregistration, recipe_digest
from tempo_lib.statistics.summaries import pool_seeds

if TYPE_CHECKING:
    import pandas as pd

# of a question, so that intervals, strata and the majority-class baseline can be made again ...
OF_QUESTION = (
    *("suite", "world_seed", "video", "duration", "question_id", "kind", "form"),
    *("question", "answer", "start", "stop"),
)
# ... and of its answer under a variant
OF_ANSWER = (
    *("correct", "correct_words", "tokens_used", "matched_tokens", "num_segments", "num_frames"),
    *("budget", "budget_bound", "capacity", "skewness", "auc"),
)
FOLDER = "measurements/seeds"


def make(preset: str, seed: int, num_questions: int = 0, root: Path | None = None) -> Path:
    """Evaluate every variant that a claim needs and keep the answers; returns their table.

    ``num_questions`` > 0 takes as many of a suite, for a try: written to ``root`` alone. A seed
    whose answers are kept is not evaluated again. CheckpointError where it is not trained.
    """
    from tempo_lib.analysis import evaluations

    table = (root or project_root() / "data_manifests" / FOLDER) / f"seed{seed}.csv.gz"
    if table.is_file():
        return table
    models = evaluations.load_models(preset, [seed])
    registered = read_preregistration()
    options = {"world_seed": registered.world_seed, "num_questions": num_questions}
    suites = [load_benchmark(preset, name, **options) for name in benchmark_names(preset)]
    variants, left_out = evaluations.choose_variants([evaluations.ALL_VARIANTS], models)
    answers = evaluations.answers_of_seeds(models, suites, variants)
    commit, dirty = git_state(project_root())
    write_atomic(table, packed(answers))
    facts = {
        "preset": preset,
        "seed": seed,
        "world_seed": registered.world_seed,
        "recipe_sha256": recipe_digest(preset),
        "checkpoint_sha256": checkpoint_digest(evaluations.seed_checkpoint(preset, seed)),
        "questions": {suite.name: suite.num_questions for suite in suites},
        "left_out": left_out,
        "answers_sha256": sha256_of_file(table),
        "commit": commit,
        "dirty": dirty,
        "versions": library_versions(),
    }
    write_atomic(table.with_name(f"seed{seed}.json"), json.dumps(facts, indent=1) + "\n")
    return table


def packed(answers: "pd.DataFrame") -> bytes:
    """The kept columns of ``answers_of_seeds`` as a compressed table; equal frames, equal bytes."""
    columns = [*OF_QUESTION, "variant", *OF_ANSWER]
    text = answers[columns].sort_values(["suite", "question_id", "variant"]).to_csv(index=False)
    packed_text = BytesIO()
    with gzip.GzipFile(fileobj=packed_text, mode="wb", mtime=0) as file:
        file.write(text.encode())
    return packed_text.getvalue()


def read(folder: Path | None = None) -> tuple["pd.DataFrame", dict[int, dict[str, Any]]]:
    """Answers of all kept seeds with a column ``model_seed``, and their facts by seed.

    ValueError for a table that is not the one its facts name, or where none is kept.
    """
    import pandas as pd

    home = folder or manifest_path(FOLDER)
    frames, facts = {}, {}
    for place in sorted(home.glob("seed*.json")):
        known = json.loads(place.read_text())
        table = place.with_suffix(".csv.gz")
        if sha256_of_file(table) != known["answers_sha256"]:
            raise ValueError(f"{table} is not the table that {place.name} names")
        text = gzip.decompress(table.read_bytes()).decode()
        frames[known["seed"]] = pd.read_csv(StringIO(text), dtype={"video": str})
        facts[known["seed"]] = known
    if not frames:
        raise ValueError(f"no answers of training seeds in {home}")
    return pool_seeds(frames), facts


if __name__ == "__main__":
    typer.run(make)
