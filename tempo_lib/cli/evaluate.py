"""``tempo evaluate``: variants on a benchmark, as a table on screen and a JSON file."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tempo_lib.cli.accuracies import checkpoint_folder, print_table, result
from tempo_lib.cli.common import (
    DEFAULT_PRESET,
    CheckpointOption,
    DebugNumericsOption,
    InputError,
    Loaded,
    NumQuestionsOption,
    PresetOption,
    SafeOption,
    SalvageOption,
    SetOption,
    bad_input,
    check_parent,
    checked_layers,
    load_model,
    needs_extra,
    one_line,
)

if TYPE_CHECKING:
    from tempo_lib.config import Preset
    from tempo_lib.evaluation.benchmark import Benchmark
    from tempo_lib.evaluation.ranks import Ranks
    from tempo_lib.evaluation.runner import Evaluated
    from tempo_lib.evaluation.variants import Variant

ALL = "all"  # every variant that the tables name
OF_BENCHMARKS = (
    "miniature.suites",
    "evaluation",
)  # overrides that a benchmark reads, not the model


def evaluate(
    suite: Annotated[str, typer.Option(metavar="S", help="Which benchmark.")],
    variant: Annotated[
        list[str],
        typer.Option(
            metavar="V",
            help="A row of Table 2, its token-matched control V-matched, a point of Figure 3 such "
            "as ata-f256-b8K, a policy of our own, or all; may be repeated.",
        ),
    ] = ["ata"],  # noqa: B006  typer reads it, nobody changes it
    preset: PresetOption = DEFAULT_PRESET,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="N|ROLE",
            help="Most memory tokens per question: a number, or 2K, 4K, 8K, 12K for what stands "
            "for the paper's budget on this suite.",
            show_default="8K, as Table 2",
        ),
    ] = None,
    world_seed: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Seed of the suite's fresh videos and questions."),
    ] = 0,
    num_questions: NumQuestionsOption = 0,
    checkpoint: CheckpointOption = None,
    overrides: SetOption = None,
    debug_numerics: DebugNumericsOption = False,
    salvage: SalvageOption = False,
    safe: SafeOption = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py",
            help="A file or module that registers a policy, scorer or benchmark; may be repeated.",
            show_default="those of TEMPO_PLUGINS",
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of a real benchmark's annotations and videos.",
            show_default="data/SUITE of the project",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write the summary there.")
    ] = None,
) -> int:
    """Measure variants of Table 2 on a suite; all of them answer the same questions.

    Suites of tiny: mini-longvideobench, mini-mlvu, mini-videomme, mini-lvbench; of 6b:
    longvideobench, mlvu, videomme, lvbench. An unknown name lists the known ones. --out holds an
    object, or a list where there are several variants. A video or question that fails is counted
    as an error, not as a wrong answer, and tried again by the next run; the exit code is then 2.

    A run that was stopped goes on where it was. Several processes share one run, videos dealt out
    among them: start this command with torchrun.

    Examples:

    * tempo evaluate --suite mini-videomme --variant ata --num-questions 40
    * tempo evaluate --suite mini-lvbench --variant ata --variant top-k --out result.json
    * tempo evaluate --suite mini-lvbench --variant all --checkpoint runs/tiny/train-seed1
    * tempo evaluate --plugin my_policy.py --suite mini-mlvu --variant my-policy
    * torchrun --nproc-per-node 8 -m tempo_lib.cli evaluate --preset 6b --suite lvbench
    """
    with needs_extra("notebooks"):
        from tempo_lib.config import load_preset
        from tempo_lib.evaluation.benchmark import Reading
        from tempo_lib.evaluation.ranks import ranks_of_torchrun
        from tempo_lib.fingerprint import write_atomic

    if out is not None:
        check_parent("--out", out)
    changes = overrides or []
    with bad_input():
        numbers = load_preset(preset, changes)
        named = find_variants(numbers, suite, variant, plugin or [])
    with ranks_of_torchrun() as ranks, redirect_stdout(sys.stderr):
        options = {"num_questions": num_questions, "world_seed": world_seed, "root": root}
        reading = Reading(salvage=salvage, safe=safe)
        is_real = numbers.miniature is None  # files are looked for before gigabytes of weights
        real = {**options, "reading": reading}
        found = load_data(numbers, suite, ranks, real) if is_real else None
        loaded = load_model(preset, stage_folder(checkpoint, numbers), None, changes, OF_BENCHMARKS)
        tokens = budget_of(numbers, budget)
        rows = list(usable(named, loaded, numbers, tokens, leave_out=ALL in variant))
        data = found or replace(load_data(numbers, suite, ranks, options), reading=reading)
        with checked_layers(loaded.model, debug_numerics):
            done = run(loaded, data, rows, tokens, ranks)
    if ranks.rank:
        return 2 if done.failures else 0
    measured = {record.variant for record in done.records}  # one that always failed is no row
    digests = dict[str, str]()
    kept = [row for row in rows if row.name in measured]
    results = [result(done, data, row, loaded, numbers, digests) for row in kept]
    print_table(results)
    if out is not None:
        document = results[0] if len(results) == 1 else results
        write_atomic(out, json.dumps(document, indent=2) + "\n")
        print(f"wrote {out}", file=sys.stderr)
    if done.failures:
        first = done.failures[0]
        count, name = len(done.failures), f"{first.question_id} ({first.variant})"
        raise InputError(f"{count} answers failed, first {name}: {first.error}")
    return 0


def budget_of(preset: "Preset", given: str | None) -> int | str | None:
    """--budget as a number or as one of the benchmark's names; without it that of --set."""
    if given is None:
        return preset.overrides.get("allocation.budget")
    return int(given) if given.isdigit() else given


def load_data(preset: "Preset", suite: str, ranks: "Ranks", options: dict[str, Any]) -> "Benchmark":
    """The benchmark; the first rank reads it before the others, who find what it has made.

    InputError for annotations or videos that are not there, and for --root of generated data.
    """
    from tempo_lib.evaluation import benchmark

    given = {name: value for name, value in options.items() if value is not None}
    is_real = preset.miniature is None
    if "root" in given and not is_real:
        raise InputError(f"--root is of the real benchmarks; {suite} is generated")
    if ranks.rank:
        ranks.wait()
    try:
        with needs_extra("benchmarks"):
            data = benchmark.load_benchmark(preset, suite, **given)
    except ValueError as error:
        if is_real:  # its files are the caller's
            raise InputError(one_line(error)) from error
        raise
    if not ranks.rank:
        ranks.wait()
    return data


def run(
    loaded: Loaded,
    data: "Benchmark",
    rows: "Sequence[Variant]",
    budget: int | str | None,
    ranks: "Ranks",
) -> "Evaluated":
    """All answers of all ranks; InputError where there is none, with the first reason."""
    from tempo_lib.checkpoints.folders import CheckpointError
    from tempo_lib.evaluation import ordered, runner
    from tempo_lib.evaluation.records import RecordsError

    if budget is not None:
        with bad_input():  # a name that the suite does not know
            data.tokens(budget)
    with bad_input():  # an order that was not learned yet
        rows, models = ordered.bound_to_order(loaded.model, rows)
    with bad_input(CheckpointError, RecordsError):
        options: dict[str, Any] = {"budget": budget, "ranks": ranks, "models": models}
        done = runner.run_evaluation(loaded.model, data, rows, progress=not ranks.rank, **options)
    if not done.records:
        reason = done.failures[0].error if done.failures else "the suite has no questions"
        raise InputError(f"all {len(done.failures)} answers failed, first: {reason}")
    lost = {record.video: record.num_lost for record in done.records if record.num_lost}
    for video, num_lost in lost.items() if not ranks.rank else ():
        print(f"note: {video} is damaged: {num_lost} frames are lost", file=sys.stderr)
    return done


def find_variants(
    preset: "Preset", suite: str, names: Sequence[str], plugins: Sequence[str]
) -> "list[Variant]":
    """The variants of ``names``; ValueError for an unknown plug-in, benchmark or variant."""
    from tempo_lib.evaluation import ordered  # noqa: F401  registers its policies
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
    budget: int | str | None,
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


def check_parts(
    variant: "Variant", loaded: Loaded, preset: "Preset", budget: int | str | None
) -> None:
    """ValueError for a missing checkpoint or scorer, and for too small a budget.

    A variant that keeps whole segments of fewer frames needs a budget of one segment.
    """
    from tempo_lib.checkpoints.folders import CheckpointError
    from tempo_lib.checkpoints.hub import fetch_command
    from tempo_lib.checkpoints.loading import check_layout, local_folder
    from tempo_lib.evaluation.native import NATIVE_MODELS
    from tempo_lib.evaluation.scorers import check_scorer
    from tempo_lib.evaluation.variants import TEMPO

    if variant.checkpoint is not None:
        if any(not path.startswith(OF_BENCHMARKS) for path in preset.overrides):
            raise ValueError("--set changes the model of --checkpoint alone, not another stage's")
        check_layout(checkpoint_folder(variant, loaded).absolute())
    if variant.score_source != TEMPO:
        check_scorer(variant.score_source, loaded.model)
    if variant.native is not None:
        place = NATIVE_MODELS.get(variant.native)(loaded.model)
        try:
            local_folder(place)  # before any video is read
        except CheckpointError as error:
            way = f"where there is a network: {fetch_command(place)}"
            raise ValueError(f"{error}; {way}") from error
        if budget == 0:
            raise ValueError("it needs --budget of at least 1")
    least = loaded.model.config.k_max
    whole_segments = variant.fewer_frames and variant.match is None
    if whole_segments and isinstance(budget, int) and budget < least:
        raise ValueError(f"it needs --budget of at least {least}")
