"""Tempo, reproduced: query-aware compression of long video under a strict token budget.

The names below are the public surface. They load on first use, so importing the
package costs neither torch nor a video decoder.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Tempo": "model.tempo",
    "TempoConfig": "checkpoints.config",
    "Video": "video.clip",
    "VideoError": "video.base",
    "load_image": "video.clip",
    "load_preset": "config",
    "load_video": "video.clip",
    "open_video": "video.clip",
    "sample_indices": "video.sampling",
    "allocate": "allocation.ata",
    "reduce_memories": "allocation.reduction",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"tempo_lib has no {name!r}; public names: {', '.join(__all__)}")
    return vars(import_module(f"tempo_lib.{_HOME[name]}"))[name]


def __dir__() -> list[str]:
    return __all__
