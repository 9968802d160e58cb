"""What is known of a benchmark, each fact with its source: ``data_manifests/benchmarks``."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tempo_lib.evaluation.letters import RULES


class Edition(BaseModel):
    """One of the question sets that go by the benchmark's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    questions: int
    videos: int
    note: str


class Manifest(BaseModel):
    """``data_manifests/benchmarks/<name>.yaml``; each fact with its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    title: str
    hub_id: str
    former_hub_ids: tuple[str, ...]
    split: str
    lmms_eval_task: str
    annotations: tuple[str, ...]  # glob patterns below the benchmark's folder, the first that fits
    videos: tuple[str, ...]  # file patterns below it; {video} is what the annotation names
    editions: tuple[Edition, ...]
    groups: Mapping[str, int]  # questions per group of the published edition
    mean_seconds: int
    known_defects: int = 0  # rows of the benchmark's own files that cannot be questions
    extraction: Mapping[Literal["before_2026_04_11", "since"], str]
    metric: Literal["mean over questions", "mean over groups"]
    max_new_tokens: int
    licence: str
    gigabytes: float | None
    sources: tuple[str, ...]


@cache  # read once per process: every reply that is judged asks for it
def load_manifest(path: Path) -> Manifest:
    """Facts of one benchmark; ValueError for a file that is absent or breaks the schema."""
    try:
        manifest = Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"benchmark manifest {path.name} is not valid: {error}") from error
    unknown = set(manifest.extraction.values()) - set(RULES)
    if unknown:
        raise ValueError(f"{path.name} names unknown answer extractions: {', '.join(unknown)}")
    return manifest


def edition_of(manifest: Manifest, num_questions: int, num_videos: int) -> Edition | None:
    """Which of the known sets has these numbers."""
    same = (e for e in manifest.editions if (e.questions, e.videos) == (num_questions, num_videos))
    return next(same, None)
