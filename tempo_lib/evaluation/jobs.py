"""What an evaluation runs: each variant with its model, its bounds and the file of its records."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import Benchmark
from tempo_lib.evaluation.learned import learned_k_min
from tempo_lib.evaluation.records import (
    RecordFile,
    code_facts,
    compression_digest,
    model_facts,
    open_records,
)
from tempo_lib.evaluation.scorers import Scorer, load_scorer
from tempo_lib.evaluation.spending import Limits, effective_limits
from tempo_lib.evaluation.variants import Variant, get_variant
from tempo_lib.model.tempo import Tempo

MAIN_CHECKPOINT = "stage3"  # variants of this checkpoint run on the model that is passed in


@dataclass(frozen=True)
class Job:
    """A variant with the model, the bounds and the records that belong to it.

    ``compression``: hash of what memories come from; jobs that share it share a clip.
    ``reference``: the job, without records, whose tokens a matched variant spends.
    """

    variant: Variant
    model: Tempo
    compression: str
    limits: Limits
    seed: int
    kept: RecordFile
    reference: "Job | None" = None


@dataclass(frozen=True)
class Setting:
    """What all jobs of one evaluation have in common."""

    suite: Benchmark
    models: Mapping[str, Tempo]
    scorers: Mapping[str, Scorer]
    limits: Limits
    seed: int
    folder: Path | None


def find_models(
    model: Tempo, rows: Sequence[Variant], models: Mapping[str, Tempo]
) -> dict[str, Tempo]:
    """A model for every checkpoint that the variants name."""
    found: dict[str, Tempo] = {**models, MAIN_CHECKPOINT: model}
    for row in rows:
        if row.checkpoint in found:
            continue
        folder = Path(model.name_or_path).parent / row.checkpoint
        if not model.name_or_path or not (folder / "config.json").is_file():
            where = model.name_or_path or "a model that was made in memory"
            raise ValueError(
                f"variant {row.name!r} needs checkpoint {row.checkpoint}, which does not lie "
                f"beside {where}; train that stage, or pass models={{{row.checkpoint!r}: ...}}"
            )
        found[row.checkpoint] = Tempo.from_pretrained(folder, device=model.device.type)
    return found


def find_scorers(
    model: Tempo, rows: Sequence[Variant], scorers: Mapping[str, Scorer]
) -> dict[str, Scorer]:
    """A judge for every source of scores that the variants name, Tempo itself apart."""
    found = dict(scorers)
    for row in rows:
        if row.score_source != "tempo" and row.score_source not in found:
            found[row.score_source] = load_scorer(row.score_source, model)
    return found


def make_jobs(setting: Setting, rows: Sequence[Variant]) -> list[Job]:
    references = {row.match: get_variant(row.match) for row in rows if row.match is not None}
    code, suite = code_facts(), setting.suite
    used = {row.checkpoint for row in (*rows, *references.values())}
    facts_of = {name: model_facts(setting.models[name]) for name in used}
    compression = {name: compression_digest(setting.models[name]) for name in used}
    common = {
        "suite": {"name": suite.name, "seed": suite.world_seed, "identity": suite.identity},
        **code,
    }

    def job(row: Variant, folder: Path | None, reference: Job | None = None) -> Job:
        model = setting.models[row.checkpoint]
        limits = _limits(setting, row, model)
        seed = setting.seed if row.allocation == "random-drop" else 0  # the others draw nothing
        own: dict[str, Any] = {"variant": asdict(row), "limits": asdict(limits), "seed": seed}
        own |= {"model": facts_of[row.checkpoint], **common}
        if row.score_source != "tempo":
            own["scorer"] = setting.scorers[row.score_source].weights
        if reference is not None:
            own["reference"] = reference.kept.facts
        kept = open_records(folder, row.name, own)
        return Job(row, model, compression[row.checkpoint], limits, seed, kept, reference)

    matched_to = {name: job(row, None) for name, row in references.items()}
    return [
        job(row, setting.folder, None if row.match is None else matched_to[row.match])
        for row in rows
    ]


def _limits(setting: Setting, row: Variant, model: Tempo) -> Limits:
    numbers = model.config.video_numbers
    most_segments = -(-numbers.max_frames // numbers.stride)
    learned = learned_k_min(load_preset(setting.suite.preset)) if row.learned_k_min else None
    return effective_limits(row, setting.limits, most_segments, learned)
