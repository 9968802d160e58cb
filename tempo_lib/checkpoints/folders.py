"""Where checkpoints are on disk, and what tells one from another; nothing here opens one.

Without torch, so that a workflow which only needs their places starts at once.
"""

import hashlib
from importlib import resources
from pathlib import Path

from tempo_lib.config import Preset, load_preset
from tempo_lib.provenance import project_root, sha256_of_file

BASE_MODELS = ("base_decoder", "base_compressor")  # what training starts from
RERANKER = "reranker"  # a scorer of Table 2 D; no stage needs it
PART_FILES = ("card.json", "config.json", "model.safetensors", "tokenizer.json")


def stage_names(preset: Preset) -> tuple[str, ...]:
    """Folder names of the trained stages, in order: as many as the preset has blocks for."""
    return tuple(f"stage{number}" for number in preset.stages)


def part_names(preset: Preset) -> tuple[str, ...]:
    """Everything that a set of checkpoints of this preset holds, in order of making."""
    return (*BASE_MODELS, RERANKER, *stage_names(preset))


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why and what to do."""


def find_checkpoint(preset: Preset | str, name: str = "stage3") -> Path | str:
    """Where a preset's weights are: your own run's, else the shipped ones; a hub id for ``6b``.

    ``name``: stage0..stage3, base_compressor or base_decoder. CheckpointError when neither
    exists, with the command that makes it.
    """
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    if numbers.miniature is None:
        return numbers.weights.checkpoint
    own = project_root() / "runs" / numbers.name / "train" / name
    shipped = Path(str(resources.files("tempo_lib") / "assets" / numbers.name / name))
    for folder in (own, shipped):
        if (folder / "card.json").is_file():
            return folder
    raise CheckpointError(
        f"no checkpoint {name} of the {numbers.name} preset: neither {own} nor the package has "
        "one; make it with `tempo train --preset tiny --from-scratch`"
    )


def checkpoint_digest(folder: Path | str) -> str:
    """sha256 over the weights of a local checkpoint; the name itself for a hub id."""
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        return str(folder)
    return hashlib.sha256("".join(sha256_of_file(file) for file in files).encode()).hexdigest()
