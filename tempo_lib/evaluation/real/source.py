"""A real benchmark: its manifest, its questions and videos on disk, and how replies are scored."""

import hashlib
import inspect
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from tempo_lib.config import Preset, VideoNumbers
from tempo_lib.evaluation.benchmark import (
    BENCHMARKS,
    Benchmark,
    BenchmarkVideo,
    Question,
    Reading,
    Verdict,
)
from tempo_lib.evaluation.letters import LETTERS, find_letter
from tempo_lib.evaluation.real.annotations import Annotated, AnnotationError, Row, questions_of
from tempo_lib.evaluation.real.manifest import Manifest, load_manifest
from tempo_lib.fingerprint import sha256_of_file, write_atomic
from tempo_lib.provenance import PAPER_PRESET, is_rehearsal, manifest_path, project_root
from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import open_video
from tempo_lib.video.safe import open_in_child

UNCAPPED = 10**7  # frames; a video is longer only in 58 days
STAND_IN = "STAND-IN.json"  # in a folder whose videos were generated for a rehearsal
SHOWN = 5  # things listed in a message
ABSENT = {"num_frames": 0, "sha256": "", "problem": "the video's file is missing"}


class RealBenchmark(Benchmark):
    """A loaded benchmark whose replies are judged by the scorers of both dates."""

    def judge(self, question: Question, text: str) -> Verdict:
        source = BENCHMARKS.get(self.name)
        if not isinstance(source, RealSource):
            raise TypeError(f"{self.name} is registered as another kind of benchmark")
        return source.judge(question, text)


@dataclass(frozen=True, kw_only=True)
class RealSource:
    """One benchmark as it is registered: ``read_question`` turns a row into a question.

    ``manifest_file``: None takes the one of this name in ``data_manifests/benchmarks``.
    """

    name: str
    read_question: Callable[[Row, str], Annotated]
    manifest_file: Path | None = None

    @property
    def manifest(self) -> Manifest:
        if self.manifest_file is not None:
            return load_manifest(self.manifest_file)
        return load_manifest(manifest_path(f"benchmarks/{self.name}.yaml"))

    @property
    def mean_over(self) -> str:
        """The column of records that MLVU's score is the mean over, "" for the others."""
        return "kind" if self.manifest.metric == "mean over groups" else ""

    def folder(self, preset: str = PAPER_PRESET) -> Path:
        """Where the benchmark lies unless one says otherwise; of a rehearsal, its stand-in."""
        home = project_root() / "runs" / preset if is_rehearsal(preset) else project_root()
        return home / "data" / self.name

    def questions(self, root: Path) -> tuple[list[Annotated], list[AnnotationError], list[Path]]:
        """Questions, refused rows and the annotation files that they come from."""
        found: list[Annotated | AnnotationError] = []
        files = annotation_files(self.manifest, root)
        for file in files:
            found += questions_of(file, self.read_question)
        good = [row for row in found if isinstance(row, Annotated)]
        return good, [row for row in found if isinstance(row, AnnotationError)], files

    def load(
        self,
        preset: Preset,
        *,
        num_questions: int = 0,
        world_seed: int = 0,
        root: Path | None = None,
        reading: Reading = Reading(),  # noqa: B008
    ) -> Benchmark:
        """Read annotations and measure the videos under ``root`` (default ``data/<name>``).

        Measured lengths are kept in ``runs/<preset>/benchmarks``, so a second load is quick. A
        missing or unreadable video carries its ``problem``, so that its questions fail and the
        others are answered; ``reading`` may salvage it. Rows that the manifest knows to be broken
        are left out with a warning; ValueError for more refused rows, an id that occurs twice, a
        world seed, or where no video is there.
        """
        if world_seed:
            raise ValueError(f"{self.name} is no generated benchmark: it has no --world-seed")
        folder = self.folder(preset.name) if root is None else root
        questions, refused, files = self.questions(folder)
        if len(refused) > self.manifest.known_defects:
            raise ValueError(f"{refused[0]} ({len(refused)} such rows; see `tempo data check`)")
        if refused:
            warnings.warn(f"{len(refused)} rows are left out, as {refused[0]}", stacklevel=2)
        twice = count(question.id for question in questions)
        if twice and max(twice.values()) > 1:
            raise ValueError(f"question id {next(iter(twice))!r} of {self.name} occurs twice")
        profile = self.profile(preset)
        chosen = questions[:num_questions] if num_questions else questions
        numbers = preset.video.model_copy(update={k: v for k, v in profile if k == "min_frames"})
        videos = self._videos(chosen, folder, numbers, preset.name, reading)
        reader = Path(inspect.getfile(self.read_question))
        hashes = [sha256_of_file(file) for file in (*files, reader)]
        return RealBenchmark(
            name=self.name,
            preset=preset.name,
            identity=_hash([self.manifest.model_dump_json(), *hashes]),
            data_hash=_hash([[v.sha256, [q.id for q in v.questions]] for v in videos]),
            videos=videos,
            profile=profile,
            is_stand_in=(folder / STAND_IN).is_file(),
            mean_over=self.mean_over,
            budgets=() if preset.evaluation is None else tuple(preset.evaluation.budgets.items()),
            reading=reading,
        )

    def _videos(
        self,
        questions: Sequence[Annotated],
        folder: Path,
        numbers: VideoNumbers,
        preset: str,
        reading: Reading,
    ) -> tuple[BenchmarkVideo, ...]:
        """The videos of the questions, measured; ValueError where none of them is there."""
        by_video: dict[str, list[Annotated]] = {}
        for question in questions:
            by_video.setdefault(question.video, []).append(question)
        paths = {video: video_file(self.manifest, folder, video) for video in by_video}
        known = {video: path for video, path in paths.items() if path is not None}
        if not known:
            raise ValueError(
                f"{len(paths)} of {len(paths)} videos of {self.name} are not in {folder}: "
                f"{', '.join(list(paths)[:SHOWN])} ..; `tempo data check {self.name}` lists them"
            )
        media = measured(known, numbers, self.name, preset, reading)
        return tuple(
            BenchmarkVideo(
                id=video,
                path=known.get(video, folder / video),
                questions=tuple(map(as_question, of_video)),
                **media.get(video, ABSENT),
            )
            for video, of_video in by_video.items()
        )

    def profile(self, preset: Preset) -> tuple[tuple[str, int], ...]:
        """What this benchmark's runs change of a checkpoint; an override of the preset wins."""
        numbers = {"generation.max_new_tokens": self.manifest.max_new_tokens}
        if preset.evaluation is not None:
            numbers["model.max_context"] = preset.evaluation.max_context
            numbers["video.min_frames"] = preset.evaluation.min_frames
        left = {path: value for path, value in numbers.items() if path not in preset.overrides}
        return tuple((path.partition(".")[2], value) for path, value in left.items())

    def score(self, question: Question, text: str) -> bool:
        """Right by the scorer in use since 2026-04-11."""
        return self.judge(question, text).correct

    def judge(self, question: Question, text: str) -> Verdict:
        """A reply under both scorers."""
        rules, choices = self.manifest.extraction, self._choices(question)
        now = find_letter(rules["since"], text, choices)
        before = find_letter(rules["before_2026_04_11"], text, choices)
        right = question.answer
        is_right, was_right = now.value == right, before.value == right
        return Verdict(is_right, now.value, now.found_by, before.value, was_right)

    def _choices(self, question: Question) -> str:
        """lmms-eval tries A to D, whatever the number of options; LongVideoBench's rule A to E."""
        return LETTERS[:4] if len(question.options) <= 4 else LETTERS[: len(question.options)]


def as_question(row: Annotated) -> Question:
    """What the runner sees; seconds of evidence are NaN where the benchmark does not say."""
    times = {
        name: value
        for name, value in (("start", row.start), ("stop", row.stop))
        if value is not None
    }
    return Question(
        id=row.id,
        text=row.prompt,
        answer=row.answer,
        options=row.options,
        group=row.group,
        tags=tuple(row.tags.items()),
        **times,
    )


def annotation_files(manifest: Manifest, root: Path) -> list[Path]:
    """Files of the first pattern that fits; AnnotationError where none does."""
    for pattern in manifest.annotations:
        files = sorted(root.glob(pattern))
        if files:
            return files
    raise AnnotationError(
        f"no annotations of {manifest.title} in {root}: expected one of "
        f"{', '.join(manifest.annotations)}, from {manifest.hub_id} ({manifest.licence})"
    )


def video_file(manifest: Manifest, root: Path, video: str) -> Path | None:
    """The file of a video, None where it is absent."""
    for pattern in manifest.videos:
        path = root / pattern.format(video=video)
        if path.is_file():
            return path
    return None


def measured(
    paths: Mapping[str, Path],
    numbers: VideoNumbers,
    name: str,
    preset: str,
    reading: Reading = Reading(),  # noqa: B008
) -> dict[str, dict]:
    """num_frames at the sampling rate and a digest (sha256) of each video, measured once per file.

    A video that cannot be opened has no frames and a ``problem``; it is tried again next time.
    """
    kept_path = project_root() / "runs" / preset / "benchmarks" / f"{name}-media.json"
    kept = json.loads(kept_path.read_text()) if kept_path.is_file() else {}
    found = dict[str, dict]()
    for video, path in tqdm(paths.items(), desc=f"{name}: lengths", unit="video", disable=None):
        stat = path.stat()
        rule = f"{numbers.fps} {numbers.min_frames}{' salvage' * reading.salvage}"
        key = f"{path.name} {stat.st_size} {stat.st_mtime_ns} {rule}"
        if key not in kept:
            try:
                kept[key] = {
                    "num_frames": frames_of(path, numbers, reading),
                    "sha256": _digest(path),
                }
            except VideoError as error:
                found[video] = {"num_frames": 0, "sha256": _digest(path), "problem": str(error)}
                continue
        found[video] = kept[key]
    write_atomic(kept_path, json.dumps(kept, indent=0) + "\n")
    return found


def frames_of(path: Path, numbers: VideoNumbers, reading: Reading = Reading()) -> int:  # noqa: B008
    """Frames of a file at the preset's rate, without a cap; VideoError when it has none."""
    options = (numbers.fps, UNCAPPED, numbers.min_frames, "auto", "auto", None, reading.salvage)
    if not reading.safe:
        return open_video(path, *options).num_frames
    stream = open_in_child(path, options)
    stream.end()
    return len(stream.seconds)


def count(values: Iterable[str]) -> dict[str, int]:
    """Value -> how often, the most frequent first."""
    return dict(Counter(values).most_common())


def _digest(path: Path) -> str:
    """Hex SHA-256 of a video's size, first and last megabyte: whole hours of film are not read."""
    size, part = path.stat().st_size, 2**20
    with path.open("rb") as stream:
        head = stream.read(part)
        stream.seek(max(0, size - part))
        return hashlib.sha256(b"%d" % size + head + stream.read(part)).hexdigest()


def _hash(content: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
