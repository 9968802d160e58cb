"""Where checkpoints are on disk, and what distinguishes them; nothing here opens one.

Without torch, so that a workflow which only needs their paths starts at once.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from tempo_lib.config import Preset, load_preset
from tempo_lib.fingerprint import sha256_of_file, write_atomic
from tempo_lib.provenance import project_root

BASE_MODELS = ("base_decoder", "base_compressor")  # what training starts from
RERANKER = "reranker"  # a scorer of Table 2 D; no stage needs it
SUMMARY = "card.json"  # a training summary, written last: it marks a finished checkpoint
PART_FILES = (SUMMARY, "config.json", "model.safetensors", "tokenizer.json")


def stage_names(preset: Preset) -> tuple[str, ...]:
    """Folder names of the trained stages, in order: as many as the preset has blocks for."""
    return tuple(f"stage{number}" for number in preset.stages)


def main_stage(preset: Preset) -> str:
    """Folder name of the last trained stage, whose model everything but stage comparisons runs on.

    ValueError for a preset without stages.
    """
    if not preset.stages:
        raise ValueError(f"preset {preset.name} trains no stages")
    return stage_names(preset)[-1]


def part_names(preset: Preset) -> tuple[str, ...]:
    """Everything that a set of checkpoints of this preset holds, in order of making."""
    return (*BASE_MODELS, RERANKER, *stage_names(preset))


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the reason and the way out."""


def find_checkpoint(preset: Preset | str, name: str | None = None) -> Path | str:
    """Where a preset's weights are: your own run's, else the shipped ones; a hub id for ``6b``.

    ``name``: of ``part_names``; None takes the last stage. CheckpointError when neither exists,
    with the command that makes it.
    """
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    if name is None:
        name = main_stage(numbers) if numbers.stages else ""
    own = project_root() / "runs" / numbers.name / "train" / name
    if numbers.miniature is None:
        return own if is_finished(own) else _released(numbers, name)
    shipped = Path(str(resources.files("tempo_lib") / "assets" / numbers.name / name))
    for folder in (own, shipped):
        if is_finished(folder):
            return folder
    raise CheckpointError(
        f"no checkpoint {name} of the {numbers.name} preset: neither {own} nor the package has "
        f"one; make it with `tempo train --preset {numbers.name} --from-scratch`"
    )


def _released(preset: Preset, name: str) -> str:
    """Where others publish the weights of a scale that is no miniature."""
    weights = preset.weights
    last = main_stage(preset) if preset.stages else ""
    known = {last: weights.checkpoint, "base_compressor": weights.base_compressor}
    known |= {"base_decoder": weights.base_decoder, RERANKER: weights.reranker}
    found = known.get(name)
    if found is None:
        raise CheckpointError(
            f"no checkpoint {name} of the {preset.name} preset: nobody has published it; "
            "train it, or name one"
        )
    return found


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write a checkpoint's training summary; from now on the checkpoint counts as finished."""
    write_atomic(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a checkpoint whose training has ended."""
    return (folder / SUMMARY).is_file()


def checkpoint_digest(folder: Path | str) -> str:
    """sha256 over the weights of a local checkpoint; the name itself for a hub id."""
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        return str(folder)
    return hashlib.sha256("".join(sha256_of_file(file) for file in files).encode()).hexdigest()
