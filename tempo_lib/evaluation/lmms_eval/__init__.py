"""Tempo as a model of lmms-eval, found by its entry point: ``--model tempo``, no fork.

    python -m lmms_eval --model tempo --model_args preset=6b,budget=8192 --tasks lvbench

Nothing of lmms-eval is imported before it asks for the model.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest


def manifest() -> "ModelManifest":
    """What the entry point ``lmms_eval.models`` gives: the name of the model and its class."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(
        model_id="tempo", simple_class_path="tempo_lib.evaluation.lmms_eval.model.TempoLmms"
    )
