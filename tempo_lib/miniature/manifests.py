"""Which questions the real benchmarks ask: counts of their types, and our kinds in their place.

``data_manifests/suites/<suite>.yaml`` holds counts only, never a question. With the benchmarks'
annotation files at hand, they can be counted again:

    python -m tempo_lib.miniature.manifests FOLDER
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from tempo_lib.miniature.world.corpus_specs import SUITE_SECONDS
from tempo_lib.miniature.world.question_sets import QuestionMix
from tempo_lib.miniature.world.questions import KINDS
from tempo_lib.provenance import manifest_path

FOLDER = "suites"  # below data_manifests
DIGITS = 2  # of weights and means, as the manifests write them


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceFile(_Strict):
    """An annotation file that was counted; ``path`` is relative to the folder of all of them."""

    path: str
    sha256: str
    questions: int


class Fields(_Strict):
    """Names of the columns that are counted; ``seconds`` null: the files do not tell."""

    video: str
    type: str
    seconds: str | None


class Source(_Strict):
    """``origin``: repository, commit and folder of the files; ``published``: where counts of
    types that are in none of the files were read.
    """

    origin: str
    licence: str
    files: tuple[SourceFile, ...]
    fields: Fields
    published: str | None
    note: str


class RealType(_Strict):
    """A type of question of the benchmark and the kinds that stand for it, in equal parts."""

    count: int
    counted_in: str  # "files" or "published"
    kinds: tuple[str, ...]
    reason: str


class Seconds(_Strict):
    """Mean over videos: as the paper's Table 1 gives it, and as the files tell (or null)."""

    paper: int
    files: float | None


class PerVideo(_Strict):
    """Questions per video in the files; ``videos``: number of questions -> number of videos."""

    mean: float
    min: int
    max: int
    videos: dict[int, int]


class SuiteManifest(_Strict):
    """One suite's model: what its benchmark asks. Raises where derived numbers do not agree."""

    suite: str
    benchmark: str
    source: Source
    mean_seconds: Seconds
    questions_per_video: PerVideo
    types: dict[str, RealType]
    kinds: dict[str, float]  # weight of each kind: counts of the types that it stands for

    @model_validator(mode="after")
    def _agrees(self) -> "SuiteManifest":
        if self.mean_seconds.paper != SUITE_SECONDS.get(self.suite):
            raise ValueError(f"{self.suite}: mean seconds differ from those of SUITE_SECONDS")
        unknown = sorted({kind for t in self.types.values() for kind in t.kinds} - set(KINDS))
        if unknown:
            raise ValueError(f"{self.suite}: unknown kinds {unknown}; known: {', '.join(KINDS)}")
        derived = kind_weights(self.types)
        if self.kinds != derived:
            raise ValueError(f"{self.suite}: types give kinds {derived}, not {self.kinds}")
        videos = self.questions_per_video.videos
        if self.questions_per_video != per_video(videos):
            raise ValueError(f"{self.suite}: questions per video give {per_video(videos)}")
        if sum(number * often for number, often in videos.items()) != sum(
            file.questions for file in self.source.files
        ):
            raise ValueError(f"{self.suite}: files and videos hold different numbers of questions")
        return self


def kind_weights(types: Mapping[str, RealType]) -> dict[str, float]:
    """Weight of every kind: each type shares its count equally among its kinds."""
    weights = dict.fromkeys(KINDS, 0.0)
    for real in types.values():
        for kind in real.kinds:
            weights[kind] += real.count / len(real.kinds)
    return {kind: round(weight, DIGITS) for kind, weight in weights.items()}


def per_video(videos: Mapping[int, int]) -> PerVideo:
    """Mean and bounds of ``videos``: number of questions -> number of videos with as many."""
    average = sum(n * often for n, often in videos.items()) / sum(videos.values())
    ordered = dict(sorted(videos.items()))
    return PerVideo(mean=round(average, DIGITS), min=min(videos), max=max(videos), videos=ordered)


def load_manifest(suite: str, folder: Path | None = None) -> SuiteManifest:
    """Read a suite's manifest from ``folder`` (default: the project's).

    FileNotFoundError where there is none; ValueError where it breaks its schema.
    """
    name = f"{suite}.yaml"
    path = manifest_path(f"{FOLDER}/{name}") if folder is None else folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"no manifest {path}: the suites' mix of questions is read from a checkout of this "
            "project; run inside one, or set TEMPO_HOME to it"
        )
    try:
        return SuiteManifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ValueError(f"suite manifest {path} is not valid: {error}") from error


def question_mix(manifest: SuiteManifest, fewest: int, most: int) -> QuestionMix:
    """The mix of a suite. Numbers of questions are those of real videos, bounded to
    ``fewest`` .. ``most``: a miniature's story has less to ask about than an hour of film.
    """
    if not 1 <= fewest <= most:
        raise ValueError(f"{manifest.suite}: needs 1 <= fewest <= most, got {fewest} and {most}")
    bounded: Counter[int] = Counter()
    for number, often in manifest.questions_per_video.videos.items():
        bounded[min(max(number, fewest), most)] += often
    weights = tuple((kind, manifest.kinds[kind]) for kind in KINDS)
    return QuestionMix(kind_weights=weights, per_story=tuple(sorted(bounded.items())))


def recount(manifest: SuiteManifest, annotations: Path) -> dict[str, Any]:
    """What the annotation files say, to be compared with ``stated``.

    FileNotFoundError where a file is missing; ImportError where pandas cannot read Parquet.
    """
    source, fields = manifest.source, manifest.source.fields
    rows: list[dict[str, Any]] = []
    files = {}
    for file in source.files:
        path = annotations / file.path
        found = read_rows(path)
        files[file.path] = (hashlib.sha256(path.read_bytes()).hexdigest(), len(found))
        rows += found
    types: Counter[str] = Counter()
    for row in rows:
        named = row[fields.type]
        types.update([named] if isinstance(named, str) else named)  # some name several types
    videos = Counter(Counter(row[fields.video] for row in rows).values())
    seconds = None
    if fields.seconds is not None:
        lengths = {row[fields.video]: row[fields.seconds] for row in rows}
        seconds = round(mean(lengths.values()), DIGITS)
    return {
        "files": files,
        "types": dict(types),
        "questions_per_video": per_video(videos),
        "seconds": seconds,
    }


def stated(manifest: SuiteManifest) -> dict[str, Any]:
    """What the manifest says of its files, in the form of ``recount``."""
    real = manifest.types
    return {
        "files": {file.path: (file.sha256, file.questions) for file in manifest.source.files},
        "types": {name: t.count for name, t in real.items() if t.counted_in == "files"},
        "questions_per_video": manifest.questions_per_video,
        "seconds": manifest.mean_seconds.files,
    }


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON list or a Parquet table."""
    if path.suffix == ".parquet":
        import pandas as pd

        return pd.read_parquet(path).to_dict("records")
    return json.loads(path.read_text(encoding="utf-8"))


def main(annotations: Path) -> int:
    """Print for each suite whether its files give the counts stated; 1 where one does not."""
    bad = False
    for suite in SUITE_SECONDS:
        manifest = load_manifest(suite)
        try:
            said, found = stated(manifest), recount(manifest, annotations)
        except (FileNotFoundError, ImportError) as error:
            print(f"{suite}: not counted: {str(error).splitlines()[0]}")
            continue
        wrong = [
            f"{key}: {said[key]}, found {found[key]}" for key in said if said[key] != found[key]
        ]
        print(f"{suite}: {'; '.join(wrong) or 'as stated'}")
        bad = bad or bool(wrong)
    return int(bad)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tempo_lib.miniature.manifests FOLDER")
    sys.exit(main(Path(sys.argv[1])))
