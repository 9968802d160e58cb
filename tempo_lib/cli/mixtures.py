"""Training mixtures and downloads, for ``tempo data check`` and ``tempo data fetch``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.cli.common import InputError, bad_input, needs_extra, one_line, screen

if TYPE_CHECKING:
    from tempo_lib.evaluation.real.source import RealSource

MANIFEST_SUFFIXES = (".yaml", ".yml")
PUBLISHED_PRESET = "6b"  # whose mixtures Table B describes


def is_mixture(name: str) -> bool:
    """Whether a name is a manifest of training mixtures: a YAML file that has stages."""
    import yaml

    path = Path(name)
    if path.suffix not in MANIFEST_SUFFIXES or not path.is_file():
        return False
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, yaml.YAMLError):
        return False  # the reader of benchmarks says what is wrong with it
    return isinstance(found, dict) and "stages" in found


def check_mixture(path: Path, root: Path | None, as_json: Path | None) -> int:
    """Say what a manifest of training mixtures names; 0, or 2 where something is wrong."""
    from tempo_lib.training.data import load_manifest
    from tempo_lib.training.manifest_check import check_manifest
    from tempo_lib.training.plan import paper_mixtures

    if root is not None and not root.is_dir():
        raise InputError(f"no folder {root}; name the one with --root")
    with bad_input(), needs_extra("evaluate"):  # published mixtures are read by pandas
        manifest = load_manifest(path)
        published = paper_mixtures() if manifest.preset == PUBLISHED_PRESET else {}
        report = check_manifest(manifest, published, root)
    for stage, facts in report.stages.items():
        for key, value in facts.items():
            for line in value if isinstance(value, list) else [as_text(value)]:
                screen().print(f"{stage}, {key}: {line}", markup=False)
    licences = {source.licence for sources in manifest.stages.values() for source in sources}
    screen().print(f"licences: {as_text(sorted(licences))}", markup=False)
    if root is None:
        screen().print("no file was looked at: name their folder with --root", markup=False)
    if as_json is not None:
        document = {"stages": report.stages, "problems": report.problems, "root": root is not None}
        as_json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return say_problems(report.problems)


def fetch_mixture(path: Path, root: Path | None, stage: int | None) -> list[str]:
    """Fetch the question files of one stage or all; returns what could not be had."""
    from tempo_lib.provenance import project_root
    from tempo_lib.training.data import load_manifest
    from tempo_lib.training.manifest_check import fetch_manifest

    manifest = load_manifest(path)
    stages = list(manifest.stages) if stage is None else [f"stage{stage}"]
    if stages[0] not in manifest.stages:
        raise InputError(f"{path} has no {stages[0]}; it has {', '.join(manifest.stages)}")
    folder = project_root() / "data" / "training" if root is None else root
    media = {source.media for one in stages for source in manifest.stages[one] if source.media}
    for place in sorted(media):
        print(f"not fetched: pictures or videos from {place}")
    return fetch_manifest(manifest, folder, stages)


def fetch_benchmark(source: "RealSource", root: Path | None, videos: bool) -> list[str]:
    """Fetch a benchmark from the hub; returns files whose hash is not the hub's."""
    from tempo_lib.training.fetch import fetch_hub

    manifest = source.manifest
    folder = source.folder() if root is None else root
    print(f"{manifest.title}: {manifest.licence}")
    wrong = fetch_hub(manifest.hub_id, folder, None if videos else manifest.annotations)
    return [f"{folder / file} has another hash than the hub's" for file in wrong]


def say_problems(problems: Sequence[str]) -> int:
    """One line each on stderr; the exit code."""
    for problem in problems:
        print(f"problem: {one_line(problem)}", file=sys.stderr)
    return 2 if problems else 0


def as_text(value: Any) -> str:
    """A fact on one line: {"A": 2} as "A 2", a list by commas, None as "none"."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
