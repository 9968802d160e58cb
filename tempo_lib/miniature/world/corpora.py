"""Write corpora of the world to disk, as a user's own data would lie there.

A corpus is a folder: ``images/*.png``, ``videos/*.mp4``, one question file per source in
the LLaVA conversation format, and ``corpus.json`` with spec, seed, counts and hashes.
Story ``index`` of a source depends on (corpus, source, seed, index) alone: any number of
workers writes the same bytes, an interrupted build goes on where it stopped, and corpora
of different names draw from different seeds (no long story of a suite is trained on).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, astuple, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tempo_lib.fingerprint import sha256_of_file, write_atomic
from tempo_lib.miniature.config import CorpusSpec, SourceSpec
from tempo_lib.miniature.world.captions import (
    CAPTION_QUESTION,
    DESCRIPTION_QUESTION,
    caption,
    describe_actor,
    transcript,
)
from tempo_lib.miniature.world.clips import write_clip, write_image
from tempo_lib.miniature.world.corpus_specs import generator, questions_of, story_of
from tempo_lib.miniature.world.questions import Question
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import FPS, Story

FORMAT = 3  # raise when stories, pictures or files change for an unchanged spec

Record = dict[str, Any]


@dataclass(frozen=True)
class _Item:
    """One story of one source, with all that a worker process needs to write it."""

    out_dir: Path
    corpus: CorpusSpec
    source: SourceSpec
    seed: int
    index: int

    @property
    def id(self) -> str:
        return f"{self.corpus.name}-{self.source.name}-{self.index:06d}"

    @property
    def media(self) -> str | None:
        """Path of the picture file inside the corpus; None for text."""
        stem = f"{self.source.name}-{self.index:06d}"
        paths = {"image": f"images/{stem}.png", "video": f"videos/{stem}.mp4", "text": None}
        return paths[self.source.modality]


@dataclass(frozen=True)
class _Built:
    records: list[Record]
    num_choices: int  # records that list four options
    scenes: list[list[Any]]
    num_frames: int
    media: str | None
    num_bytes: int
    sha256: str


def build_corpus(out_dir: str | Path, spec: CorpusSpec, seed: int, workers: int = 1) -> Record:
    """Write a corpus to ``out_dir`` and return its manifest (the content of corpus.json).

    A finished corpus of the same spec and seed is returned as it is; an interrupted one is
    completed. Raises ValueError where the folder holds a corpus of another spec or seed.
    """
    out_dir = Path(out_dir)
    spec_sha256 = _claim_folder(out_dir, spec, seed)
    finished = _finished(out_dir)
    if finished is not None:
        return finished
    built: dict[str, list[_Built]] = {source.name: [] for source in spec.sources}
    items = [
        _Item(out_dir, spec, source, seed, index)
        for source in spec.sources
        for index in range(source.num_stories)
    ]
    progress = tqdm(_run(items, workers), desc=spec.name, total=len(items), disable=None)
    for item, result in zip(items, progress, strict=True):
        built[item.source.name].append(result)
    files = _write_annotations(out_dir, spec, built)
    manifest = {
        "name": spec.name,
        "seed": seed,
        "format": FORMAT,
        "spec": asdict(spec),
        "spec_sha256": spec_sha256,
        "counts": _counts(spec, built),
        "files": files,
        "media": _media_summary([result for results in built.values() for result in results]),
    }
    _write_json(out_dir / "corpus.json", manifest)  # last: it marks the corpus as complete
    return json.loads((out_dir / "corpus.json").read_text(encoding="utf-8"))


def _run(items: list[_Item], workers: int) -> Iterator[_Built]:
    if workers == 1:
        yield from map(_build_item, items)
        return
    # spawn: a fork would copy a parent whose torch threads hold locks
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_build_item, items, chunksize=4)


def _build_item(item: _Item) -> _Built:
    """Write the picture file of one story unless it exists, and make its samples."""
    story = story_of(item.corpus.name, item.source, item.seed, item.index)
    pictures = generator(item.corpus.name, item.source.name, item.seed, item.index, "pictures")
    if item.source.modality == "image":
        frame = int(pictures.integers(story.num_frames))
        story = Story(tuple(story.visible(frame, frame + 1)))
    num_bytes, sha256 = _write_media(item, story, int(pictures.integers(2**32)))
    scenes = [list(astuple(scene)) for scene in story.scenes]
    questions = questions_of(item.corpus.name, item.source, item.seed, item.index, story)
    num_choices = sum(bool(question.options) for question in questions)
    records = _records(item, story, questions)
    return _Built(records, num_choices, scenes, story.num_frames, item.media, num_bytes, sha256)


def _write_media(item: _Item, story: Story, seed: int) -> tuple[int, str]:
    """Paint and write the story unless its file exists; return the file's size and SHA-256."""
    if item.media is None:
        return 0, ""
    path = item.out_dir / item.media
    if not path.exists():
        frames_THWC = render(story, seed, item.corpus.size)
        if item.source.modality == "image":
            write_image(path, frames_THWC[0])
        else:
            write_clip(path, frames_THWC, fps=FPS, crf=item.corpus.crf)
    content = path.read_bytes()
    return len(content), hashlib.sha256(content).hexdigest()


def _records(item: _Item, story: Story, questions: list[Question]) -> list[Record]:
    """Samples of one story in the LLaVA conversation format."""
    records = [_record(item, story, q.kind, q.text, q.answer, q) for q in questions]
    if item.source.captions:
        answer = caption(story, 0, story.num_frames)
        records.append(_record(item, story, "caption", CAPTION_QUESTION, answer, None))
    if item.source.descriptions:
        for indices in story.appearances.values():
            scene = story.scenes[indices[0]]
            if len(indices) == 1:
                question = DESCRIPTION_QUESTION.format(actor=scene.actor)
                answer = describe_actor(scene)
                records.append(_record(item, story, "description", question, answer, None))
    return [{"id": f"{item.id}-{number}", **record} for number, record in enumerate(records)]


def _record(
    item: _Item, story: Story, kind: str, text: str, answer: str, question: Question | None
) -> Record:
    modality = item.source.modality
    if modality == "text":
        human = f"{transcript(story, item.source.window)}\n{text}"
    else:
        human = f"<{modality}>\n{text}"
    turns = [{"from": "human", "value": human}, {"from": "gpt", "value": answer}]
    record: Record = {} if item.media is None else {modality: item.media}
    record |= {"conversations": turns, "kind": kind, "window": item.source.window}
    if item.source.details and question is not None:
        record |= {
            "actors": list(question.actors),
            "options": list(question.options),
            "interval": list(question.interval),
            "duration_seconds": story.num_frames / FPS,
        }
    return record


def spec_digest(spec: CorpusSpec, seed: int) -> str:
    """Hex SHA-256 of what a corpus is made from; the corpus's ``spec.sha256`` holds it."""
    stated = asdict(spec)
    for source in stated["sources"]:  # corpora without bands keep the hash they had before
        if not source["bands"]:
            del source["bands"]
    facts = json.dumps({"format": FORMAT, "seed": seed, "spec": stated}, sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()


def _claim_folder(out_dir: Path, spec: CorpusSpec, seed: int) -> str:
    """Make the folder and mark it with the hash of what is built there; return the hash."""
    spec_sha256 = spec_digest(spec, seed)
    marker = out_dir / "spec.sha256"
    if marker.exists() and marker.read_text(encoding="utf-8").strip() != spec_sha256:
        raise ValueError(
            f"{out_dir} holds a corpus of another spec or seed than {spec.name}, seed {seed}; "
            "delete the folder or name another one"
        )
    for folder in ("images", "videos"):
        (out_dir / folder).mkdir(parents=True, exist_ok=True)
    if not marker.exists():  # two jobs that read one corpus must not both write
        write_atomic(marker, spec_sha256 + "\n")
    return spec_sha256


def _finished(out_dir: Path) -> Record | None:
    """Return the manifest of a finished corpus whose files are all there, else None."""
    path = out_dir / "corpus.json"
    if not path.exists():
        return None
    manifest = json.loads(path.read_text(encoding="utf-8"))
    suffixes = (("images", ".png"), ("videos", ".mp4"))
    num_media = sum(len(list((out_dir / name).glob(f"*{end}"))) for name, end in suffixes)
    complete = num_media == manifest["media"]["num_files"]
    return manifest if complete and all((out_dir / f).exists() for f in manifest["files"]) else None


def _write_annotations(
    out_dir: Path, spec: CorpusSpec, built: dict[str, list[_Built]]
) -> dict[str, str]:
    """Write one question file per source (and its stories); return their SHA-256."""
    hashes = {}
    for source in spec.sources:
        records = [record for result in built[source.name] for record in result.records]
        hashes[f"{source.name}.json"] = _write_json(out_dir / f"{source.name}.json", records)
        if source.details:
            stories = [
                {"video": result.media, "scenes": result.scenes} for result in built[source.name]
            ]
            name = f"{source.name}-stories.json"
            hashes[name] = _write_json(out_dir / name, stories)
    return hashes


def _counts(spec: CorpusSpec, built: dict[str, list[_Built]]) -> Record:
    counts: Record = {}
    for source in spec.sources:
        results = built[source.name]
        kinds = Counter(record["kind"] for result in results for record in result.records)
        counts[source.name] = {
            "modality": source.modality,
            "stories": len(results),
            "frames": sum(result.num_frames for result in results),
            "samples": sum(kinds.values()),
            "kinds": dict(sorted(kinds.items())),
            "choices": sum(result.num_choices for result in results),
        }
    return counts


def _media_summary(results: list[_Built]) -> Record:
    lines = sorted(f"{result.media} {result.sha256}" for result in results if result.media)
    return {
        "num_files": len(lines),
        "bytes": sum(result.num_bytes for result in results),
        "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }


def _write_json(path: Path, content: Any) -> str:
    """Write JSON in one move and return its SHA-256."""
    write_atomic(path, json.dumps(content, indent=1) + "\n")
    return sha256_of_file(path)
