"""``tempo evaluate``: variants on a suite, as a table on screen and a JSON file."""

import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from tempo_lib.allocation.policies import Limits
from tempo_lib.checkpoints.folders import main_stage
from tempo_lib.checkpoints.loading import CheckpointError, check_layout, checkpoint_digest
from tempo_lib.cli.errors import InputError, bad_input
from tempo_lib.cli.loading import Loaded, load_model
from tempo_lib.cli.show import screen
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import Benchmark, benchmark_source, load_benchmark
from tempo_lib.evaluation.jobs import effective_limits, learned_k_min
from tempo_lib.evaluation.runner import evaluate
from tempo_lib.evaluation.scorers import check_scorer
from tempo_lib.evaluation.variants import TEMPO, VARIANTS, Variant, get_variant
from tempo_lib.provenance import library_versions
from tempo_lib.registry import load_plugins
from tempo_lib.statistics.summaries import summary

ALL = "all"  # every registered variant


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Options of ``tempo evaluate``; None takes the checkpoint's own number."""

    preset: str
    suite: str
    variants: tuple[str, ...]
    budget: int | None = None
    world_seed: int = 0
    num_questions: int = 0
    checkpoint: str | None = None
    out: Path | None = None
    plugins: tuple[str, ...] = ()


def run(options: EvaluateOptions) -> int:
    """Evaluate every variant on the same questions, print a table, write ``--out``."""
    variants = check(options)
    with redirect_stdout(sys.stderr):
        loaded = load_model(options.preset, stage_folder(options))
        variants = usable(variants, loaded, options)
        suite = load_benchmark(
            options.preset,
            options.suite,
            num_questions=options.num_questions,
            world_seed=options.world_seed,
        )
        with bad_input(CheckpointError):
            frame = evaluate(loaded.model, suite, variants, budget=options.budget)
    results = [
        result(frame[frame["variant"] == variant.name], suite, variant, loaded)
        for variant in variants
    ]
    print_table(results, suite)
    if options.out is not None:
        document = results[0] if len(results) == 1 else results
        options.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {options.out}", file=sys.stderr)
    return 0


def check(options: EvaluateOptions) -> list[Variant]:
    """The variants asked for; InputError for whatever would stop the run later."""
    names = VARIANTS if ALL in options.variants else dict.fromkeys(options.variants)
    with bad_input():
        load_plugins(options.plugins)
        benchmark_source(options.preset, options.suite)
        variants = [get_variant(name) for name in names]
    if options.out is not None and not options.out.absolute().parent.is_dir():
        raise InputError(f"--out {options.out}: the folder {options.out.parent} does not exist")
    return variants


def stage_folder(options: EvaluateOptions) -> str | None:
    """``--checkpoint``, or the last stage in it where it is the work folder of a training."""
    checkpoint, preset = options.checkpoint, load_preset(options.preset)
    if checkpoint is None or (Path(checkpoint) / "config.json").is_file() or not preset.stages:
        return checkpoint
    last = Path(checkpoint) / main_stage(preset)
    return str(last) if (last / "config.json").is_file() else checkpoint


def usable(variants: list[Variant], loaded: Loaded, options: EvaluateOptions) -> list[Variant]:
    """The variants whose parts are all here.

    InputError for one that was named; of ``all``, what lacks something is left out and named.
    """
    found = []
    for variant in variants:
        try:
            with bad_input(prefix=f"variant {variant.name}: "):
                check_parts(variant, loaded, options)
            found.append(variant)
        except InputError as error:
            if ALL not in options.variants:
                raise
            print(f"left out: {error}", file=sys.stderr)
    return found


def check_parts(variant: Variant, loaded: Loaded, options: EvaluateOptions) -> None:
    """ValueError for a missing checkpoint, scorer or learned number, and for too small a budget.

    A variant that keeps whole segments of fewer frames needs a budget of one segment.
    """
    if variant.checkpoint is not None:
        check_layout(checkpoint_folder(variant, loaded).absolute())
    if variant.score_source != TEMPO:
        check_scorer(variant.score_source, loaded.model)
    config, budget = loaded.model.config, options.budget
    learned = learned_k_min(load_preset(options.preset))
    effective_limits(variant, Limits(config.budget, config.k_min, config.k_max), 1, learned)
    whole_segments = variant.fewer_frames and variant.match is None
    if whole_segments and budget is not None and budget < config.k_max:
        raise ValueError(f"it needs --budget of at least {config.k_max}")


def checkpoint_folder(variant: Variant, loaded: Loaded) -> Path:
    """The checkpoint of a variant: the loaded one, or the other stage's folder beside it."""
    folder = Path(loaded.checkpoint)
    return folder if variant.checkpoint is None else folder.parent / variant.checkpoint


def result(
    frame: pd.DataFrame, suite: Benchmark, variant: Variant, loaded: Loaded
) -> dict[str, Any]:
    """What ``--out`` holds of one variant; ``budget`` is the mean where it is matched."""
    checkpoint = str(checkpoint_folder(variant, loaded))
    budgets = frame["budget"]
    return {
        "suite": suite.name,
        "variant": variant.name,
        **summary(frame),
        "budget": int(budgets.iloc[0]) if variant.match is None else float(budgets.mean()),
        "matched_to": variant.match,
        "preset": suite.preset,
        "world_seed": suite.world_seed,
        "data_hash": suite.data_hash,
        "checkpoint": checkpoint,
        "checkpoint_sha256": checkpoint_digest(checkpoint),
        "versions": library_versions(),
    }


def print_table(results: list[dict[str, Any]], suite: Benchmark) -> None:
    """Accuracy in percent with its 95 % interval, overall, by kind of question and by form."""
    parts = [{**facts["per_type"], **facts["per_form"]} for facts in results]
    kinds = list(dict.fromkeys(kind for part in parts for kind in part))
    table = Table(title=f"{suite.name}, world seed {suite.world_seed}, accuracy in %", box=None)
    table.add_column("variant")
    for heading in ("n", "all", "95 %", "tokens/frame", *kinds):
        table.add_column(heading, justify="right")
    for facts, part in zip(results, parts, strict=True):
        low, high = facts["interval"]
        row = [facts["variant"], str(facts["n"]), _percent(facts["accuracy"])]
        row += [f"{_percent(low)}-{_percent(high)}", f"{facts['tokens_per_frame']:.2f}"]
        row += [_percent(part[k]["accuracy"]) if k in part else "" for k in kinds]
        table.add_row(*row)
    screen().print(table)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
