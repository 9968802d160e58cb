"""``tempo data check``: what of a benchmark is on disk, against what its manifest says."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tempo_lib.config import Preset
from tempo_lib.evaluation.real.manifest import edition_of
from tempo_lib.evaluation.real.source import (
    SHOWN,
    RealSource,
    count,
    frames_of,
    video_file,
)
from tempo_lib.video.base import VideoError


@dataclass
class Report:
    """Facts found, and problems: each one sentence that names what and how many."""

    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.problems

    def add(self, what: str, items: list[str]) -> None:
        """One problem that lists its first items; none for no items."""
        if items:
            more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
            self.problems.append(f"{len(items)} {what}: {'; '.join(items[:SHOWN])}{more}")


def check(source: RealSource, preset: Preset, root: Path, videos: bool = True) -> Report:
    """Counts against the manifest, refused rows, duplicate ids, missing or unreadable videos.

    ``videos=False`` leaves the video files alone. AnnotationError where there are no annotations.
    """
    report, manifest = Report(), source.manifest
    questions, refused, files = source.questions(root)
    names = sorted({question.video for question in questions})
    total = len(questions) + len(refused)
    edition = edition_of(manifest, total, len(names))
    report.facts = {
        "benchmark": manifest.title,
        "annotations": [file.relative_to(root).as_posix() for file in files],
        "questions": total,
        "videos": len(names),
        "edition": None if edition is None else edition.name,
        "groups": count(question.group for question in questions),
        "answers": dict(sorted(count(question.answer for question in questions).items())),
        "options": dict(sorted(Counter(len(question.options) for question in questions).items())),
        "licence": manifest.licence,
    }
    if edition is None:
        known = "; ".join(f"{e.name} {e.questions}/{e.videos}" for e in manifest.editions)
        report.problems.append(f"{total} questions / {len(names)} videos is no known set: {known}")
    elif edition != manifest.editions[0]:
        report.problems.append(
            f"this is the set {edition.name!r} ({total}/{len(names)}), not the published one: "
            f"{edition.note}"
        )
    elif not refused:
        found = report.facts["groups"]
        wrong = [
            f"{name} has {found.get(name, 0)} instead of {number}"
            for name, number in manifest.groups.items()
            if found.get(name, 0) != number
        ]
        report.add("groups with another number of questions", wrong)
    report.add("rows refused", [str(error) for error in refused])
    twice = [name for name, times in Counter(q.id for q in questions).items() if times > 1]
    report.add("question ids occur more than once", twice)
    if videos:
        _check_videos(report, source, preset, root, names)
    return report


def _check_videos(
    report: Report, source: RealSource, preset: Preset, root: Path, names: list[str]
) -> None:
    """Every file is opened and its packets are counted; nothing is decoded."""
    absent, broken, frames = list[str](), list[str](), 0
    for name in tqdm(names, desc="videos", unit="video", disable=None):
        path = video_file(source.manifest, root, name)
        if path is None:
            absent.append(name)
            continue
        try:
            frames += frames_of(path, preset.video)
        except VideoError as error:
            broken.append(str(error))
    report.facts["hours"] = round(frames / preset.video.fps / 3600, 1)
    report.add("videos missing", absent)
    report.add("videos unreadable", broken)
