"""``tempo convert``: a checkpoint, or an unfinished training, in another layout or a named one."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tempo_lib.cli.common import bad_input, needs_extra


class Layout(StrEnum):
    """This kit's own layout, or that of the release."""

    tempo = "tempo"
    release = "release"


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="Checkpoint folder, hub id, or folder of an unfinished training."
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="OUT", help="A new or empty folder.")],
    layout: Annotated[
        Layout | None,
        typer.Option(help="The layout to write.", show_default="the other one than IN's"),
    ] = None,
    max_shard_size: Annotated[
        str,
        typer.Option(metavar="SIZE", help="Largest weights file, as 500MB or 4GB; bounds memory."),
    ] = "4GB",
    base_compressor: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Base model, folder or hub id: where the rows Yes/No are read; for ours -> "
            "released the name that config.json gets.",
            show_default="what config.json names",
        ),
    ] = None,
) -> int:
    """Write a checkpoint in the other layout: released -> ours, or ours -> released.

    Every tensor keeps its bits and its dtype; what the other layout has no place for goes into
    files beside it, so that converting back gives IN again. Of an unfinished training the last
    whole state is taken, whatever number of ranks wrote it; a state (state/step-N) can be named.

    Examples:

    * tempo convert Vision-CAIR/Tempo-6B checkpoints/tempo-6b
    * tempo convert runs/tiny/train/stage3 released/tempo-tiny --base-compressor base_compressor
    * tempo convert runs/own/state/step-00000400 checkpoints/step-400 --layout tempo
    """
    from tempo_lib.checkpoints import convert as layouts
    from tempo_lib.checkpoints.folders import CheckpointError
    from tempo_lib.model.tempo import Tempo

    with needs_extra("train"), bad_input(CheckpointError, ValueError, OSError):
        state = last_state(source)
        wanted = None if layout is None else model_type(layout)
        given = source if state is None else state
        done = layouts.convert(given, target, Tempo, max_shard_size, base_compressor, wanted)
    written = Layout.tempo if done.layout == model_type(Layout.tempo) else Layout.release
    of = "" if state is None else f" of {state.name}"
    files = "1 file" if done.num_shards == 1 else f"{done.num_shards} files"
    gigabytes = done.num_bytes / 1e9
    print(
        f"{target}: layout {written}{of}, {done.num_tensors} tensors, {gigabytes:.3g} GB in {files}"
    )
    if done.base_compressor is not None:
        print(
            f"the release also needs the base compressor that config.json names, "
            f"{done.base_compressor}: as a folder beside {target}, or a hub id; this kit does not"
        )
    return 0


def model_type(layout: Layout) -> str:
    """What ``config.json`` calls a layout."""
    from tempo_lib.checkpoints.released import RELEASED_TYPE
    from tempo_lib.model.tempo import Tempo

    return RELEASED_TYPE if layout is Layout.release else Tempo.config_class.model_type


def last_state(source: str) -> Path | None:
    """The last whole state of an unfinished training at ``source``; None for a checkpoint."""
    folder = Path(source)
    if (folder / "config.json").exists() or not folder.is_dir():
        return None
    from tempo_lib.training.progress import newest_state

    return newest_state(folder)
