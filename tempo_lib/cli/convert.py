"""``tempo convert``: a checkpoint in the other layout."""

from typing import Annotated

import typer

from tempo_lib.cli.common import bad_input


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="Checkpoint folder or hub id.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="A new or empty folder.")],
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

    IN's layout decides. Every tensor keeps its bits and its dtype; what the other layout has no
    place for goes into files beside it, so that converting back gives IN again.

    Examples:

    * tempo convert Vision-CAIR/Tempo-6B checkpoints/tempo-6b
    * tempo convert runs/tiny/train/stage3 released/tempo-tiny --base-compressor base_compressor
    """
    from tempo_lib.checkpoints import convert as layouts
    from tempo_lib.checkpoints.folders import CheckpointError
    from tempo_lib.checkpoints.released import RELEASED_TYPE
    from tempo_lib.model.tempo import Tempo

    with bad_input(CheckpointError, OSError):
        done = layouts.convert(source, target, Tempo, max_shard_size, base_compressor)
    name = "released layout" if done.layout == RELEASED_TYPE else "layout of this kit"
    files = "1 file" if done.num_shards == 1 else f"{done.num_shards} files"
    gigabytes = done.num_bytes / 1e9
    print(f"{target}: {name}, {done.num_tensors} tensors, {gigabytes:.3g} GB in {files}")
    if done.base_compressor is not None:
        print(
            f"the release also needs the base compressor that config.json names, "
            f"{done.base_compressor}: as a folder beside {target}, or a hub id; this kit does not"
        )
    return 0
