"""A stage on the caller's own data, for ``tempo train``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.cli.common import InputError, bad_input

if TYPE_CHECKING:
    from tempo_lib.config import Preset
    from tempo_lib.miniature.pretrain.build import Miniature
    from tempo_lib.training.index import Index
    from tempo_lib.training.records import Sample


@dataclass(frozen=True)
class OwnTraining:
    """One stage on samples of one's own; ``held_out``: those that are evaluated on, if any."""

    stage: int
    manifest: Path
    samples: "Sequence[Sample]"
    out: Path
    held_out: "list[Sample]"


def read_own(
    preset: "Preset",
    manifest: Path,
    stage: int,
    data: Path,
    out: Path,
    eval_manifest: Path | None,
    max_broken: float,
) -> OwnTraining:
    """Read both manifests and all their records; InputError names file, record and reason.

    Where the preset streams, records that are trained on are those of an index.
    """
    from tempo_lib.training.stages import training_numbers

    samples: Sequence[Sample]
    if training_numbers(preset).loader.streams:
        samples = read_index(preset, manifest, stage, data, max_broken)
    else:
        samples = read_samples(preset, manifest, stage, data)
    held_out = [] if eval_manifest is None else read_samples(preset, eval_manifest, stage, data)
    if eval_manifest is not None and not held_out:
        raise InputError(f"{eval_manifest} has no samples of stage {stage}")
    seen = {(one.id, one.question) for one in samples} if held_out else set()
    both = [sample.id for sample in held_out if (sample.id, sample.question) in seen]
    if both:
        raise InputError(f"{eval_manifest} holds samples that are trained on: {both[0]}, ...")
    return OwnTraining(stage, manifest, samples, out, held_out)


def read_samples(preset: "Preset", manifest: Path, stage: int, data: Path) -> "list[Sample]":
    """The caller's own samples, all checked; InputError names file, record and reason."""
    from tempo_lib.training.data import load_manifest, load_samples
    from tempo_lib.training.stages import training_numbers

    check_given(manifest, data)
    with bad_input():
        rules = training_numbers(preset).labels
        return load_samples(load_manifest(manifest), stage, data, rules)


def read_index(
    preset: "Preset", manifest: Path, stage: int, data: Path, max_broken: float
) -> "Index":
    """The index of the caller's own samples, written if it is not there; InputError where too many
    records are broken."""
    from tempo_lib.fingerprint import digest
    from tempo_lib.provenance import project_root
    from tempo_lib.training.data import load_manifest
    from tempo_lib.training.indexing import Wanted, open_index
    from tempo_lib.training.stages import training_numbers

    check_given(manifest, data)
    name = f"{manifest.stem}-{digest(str(data.resolve()))[:8]}-stage{stage}.arrow"
    with bad_input():
        rules = training_numbers(preset).labels
        mixture = load_manifest(manifest)
        wanted = Wanted(mixture, stage, data, rules, preset.video.fps, max_broken)
        return open_index(wanted, project_root() / "runs" / preset.name / "index" / name)


def check_given(manifest: Path, data: Path) -> None:
    """InputError where either is not there."""
    if not manifest.is_file():
        raise InputError(f"no manifest at {manifest}")
    if not data.is_dir():
        raise InputError(f"--data {data} is no folder")


def train_own(
    mini: "Miniature", start: Path | None, own: OwnTraining, options: Mapping[str, Any]
) -> Path:
    """Train into ``own.out``, from ``start``; a finished checkpoint of the same run is kept.

    ``options``: those of the command that go with own data, None where not given. ValueError where
    ``own.out`` holds another run, finished or not.
    """
    from tempo_lib.checkpoints.folders import SUMMARY, is_finished
    from tempo_lib.fingerprint import sha256_of_file
    from tempo_lib.miniature.pretrain.build import starting_model
    from tempo_lib.training.evaluating import HeldOutLoss
    from tempo_lib.training.loop import summary_overrides, train_and_summarise
    from tempo_lib.training.progress import check_same_run, data_digest
    from tempo_lib.training.run import EVAL_EVERY, stage_run
    from tempo_lib.training.trackers import AUTO, tracker_names

    trackers = tuple(options["--tracker"] or [AUTO])
    tracker_names(trackers)  # refused before a model is loaded
    if is_finished(own.out):
        now = {
            "stage": own.stage,
            "seed": mini.seed,
            "manifest_sha256": sha256_of_file(own.manifest),
            "data_sha256": data_digest(own.samples),
            "overrides": summary_overrides(mini.preset.overrides),
        }
        summary = json.loads((own.out / SUMMARY).read_text(encoding="utf-8"))
        check_same_run(own.out, summary, now)
        return own.out
    run = stage_run(
        mini.preset,
        own.stage,
        own.out,
        cache_dir=mini.folder("frames"),
        seed=mini.seed,
        most_broken=options["--max-broken"],
        safe=bool(options["--safe"]),
        evaluate=HeldOutLoss(own.held_out) if own.held_out else None,
        eval_every=options["--eval-every"] or EVAL_EVERY,
        trackers=trackers,
        peak_teraflops=options["--peak-tflops"],
    )
    train_and_summarise(starting_model(mini, own.stage, start), own.samples, run, own.manifest)
    return own.out
