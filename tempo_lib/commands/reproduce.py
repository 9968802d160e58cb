"""``tempo reproduce``: errors of its options and notebooks become one line or a short report."""

import sys

from tempo_lib.checkpoints import CheckpointError
from tempo_lib.commands.errors import bad_input
from tempo_lib.notebooks import NotebookError
from tempo_lib.reproduce import make_batch, reproduce


def run(preset: str, only: str | None, from_scratch: bool, dry_run: bool) -> int:
    """Return 0, or 1 when a notebook failed: which cell and why is then on stderr."""
    with bad_input():
        batch = make_batch(preset, only, from_scratch)
    try:
        with bad_input(CheckpointError):
            reproduce(batch, dry_run)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
