"""Where a model runs, in which precision, and why rotary frequencies are an exception.

A bf16 frequency is off by up to 1/256 of itself, and the phase is position times frequency: at
position 5000 the error reaches radians, so distant tokens and frames lose their positions. The
release casts them with the model; here they stay float32 unless ``release_numerics`` is set.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

# in every rotary module of transformers: inv_freq, and original_inv_freq that it was copied from
SUFFIX = "inv_freq"


def placement(device: str, dtype: Any) -> tuple[str, Any]:
    """Device and dtype for ``auto``: a GPU where there is one; float32 on a CPU, where bf16 is
    seldom faster, and as stored on a GPU (dtype stays ``auto``)."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto" and torch.device(device).type == "cpu":
        dtype = torch.float32
    return device, dtype


def rotary_frequencies(model: nn.Module) -> dict[str, torch.Tensor]:
    """Name -> buffer of every rotary frequency table below ``model``."""
    return {name: table for name, table in model.named_buffers() if name.endswith(SUFFIX)}


def set_release_numerics(model: Any, wanted: bool | None) -> None:
    """Note the switch in ``model.config`` (None: as it is) and, if on, cast as the release does.

    Needed after loading, because transformers makes frequencies in float32 at every dtype.
    """
    if wanted is not None:
        model.config.release_numerics = wanted
    if model.config.release_numerics:
        model.to(model.dtype)


@contextmanager
def pinned_frequencies(model: nn.Module, is_pinned: bool) -> Iterator[None]:
    """Undo what a cast inside does to frequency tables; where they are moved, they stay."""
    kept = rotary_frequencies(model)
    yield
    for name, table in rotary_frequencies(model).items() if is_pinned else ():
        if table.dtype != kept[name].dtype:
            owner, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(owner), attribute, kept[name].to(table.device))
