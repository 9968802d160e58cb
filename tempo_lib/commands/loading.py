"""Load a model for a command; whatever cannot be loaded becomes one line."""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from transformers import PretrainedConfig
from transformers.utils import logging as transformers_logging

from tempo_lib.checkpoints import check_layout, find_checkpoint
from tempo_lib.commands.errors import InputError, bad_input, one_line
from tempo_lib.config import TempoConfig
from tempo_lib.model import Tempo
from tempo_lib.presets import Preset, load_preset

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
        check_layout(where, base_compressor)
    if (
        base_compressor
        and Path(base_compressor).is_absolute()
        and not Path(base_compressor).exists()
    ):
        raise InputError(f"no base compressor at {base_compressor}: the folder does not exist")
    if not Path(where).exists():
        _check_hub(where, numbers)
    try:
        model = Tempo.from_pretrained(where, base_compressor=base_compressor)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"cannot load the checkpoint {where}: {one_line(error)}") from error
    loaded = Loaded(model, where)
    if preset is not None and preset != loaded.preset:
        raise InputError(f"{where} is of preset {loaded.preset}, not {preset}; leave out --preset")
    return loaded


def _check_hub(name: str, numbers: Preset) -> None:
    """InputError unless the hub, or its local cache, holds ``name`` in our layout.

    Without this check a checkpoint of another layout would load as random weights.
    """
    try:
        config, _ = PretrainedConfig.get_config_dict(name)
    except OSError as error:
        size = numbers.weights.download_gigabytes
        about = f" (about {size:g} GB)" if size else ""
        raise InputError(
            f"cannot get {name}{about} from the Hugging Face hub or its cache (HF_HOME): "
            f"{one_line(error)}"
        ) from error
    kind = config.get("model_type")
    if kind != TempoConfig.model_type:
        raise InputError(
            f"{name} has the layout {kind!r}; this version reads {TempoConfig.model_type!r} "
            "checkpoints only, such as those of `tempo train`"
        )
