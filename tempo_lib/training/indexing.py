"""Write the index of a stage in one pass over its question files.

What cannot be read is counted and named beside the index, and is not in it: bad records, and media
that are missing or do not open. Of each medium the first frame is decoded, for its size; a file
that is damaged further in is found when its step comes.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm.auto import tqdm

from tempo_lib.config import LabelRules
from tempo_lib.fingerprint import code_fingerprint, write_atomic, written_whole
from tempo_lib.gates import Row
from tempo_lib.training.data import Manifest, Source, stage_files
from tempo_lib.training.index import AT_ONCE, PROBLEMS, Index, arrow, facts_file
from tempo_lib.training.parts import open_part
from tempo_lib.training.progress import sample_facts
from tempo_lib.training.records import Part, Sample, TrainingError, read_record, record_id
from tempo_lib.training.rows import iter_rows
from tempo_lib.video.clip import open_video

MOST_FRAMES = 1 << 30  # no cap: a stage has its own
MOST_THREADS = 16  # that open media
MOST_SHOWN = 5  # broken records on stderr; all are in the file of problems
CODE = ("tempo_lib.training.records", "tempo_lib.training.parts", "tempo_lib.video.clip")

Medium = tuple[Path, Part | None]


@dataclass(frozen=True)
class Wanted:
    """What an index is of. ``fps``: at which its videos will be sampled; ``most_broken``: share of
    records that may be left out."""

    manifest: Manifest
    stage: int
    root: Path
    rules: LabelRules
    fps: float
    most_broken: float

    def facts(self) -> dict[str, Any]:
        """What a finished index must agree with to be kept; how often sources are read may vary."""
        files = []
        for source, path in stage_files(self.manifest, self.stage, self.root):
            stat = path.stat()
            named = source.annotations, source.modality, source.share
            files.append([*named, stat.st_size, stat.st_mtime_ns])
        return {
            "root": str(self.root.resolve()),
            "fps": self.fps,
            "labels": self.rules.model_dump(),
            "files": files,
            "code": code_fingerprint(*CODE),
        }


def open_index(wanted: Wanted, file: Path) -> Index:
    """The index at ``file``, written if it is not there or is of something else.

    Several processes may ask at once: one writes. TrainingError past the share of broken records,
    and where there is no sample at all; ValueError for a file that cannot be read at all.
    """
    sources = tuple(source for source, _ in stage_files(wanted.manifest, wanted.stage, wanted.root))
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        facts = wanted.facts()
        if not _is_of(file, facts):
            write_index(wanted, file, facts)
    return Index(file, wanted.root, sources)


def write_index(wanted: Wanted, file: Path, facts: dict[str, Any]) -> None:
    """One pass: rows, problems, and last the facts, which make it an index."""
    facts_file(file).unlink(missing_ok=True)
    ids, problems, pyarrow = hashlib.sha256(), list[str](), arrow()
    counts, schema = {"samples": 0, "records": 0}, _schema(pyarrow)
    found = _checked(wanted, counts, problems)
    with (
        written_whole(file) as part,
        pyarrow.OSFile(str(part), "wb") as sink,
        pyarrow.ipc.new_file(sink, schema) as writer,
    ):
        while some := list(islice(found, AT_ONCE)):
            counts["samples"] += len(some)
            for sample, _ in some:
                ids.update(json.dumps(sample_facts(sample)).encode())
            rows = [row for _, row in some]
            writer.write_batch(pyarrow.RecordBatch.from_pylist(rows, schema))
    write_atomic(file.with_suffix(PROBLEMS), "".join(f"{line}\n" for line in problems))
    _check_share(wanted, counts, problems, file)
    made = {"made_of": facts, **counts, "broken": len(problems), "digest": ids.hexdigest()}
    write_atomic(facts_file(file), json.dumps(made, indent=1) + "\n")


def _check_share(wanted: Wanted, counts: dict[str, int], problems: list[str], file: Path) -> None:
    """Say what is left out; TrainingError where it is too much, or where nothing is left."""
    first = [json.loads(line) for line in problems[:MOST_SHOWN]]
    said = [f"{one['file']}, {one['place']} ({one['id']}): {one['reason']}" for one in first]
    all_of_them = file.with_suffix(PROBLEMS)
    if len(problems) > wanted.most_broken * counts["records"]:
        raise TrainingError(
            f"{len(problems)} of {counts['records']} records cannot be read, more than the "
            f"{wanted.most_broken:.0%} that may be skipped; all are in {all_of_them}; "
            f"the first: {said[0]}"
        )
    for line in said:
        print(f"skipped: {line}", file=sys.stderr)
    if len(problems) > len(said):
        print(f"skipped: {len(problems) - len(said)} more, in {all_of_them}", file=sys.stderr)
    if not counts["samples"]:
        raise TrainingError(f"stage {wanted.stage} has no samples: its files hold no records")


def _checked(
    wanted: Wanted, counts: dict[str, int], problems: list[str]
) -> Iterator[tuple[Sample, dict[str, Any]]]:
    """Samples with their rows, in the order of the files; ``problems`` gets a line for each record
    that is broken."""
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    files = stage_files(wanted.manifest, wanted.stage, wanted.root)
    title = f"index stage {wanted.stage}"
    with ThreadPoolExecutor(threads) as pool, tqdm(desc=title, unit="record") as bar:
        for number, (source, path) in enumerate(files):
            rows = enumerate(iter_rows(path, source.share))
            while some := list(islice(rows, AT_ONCE)):
                counts["records"] += len(some)
                bar.update(len(some))
                read = [_read(row, place, source, path, wanted.rules) for place, row in some]
                sizes = _probed(
                    [one for _, samples, _ in read for one in samples], wanted.fps, pool
                )
                for (place, name), samples, reason in read:
                    reason = reason or next(filter(None, map(sizes.problem, samples)), "")
                    if reason:
                        problem = {"file": source.annotations, "place": place, "id": name}
                        problems.append(json.dumps({**problem, "reason": reason}))
                        continue
                    for one in samples:
                        yield one, _row(one, number, wanted.root, sizes.found)


def _read(
    row: Row, number: int, source: Source, path: Path, rules: LabelRules
) -> tuple[tuple[str, str], list[Sample], str]:
    """((place, id), samples, "") of a record, or no samples and the reason."""
    named = row.place, record_id(row.value, number)
    try:
        if row.problem:
            raise ValueError(row.problem)
        return named, list(read_record(row.value, source.modality, path, number, rules)), ""
    except ValueError as error:
        return named, [], " ".join(str(error).split())


@dataclass(frozen=True)
class Probed:
    """Of each medium height, width, sampled frames and whether it is an image; or why not."""

    found: dict[Medium, list[int]]
    broken: dict[Medium, str]

    def problem(self, sample: Sample) -> str:
        """Why the first broken medium of a sample cannot be read, "" where there is none."""
        return next((self.broken[one] for one in _media(sample) if one in self.broken), "")


def _media(sample: Sample) -> list[Medium]:
    return [(path, sample.part) for path in sample.all_media]


def _probed(samples: list[Sample], fps: float, pool: ThreadPoolExecutor) -> Probed:
    """The media of some samples, each opened once."""
    media = list(dict.fromkeys(one for sample in samples for one in _media(sample)))
    sizes = Probed({}, {})
    for medium, size in zip(media, pool.map(partial(_probe, fps=fps), media), strict=True):
        if isinstance(size, str):
            sizes.broken[medium] = size
        else:
            sizes.found[medium] = size
    return sizes


def _probe(medium: Medium, fps: float) -> list[int] | str:
    path, part = medium
    try:
        if part is None:
            stream = open_video(path, fps, MOST_FRAMES, 1, max_edge=None)
        else:
            stream = open_part(path, part, fps, MOST_FRAMES, 1, max_edge=None)
        height, width = next(iter(stream.iter_frames())).shape[:2]
    except ValueError as error:  # VideoError is one
        return " ".join(str(error).split())
    return [height, width, stream.num_frames, int(stream.is_image)]


def _row(sample: Sample, source: int, root: Path, sizes: dict[Medium, Any]) -> dict[str, Any]:
    start, end = sample.part or (None, None)
    return {
        "id": sample.id,
        "source": source,
        "media": [os.path.relpath(path, root) for path in sample.all_media],
        "question": sample.question,
        "answer": sample.answer,
        "window": sample.window or 0,
        "system": sample.system,
        "query": sample.query,
        "turns": [list(turn) for turn in sample.turns],
        "start": start,
        "end": end,
        "text_bytes": len(sample.text.encode()),
        "num_turns": 1 + len(sample.turns),
        "pictures": [n for medium in _media(sample) for n in sizes[medium]],
    }


def _schema(pyarrow: Any) -> Any:
    text, number = pyarrow.string(), pyarrow.int32()
    names = ("id", "question", "answer", "system", "query")
    fields = [(name, text) for name in names]
    fields += [(name, number) for name in ("source", "window", "text_bytes", "num_turns")]
    fields += [("start", pyarrow.float64()), ("end", pyarrow.float64())]
    fields += [("media", pyarrow.list_(text)), ("turns", pyarrow.list_(pyarrow.list_(text)))]
    return pyarrow.schema([*fields, ("pictures", pyarrow.list_(number))])


def _is_of(file: Path, facts: dict[str, Any]) -> bool:
    """Whether a finished index is of the same files, read in the same way."""
    try:
        found = json.loads(facts_file(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return file.is_file() and found.get("made_of") == json.loads(json.dumps(facts))
