"""Training samples -> batches: what both models read of them, and which tokens are targets."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from tempo_lib import prompts
from tempo_lib.config import LabelRules
from tempo_lib.model.compressor import pad_rows
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER, Turn, training_ids
from tempo_lib.model.processing import (
    SegmentPixels,
    cut_windows,
    prefix_ids,
    segment_pixels,
)
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.frames import FrameStore
from tempo_lib.training.records import Sample, TrainingError
from tempo_lib.training.sizes import num_slices, text_tokens
from tempo_lib.training.targets import OURS, conversation_ids, is_plain, tagged_turns
from tempo_lib.video.clip import Video

Lost = tuple[tuple[str, str], ...]  # (sample, reason) of what could not be read
LOST = "lost"  # of a batch, in its place


@dataclass(frozen=True)
class Encoded:
    """A sample as numbers: its segments (None for text), their token rows, decoder ids, labels.

    ``lost``: the sample in whose place it stands, and why.
    """

    segments: SegmentPixels | None
    compressor_rows: list[list[int]]
    ids: list[int]
    labels: list[int]
    lost: Lost = ()


def joined_segments(parts: list[SegmentPixels]) -> SegmentPixels:
    """Several images, each a segment of its own and of its own size, as one sequence."""
    if len(parts) == 1:
        return parts[0]
    return SegmentPixels(
        pixel_rows_PC=torch.cat([part.pixel_rows_PC for part in parts]),
        grid_thw_N3=torch.cat([part.grid_thw_N3 for part in parts]),
        pair_seconds=[times for part in parts for times in part.pair_seconds],
        seconds_N=torch.cat([part.seconds_N for part in parts]),
        is_image=all(part.is_image for part in parts),
    )


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
        labels: LabelRules = OURS,
    ) -> None:
        self.text, self.shape = model.encoder, model.patch_shape
        self.rules, self.tokens = model.config.pixel_rules, model.config.num_memory_tokens
        self.system = model.config.system_prompts["standard"]
        self.decoder_system = model.config.decoder_system_prompt
        self.store, self.window, self.max_context = store, window, max_context
        self.varied_prompt_share, self.seed = varied_prompt_share, seed
        self.keeps_in_step, self.labels = keeps_in_step, labels

    def num_segments(self, sample: Sample) -> int:
        return len(self._seconds(sample, self._clips(sample)))

    def num_frames(self, sample: Sample) -> int:
        return sum(len(clip.seconds) for clip in self._clips(sample))

    def num_tokens(self, sample: Sample) -> int:
        """Visual tokens of a sample, and one for four bytes of its text."""
        window = sample.window or self.window
        visual = 0
        for clip in self._clips(sample):
            height, width = clip.frames.shape[1:3]
            area = (height // self.shape.factor) * (width // self.shape.factor)
            visual += area * num_slices(len(clip.seconds), window, self.shape.temporal)
        return visual + text_tokens(len(sample.text.encode()))

    def check_lengths(self, samples: Sequence[Sample]) -> None:
        """TrainingError that names a sample which does not fit the context, before any step.

        Only what could be too long is tokenised: a token is at least one byte.
        """
        per_turn, per_segment = self.length_bounds()
        for sample in samples:
            most = per_turn * (1 + len(sample.turns)) + len(sample.text.encode())
            most += per_segment * self.num_segments(sample)
            if most > self.max_context:
                self._decoder_ids(sample, self._clips(sample))

    def length_bounds(self) -> tuple[int, int]:
        """Most decoder tokens of one turn around its text, and of one segment."""
        fixed = len(training_ids(self.text, self.decoder_system, Turn([], [], "", ""))[0])
        return fixed, len(prompts.timestamp(1e6)) + self.tokens

    def num_targets(self, sample: Sample) -> int:
        """Target tokens of a sample, without looking at its media."""
        if is_plain(self.labels):
            return len(self.text.encode(sample.answer)) + 1  # and the end of the turn
        _, labels = self._conversation(sample, [[]] * len(sample.all_media))
        return sum(label != IGNORE for label in labels[1:])  # nothing predicts the first token

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Batch of ``Tempo.forward``: decoder rows of all samples, segments of all in order."""
        return self.join([self.encode(sample) for sample in samples])

    def join(self, encoded: list[Encoded]) -> dict[str, Any]:
        """Encoded samples as one batch; what they stand in for, if anything, under ``LOST``.

        Where ranks must keep in step, a batch without segments gets a white image that no one
        reads, and no samples at all become a row without targets.
        """
        lost = sum((one.lost for one in encoded), ())
        encoded = encoded or [self.blank()]
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
        return {**batch, LOST: lost} if lost else batch

    def blank(self, lost: Lost = ()) -> Encoded:
        """A row without targets, where there is no sample."""
        return Encoded(None, [], [self.text.special(prompts.IM_START)], [IGNORE], lost)

    def encode(self, sample: Sample) -> Encoded:
        """One sample's segments, compressor rows, decoder ids and labels.

        ValueError where its media cannot be read, or where it does not fit the stage's context.
        """
        segments, rows, clips = None, [], self._clips(sample)
        if clips:
            window = sample.window or self.window
            segments = joined_segments(
                [
                    segment_pixels(clip, self.rules, self.shape, window, window, is_sized=True)
                    for clip in clips
                ]
            )
            rows = self._rows(sample, segments)
        return Encoded(segments, rows, *self._decoder_ids(sample, clips))

    def _clips(self, sample: Sample) -> list[Video]:
        """The sample's media, each as the model reads it."""
        return [self.store.get(path, sample.part) for path in sample.all_media]

    def _seconds(self, sample: Sample, clips: Sequence[Video]) -> list[float]:
        """The time of each segment, without its pixels."""
        window, seconds = sample.window or self.window, []
        for clip in clips:
            cut = cut_windows(clip.seconds, clip.fps, window, window, self.shape.temporal)
            seconds += cut.seconds_N.tolist()
        return seconds

    def _decoder_ids(self, sample: Sample, clips: Sequence[Video]) -> tuple[list[int], list[int]]:
        """Decoder ids and labels; ValueError where they exceed the stage's context."""
        if is_plain(self.labels):
            seconds = self._seconds(sample, clips)
            is_image = len(clips) > 0 and clips[0].is_image
            counts = [self.tokens] * len(seconds)
            turn = Turn(seconds, counts, sample.question, sample.answer, is_image)
            ids, labels = training_ids(self.text, sample.system or self.decoder_system, turn)
        else:
            window = sample.window or self.window
            media = [self._memories(clip, window) for clip in clips]
            ids, labels = self._conversation(sample, media)
        self._check_length(sample, len(ids))
        return ids, labels

    def _conversation(self, sample: Sample, media: list[list[int]]) -> tuple[list[int], list[int]]:
        """Decoder ids and labels in the release's layout."""
        system, turns = sample.system or self.decoder_system, tagged_turns(sample)
        return conversation_ids(self.text, system, turns, media, self.labels.targets)

    def _memories(self, clip: Video, window: int) -> list[int]:
        """What stands for one medium: its memory tokens, each segment of a video after its time."""
        cut = cut_windows(clip.seconds, clip.fps, window, window, self.shape.temporal)
        ids: list[int] = []
        for seconds in cut.seconds_N.tolist():
            ids += [] if clip.is_image else self.text.encode(prompts.timestamp(seconds))
            ids += [MEMORY_PLACEHOLDER] * self.tokens
        return ids

    def _rows(self, sample: Sample, segments: SegmentPixels) -> list[list[int]]:
        """What the compressor reads of each segment: prompt, video, question."""
        query = sample.question if sample.query is None else sample.query
        return self._rows_of(segments, query, self._system_prompt(sample))

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
        return prompts.plain_prompt(rng)

    def _check_length(self, sample: Sample, length: int) -> None:
        if length > self.max_context:
            raise TrainingError(
                f"sample {sample.id} needs {length} decoder tokens, the stage allows "
                f"{self.max_context}; shorten its answer, lower its max_frames or raise max_context"
            )
