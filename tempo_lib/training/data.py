"""Manifests on disk -> training samples."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tempo_lib.config import LabelRules
from tempo_lib.gates import field_problems
from tempo_lib.training.records import Sample, read_records
from tempo_lib.training.targets import OURS


class Source(BaseModel):
    """One question file of a stage's mixture; of its records the first ``share`` are read.

    ``hub``: the data set it comes from, ``media``: where its pictures and videos do; ``count``:
    records that the file is said to have, None where nobody says. ``url``: of a file that no hub
    has; ``revision``: of the hub's set; ``sha256``: of the file. ``first``: its samples come before
    those of all other sources, in every epoch. ``weight``: how often each of them is read in an
    epoch, on average; at a half, another half of them in every epoch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    annotations: str
    modality: Literal["image", "video", "text"]
    licence: str
    made_by: str
    note: str
    hub: str | None = None
    media: str | None = None
    url: str | None = None
    revision: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    count: int | None = None
    share: float = Field(default=1.0, gt=0.0, le=1.0)
    first: bool = False
    weight: float = Field(default=1.0, gt=0.0)


class Manifest(BaseModel):
    """The mixtures of all stages; paths are relative to the corpora root.

    ``holes``: per stage, what of it is known to be missing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str
    stages: dict[str, tuple[Source, ...]]
    holes: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest; ValueError names the file and the broken field."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        if not isinstance(content, dict):
            found = "nothing" if content is None else f"a {type(content).__name__}"
            raise ValueError(
                f"{path} is not a valid training manifest: expected preset and stages, it holds "
                f"{found}; data_manifests/training/tiny.yaml is one"
            )
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise ValueError(
            f"{path} is not a valid training manifest: {field_problems(error)}"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} is not a valid training manifest: {error}") from error


def load_samples(
    manifest: Manifest, stage: int, root: Path, rules: LabelRules = OURS
) -> list[Sample]:
    """All samples of a stage: every question of a conversation on its own, or as ``rules`` say.

    ValueError when a source's file or a medium is missing, or a record is malformed: one line with
    file, record and reason.
    """
    samples: list[Sample] = []
    for source, path in stage_files(manifest, stage, root):
        found = read_records(path, source.modality, rules, source.share)
        samples += [replace(one, first=source.first, weight=source.weight) for one in found]
    return samples


def stage_files(manifest: Manifest, stage: int, root: Path) -> list[tuple[Source, Path]]:
    """A stage's sources with their files; ValueError for a stage or a file that is not there."""
    key = f"stage{stage}"
    if key not in manifest.stages:
        known = ", ".join(sorted(manifest.stages)) or "no stage at all"
        raise ValueError(f"the manifest has no {key}; it has {known}")
    files = [(source, root / source.annotations) for source in manifest.stages[key]]
    for source, path in files:
        if not path.is_file():
            raise ValueError(f"{path} of source {source.name} does not exist; build or fetch it")
    return files
