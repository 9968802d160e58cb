"""``tempo train``: one stage, or the whole miniature from nothing.

What is finished is kept, an interrupted stage goes on where it stopped.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tempo_lib.cli.clear import check_places, check_seed, clear, going
from tempo_lib.cli.common import (
    DEFAULT_PRESET,
    OF_PRESET,
    FromScratchOption,
    InputError,
    PresetOption,
    SafeOption,
    SetOption,
    bad_input,
    needs_extra,
)
from tempo_lib.cli.own_data import read_own, train_own

if TYPE_CHECKING:
    from tempo_lib.config import Preset
    from tempo_lib.miniature.pretrain.build import Miniature


def train(
    preset: PresetOption = DEFAULT_PRESET,
    stage: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="One stage, from 0 on.", show_default="all"),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of every random draw.")] = 0,
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where base models, corpora and stages are written.",
            show_default="runs/<preset>/train",
        ),
    ] = None,
    from_scratch: FromScratchOption = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--fresh", help="Keep what is finished, or delete it and begin again."
        ),
    ] = True,
    manifest: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Your own mixture of data.", show_default=OF_PRESET),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="ROOT", help="Folder that your manifest's paths start from."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="CHECKPOINT", help="Where the stage starts.", show_default="the stage before"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the stage on your data goes.")
    ] = None,
    max_broken: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Most samples that may be skipped as their media cannot be read.",
        ),
    ] = 0.05,
    safe: SafeOption = False,
    eval_manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml",
            help="Samples below --data that are not trained on: their loss is measured.",
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Steps from one evaluation to the next.", show_default="100"
        ),
    ] = None,
    tracker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Where curves go beside losses.jsonl: tensorboard, wandb, none; may be repeated.",
            show_default="tensorboard where it is installed",
        ),
    ] = None,
    peak_tflops: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            min=0.1,
            help="Peak of one GPU in bf16, which the MFU in the log is a share of.",
            show_default="by the GPU's name",
        ),
    ] = None,
    overrides: SetOption = None,
) -> int:
    """Train one of the stages, or with --from-scratch everything from nothing.

    Finished parts are kept and an interrupted stage goes on where it stopped. For data of your
    own give --manifest, --data and --out. Base models that are finished elsewhere are taken with
    --set weights.base_decoder=DIR and so on; every --set is recorded beside the checkpoint.

    Examples:

    * tempo train --preset tiny --from-scratch
    * tempo train --stage 2 --set training.stages.2.window=8
    * tempo train --from-scratch --set miniature.corpus_scale.stage3=4 --work runs/tiny/longer
    """
    with needs_extra("train"):
        from tempo_lib.checkpoints.folders import SUMMARY
        from tempo_lib.miniature.pretrain import build
        from tempo_lib.provenance import project_root
        from tempo_lib.training.records import TrainingError

    own = {"--manifest": manifest, "--data": data, "--out": out}
    more: dict[str, Any] = {
        "--safe": safe or None,
        "--eval-manifest": eval_manifest,
        "--eval-every": eval_every,
        "--tracker": tracker or None,
        "--peak-tflops": peak_tflops,
    }
    check(stage, from_scratch, own, start, more)
    from_base_models = from_scratch or not (stage or start)
    numbers = find_preset(preset, overrides or [], stage, from_base_models, manifest is not None)
    mini = build.Miniature(numbers, work or project_root() / "runs" / numbers.name / "train", seed)
    training = None
    if manifest is not None and data is not None and out is not None:
        check_places(out, data, start, is_fresh=not resume)
        given = manifest, stage or 0, data, out, eval_manifest
        training = read_own(numbers, *given, max_broken)
    if start is not None or (stage and not from_scratch):
        find_start(mini, stage or 0, start)  # before anything is deleted
    check_seed(mini, from_scratch, [] if resume else going(mini, stage, from_scratch, out))
    if not resume:
        clear(mini, stage, from_scratch, out)
    with bad_input(TrainingError, FloatingPointError):
        if training is not None:
            begin = find_start(mini, training.stage, start)
            options = {**more, "--max-broken": max_broken}
            folders = {training.stage: train_own(mini, begin, training, options)}
        else:
            folders = make_parts(mini, stage, from_scratch, start)
    for number, folder in folders.items():
        say_done(number, folder / SUMMARY)
    return 0


def make_parts(
    mini: "Miniature", stage: int | None, from_scratch: bool, start: str | None
) -> dict[int, Path]:
    """Train one stage on the corpora of the miniature, or everything; the folders by stage."""
    from tempo_lib.miniature.pretrain import build

    if stage is None or from_scratch:
        stages = [number for number in mini.preset.stages if stage is None or number <= stage]
        check_overrides(mini, [mini.stage(number) for number in stages])
        with bad_input():
            return build.train_miniature(mini, stages)
    check_overrides(mini, [mini.stage(stage)])
    begin = find_start(mini, stage, start)
    build.make_corpus(mini, stage)
    return {stage: build.make_stage(mini, stage, begin)}


def say_done(stage: int, file: Path) -> None:
    """One line per finished stage."""
    summary = json.loads(file.read_text(encoding="utf-8"))
    facts = f"final loss {summary['final_loss']}, {summary['steps']} steps"
    print(f"stage {stage}: {file.parent} ({facts}, {summary['seconds']} s)")


def check(stage: int | None, from_scratch: bool, own: dict, start: str | None, more: dict) -> None:
    """InputError for options that do not go together.

    ``own``: those of data of one's own; ``more``: what goes with them alone.
    """
    given = [name for name, value in own.items() if value is not None]
    for name, value in more.items() if not given else ():
        if value is not None:
            raise InputError(f"{name} goes with data of your own: --manifest, --data and --out")
    if more["--eval-every"] is not None and more["--eval-manifest"] is None:
        raise InputError("--eval-every needs --eval-manifest")
    if stage is None and not from_scratch:
        raise InputError("name a stage, such as --stage 0, or take --from-scratch for all of them")
    if from_scratch and (given or start):
        name = given[0] if given else "--start"
        raise InputError(f"{name} and --from-scratch contradict each other")
    if given and len(given) < len(own):
        missing = [name for name in own if name not in given]
        raise InputError(f"{given[0]} (own data) needs {' and '.join(missing)} too")


def find_preset(
    name: str, overrides: list[str], stage: int | None, from_base_models: bool, has_data: bool
) -> "Preset":
    """The preset with its overrides; InputError where it cannot train what the options name."""
    from tempo_lib.config import load_preset
    from tempo_lib.miniature.config import miniature_numbers
    from tempo_lib.training.stages import stage_numbers

    with bad_input():
        preset = load_preset(name, overrides)
    weights = [path for path in preset.overrides if path.startswith("weights.")]
    if weights and not from_base_models:
        raise InputError(f"--set {weights[0]} goes with --from-scratch or --stage 0")
    with bad_input(prefix="" if stage is None else f"--stage {stage}: "):
        stage_numbers(preset, stage or 0)
        if not has_data:
            miniature_numbers(preset)  # which makes its own
    return preset


def find_start(mini: "Miniature", stage: int, start: str | None) -> Path | None:
    """The checkpoint a stage begins from; None: the base models, put into ``mini.work``.

    Looks at --start, then --work, then at what ``find_checkpoint`` finds, shipped ones included.
    InputError when there is none.
    """
    from tempo_lib.checkpoints.folders import BASE_MODELS, RERANKER, find_checkpoint, is_finished
    from tempo_lib.checkpoints.loading import check_layout
    from tempo_lib.miniature.pretrain.build import take_base_model

    with bad_input():
        if start is not None:
            check_layout(start)
            return Path(start)
        if stage > 0:
            before = mini.stage(stage - 1)
            if is_finished(before):
                return before
            return Path(find_checkpoint(mini.preset, before.name))
        is_mini = mini.preset.miniature is not None  # else the base models stay where they are
        for name in (*BASE_MODELS, RERANKER) if is_mini else ():
            take_base_model(mini, name)
    return None


def check_overrides(mini: "Miniature", folders: list[Path]) -> None:
    """InputError when a finished stage that would be kept was made with other overrides.

    A run without overrides keeps whatever is finished.
    """
    from tempo_lib.checkpoints.folders import SUMMARY, is_finished
    from tempo_lib.training.loop import summary_overrides

    wanted = summary_overrides(mini.preset.overrides)
    for folder in filter(is_finished, folders if wanted else []):
        made = json.loads((folder / SUMMARY).read_text(encoding="utf-8")).get("overrides") or {}
        if made != wanted:
            raise InputError(
                f"{folder} was made with overrides {made}, not {wanted}: "
                "add --fresh, or choose another place"
            )
