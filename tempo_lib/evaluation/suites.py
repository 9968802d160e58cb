"""Benchmarks as lists of videos with questions: the miniature's four suites, made on demand.

A suite of world seed S is a corpus of the procedural world that no training corpus shares a
story with. It is built once, under ``runs/<preset>/suites``, and read from there afterwards.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tempo_lib.presets import Preset, load_preset
from tempo_lib.runs import project_root, sha256_of_file
from tempo_lib.world.corpora import FORMAT, build_suite
from tempo_lib.world.corpus_specs import SUITE_SECONDS, SuiteSpec, suite_frames
from tempo_lib.world.questions import KINDS, Question
from tempo_lib.world.scenes import Scene, Story

SUITES = tuple(SUITE_SECONDS)


@dataclass(frozen=True, kw_only=True)
class SuiteNumbers:
    """Size of the suites, from the preset's ``miniature: suites:``.

    ``longest_mean_frames`` is the mean length of mini-lvbench; the others follow the ratio of
    the real benchmarks' durations. A kind named twice is asked twice as often.
    """

    num_videos: int
    questions_per_video: int
    longest_mean_frames: int
    jitter: float
    window: int
    size: int
    crf: int
    kinds: tuple[str, ...] = KINDS


@dataclass(frozen=True)
class SuiteQuestion:
    id: str
    asked: Question


@dataclass(frozen=True)
class SuiteVideo:
    """One video file, the story that it shows and the questions about it."""

    id: str
    path: Path
    sha256: str
    story: Story
    questions: tuple[SuiteQuestion, ...]


@dataclass(frozen=True)
class Suite:
    """``identity`` tells suites of other content apart; ``data_hash`` covers the files read."""

    name: str
    preset: str
    world_seed: int
    window: int
    identity: str
    data_hash: str
    videos: tuple[SuiteVideo, ...]

    @property
    def num_questions(self) -> int:
        return sum(len(video.questions) for video in self.videos)


def load_suite(
    preset: Preset | str,
    name: str,
    world_seed: int = 0,
    num_questions: int = 0,
    root: Path | None = None,
    numbers: SuiteNumbers | None = None,
    workers: int = 1,
) -> Suite:
    """Read suite ``name`` of a world seed, building what is missing of it.

    ``num_questions`` > 0 takes only as many whole videos as hold that many questions, and of
    the last one what is still needed; 0 takes all. Videos are independent draws, so the first
    ones stand for all. ``root`` (default: the project's) is the folder that holds ``runs/``.
    ValueError for an unknown suite, a preset without suites, or a negative number.
    """
    preset = load_preset(preset) if isinstance(preset, str) else preset
    numbers = suite_numbers(preset) if numbers is None else numbers
    if name not in SUITES:
        raise ValueError(f"unknown suite {name!r}; known suites: {', '.join(SUITES)}")
    if num_questions < 0:
        raise ValueError(f"num_questions must be 0 (all) or more, got {num_questions}")
    folder, identity = _built(preset, name, world_seed, num_questions, root, numbers, workers)
    videos = _read(folder, num_questions)
    return Suite(
        name=name,
        preset=preset.name,
        world_seed=world_seed,
        window=numbers.window,
        identity=identity,
        data_hash=_hash([[v.sha256, [asdict(q) for q in v.questions]] for v in videos]),
        videos=videos,
    )


def suite_numbers(preset: Preset) -> SuiteNumbers:
    """The preset's suite sizes. ValueError for a preset that has no miniature suites."""
    if preset.miniature is None:
        raise ValueError(
            f"preset {preset.name} has no suites: readers of the real benchmarks are not part of "
            "this version; use --preset tiny"
        )
    given: dict[str, Any] = dict(preset.miniature.get("suites") or {})
    known = {field.name for field in fields(SuiteNumbers)}
    unknown, missing = sorted(set(given) - known), sorted(known - set(given) - {"kinds"})
    if unknown or missing:
        what = f"unknown {', '.join(unknown)}" if unknown else f"missing {', '.join(missing)}"
        raise ValueError(f"preset {preset.name}, numbers of suites: {what}")
    if "kinds" in given:
        given["kinds"] = tuple(given["kinds"])
    return SuiteNumbers(**given)


def _built(
    preset: Preset,
    name: str,
    world_seed: int,
    num_questions: int,
    root: Path | None,
    numbers: SuiteNumbers,
    workers: int,
) -> tuple[Path, str]:
    """Folder of a finished corpus that holds what is asked for, and the suite's identity.

    Story i does not depend on how many there are, so a part of a suite is built as a corpus of
    its own and holds the same videos as the whole.
    """
    per_video = numbers.questions_per_video
    needed = math.ceil(num_questions / per_video) if num_questions else numbers.num_videos
    needed = min(needed, numbers.num_videos)
    sizes = asdict(numbers)
    mean_frames = suite_frames(sizes.pop("longest_mean_frames"))[name]
    del sizes["num_videos"]
    facts = {"name": name, "mean_frames": mean_frames, "seed": world_seed, "format": FORMAT}
    identity = _hash({**facts, **sizes})
    base = (project_root() if root is None else root) / "runs" / preset.name / "suites" / name
    whole, part = (
        base / f"seed{world_seed}-{identity[:8]}-{count}" for count in (numbers.num_videos, needed)
    )
    folder, count = (
        (whole, numbers.num_videos) if (whole / "corpus.json").exists() else (part, needed)
    )
    spec = SuiteSpec(name=name, num_videos=count, mean_frames=mean_frames, **sizes)
    build_suite(folder, spec, world_seed, workers)
    return folder, identity


def _read(folder: Path, num_questions: int) -> tuple[SuiteVideo, ...]:
    """The first ``num_questions`` questions (0: all), grouped by video."""
    records = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    stories = json.loads((folder / "questions-stories.json").read_text(encoding="utf-8"))
    records = records[:num_questions] if num_questions else records
    asked: dict[str, list[SuiteQuestion]] = {}
    for record in records:
        asked.setdefault(record["video"], []).append(_question(record))
    return tuple(
        SuiteVideo(
            id=Path(media).stem,
            path=folder / media,
            sha256=sha256_of_file(folder / media),
            story=Story(tuple(Scene(*scene) for scene in scenes)),
            questions=tuple(asked[media]),
        )
        for media, scenes in ((story["video"], story["scenes"]) for story in stories)
        if media in asked
    )


def _question(record: dict[str, Any]) -> SuiteQuestion:
    human, answer = (turn["value"] for turn in record["conversations"])
    text = human.removeprefix("<video>\n")
    start, stop = record["interval"]
    return SuiteQuestion(
        record["id"], Question(record["kind"], text, answer, record["actor"], start, stop)
    )


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
