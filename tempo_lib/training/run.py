"""One run of one stage, as the caller wants it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tempo_lib.config import LabelRules, LoaderNumbers, Preset, StageNumbers
from tempo_lib.training.feed import AT_HAND
from tempo_lib.training.stages import stage_numbers, training_numbers
from tempo_lib.training.targets import OURS

MOST_BROKEN = 0.05  # share of samples that may be skipped as their media cannot be read
EVAL_EVERY = 100  # steps from one evaluation to the next


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """One run of one stage: numbers, where it writes, and how often it saves its state.

    ``evaluate``: called with the loop's ``Trainer`` on all ranks together, before the first step,
    every ``eval_every`` steps and after the last; it gives numbers by name. ``trackers``: ``auto``,
    ``none`` or names that accelerate knows. ``peak_teraflops``: of one GPU, for the MFU; None:
    that of the table (throughput.py).
    """

    stage: int
    numbers: StageNumbers
    out_dir: Path
    cache_dir: Path
    seed: int
    save_every: int = 50
    keep_states: int = 2
    labels: LabelRules = OURS
    loader: LoaderNumbers = AT_HAND
    overrides: Mapping[str, Any] = field(default_factory=dict)  # of the preset, for the summary
    manifest_sha256: str | None = None  # of the file that names the data, where there is one
    most_broken: float = MOST_BROKEN
    safe: bool = False  # media are decoded by processes of their own (video/safe.py)
    evaluate: Callable[[Any], Mapping[str, float]] | None = None
    eval_every: int = EVAL_EVERY
    trackers: tuple[str, ...] = ("none",)
    peak_teraflops: float | None = None


def stage_run(preset: Preset, stage: int, out_dir: Path, **more: Any) -> StageRun:
    """A run by the numbers of a preset; ``more``: fields that no preset decides.

    ValueError for an unknown stage or a preset without training.
    """
    training = training_numbers(preset)
    return StageRun(
        stage=stage,
        numbers=stage_numbers(preset, stage),
        out_dir=out_dir,
        save_every=training.save_every,
        keep_states=training.keep_states,
        labels=training.labels,
        loader=training.loader,
        overrides=preset.overrides,
        **more,
    )
