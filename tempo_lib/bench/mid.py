"""A model between the miniature and the paper's: random weights, 43 M parameters, 128x128 pixels.

Where matrix products, not calls, take the time: on the miniature a layer is over before the next
one is called.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tempo_lib.bench.gpu.scale import SCALES, Workbench
from tempo_lib.model.tempo import Tempo

VISION: dict[str, Any] = {
    "depth": 6,
    "hidden_size": 256,
    "intermediate_size": 1024,
    "patch_size": 16,
}
VISION |= {"out_hidden_size": 384, "num_position_embeddings": 64}
TEXT: dict[str, Any] = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "head_dim": 64,
}
TEXT |= {"num_attention_heads": 6}
DECODER: dict[str, Any] = {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 8,
    "head_dim": 64,
}
DECODER |= {"num_attention_heads": 8}
PIXELS = {"min_pixels": 128 * 128, "max_pixels": 128 * 128}
CHANGES: dict[str, dict[str, Any]] = {
    "model.compressor.vision_config": VISION,
    "model.compressor.text_config": TEXT,
    "model.compressor.text_config.rope_parameters": {"mrope_section": [16, 8, 8]},
    "model.decoder": DECODER,
    "pixels": PIXELS,
}


def mid_model() -> Tempo:
    """The same weights each time."""
    changed = tuple(
        f"{path}.{name}={value}" for path, part in CHANGES.items() for name, value in part.items()
    )
    return Workbench(replace(SCALES["tiny"], overrides=changed), Path()).model
