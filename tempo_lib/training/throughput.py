"""What a step of a training does in a second: tokens, frames, operations against the GPUs' peak.

Operations are those that the step needs (costs.py), without padding and without what is computed
twice to save memory; so their share of the peak is the model FLOPs utilisation (MFU) of PaLM,
arXiv 2204.02311, appendix B.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tempo_lib.config import Preset, StageNumbers, load_preset
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.costs import Segments, forward_work, training_operations
from tempo_lib.training.ranks import Ranks

# Products in bf16 that one GPU does at most, in 1e12 operations per second, by how the driver's
# name of it begins; None: a slower one of a like name. Dense: the data sheets print twice as much,
# for a sparsity of 2:4 that no product here has. Compared on 2026-11-28 with
# * A100: oumi.ai/docs/en/latest/_modules/oumi/performance/mfu.html, which cites its sheet;
# * H100, H200 (one chip): 989.4, sparse 1,978.9: glennklockwood.com/garden/processors/h100; and
#   itkb.uw.cz/2026/06/nvidia-h200-vs-b300-precisions-cores.html. Of an H200 NVL no sheet was found;
# * B200 of 1,000 W: 2,250, sparse 4,500: glennklockwood.com/garden/processors/B200;
# * L40S: 362.05, sparse 733: www.mullet.se/product.html?product_id=355414;
# * RTX 4090: 165, sums in float32: gist.github.com/mikasenghaas/d63ded03f1f0417b1677627119bacc0d.
PEAKS: dict[str, float | None] = {
    "NVIDIA A100": 312.0,
    "NVIDIA H100 NVL": 835.5,
    "NVIDIA H100 PCIe": 756.5,
    "NVIDIA H100": 989.5,  # SXM
    "NVIDIA H200": 989.5,
    "NVIDIA H200 NVL": None,
    "NVIDIA B200": 2250.0,
    "NVIDIA L40S": 362.0,
    "NVIDIA GeForce RTX 4090": 165.0,
    "NVIDIA GeForce RTX 4090 D": None,
    "NVIDIA GeForce RTX 4090 Laptop": None,
}


@dataclass(frozen=True)
class Meter:
    """Counts what a rank reads in a pass.

    ``shapes``: of the model that trains; ``peak``: of one GPU, in 1e12 operations per second, None
    where nobody knows it: then there is no MFU.
    """

    shapes: Preset
    trainable: tuple[str, ...]
    peak: float | None

    def work(self, batch: dict[str, Any]) -> tuple[int, int]:
        """(tokens, operations) of a pass: prompts, visual tokens, memory tokens and words.

        Both models' tokens count, padding and what only keeps ranks in step do not. Without a
        peak nobody needs the operations: 0.
        """
        decoder = batch["attention_mask"].sum(1).tolist()
        segments = []
        if "compressor_mask" in batch:
            read = len(batch["compressor_mask"]) - batch.get("num_unread", 0)
            lengths = batch["compressor_mask"].sum(1).tolist()[:read]
            segments = [(*grid, n) for grid, n in zip(batch["grid_thw"].tolist(), lengths)]  # noqa: B905
        memories = len(segments) * self.shapes.model.num_memory_tokens
        tokens = sum(decoder) + sum(length for *_, length in segments) + memories
        if self.peak is None:
            return tokens, 0
        targets = (batch["labels"][:, 1:] != IGNORE).sum(1).tolist()
        parts = [self._segments(one, count) for one, count in Counter(segments).items()]
        parts += [self._operations(Segments(0, 0, 0, 0), *row) for row in zip(decoder, targets)]  # noqa: B905
        return tokens, sum(parts)

    def _segments(self, one: tuple[int, int, int, int], count: int) -> int:
        """Operations of ``count`` segments of one shape: slices, height, width, tokens."""
        slices, height, width, length = one
        return self._operations(Segments(count, slices, height * width, length), 0, 0)

    def _operations(self, segments: Segments, decoder_tokens: int, num_targets: int) -> int:
        work = forward_work(self.shapes, segments, decoder_tokens, num_targets)
        return training_operations(work, self.trainable, checkpointing=False)

    def rates(
        self, work: Sequence[tuple[int, int]], num_frames: int, seconds: float, ranks: Ranks
    ) -> dict[str, float]:
        """What the curve shows of a step: all ranks together, the memory of the fullest one."""
        own = [sum(column) for column in zip(*work, strict=True)]
        rows = ranks.rows([*own, peak_bytes(ranks.device)]).cpu()
        tokens, operations, _ = rows.sum(0).tolist()
        found = {
            "seconds": round(seconds, 3),
            "tokens": int(tokens),
            "frames": num_frames,
            "tokens_per_second": round(tokens / seconds, 1),
            "frames_per_second": round(num_frames / seconds, 2),
            "peak_gigabytes": round(rows[:, 2].max().item() / 1e9, 3),
        }
        if self.peak is not None:
            found["mfu"] = round(operations / (seconds * self.peak * 1e12 * ranks.num_ranks), 4)
        return found


def make_meter(model: Tempo, numbers: StageNumbers, ranks: Ranks, peak: float | None) -> Meter:
    """The meter of a stage; ``peak`` None: that of the table, for a GPU in bf16, else unknown."""
    config = model.config
    preset = load_preset(config.preset)
    compressor = preset.model.compressor.model_copy(  # the model's own sizes, of its tokenizer too
        update={
            "vision_config": config.compressor_config.vision_config,
            "text_config": config.compressor_config.text_config,
        }
    )
    shapes = preset.model.model_copy(
        update={
            "num_memory_tokens": config.num_memory_tokens,
            "compressor": compressor,
            "decoder": config.decoder_config,
        }
    )
    if peak is None and ranks.device.type == "cuda" and ranks.precision == "bf16":
        peak = known_peak(torch.cuda.get_device_name(ranks.device))
    return Meter(preset.model_copy(update={"model": shapes}), numbers.trainable, peak)


def known_peak(name: str) -> float | None:
    """The table's number for a GPU of this name, by the longest beginning; None without one."""
    found = [beginning for beginning in PEAKS if name.startswith(beginning)]
    return PEAKS[max(found, key=len)] if found else None


def peak_bytes(device: torch.device) -> int:
    """The most memory this rank has held: of tensors on its GPU, of the process on a CPU.

    0 where the system does not say.
    """
    if device.type != "cpu":
        return int(torch.accelerator.max_memory_allocated(device))
    try:
        import resource
    except ModuleNotFoundError:
        return 0  # Windows
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
