"""The command ``tempo``. What it does is in ``tempo_lib.cli``, imported when it is used.

So ``tempo --help`` answers at once. Exit codes: 0 done, 2 bad input (one line on stderr that
names it), 1 a defect of ours (with its traceback).
"""

import sys
from collections.abc import Sequence
from typing import cast

import typer

from tempo_lib.cli import options as o
from tempo_lib.cli.errors import InputError, needs_extra, one_line

# typer exports this one child of its usage errors; the parent is what all of them are
USAGE_ERROR = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])

app = typer.Typer(
    name="tempo",
    help="Tempo, reproduced: ask long videos under a strict budget of memory tokens.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.command()
def ask(
    video: o.VideoArgument = None,
    questions: o.QuestionsArgument = None,
    cases: o.CasesOption = None,
    budget: o.BudgetOption = None,
    k_min: o.KMinOption = None,
    adaptive: o.AdaptiveOption = True,
    preset: o.AnyPresetOption = None,
    checkpoint: o.CheckpointOption = None,
    base_compressor: o.BaseCompressorOption = None,
    max_new_tokens: o.MaxNewTokensOption = None,
    fps: o.FpsOption = None,
    max_frames: o.MaxFramesOption = None,
    reader: o.ReaderOption = "auto",
    timestamps: o.TimestampsOption = "auto",
    json: o.JsonOption = False,
    plot: o.PlotOption = None,
) -> int:
    """Ask questions of a video, which is decoded and encoded once.

    With --json, one question gives an object; several, or --cases, give a list in their order. A
    broken video among cases gives a record with "error", the others go on, the exit code is 2.

    Examples:

    * tempo ask clip.mp4 "When is the red star seen?" "Which place is seen most?"
    * tempo ask --cases questions.json --budget 256 --json
    """
    from tempo_lib.cli.ask import run
    from tempo_lib.cli.asking import AskOptions

    asked = AskOptions(
        budget=budget,
        k_min=k_min,
        adaptive=adaptive,
        max_new_tokens=max_new_tokens,
        fps=fps,
        max_frames=max_frames,
        reader=reader,
        timestamps=timestamps,
    )
    return run(
        video,
        questions or [],
        cases,
        asked,
        preset=preset,
        checkpoint=checkpoint,
        base_compressor=base_compressor,
        as_json=json,
        plot=plot,
    )


@app.command()
def train(
    preset: o.PresetOption = "tiny",
    stage: o.StageOption = None,
    seed: o.SeedOption = 0,
    work: o.WorkOption = None,
    from_scratch: o.FromScratchOption = False,
    resume: o.ResumeOption = True,
    manifest: o.ManifestOption = None,
    data: o.DataOption = None,
    start: o.StartOption = None,
    out: o.OutOption = None,
    bases: o.BasesOption = None,
    paper_windows: o.PaperWindowsOption = False,
    paper_prompt: o.PaperPromptOption = False,
    longer: o.LongerOption = 1.0,
) -> int:
    """Train one of the four stages, or with --from-scratch everything from nothing.

    Finished parts are kept and an interrupted stage goes on where it stopped. For data of your
    own give --manifest, --data and --out.

    Examples:

    * tempo train --preset tiny --from-scratch
    * tempo train --preset tiny --from-scratch --longer 2
    * tempo train --from-scratch --seed 1 --work runs/tiny/train-seed1 --bases runs/tiny/train
    """
    with needs_extra("train"):
        from tempo_lib.cli.train import TrainOptions, run

    return run(
        TrainOptions(
            preset=preset,
            stage=stage,
            seed=seed,
            work=work,
            from_scratch=from_scratch,
            resume=resume,
            manifest=manifest,
            data=data,
            start=start,
            out=out,
            bases=bases,
            paper_windows=paper_windows,
            paper_prompt=paper_prompt,
            longer=longer,
        )
    )


@app.command()
def evaluate(
    suite: o.SuiteOption,
    variant: o.VariantOption = ["ata"],  # noqa: B006  typer reads it, nobody changes it
    preset: o.PresetOption = "tiny",
    budget: o.BudgetOption = None,
    world_seed: o.WorldSeedOption = 0,
    num_questions: o.NumQuestionsOption = 0,
    checkpoint: o.CheckpointOption = None,
    out: o.OutJsonOption = None,
    plugin: o.PluginOption = None,
) -> int:
    """Measure variants of Table 2 on a suite; all of them answer the same questions.

    Suites: mini-longvideobench, mini-mlvu, mini-videomme, mini-lvbench. An unknown name lists
    the known ones. --out holds an object, or a list where several variants are asked for.

    Examples:

    * tempo evaluate --suite mini-videomme --variant ata --num-questions 40
    * tempo evaluate --suite mini-lvbench --variant ata --variant top-k --out result.json
    * tempo evaluate --suite mini-lvbench --variant all --checkpoint runs/tiny/train-seed1
    * tempo evaluate --plugin my_policy.py --suite mini-mlvu --variant my-policy
    """
    with needs_extra("notebooks"):
        from tempo_lib.cli.evaluate import EvaluateOptions, run

    return run(
        EvaluateOptions(
            preset=preset,
            suite=suite,
            variants=tuple(variant),
            budget=budget,
            world_seed=world_seed,
            num_questions=num_questions,
            checkpoint=checkpoint,
            out=out,
            plugins=tuple(plugin or ()),
        )
    )


@app.command()
def reproduce(
    preset: o.PresetOption = "tiny",
    only: o.OnlyOption = None,
    from_scratch: o.FromScratchOption = False,
    dry_run: o.DryRunOption = False,
    cores: o.CoresOption = None,
    executor: o.ExecutorOption = None,
    report: o.ReportOption = None,
    num_questions: o.NumQuestionsOption = 0,
    publish: o.PublishOption = False,
) -> int:
    """Make every table and figure: train or keep a model, ask suites and clips, run the notebooks.

    Prints its plan with expected times first. What is up to date is not made again.

    Examples:

    * tempo reproduce --from-scratch
    * tempo reproduce --only table2c --dry-run
    * tempo reproduce --num-questions 60
    * tempo reproduce --executor slurm --cores 10
    """
    with needs_extra("notebooks"):
        from tempo_lib.cli.reproduce import ReproduceOptions, run

    return run(
        ReproduceOptions(
            preset=preset,
            only=only,
            from_scratch=from_scratch,
            dry_run=dry_run,
            cores=cores,
            executor=executor,
            report=report,
            num_questions=num_questions,
            publish=publish,
        )
    )


@app.command()
def convert(
    source: o.SourceArgument,
    target: o.TargetArgument,
    max_shard_size: o.MaxShardSizeOption = "4GB",
    base_compressor: o.ConvertBaseOption = None,
) -> int:
    """Write a checkpoint in the other layout: released -> ours, or ours -> released.

    IN's layout decides. Every tensor keeps its bits and its dtype; what the other layout has no
    place for goes into files beside it, so that converting back gives IN again.

    Examples:

    * tempo convert Vision-CAIR/Tempo-6B checkpoints/tempo-6b
    * tempo convert runs/tiny/train/stage3 released/tempo-tiny --base-compressor base_compressor
    """
    from tempo_lib.cli.convert import run

    return run(source, target, max_shard_size, base_compressor)


@app.command()
def doctor(
    parity: o.ParityOption = False,
    data: o.ParityDataOption = None,
    json: o.ParityJsonOption = None,
    markdown: o.ParityMarkdownOption = None,
) -> int:
    """Say what is installed, what a model would run on, and which checkpoints are here.

    With --parity: recompute what the release was recorded to compute, and print each quantity's
    difference and tolerance. Exit code 1 if one is out of tolerance, 2 if the records are missing.

    Examples:

    * tempo doctor
    * tempo doctor --parity --markdown PARITY.md
    """
    from tempo_lib.cli.doctor import run

    return run(parity, data, json, markdown)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run ``tempo`` with ``arguments`` (default: the process's) and return its exit code.

    Exceptions that leave this function are defects of ours.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=given or ["--help"], prog_name="tempo", standalone_mode=False)
    except USAGE_ERROR as error:
        print(f"error: {one_line(error.format_message())}", file=sys.stderr)
        return 2
    except InputError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    return int(code or 0)


def main() -> None:
    """The console script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
