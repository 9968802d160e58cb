"""``tempo evaluate``: variants on a benchmark, as a table on screen and a JSON file."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tempo_lib.cli.common import (
    DEFAULT_PRESET,
    BudgetOption,
    CheckpointOption,
    DebugNumericsOption,
    InputError,
    Loaded,
    NumQuestionsOption,
    PresetOption,
    SetOption,
    bad_input,
    check_parent,
    checked_layers,
    load_model,
    needs_extra,
    screen,
)

if TYPE_CHECKING:
    import pandas as pd

    from tempo_lib.config import Preset
    from tempo_lib.evaluation.benchmark import Benchmark
    from tempo_lib.evaluation.variants import Variant

ALL = "all"  # every variant that the tables name
OF_BENCHMARKS = ("miniature.suites",)  # overrides that a benchmark reads, not the model


def evaluate(
    suite: Annotated[str, typer.Option(metavar="S", help="Which benchmark.")],
    variant: Annotated[
        list[str],
        typer.Option(
            metavar="V",
            help="A row of Table 2, its token-matched control V-matched, a point of Figure 3 such "
            "as ata-f256-b384, a policy of our own, or all; may be repeated.",
        ),
    ] = ["ata"],  # noqa: B006  typer reads it, nobody changes it
    preset: PresetOption = DEFAULT_PRESET,
    budget: BudgetOption = None,
    world_seed: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Seed of the suite's fresh videos and questions."),
    ] = 0,
    num_questions: NumQuestionsOption = 0,
    checkpoint: CheckpointOption = None,
    overrides: SetOption = None,
    debug_numerics: DebugNumericsOption = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py",
            help="A file or module that registers a policy, scorer or benchmark; may be repeated.",
            show_default="those of TEMPO_PLUGINS",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write the summary there.")
    ] = None,
) -> int:
    """Measure variants of Table 2 on a suite; all of them answer the same questions.

    Suites: mini-longvideobench, mini-mlvu, mini-videomme, mini-lvbench. An unknown name lists
    the known ones. --out holds an object, or a list where there are several variants.

    Examples:

    * tempo evaluate --suite mini-videomme --variant ata --num-questions 40
    * tempo evaluate --suite mini-lvbench --variant ata --variant top-k --out result.json
    * tempo evaluate --suite mini-lvbench --variant all --checkpoint runs/tiny/train-seed1
    * tempo evaluate --plugin my_policy.py --suite mini-mlvu --variant my-policy
    """
    with needs_extra("notebooks"):
        from tempo_lib.checkpoints.folders import CheckpointError
        from tempo_lib.config import load_preset
        from tempo_lib.evaluation import benchmark, runner
        from tempo_lib.fingerprint import write_atomic
        from tempo_lib.model.numerics import NumericsError

    if out is not None:
        check_parent("--out", out)
    changes = overrides or []
    with bad_input():
        numbers = load_preset(preset, changes)
        named = find_variants(numbers, suite, variant, plugin or [])
    with redirect_stdout(sys.stderr):
        loaded = load_model(preset, stage_folder(checkpoint, numbers), None, changes, OF_BENCHMARKS)
        rows = list(usable(named, loaded, numbers, budget, leave_out=ALL in variant))
        data = benchmark.load_benchmark(
            numbers, suite, num_questions=num_questions, world_seed=world_seed
        )
        with (
            bad_input(CheckpointError, NumericsError),
            checked_layers(loaded.model, debug_numerics),
        ):
            frame = runner.evaluate(loaded.model, data, rows, budget=budget)
    results = [
        result(frame[frame["variant"] == row.name], data, row, loaded, numbers) for row in rows
    ]
    print_table(results)
    if out is not None:
        document = results[0] if len(results) == 1 else results
        write_atomic(out, json.dumps(document, indent=2) + "\n")
        print(f"wrote {out}", file=sys.stderr)
    return 0


def find_variants(
    preset: "Preset", suite: str, names: Sequence[str], plugins: Sequence[str]
) -> "list[Variant]":
    """The variants of ``names``; ValueError for an unknown plug-in, benchmark or variant."""
    from tempo_lib.evaluation.benchmark import benchmark_source
    from tempo_lib.evaluation.variants import VARIANTS, get_variant
    from tempo_lib.registry import load_plugins

    load_plugins(plugins)
    benchmark_source(preset, suite)
    return [get_variant(name) for name in (VARIANTS if ALL in names else dict.fromkeys(names))]


def stage_folder(checkpoint: str | None, preset: "Preset") -> str | None:
    """``checkpoint``, or the last stage in it where it is the work folder of a training."""
    from tempo_lib.checkpoints.folders import main_stage

    if checkpoint is None or (Path(checkpoint) / "config.json").is_file() or not preset.stages:
        return checkpoint
    last = Path(checkpoint) / main_stage(preset)
    return str(last) if (last / "config.json").is_file() else checkpoint


def usable(
    variants: "Sequence[Variant]",
    loaded: Loaded,
    preset: "Preset",
    budget: int | None,
    leave_out: bool,
) -> "Iterator[Variant]":
    """The variants whose parts are all here; the others are named and left out.

    InputError for the first of them where ``leave_out`` is False.
    """
    for variant in variants:
        try:
            with bad_input(prefix=f"variant {variant.name}: "):
                check_parts(variant, loaded, preset, budget)
        except InputError as error:
            if not leave_out:
                raise
            print(f"left out: {error}", file=sys.stderr)
        else:
            yield variant


def check_parts(variant: "Variant", loaded: Loaded, preset: "Preset", budget: int | None) -> None:
    """ValueError for a missing checkpoint, scorer or learned number, and for too small a budget.

    A variant that keeps whole segments of fewer frames needs a budget of one segment.
    """
    from tempo_lib.allocation.policies import Limits
    from tempo_lib.checkpoints.loading import check_layout
    from tempo_lib.evaluation.jobs import effective_limits, learned_k_min
    from tempo_lib.evaluation.scorers import check_scorer
    from tempo_lib.evaluation.variants import TEMPO

    if variant.checkpoint is not None:
        if any(not path.startswith(OF_BENCHMARKS) for path in preset.overrides):
            raise ValueError("--set changes the model of --checkpoint alone, not another stage's")
        check_layout(checkpoint_folder(variant, loaded).absolute())
    if variant.score_source != TEMPO:
        check_scorer(variant.score_source, loaded.model)
    config = loaded.model.config
    limits = Limits(config.budget, config.k_min, config.k_max)
    effective_limits(variant, limits, 1, learned_k_min(preset))
    whole_segments = variant.fewer_frames and variant.match is None
    if whole_segments and budget is not None and budget < config.k_max:
        raise ValueError(f"it needs --budget of at least {config.k_max}")


def checkpoint_folder(variant: "Variant", loaded: Loaded) -> Path:
    """The checkpoint of a variant: the loaded one, or the other stage's folder beside it."""
    folder = Path(loaded.checkpoint)
    return folder if variant.checkpoint is None else folder.parent / variant.checkpoint


def result(
    frame: "pd.DataFrame", data: "Benchmark", variant: "Variant", loaded: Loaded, preset: "Preset"
) -> dict[str, Any]:
    """What ``--out`` holds of one variant; ``budget`` is the mean where it is matched."""
    from tempo_lib.checkpoints.folders import checkpoint_digest
    from tempo_lib.provenance import library_versions
    from tempo_lib.statistics.summaries import summary

    checkpoint = str(checkpoint_folder(variant, loaded))
    budgets = frame["budget"]
    return {
        "suite": data.name,
        "variant": variant.name,
        **summary(frame),
        "budget": int(budgets.iloc[0]) if variant.match is None else float(budgets.mean()),
        "matched_to": variant.match,
        "preset": data.preset,
        "overrides": preset.overrides,
        "world_seed": data.world_seed,
        "data_hash": data.data_hash,
        "checkpoint": checkpoint,
        "checkpoint_sha256": checkpoint_digest(checkpoint),
        "versions": library_versions(),
    }


def print_table(results: list[dict[str, Any]]) -> None:
    """Accuracy in percent with its 95 % interval, overall, by kind of question and by form."""
    from rich.table import Table

    parts = [{**facts["per_type"], **facts["per_form"]} for facts in results]
    kinds = list(dict.fromkeys(kind for part in parts for kind in part))
    shared = results[0]
    title = f"{shared['suite']}, world seed {shared['world_seed']}, accuracy in %"
    table = Table(title=title, box=None)
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
