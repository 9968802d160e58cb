"""``tempo plan``: what the stages of a preset cost, before a GPU is held."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tempo_lib.cli.common import InputError, SetOption, bad_input, needs_extra, screen

if TYPE_CHECKING:
    from tempo_lib.training.plan import Assumptions, Machine, Mixture

PIPE_WIDTH = 160  # letters, where no terminal says its own


def plan(
    preset: Annotated[str, typer.Option(metavar="P", help="The scale.")] = "6b",
    gpus: Annotated[
        int, typer.Option(metavar="N", min=1, help="GPUs that share the training.")
    ] = 64,
    stage: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="One stage.", show_default="all")
    ] = None,
    utilisation: Annotated[
        float, typer.Option(metavar="X", min=0.01, max=1.0, help="Share of a GPU's peak reached.")
    ] = 0.4,
    teraflops: Annotated[
        float, typer.Option(metavar="X", min=0.1, help="Peak of one GPU in bf16.")
    ] = 989.0,
    memory: Annotated[float, typer.Option(metavar="GB", min=0.1, help="Memory of one GPU.")] = 80.0,
    cores: Annotated[
        float, typer.Option(metavar="X", min=0.1, help="Cores that decode, per GPU.")
    ] = 16.0,
    as_json: Annotated[bool, typer.Option("--json", help="Every number as JSON.")] = False,
    overrides: SetOption = None,
) -> int:
    """Steps, operations, memory and hours of each stage, and what limits it.

    The mixtures are those of the paper's Table B, every video as long as the stage allows. Counts
    of weights and operations are exact; utilisation, decoding and activations are assumptions,
    which --json states.

    Examples:

    * tempo plan --preset 6b --gpus 8
    * tempo plan --gpus 64 --stage 2 --set training.stages.2.global_batch=256 --json
    """
    from tempo_lib.config import load_preset
    from tempo_lib.training.costs import parameter_counts
    from tempo_lib.training.plan import Assumptions, Machine, paper_mixtures, plan_stage

    machine = Machine(
        num_gpus=gpus,
        teraflops=teraflops,
        utilisation=utilisation,
        gigabytes=memory,
        cores_per_gpu=cores,
    )
    with bad_input(), needs_extra("evaluate"):  # published mixtures are read by pandas
        numbers, given = load_preset(preset, overrides or []), Assumptions()
        mixtures = paper_mixtures()
        stages = numbers.stages if stage is None else (stage,)
        rows = [
            plan_stage(numbers, one, find_mixture(mixtures, one), machine, given) for one in stages
        ]
        counts = parameter_counts(numbers)
    if as_json:
        facts = {"preset": preset, "machine": asdict(machine), "assumptions": asdict(given)}
        print(json.dumps({**facts, "parameters": counts, "stages": rows}, indent=1))
    else:
        show(counts, rows, machine, given)
    return 0


def find_mixture(mixtures: "dict[int, Mixture]", stage: int) -> "Mixture":
    """A stage's mixture; InputError where Table B has none."""
    if stage not in mixtures:
        known = ", ".join(map(str, sorted(mixtures)))
        raise InputError(f"Table B has no stage {stage}; it has {known}")
    return mixtures[stage]


def show(
    counts: dict[str, int], rows: list[dict[str, Any]], machine: "Machine", given: "Assumptions"
) -> None:
    """One row per stage, and what the numbers rest on."""
    from rich.table import Table

    table = Table(title=f"{machine.num_gpus} GPUs")
    names = ("stage", "samples", "steps", "passes", "PFLOP", "GPU hours", "decode core hours")
    for name in (*names, "hours", "GB per GPU", "limit"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [row["stage"], f"{row['samples']:,}", f"{row['steps']:,}", row["passes_per_step"]]
        cells += [f"{row['operations'] / 1e15:,.0f}", f"{row['gpu_hours']:,.1f}"]
        cells += [f"{row['decode_core_hours']:,.0f}", f"{row['hours']:,.1f}"]
        cells += [f"{sum(row['gigabytes'].values()):.1f}", row["limit"]]
        table.add_row(*map(str, cells))
    out = screen()
    out.width = out.width if out.is_terminal else PIPE_WIDTH
    out.print(table)
    parts = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())
    out.print(f"{sum(counts.values()):,} parameters: {parts}")
    out.print(
        f"Assumed: {machine.utilisation:.0%} of {machine.teraflops:g} TFLOP/s, "
        f"{machine.cores_per_gpu:g} decoding cores per GPU, {given.decode_seconds:g} core seconds "
        f"per second of video, videos of {given.video_width}x{given.video_height} as long as a "
        "stage allows; --json has the rest"
    )
