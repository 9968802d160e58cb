"""The miniature's four suites as benchmarks: videos of the procedural world, made on demand.

A suite of world seed S is a corpus of the procedural world that no training corpus shares a
story with. Its mix of questions mirrors the real benchmark (``manifests``). It is built once,
under ``runs/<preset>/suites``, and read from there afterwards.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median_low
from typing import Any

from tempo_lib.config import Preset
from tempo_lib.evaluation.benchmark import BENCHMARKS, Benchmark, BenchmarkVideo, Question, Verdict
from tempo_lib.fingerprint import digest, sha256_of_file
from tempo_lib.miniature.config import SuiteNumbers, miniature_numbers
from tempo_lib.miniature.manifests import load_manifest, question_mix
from tempo_lib.miniature.world import questions as world
from tempo_lib.miniature.world.corpora import FORMAT, build_corpus
from tempo_lib.miniature.world.corpus_specs import (
    SUITE_SECONDS,
    SuiteSpec,
    duration_of,
    questions_of,
    story_of,
    suite_corpus,
    suite_lengths,
)
from tempo_lib.miniature.world.scenes import Story, read_scene
from tempo_lib.provenance import project_root

SUITES = tuple(SUITE_SECONDS)


@dataclass(frozen=True)
class SuiteVideo:
    """One video file with its story and the questions about it, by id."""

    id: str
    path: Path
    sha256: str
    story: Story
    questions: Mapping[str, world.Question]
    duration: str = ""


@dataclass(frozen=True, kw_only=True)
class Suite(Benchmark):
    """A benchmark whose videos have stories, so that relevance of a segment is known.

    ``stories``: by video id; ``world_questions``: by question id.
    """

    stories: Mapping[str, Story]
    world_questions: Mapping[str, world.Question]

    def judge(self, question: Question, text: str) -> Verdict:
        return SuiteSource(self.name).judge(question, text)

    def story(self, video: BenchmarkVideo) -> Story:
        return self.stories[video.id]

    def is_relevant(
        self, video: BenchmarkVideo, question: Question, start_frame: int, stop_frame: int
    ) -> bool | None:
        known = self.world_questions[question.id]
        if not known.actors:  # about the whole video: no segment stands out
            return None
        return world.is_relevant(known, self.story(video), start_frame, stop_frame)


@dataclass(frozen=True)
class SuiteSource:
    """One of the four suites, as it is registered."""

    name: str

    def load(
        self,
        preset: Preset,
        *,
        num_questions: int = 0,
        world_seed: int = 0,
        root: Path | None = None,
        numbers: SuiteNumbers | None = None,
        workers: int = 1,
        manifests: Path | None = None,
    ) -> Suite:
        """Read the suite of a world seed, building what is missing of it.

        ``num_questions`` > 0 takes only as many whole videos as hold that many questions, and of
        the last one what is still needed; 0 takes all. Videos are independent draws, so the first
        ones stand for all. ``root`` (default: the project's) is the folder that holds ``runs/``,
        ``manifests`` (default: the project's) the one that holds the suites' manifests.
        ValueError for a preset without suites, or a negative number.
        """
        numbers = suite_numbers(preset) if numbers is None else numbers
        if num_questions < 0:
            raise ValueError(f"num_questions must be 0 (all) or more, got {num_questions}")
        home = project_root() if root is None else root
        base = home / "runs" / preset.name / "suites" / self.name
        spec = suite_spec(self.name, numbers, manifests)
        folder, identity = _built(base, spec, world_seed, num_questions, workers)
        return suite_of(
            self.name,
            _read(folder, self.name, num_questions),
            preset=preset.name,
            world_seed=world_seed,
            identity=identity,
            budgets=suite_budgets(spec, numbers, preset),
        )

    def score(self, question: Question, text: str) -> bool:
        return world.is_correct(_world_question(question), text)

    def judge(self, question: Question, text: str) -> Verdict:
        """By its letter, of four options, and by its words."""
        known = _world_question(question)
        letter = (world.parse_letter(text) or "") if question.options else None
        words = world.is_correct_by_words(known, text)
        return Verdict(world.is_correct(known, text), letter, correct_words=words)


for _name in SUITES:
    BENCHMARKS.register(_name)(SuiteSource(_name))


def suite_of(
    name: str,
    videos: Iterable[SuiteVideo],
    *,
    preset: str = "tiny",
    world_seed: int = 0,
    identity: str = "",
    budgets: tuple[tuple[str, int], ...] = (),
) -> Suite:
    """A suite that holds exactly these videos."""
    videos = tuple(videos)
    contents = [  # in the form that hashes of earlier records have
        [v.sha256, [{"id": key, "asked": asdict(q)} for key, q in v.questions.items()]]
        for v in videos
    ]
    return Suite(
        name=name,
        preset=preset,
        world_seed=world_seed,
        identity=identity,
        data_hash=digest(contents),
        budgets=budgets,
        videos=tuple(_benchmark_video(video) for video in videos),
        stories={video.id: video.story for video in videos},
        world_questions={key: q for video in videos for key, q in video.questions.items()},
    )


def suite_numbers(preset: Preset) -> SuiteNumbers:
    """The preset's suite sizes. ValueError for a preset that has no miniature suites."""
    if preset.miniature is None:
        raise ValueError(f"preset {preset.name} has no section 'miniature', so no mini- suites")
    return miniature_numbers(preset).suites


def suite_spec(name: str, numbers: SuiteNumbers, manifests: Path | None = None) -> SuiteSpec:
    """The whole suite: its mix from the manifest, the rest from the preset's numbers."""
    manifest = load_manifest(name, manifests)
    mix = question_mix(manifest, numbers.fewest_questions, numbers.most_questions)
    return SuiteSpec(
        name=name,
        num_videos=math.ceil(numbers.num_questions / mix.mean_per_story),
        mix=mix,
        choice_share=numbers.choice_share,
        lengths=suite_lengths(name, numbers.frames_per_second, numbers.longest_mean_frames),
        jitter=numbers.jitter,
        window=numbers.window,
        size=numbers.size,
        crf=numbers.crf,
    )


def suite_budgets(
    spec: SuiteSpec, numbers: SuiteNumbers, preset: Preset
) -> tuple[tuple[str, int], ...]:
    """Memory tokens by role: shares of what the median video's segments hold under the cap."""
    frames = min(median_low(mean for _, mean in spec.lengths), preset.video.max_frames)
    whole = math.ceil(frames / preset.video.stride) * preset.allocation.k_max
    return tuple((role, int(share * whole)) for role, share in numbers.budget_shares.items())


def _built(
    base: Path, spec: SuiteSpec, world_seed: int, num_questions: int, workers: int
) -> tuple[Path, str]:
    """Folder of a finished corpus that holds what is needed, and the suite's identity.

    Story i does not depend on how many there are, so a part of a suite is built as a corpus of
    its own and holds the same videos as the whole.
    """
    facts = asdict(spec)
    del facts["num_videos"]
    identity = digest({**facts, "seed": world_seed, "format": FORMAT})
    needed = _num_videos(spec, world_seed, num_questions) if num_questions else spec.num_videos
    whole, part = (
        base / f"seed{world_seed}-{identity[:8]}-{count}" for count in (spec.num_videos, needed)
    )
    is_whole = (whole / "corpus.json").exists()
    if not is_whole:
        spec = replace(spec, num_videos=needed)
    folder = whole if is_whole else part
    build_corpus(folder, suite_corpus(spec), world_seed, workers)
    return folder, identity


def _num_videos(spec: SuiteSpec, world_seed: int, num_questions: int) -> int:
    """How many first videos hold ``num_questions``; all of them where the suite holds fewer.

    A video's number of questions is a draw, so they are drawn here, without painting anything.
    """
    (source,) = suite_corpus(spec).sources
    held = 0
    for index in range(spec.num_videos):
        story = story_of(spec.name, source, world_seed, index)
        held += len(questions_of(spec.name, source, world_seed, index, story))
        if held >= num_questions:
            return index + 1
    return spec.num_videos


def _read(folder: Path, name: str, num_questions: int) -> tuple[SuiteVideo, ...]:
    """The first ``num_questions`` questions (0: all), grouped by video."""
    records = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    stories = json.loads((folder / "questions-stories.json").read_text(encoding="utf-8"))
    records = records[:num_questions] if num_questions else records
    questions: dict[str, dict[str, world.Question]] = {}
    for record in records:
        questions.setdefault(record["video"], {})[record["id"]] = _read_question(record)
    return tuple(
        SuiteVideo(
            id=Path(media).stem,
            path=folder / media,
            sha256=sha256_of_file(folder / media),
            story=Story(tuple(map(read_scene, scenes))),
            questions=questions[media],
            duration=duration_of(name, index),
        )
        for index, (media, scenes) in enumerate((s["video"], s["scenes"]) for s in stories)
        if media in questions
    )


def _read_question(record: dict[str, Any]) -> world.Question:
    human, answer = (turn["value"] for turn in record["conversations"])
    text = human.removeprefix("<video>\n")
    start, stop = record["interval"]
    actors, options = tuple(record["actors"]), tuple(record["options"])
    return world.Question(record["kind"], text, answer, actors, start, stop, options)


def _benchmark_video(video: SuiteVideo) -> BenchmarkVideo:
    return BenchmarkVideo(
        id=video.id,
        path=video.path,
        sha256=video.sha256,
        num_frames=video.story.num_frames,
        questions=tuple(
            benchmark_question(*pair, video.duration) for pair in video.questions.items()
        ),
    )


def benchmark_question(key: str, question: world.Question, duration: str = "") -> Question:
    """The world's question as the runner, the metrics and the tables know it."""
    return Question(
        id=key,
        text=question.text,
        answer=question.answer,
        options=question.options,
        group=question.kind,
        start=question.start,
        stop=question.stop,
        tags=(("duration", (duration,)),) if duration else (),
    )


def _world_question(question: Question) -> world.Question:
    """As the world judges it; whom it is about plays no part in that."""
    return world.Question(
        kind=question.group,
        text=question.text,
        answer=question.answer,
        actors=(),
        start=question.start,
        stop=question.stop,
        options=question.options,
    )
