"""Qwen3-VL of any size as baselines of Table 1: ``--variant native-qwen3-vl-8b`` and the others."""

from tempo_lib.evaluation.native import NATIVE_MODELS
from tempo_lib.model.tempo import Tempo


@NATIVE_MODELS.register("qwen3-vl-4b")
def four(model: Tempo) -> str:
    """Hub id of the size between the two that Table 1 has."""
    return "Qwen/Qwen3-VL-4B-Instruct"


@NATIVE_MODELS.register("qwen3-vl-8b")
def eight(model: Tempo) -> str:
    """Hub id of Table 1's larger one; its 2B is the base compressor, ``native-base``."""
    return "Qwen/Qwen3-VL-8B-Instruct"
