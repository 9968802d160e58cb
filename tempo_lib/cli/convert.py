"""``tempo convert``: a checkpoint in the other layout; bad folders become one line."""

from tempo_lib.checkpoints.convert import convert
from tempo_lib.checkpoints.loading import CheckpointError
from tempo_lib.checkpoints.released import RELEASED_TYPE
from tempo_lib.cli.errors import bad_input
from tempo_lib.model.tempo import Tempo


def run(source: str, target: str, max_shard_size: str, base_compressor: str | None) -> int:
    """Convert and say what was written."""
    with bad_input(CheckpointError, OSError):
        done = convert(source, target, Tempo, max_shard_size, base_compressor)
    name = "released layout" if done.layout == RELEASED_TYPE else "layout of this kit"
    print(
        f"{target}: {name}, {done.num_tensors} tensors, {done.num_bytes / 1e9:.3g} GB in "
        f"{done.num_shards} {'file' if done.num_shards == 1 else 'files'}"
    )
    if done.base_compressor is not None:
        print(
            f"the release also needs the base compressor that config.json names, "
            f"{done.base_compressor}: as a folder beside {target}, or a hub id; this kit does not"
        )
    return 0
