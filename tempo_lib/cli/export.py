"""``tempo export``: a checkpoint, or an unfinished training, in the layout you name."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tempo_lib.cli.common import bad_input, needs_extra


class Layout(StrEnum):
    """This kit's own layout, or that of the release."""

    tempo = "tempo"
    release = "release"


def export(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="Checkpoint folder, hub id, or folder of an unfinished training.",
        ),
    ],
    layout: Annotated[Layout, typer.Option(help="The layout to write.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty folder.")],
    max_shard_size: Annotated[
        str,
        typer.Option(metavar="SIZE", help="Largest weights file, as 500MB or 4GB; bounds memory."),
    ] = "4GB",
    base_compressor: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="As for `tempo convert`."),
    ] = None,
) -> int:
    """Write a checkpoint in the layout you name, whatever it has; every tensor keeps its bits.

    Of an unfinished training the last whole state is taken, whatever number of ranks wrote it; a
    state (state/step-N) can also be named itself.

    Examples:

    * tempo export runs/own --layout release --out released/own
    * tempo export runs/own/state/step-00000400 --layout tempo --out checkpoints/step-400
    """
    from tempo_lib.checkpoints.convert import convert
    from tempo_lib.checkpoints.released import RELEASED_TYPE
    from tempo_lib.model.tempo import Tempo
    from tempo_lib.training.progress import newest_state

    with needs_extra("train"), bad_input(ValueError, OSError):
        is_model = (Path(checkpoint) / "config.json").exists()
        state = None if is_model else newest_state(Path(checkpoint))
        wanted = RELEASED_TYPE if layout is Layout.release else Tempo.config_class.model_type
        source = checkpoint if state is None else state
        done = convert(source, out, Tempo, max_shard_size, base_compressor, wanted)
    files = "1 file" if done.num_shards == 1 else f"{done.num_shards} files"
    of = f" of {state.name}" if state is not None else ""
    size = f"{done.num_tensors} tensors, {done.num_bytes / 1e9:.3g} GB in {files}"
    print(f"{out}: layout {layout.value}{of}, {size}")
    return 0
