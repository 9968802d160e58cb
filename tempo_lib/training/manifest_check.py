"""What a training manifest names, what of it is on disk, and how far it is from Table B."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from tempo_lib.training.data import Manifest, Source
from tempo_lib.training.fetch import FetchError, fetch_hub, fetch_url
from tempo_lib.training.plan import Mixture
from tempo_lib.training.records import read_records
from tempo_lib.training.rows import count_rows

KINDS = {"image": "images", "video": "videos", "text": "texts"}
SAME = 0.01  # share by which a count may differ: they are rounded, as "11k" in a file's name


@dataclass
class ManifestReport:
    """``stages``: per stage what is counted; ``problems``: one line each."""

    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check_manifest(
    manifest: Manifest, published: Mapping[int, Mixture], root: Path | None = None
) -> ManifestReport:
    """Names, licences, counts and, where a ``root`` is given, every file and record below it.

    ``published``: the sizes to compare with, {} for none. A gap is a problem only where the
    manifest's ``holes`` say nothing of its stage.
    """
    report = ManifestReport()
    for stage, sources in manifest.stages.items():
        for name, times in Counter(source.name for source in sources).items():
            if times > 1:
                report.problems.append(f"{stage}: {times} sources are named {name}")
        for path, times in Counter(source.annotations for source in sources).items():
            if times > 1:
                report.problems.append(f"{stage}: {path} is read {times} times")
        for source in sources:
            if not source.licence.strip():
                report.problems.append(f"{stage}: {source.name} names no licence")
        facts = {kind: _count(sources, kind) for kind in KINDS}
        holes = list(manifest.holes.get(stage, ()))
        report.stages[stage] = {"sources": len(sources), **facts, "holes": holes}
        report.stages[stage]["not known"] = _unknown(sources)
        number = int(stage.removeprefix("stage")) if stage.removeprefix("stage").isdigit() else -1
        gaps = _gaps(facts, published[number]) if number in published else []
        report.stages[stage]["against Table B"] = gaps
        if gaps and not holes:
            report.problems += [f"{stage}: {gap}, and its holes do not say so" for gap in gaps]
        if root is not None:
            for source in sources:
                report.problems += [f"{stage}: {one}" for one in _on_disk(source, root)]
    for stage in sorted(manifest.holes.keys() - manifest.stages.keys()):
        report.problems.append(f"holes are named of {stage}, which the manifest does not have")
    return report


def fetch_manifest(manifest: Manifest, root: Path, stages: list[str]) -> list[str]:
    """Fetch the question files of ``stages`` into ``root``; returns what could not be had.

    One folder per hub repository, by its name, as the manifest's paths have it. Pictures and
    videos come from wherever ``media`` says: they are not fetched.
    """
    sources = {source.annotations: source for one in stages for source in manifest.stages[one]}
    problems: list[str] = []
    sets: dict[tuple[str, str | None], list[str]] = {}
    for source in sources.values():
        top, _, file = source.annotations.partition("/")
        if source.url is not None:
            problems += _tried(fetch_url, source.url, root / source.annotations, source.sha256)
        elif source.hub is None:
            problems.append(f"{source.name} says neither hub nor url")
        elif source.hub.rpartition("/")[2] != top or not file:
            problems.append(f"{source.name}: {source.annotations} is not below the name of its hub")
        else:
            sets.setdefault((source.hub, source.revision), []).append(file)
    for (hub, revision), files in sets.items():
        folder = root / hub.rpartition("/")[2]
        problems += _tried(fetch_hub, hub, folder, files, revision)
        for file in files:
            if not (folder / file).is_file():
                problems.append(f"{hub} has no {file}")
            elif (known := sources[f"{folder.name}/{file}"].sha256) is not None:
                problems += _tried(fetch_url, hub, folder / file, known)  # compares, as it is there
    return problems


def _tried(work: Any, *arguments: Any) -> list[str]:
    """What went wrong, as lines; files that a hub says are others among them."""
    try:
        found = work(*arguments)
    except FetchError as error:
        return [str(error)]
    wrong = found if isinstance(found, list) else []
    return [f"{arguments[0]}: {file} has another hash than the hub's" for file in wrong]


def _count(sources: tuple[Source, ...], kind: str) -> dict[str, int]:
    """Records that are read of the sources of a modality, and sources that do not say how many."""
    chosen = [source for source in sources if source.modality == kind]
    counted = [ceil(source.count * source.share) for source in chosen if source.count is not None]
    return {"records": sum(counted), "without count": len(chosen) - len(counted)}


def _unknown(sources: tuple[Source, ...]) -> dict[str, int]:
    """Of how many sources nobody says where a file is, which version of it, and which hash it has.

    Generated files have no hub: what made them says what they are.
    """
    fetched = [one for one in sources if one.hub is not None or one.url is not None]
    versions = [one for one in fetched if one.revision is None and one.url is None]
    places = [one for one in fetched if one.media is None and one.modality != "text"]
    hashes = [one for one in fetched if one.sha256 is None]
    return {"sha256 of": len(hashes), "revision of": len(versions), "media of": len(places)}


def _gaps(facts: Mapping[str, Mapping[str, int]], wanted: Mixture) -> list[str]:
    """How the counted records differ from the published ones, one line per modality."""
    gaps = []
    for kind, name in KINDS.items():
        published, found = getattr(wanted, name), facts[kind]
        if abs(found["records"] - published) > SAME * published or found["without count"]:
            more = (
                f" and {found['without count']} sources without" if found["without count"] else ""
            )
            gaps.append(f"{found['records']:,} {name} counted{more}, {published:,} published")
    return gaps


def _on_disk(source: Source, root: Path) -> list[str]:
    """What is wrong with a source's file, its records and their media."""
    path = root / source.annotations
    if not path.is_file():
        return [f"{source.name}: {path} is missing"]
    problems = []
    try:
        rows = count_rows(path)
        if source.count is not None and abs(rows - source.count) > SAME * source.count:
            problems.append(f"{source.name}: {rows:,} records, the manifest says {source.count:,}")
        if not read_records(path, source.modality, share=source.share):
            problems.append(f"{source.name}: {path} holds no records")
    except ValueError as error:
        problems.append(f"{source.name}: {error}")
    return problems
