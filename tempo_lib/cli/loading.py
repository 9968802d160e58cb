"""Load a model for a command; whatever cannot be loaded becomes one line."""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from tempo_lib.checkpoints.loading import find_checkpoint
from tempo_lib.cli.errors import InputError, bad_input, one_line
from tempo_lib.config import load_preset
from tempo_lib.model.tempo import Tempo

DEFAULT_PRESET = "tiny"


@dataclass(frozen=True)
class Loaded:
    """A model, and the folder or hub id that it came from."""

    model: Tempo
    checkpoint: str

    @property
    def preset(self) -> str:
        return self.model.config.preset


def load_model(
    preset: str | None,
    checkpoint: str | None,
    base_compressor: str | None = None,
    name: str = "stage3",
) -> Loaded:
    """The model of ``checkpoint``, else checkpoint ``name`` of ``preset`` (default: tiny).

    InputError for an unknown preset, a checkpoint that is missing, damaged or of another layout,
    and for a preset that is not the checkpoint's.
    """
    transformers_logging.disable_progress_bar()
    with bad_input():
        numbers = load_preset(preset or DEFAULT_PRESET)
        where = str(find_checkpoint(numbers, name) if checkpoint is None else checkpoint)
    try:
        model = Tempo.from_pretrained(where, base_compressor=base_compressor)
    except (OSError, ValueError, SafetensorError) as error:
        size = "" if checkpoint else f" (about {numbers.weights.download_gigabytes:g} GB)"
        hint = size if not Path(where).exists() and size != " (about 0 GB)" else ""
        raise InputError(f"cannot load {where}{hint}: {one_line(error)}") from error
    loaded = Loaded(model, where)
    if preset is not None and preset != loaded.preset:
        raise InputError(f"{where} is of preset {loaded.preset}, not {preset}; leave out --preset")
    return loaded
