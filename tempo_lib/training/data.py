"""Manifests and LLaVA question files on disk -> training samples and batches.

Media are decoded once and kept at the size the model reads, so an epoch costs no decoding.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from tqdm.auto import tqdm

from tempo_lib import prompts
from tempo_lib.config import VideoNumbers
from tempo_lib.model.compressor import pad_rows
from tempo_lib.model.decoder_prompt import IGNORE, Turn, training_ids
from tempo_lib.model.processing import SegmentPixels, prefix_ids, resize_frames, segment_pixels
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import Video, load_image, load_video

MEDIA_TAGS = ("<video>", "<image>")


class Source(BaseModel):
    """One question file of a stage's mixture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    annotations: str
    modality: Literal["image", "video", "text"]
    licence: str
    made_by: str
    note: str


class Manifest(BaseModel):
    """The mixtures of all stages; paths are relative to the corpora root."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str
    stages: dict[str, tuple[Source, ...]]


@dataclass(frozen=True)
class Sample:
    """One question and its answer; ``window`` overrides the stage's frames a segment."""

    id: str
    media: Path | None
    modality: str
    question: str
    answer: str
    window: int | None


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest; ValueError names the file and the broken field."""
    try:
        return Manifest.model_validate(yaml.safe_load(path.read_text()))
    except (ValidationError, yaml.YAMLError) as error:
        raise ValueError(f"{path} is not a valid training manifest: {error}") from error


def load_samples(manifest: Manifest, stage: int, root: Path) -> list[Sample]:
    """All samples of a stage, every question of a conversation on its own.

    ValueError when a source's file or a medium is missing, or a record is malformed.
    """
    key = f"stage{stage}"
    if key not in manifest.stages:
        raise ValueError(f"the manifest has no {key}; it has {', '.join(sorted(manifest.stages))}")
    samples: list[Sample] = []
    for source in manifest.stages[key]:
        path = root / source.annotations
        if not path.is_file():
            raise ValueError(f"{path} of source {source.name} does not exist; build or fetch it")
        for number, record in enumerate(json.loads(path.read_text())):
            samples += read_record(record, source, path, number)
    return samples


def read_record(record: dict, source: Source, path: Path, number: int) -> Iterator[Sample]:
    """The samples of one LLaVA record; every human turn must be followed by the model's."""
    turns = record.get("conversations", [])
    roles = [turn.get("from") for turn in turns]
    if not turns or roles != ["human", "gpt"] * (len(turns) // 2):
        raise ValueError(f"{path}, record {number}: turns must alternate human, gpt; got {roles}")
    media = None
    if source.modality != "text":
        if source.modality not in record:
            raise ValueError(f"{path}, record {number}: no {source.modality!r} path")
        media = path.parent / record[source.modality]
        if not media.exists():
            raise ValueError(f"{path}, record {number}: {media} does not exist")
    for index in range(0, len(turns), 2):
        question = turns[index]["value"]
        for tag in MEDIA_TAGS:
            question = question.replace(tag, "")
        yield Sample(
            id=f"{record.get('id', number)}:{index // 2}",
            media=media,
            modality=source.modality,
            question=question.strip("\n"),
            answer=turns[index + 1]["value"],
            window=record.get("window"),
        )


class FrameStore:
    """Decoded, resized clips: once from the file, then from a small array on disk or in memory."""

    def __init__(self, model: Tempo, video: VideoNumbers, max_frames: int, folder: Path) -> None:
        self.rules, self.factor = model.config.pixel_rules, model.patch_shape.factor
        self.video, self.max_frames, self.folder = video, max_frames, folder
        self._held: dict[Path, Video] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, path: Path) -> Video:
        """The clip as a ``Video`` whose frames already have the model's size."""
        if path not in self._held:
            self._held[path] = self._load(path)
        return self._held[path]

    def prepare(self, paths: list[Path]) -> None:
        """Decode everything that is not there yet."""
        for path in tqdm(paths, desc="decode", unit="clip", disable=len(paths) < 50):
            self.get(path)

    def _load(self, path: Path) -> Video:
        stat = path.stat()
        key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns, self.max_frames)
        numbers = (self.rules.model_dump_json(), self.factor, self.video.model_dump_json())
        digest = hashlib.sha256(repr((*key, *numbers)).encode()).hexdigest()
        cached = self.folder / f"{digest[:32]}.npz"
        if cached.is_file():
            with np.load(cached) as held:
                return Video(
                    held["frames"],
                    float(held["fps"]),
                    held["seconds"],
                    str(path),
                    bool(held["image"]),
                )
        clip = self._decode(path)
        part = cached.with_suffix(f".{uuid4().hex}.part.npz")  # two ranks may write at once
        np.savez(part, frames=clip.frames, fps=clip.fps, seconds=clip.seconds, image=clip.is_image)
        part.replace(cached)  # an interrupted write never looks like a finished one
        return clip

    def _decode(self, path: Path) -> Video:
        if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"):
            clip = load_image(path)
        else:
            clip = load_video(
                path,
                fps=self.video.fps,
                max_frames=self.max_frames,
                min_frames=min(self.video.min_frames, self.max_frames),
                max_edge=self.rules.max_edge,
            )
        small_T3HW = resize_frames(clip.frames, self.rules, self.factor, clip.is_image)
        frames = small_T3HW.permute(0, 2, 3, 1).contiguous().numpy()
        return Video(frames, clip.fps, clip.seconds, clip.source, clip.is_image)


@dataclass(frozen=True)
class Encoded:
    """A sample as numbers: its segments (None for text), their token rows, decoder ids, labels."""

    segments: SegmentPixels | None
    compressor_rows: list[list[int]]
    ids: list[int]
    labels: list[int]


class Collator:
    """Samples -> tensors of ``Tempo.forward``. Holds the tokenizer, never the weights."""

    def __init__(
        self,
        model: Tempo,
        store: FrameStore,
        window: int,
        max_context: int,
        varied_prompt_share: float = 0.0,
        seed: int = 0,
        keeps_in_step: bool = False,
    ) -> None:
        self.text, self.shape = model.encoder, model.patch_shape
        self.rules, self.tokens = model.config.pixel_rules, model.config.num_memory_tokens
        self.system = model.config.system_prompts["standard"]
        self.decoder_system = model.config.decoder_system_prompt
        self.store, self.window, self.max_context = store, window, max_context
        self.varied_prompt_share, self.seed = varied_prompt_share, seed
        self.keeps_in_step = keeps_in_step

    def num_segments(self, sample: Sample) -> int:
        if sample.media is None:
            return 0
        clip = self.store.get(sample.media)
        return 1 if clip.is_image else -(-clip.num_frames // (sample.window or self.window))

    def num_targets(self, sample: Sample) -> int:
        """Target tokens of a sample, without looking at its media."""
        return len(self.text.encode(sample.answer)) + 1  # and the end of the turn

    def __call__(self, samples: list[Sample]) -> dict[str, Any]:
        """Batch of ``Tempo.forward``: decoder rows of all samples, segments of all in order.

        Where ranks must keep in step, a batch without segments gets a white image that no one
        reads, and no samples at all become a row without targets.
        """
        encoded = [self._encode(sample) for sample in samples]
        encoded = encoded or [Encoded(None, [], [self.text.special(prompts.IM_START)], [IGNORE])]
        cpu = torch.device("cpu")
        ids_SL, mask_SL = pad_rows([one.ids for one in encoded], cpu)
        labels_SL, _ = pad_rows([one.labels for one in encoded], cpu)
        batch: dict[str, Any] = {
            "input_ids": ids_SL,
            "attention_mask": mask_SL,
            "labels": labels_SL.masked_fill(mask_SL == 0, IGNORE),
        }
        segments = [one.segments for one in encoded if one.segments is not None]
        rows = [row for one in encoded for row in one.compressor_rows]
        if self.keeps_in_step and not segments:
            segments, rows = [self._white], self._rows_of(self._white, prompts.BLANK_QUERY)
            batch["num_unread"] = len(rows)
        if segments:
            compressor_ids, compressor_mask = pad_rows(rows, cpu)
            batch |= {
                "pixel_rows": torch.cat([part.pixel_rows_PC for part in segments]),
                "grid_thw": torch.cat([part.grid_thw_N3 for part in segments]),
                "compressor_ids": compressor_ids,
                "compressor_mask": compressor_mask,
            }
        return batch

    def _encode(self, sample: Sample) -> Encoded:
        """One sample's segments, compressor rows, decoder ids and labels."""
        segments, rows, seconds = None, [], []
        if sample.media is not None:
            clip, window = self.store.get(sample.media), sample.window or self.window
            segments = segment_pixels(clip, self.rules, self.shape, window, window, is_sized=True)
            seconds = segments.seconds_N.tolist()
            rows = self._rows(sample, segments)
        is_image = segments is not None and segments.is_image
        counts = [self.tokens] * len(seconds)
        turn = Turn(seconds, counts, sample.question, sample.answer, is_image)
        ids, labels = training_ids(self.text, self.decoder_system, turn)
        self._check_length(sample, len(ids))
        return Encoded(segments, rows, ids, labels)

    def _rows(self, sample: Sample, segments: SegmentPixels) -> list[list[int]]:
        """What the compressor reads of each segment: prompt, video, question."""
        return self._rows_of(segments, sample.question, self._system_prompt(sample))

    def _rows_of(
        self, segments: SegmentPixels, query: str, system: str | None = None
    ) -> list[list[int]]:
        end = self.text.ids(prompts.query_parts(query))
        prefixes = prefix_ids(self.text, system or self.system, segments, self.shape.merge)
        return [prefix + end for prefix in prefixes]

    @cached_property
    def _white(self) -> SegmentPixels:
        """The smallest white image that the compressor reads."""
        white = Video(np.full((1, 8, 8, 3), 255, np.uint8), 1.0, np.zeros(1), "white", True)
        return segment_pixels(white, self.rules, self.shape, 1, 1)

    def _system_prompt(self, sample: Sample) -> str:
        """The standard prompt, or for the stage's share of samples another prompt template.

        Drawn from seed and sample alone: the same on every rank and after every restart.
        """
        rng = np.random.default_rng(
            [self.seed, zlib.crc32(f"{sample.id} {sample.question}".encode())]
        )
        if rng.random() >= self.varied_prompt_share:
            return self.system
        return prompts.relevance_prompt(rng)

    def _check_length(self, sample: Sample, length: int) -> None:
        if length > self.max_context:
            raise ValueError(
                f"sample {sample.id} needs {length} decoder tokens, the stage allows "
                f"{self.max_context}; lower its max_frames or raise max_context"
            )
