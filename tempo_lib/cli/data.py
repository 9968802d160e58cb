"""``tempo data``: what of a benchmark is on disk, and stand-ins for a rehearsal without it."""

import json
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tempo_lib.cli.common import (
    InputError,
    bad_input,
    check_parent,
    needs_extra,
    screen,
)
from tempo_lib.cli.mixtures import (
    MANIFEST_SUFFIXES,
    as_text,
    check_mixture,
    fetch_benchmark,
    fetch_mixture,
    is_mixture,
    say_problems,
)

if TYPE_CHECKING:
    from tempo_lib.evaluation.real.source import RealSource

REAL_PRESET = "6b"  # whose sampling rate measures the videos, and whose plug-ins read them

data = typer.Typer(name="data", help="The data of benchmarks.", no_args_is_help=True)


@data.callback()
def of_data() -> None:
    """Data of the benchmarks: check what is on disk, or generate stand-ins."""


@data.command()
def check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|MANIFEST",
            help="lvbench, videomme, mlvu or longvideobench, a manifest of one (.yaml) for "
            "files that lie otherwise, or a manifest of training mixtures.",
        ),
    ],
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of annotations and videos.",
            show_default="data/NAME of the project",
        ),
    ] = None,
    videos: Annotated[
        bool, typer.Option("--videos/--no-videos", help="Open every video file as well.")
    ] = True,
    as_json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write facts and problems there."),
    ] = None,
) -> int:
    """Count questions and videos against the manifest, and name what is wrong.

    Refused rows, answers that are no option, ids that occur twice, missing and unreadable videos,
    and which of the sets that go by the same name this is. Exit code 2, one problem per line,
    where anything is wrong.

    Of training mixtures: names, licences, shares and counts against Table B, and with --root
    every file, record and medium.

    Examples:

    * tempo data check lvbench --root data/lvbench --no-videos
    * tempo data check data_manifests/training/6b.yaml --root data/training
    """
    from tempo_lib.config import load_preset
    from tempo_lib.evaluation.real import check as checking

    if as_json is not None:
        check_parent("--json", as_json)
    if is_mixture(name):
        return check_mixture(Path(name), root, as_json)
    preset = load_preset(REAL_PRESET)
    with bad_input(), redirect_stdout(sys.stderr):
        source = find_source(name)
        folder = source.folder() if root is None else root
        if not folder.is_dir():
            raise InputError(f"no folder {folder}; name the one with --root")
        with needs_extra("benchmarks"):
            report = checking.check(source, preset, folder, videos)
    for key, value in report.facts.items():
        screen().print(f"{key}: {as_text(value)}", markup=False)
    if as_json is not None:
        document = {**report.facts, "problems": report.problems, "videos_checked": videos}
        as_json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    say_problems(report.problems)
    return 0 if report.is_good else 2


@data.command()
def fetch(
    name: Annotated[
        str, typer.Argument(metavar="NAME|MANIFEST", help="As for `tempo data check`.")
    ],
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where it goes.", show_default="data/NAME of the project"),
    ] = None,
    stage: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Of training mixtures, one.", show_default="all"),
    ] = None,
    videos: Annotated[
        bool, typer.Option("--videos/--no-videos", help="Of a benchmark, the videos too.")
    ] = True,
) -> int:
    """Download a benchmark, or the question files of training mixtures.

    Goes on where it was broken off, shows how far it is and compares hashes where they are known.
    Licences stay the publishers': `tempo data check` shows them.

    Examples:

    * tempo data fetch lvbench --no-videos
    * tempo data fetch data_manifests/training/6b.yaml --stage 1 --root data/training
    """
    with bad_input(), redirect_stdout(sys.stderr):
        problems = fetch_mixture(Path(name), root, stage) if is_mixture(name) else []
        if not is_mixture(name):
            if stage is not None:
                raise InputError("--stage goes with a manifest of training mixtures")
            problems = fetch_benchmark(find_source(name), root, videos)
    return say_problems(problems)


@data.command()
def index(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="Of training mixtures.")],
    root: Annotated[Path, typer.Option(metavar="DIR", help="Folder of records and media.")],
    stage: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="One stage.", show_default="all")
    ] = None,
    preset: Annotated[
        str, typer.Option(metavar="P", help="Whose sampling rate and label rules hold.")
    ] = REAL_PRESET,
    max_broken: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0, max=1, help="Most records that may be skipped."),
    ] = 0.05,
) -> int:
    """Write the index that a training streams from: one pass over all records and their media.

    Of each medium the first frame is decoded. What cannot be read is counted and named in a file
    beside the index. `tempo train` writes it too where it is missing; here no GPU waits for it.

    Example:

    * tempo data index own.yaml --root data/own --stage 2
    """
    from tempo_lib.cli.own_data import read_index
    from tempo_lib.config import load_preset
    from tempo_lib.training.index import PROBLEMS

    if not root.is_dir():
        raise InputError(f"no folder {root}; name the one with --root")
    with bad_input(), needs_extra("train"):
        numbers = load_preset(preset)
    for number in numbers.stages if stage is None else (stage,):
        made = read_index(numbers, manifest, number, root, max_broken)
        counts = ", ".join(f"{made.facts[name]} {name}" for name in ("samples", "records"))
        screen().print(f"stage {number}: {made.file} ({counts})", markup=False, soft_wrap=True)
        if made.facts["broken"]:
            named = f"{made.facts['broken']} broken records are named in"
            print(f"{named} {made.file.with_suffix(PROBLEMS)}", file=sys.stderr)
    return 0


@data.command("stand-in")
def stand_in(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|MANIFEST", help="As for `tempo data check`."),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder to fill.")],
    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the real annotations.",
            show_default="data/NAME of the project",
        ),
    ] = None,
    share: Annotated[
        float, typer.Option(metavar="X", min=0.0, max=1.0, help="Of the real videos' length.")
    ] = 0.01,
    num_videos: Annotated[
        int, typer.Option(metavar="N", min=0, help="So many, spread over all of them; 0: all.")
    ] = 0,
) -> int:
    """Generate videos in place of the real ones, to rehearse an evaluation without them.

    DIR gets the real annotations of the videos and, for every id in them, a video of the real
    length cut down.
    Evaluated like the real folder, its results are marked and lie in runs/6b/rehearsal.

    Examples:

    * tempo data stand-in lvbench rehearsal/lvbench --annotations data/lvbench --num-videos 4
    * tempo evaluate --preset 6b --suite lvbench --root rehearsal/lvbench --checkpoint released
    """
    from tempo_lib.evaluation.real.stand_in import make_stand_in
    from tempo_lib.miniature.world.clips import write_clip

    with bad_input(), redirect_stdout(sys.stderr), needs_extra("benchmarks"):
        source = find_source(name)
        real = source.folder() if annotations is None else annotations
        made = make_stand_in(source, real, folder, write_clip, share, num_videos)
    print(
        f"{folder}: {made.num_videos} videos of {made.seconds:.0f} seconds together, for "
        f"{made.num_questions} questions; put it to `tempo evaluate --root {folder}`"
    )
    return 0


@data.command()
def rehearsal(
    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder that holds one with the real annotations for each benchmark.",
            show_default="data of the project",
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A real tokenizer.json.", show_default="the miniature's"),
    ] = None,
    share: Annotated[
        float, typer.Option(metavar="X", min=0.0, max=1.0, help="Of the real videos' length.")
    ] = 0.005,
    num_videos: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of each benchmark; 0: all.")
    ] = 4,
) -> int:
    """Make all that `tempo reproduce --preset 6b-rehearsal` needs: weights, videos, annotations.

    Random weights in the released layout and stand-ins of all four benchmarks, in
    runs/6b-rehearsal. What is there already stays.

    Example:

    * tempo data rehearsal --annotations data --num-videos 3
    """
    from tempo_lib.config import load_preset
    from tempo_lib.miniature.rehearsal import make_data, make_weights
    from tempo_lib.provenance import REHEARSAL, project_root

    preset = load_preset(REAL_PRESET + REHEARSAL)
    if tokenizer is not None and not tokenizer.is_file():
        raise InputError(f"no file {tokenizer}")
    with bad_input(), redirect_stdout(sys.stderr), needs_extra("benchmarks"):
        home = project_root() / "data" if annotations is None else annotations
        made = make_data(preset, home, share, num_videos)
        make_weights(preset, tokenizer)
    for name, one in made.items():
        print(f"{name}: {one.num_videos} videos, {one.num_questions} questions")
    print(f"now: tempo reproduce --preset {preset.name}")
    return 0


def find_source(name: str) -> "RealSource":
    """The reader of a benchmark, with the facts of another manifest where a file is given.

    ValueError for an unknown name, a manifest that is none, and a benchmark that is generated.
    """
    from tempo_lib.evaluation.benchmark import benchmark_source
    from tempo_lib.evaluation.real.manifest import load_manifest
    from tempo_lib.evaluation.real.source import RealSource

    path = Path(name)
    is_file = path.suffix in MANIFEST_SUFFIXES
    source = benchmark_source(REAL_PRESET, load_manifest(path).name if is_file else name)
    if not isinstance(source, RealSource):
        raise ValueError(f"{name} has no manifest to check against")
    return replace(source, manifest_file=path) if is_file else source
