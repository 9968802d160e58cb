"""One video, many questions: pixels, vision features and prefixes are computed once.

Exact, not approximate: what comes before the query does not see it.
"""

from typing import TYPE_CHECKING, Any

import torch

from tempo_lib import prompts
from tempo_lib.model.compressor import Prefix, SegmentMemories, VisionFeatures, pad_rows
from tempo_lib.model.processing import SegmentPixels, prefix_ids, segment_pixels
from tempo_lib.video.clip import Video

if TYPE_CHECKING:
    from tempo_lib.model.tempo import Answer, Tempo


class VideoSession:
    """Holds one encoded video. ``keep_prefix=False`` saves memory where one question is asked.

    ``is_sized``: the frames come from ``resize_frames`` under the model's rules.
    """

    def __init__(
        self, model: "Tempo", video: Video, keep_prefix: bool = True, is_sized: bool = False
    ) -> None:
        numbers = model.config.video_numbers
        self.model = model
        self.is_image = video.is_image
        self.keep_prefix = keep_prefix
        self.segments = segment_pixels(
            video,
            model.config.pixel_rules,
            model.patch_shape,
            numbers.window,
            numbers.stride,
            is_sized,
        )
        self._vision: list[VisionFeatures] = []
        self._prefixes: dict[str, list[Prefix]] = {}

    @property
    def num_segments(self) -> int:
        return len(self.segments)

    def ask(self, question: str, prompt: str = "routing", **options: Any) -> "Answer":
        """Answer a question; options as in ``Tempo.decode``."""
        memories = self.compress(question, prompt)
        return self.model.decode(memories, question, is_image=self.is_image, **options)

    @torch.no_grad()
    def compress(self, question: str, prompt: str = "routing") -> SegmentMemories:
        """Memories and scores for one question under system prompt ``standard`` or ``routing``."""
        compressor, text = self.model.compressor, self.model.encoder
        query = text.ids(prompts.query_parts(question))
        memories, h_rel = [], []
        for part in range(len(self._spans())):
            if self.keep_prefix:
                chunk = compressor.suffix(self._prefix(part, prompt), query)
            else:
                rows = [row + query for row in self._rows(part, prompt)]
                ids_NL, mask_NL = pad_rows(rows, self.model.device)
                grid_N3 = self._part(part).grid_thw_N3.to(self.model.device)
                chunk = compressor(self.vision(part), ids_NL, mask_NL, grid_N3)
            memories.append(chunk[0])
            h_rel.append(chunk[1])
        logits = compressor.relevance_logits(torch.cat(h_rel)).cpu()
        return SegmentMemories(
            torch.cat(memories), logits.sigmoid(), self.segments.seconds_N, logits
        )

    def vision(self, part: int) -> VisionFeatures:
        """Vision features of the ``part``-th chunk of segments, computed on first use."""
        while len(self._vision) <= part:
            segments = self._part(len(self._vision))
            with torch.no_grad():
                features = self.model.compressor.encode_vision(
                    segments.pixel_rows_PC, segments.grid_thw_N3
                )
            self._vision.append(features)
        return self._vision[part]

    def _prefix(self, part: int, prompt: str) -> Prefix:
        known = self._prefixes.setdefault(prompt, [])
        while len(known) <= part:
            index = len(known)
            grid = self._part(index).grid_thw_N3.to(self.model.device)
            rows = self._rows(index, prompt)
            known.append(self.model.compressor.prefix(self.vision(index), rows, grid))
        return known[part]

    def _rows(self, part: int, prompt: str) -> list[list[int]]:
        systems = self.model.config.system_prompts
        if prompt not in systems:
            raise ValueError(f"unknown prompt {prompt!r}; known: {', '.join(sorted(systems))}")
        merge = self.model.patch_shape.merge
        return prefix_ids(self.model.encoder, systems[prompt], self._part(part), merge)

    def _spans(self) -> list[range]:
        size = self.model.config.segment_batch
        starts = range(0, self.num_segments, size)
        return [range(start, min(start + size, self.num_segments)) for start in starts]

    def _part(self, part: int) -> SegmentPixels:
        span = self._spans()[part]
        return self.segments.part(span.start, span.stop)
