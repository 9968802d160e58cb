"""Where a training runs: its ranks and its precision."""

import os

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, DistributedDataParallelKwargs

from tempo_lib.training.records import TrainingError


def make_accelerator(precision: str) -> Accelerator:
    """Of one process or of several, whose batches differ in size and in what they train.

    TrainingError where a launcher started more processes than accelerate joins: each would train on
    everything, and all would write into one folder.
    """
    num_started = int(os.environ.get("WORLD_SIZE", "1"))
    accelerator = Accelerator(
        cpu=num_started > 1 and not torch.cuda.is_available(),  # else it joins accelerators only
        mixed_precision=precision,
        step_scheduler_with_optimizer=False,
        dataloader_config=DataLoaderConfiguration(even_batches=False),
        # a batch of texts leaves the compressor without gradients
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    if accelerator.num_processes != num_started:
        raise TrainingError(
            f"WORLD_SIZE is {num_started} but accelerate joined {accelerator.num_processes} "
            "process; start with `accelerate launch`, or unset WORLD_SIZE"
        )
    return accelerator


def resolve_precision(requested: str) -> str:
    """``auto`` -> bf16 where the hardware multiplies it, else float32 ("no"); others unchanged.

    Which of the two was used decides nothing but time: tests/test_training_loop.py compares them.
    """
    if requested != "auto":
        return requested
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "no"
