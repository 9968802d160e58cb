"""The index of a stage's samples: an Arrow file that is mapped, so that only what is read is held.

A row is a sample, a question or as the label rules say, with the sizes of its media, so that steps
and passes are planned before anything is decoded. ``indexing.py`` writes it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from tempo_lib.config import PixelRules, StageNumbers, VideoNumbers
from tempo_lib.model.processing import PatchShape
from tempo_lib.training.collate import Collator
from tempo_lib.training.data import Source
from tempo_lib.training.records import Sample, TrainingError
from tempo_lib.training.sizes import Sizes, model_size, num_slices, text_tokens
from tempo_lib.video.base import VideoError

AT_ONCE = 1024  # rows of a batch of the file, all but the last one
FACTS, PROBLEMS = ".json", ".problems.jsonl"  # beside the index: what it is of; what is not in it
PICTURE = 4  # numbers per medium: height, width, sampled frames without a cap, whether an image


@dataclass(frozen=True)
class Index(Sequence[Sample]):
    """Samples by place. It travels to other processes as its path."""

    file: Path
    root: Path
    sources: tuple[Source, ...]

    def __len__(self) -> int:
        return int(self.facts["samples"])

    def __getitem__(self, place: Any) -> Any:
        """The sample at a place; IndexError past the end."""
        if not 0 <= place < len(self):
            raise IndexError(f"no sample {place} among {len(self)}")
        batch = self._reader.get_batch(int(place) // AT_ONCE)
        (row,) = batch.slice(int(place) % AT_ONCE, 1).to_pylist()
        return self._sample(row)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the index was made of, counts of samples, records and broken ones, a digest."""
        found: dict[str, Any] = json.loads(facts_file(self.file).read_text(encoding="utf-8"))
        return found

    @property
    def digest(self) -> str:
        """Hex SHA-256 over what samples say and over names and sizes of their media."""
        return str(self.facts["digest"])

    def column(self, name: str) -> np.ndarray:
        """One number per sample."""
        return np.asarray(self._reader.read_all().column(name).to_numpy())

    def order(self) -> tuple[Sequence[bool], Sequence[float]]:
        """Per sample, whether it comes first, and how often it is read in an epoch."""
        own_N = self.column("source")
        first = np.array([source.first for source in self.sources])
        weight = np.array([source.weight for source in self.sources])
        return first[own_N].tolist(), weight[own_N].tolist()

    @property
    def has_parts(self) -> bool:
        """Whether any sample shows a part of its video."""
        return bool(np.isfinite(self.column("start")).any())

    def sizes(
        self, numbers: StageNumbers, video: VideoNumbers, rules: PixelRules, shape: PatchShape
    ) -> Sizes:
        """What a stage's rules make of the sizes that the files' headers and first frames say."""
        least = min(video.min_frames, numbers.max_frames)
        area = lru_cache(maxsize=1 << 16)(
            lambda high, wide, image: _area(high, wide, rules, shape.factor, bool(image))
        )
        segments, frames, loads = [], [], []
        columns = self.column("window").tolist(), self.column("text_bytes").tolist()
        rows = zip(*columns, _lists(self._reader, "pictures"), strict=True)
        for window, text, pictures in rows:
            window, sums = window or numbers.window, [0, 0, text_tokens(text)]
            for at in range(0, len(pictures), PICTURE):
                high, wide, count, image = pictures[at : at + PICTURE]
                count = 1 if image else min(max(count, least), numbers.max_frames)
                sums[0] += ceil(count / window)
                sums[1] += count
                sums[2] += area(high, wide, image) * num_slices(count, window, shape.temporal)
            segments.append(sums[0])
            frames.append(sums[1])
            loads.append(sums[2])
        return Sizes(segments, frames, loads if numbers.micro_tokens else segments)

    def check_lengths(self, sizes: Sizes, collate: Collator) -> None:
        """TrainingError that names a sample which does not fit the stage's context.

        Only what could be too long is read: a token is at least one byte.
        """
        per_turn, per_segment = collate.length_bounds()
        most_N = per_turn * self.column("num_turns") + self.column("text_bytes")
        most_N += per_segment * np.asarray(sizes.segments)
        for place in np.flatnonzero(most_N > collate.max_context).tolist():
            try:
                collate.check_lengths([self[place]])
            except VideoError:
                continue  # found again, and replaced, when its step comes

    @property
    def _reader(self) -> Any:
        return _reader(self.file, self.digest)

    def _sample(self, row: dict[str, Any]) -> Sample:
        media = [self.root / name for name in row["media"]]
        source, end = self.sources[row["source"]], row["end"]
        return Sample(
            id=row["id"],
            media=media[0] if media else None,
            modality=source.modality,
            question=row["question"],
            answer=row["answer"],
            window=row["window"] or None,
            more_media=tuple(media[1:]),
            system=row["system"],
            query=row["query"],
            turns=tuple((one, two) for one, two in row["turns"]),
            first=source.first,
            part=None if end is None else (row["start"], end),
            weight=source.weight,
        )


def facts_file(file: Path) -> Path:
    """The file beside an index that is written last: where it is missing there is no index."""
    return file.with_suffix(FACTS)


def arrow() -> Any:
    """pyarrow; TrainingError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ModuleNotFoundError:
        raise TrainingError("an index needs pyarrow: pip install 'tempo-lib[train]'") from None
    return pyarrow


@lru_cache(maxsize=8)
def _reader(file: Path, digest: str) -> Any:
    """The open index of this content, once a process; a forked process shares the map."""
    pyarrow = arrow()
    return pyarrow.ipc.open_file(pyarrow.memory_map(str(file)))


def _lists(reader: Any, name: str) -> Iterator[list[int]]:
    for number in range(reader.num_record_batches):
        yield from reader.get_batch(number).column(name).to_pylist()


def _area(height: int, width: int, rules: PixelRules, factor: int, is_image: bool) -> int:
    """Visual tokens of one slice."""
    height, width = model_size(height, width, rules, factor, is_image)
    return (height // factor) * (width // factor)
