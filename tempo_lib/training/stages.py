"""Table A as data: what trains in each stage, at which rate.

Stage 0 follows Table A (projector and memory tokens); section 4.1's text names the projector
alone. See DIFFERENCES.md.
"""

from typing import TYPE_CHECKING

from tempo_lib.config import Preset, StageNumbers, TrainingNumbers

if TYPE_CHECKING:  # a column alone needs no torch
    from torch import nn

    from tempo_lib.model.tempo import Tempo


def training_numbers(preset: Preset) -> TrainingNumbers:
    """A preset's training section; ValueError for a preset without one."""
    if preset.training is None:
        raise ValueError(
            f"preset {preset.name} has no training configuration; train with --preset tiny"
        )
    return preset.training


def stage_numbers(preset: Preset, stage: int) -> StageNumbers:
    """A stage's column; ValueError for an unknown stage or a preset without training."""
    stages = training_numbers(preset).stages
    if stage not in stages:
        known = ", ".join(map(str, preset.stages))
        raise ValueError(f"unknown stage {stage}; known stages: {known}")
    return stages[stage]


def parts(model: "Tempo") -> "dict[str, list[nn.Parameter]]":
    """The four modules that Table A freezes or trains, with their parameters."""
    return {
        "compressor": list(model.compressor.vlm.parameters()),
        "memory_tokens": [model.compressor.memory_tokens],
        "projector": list(model.projector.parameters()),
        "decoder": list(model.decoder.parameters()),
    }


def set_trainable(model: "Tempo", numbers: StageNumbers) -> None:
    """Freeze everything but the stage's modules."""
    for name, parameters in parts(model).items():
        for parameter in parameters:
            parameter.requires_grad_(name in numbers.trainable)


def checkpoint_activations(model: "Tempo", numbers: StageNumbers) -> None:
    """Keep only the inputs of each decoder layer and vision block, or, where not wanted, all."""
    # transformers 5.17, which the GPU suite runs on too, has the older name alone
    prefix = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    if numbers.activation_checkpointing:
        getattr(model, f"{prefix}_checkpointing_enable")({"use_reentrant": False})
    else:
        getattr(model, f"{prefix}_checkpointing_disable")()


def parameter_groups(model: "Tempo", numbers: StageNumbers) -> list[dict[str, object]]:
    """Optimiser groups: the compressor has a learning rate of its own (Table A)."""
    groups = []
    for name, parameters in parts(model).items():
        if name not in numbers.trainable:
            continue
        rate = numbers.learning_rate
        if name == "compressor":
            if numbers.compressor_learning_rate is None:
                raise ValueError("a stage that trains the compressor needs its learning rate")
            rate = numbers.compressor_learning_rate
        groups.append({"params": parameters, "lr": rate})
    return groups
