"""One video, many questions: pixels, vision features and prefixes are computed once.

Exact, not approximate: what comes before the query does not see it.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch

from tempo_lib import prompts
from tempo_lib.checkpoints.config import TempoConfig
from tempo_lib.model.compressor import (
    Compressor,
    Prefix,
    SegmentMemories,
    VisionFeatures,
    pad_rows,
)
from tempo_lib.model.decoder_prompt import Answer
from tempo_lib.model.numerics import check_segments
from tempo_lib.model.processing import SegmentPixels, TextEncoder, prefix_ids


class VideoSession:
    """One video as one compressor reads it.

    ``decode`` answers from memories, as ``Tempo.decode``; a session without it only compresses.
    ``keep_prefix=False`` saves memory where there is one question. ``on_part`` is called as the
    reading of a question goes on; what it raises ends the reading.
    """

    def __init__(
        self,
        compressor: Compressor,
        text: TextEncoder,
        config: TempoConfig,
        segments: SegmentPixels,
        decode: Callable[..., Answer] | None = None,
        keep_prefix: bool = True,
    ) -> None:
        self.compressor = compressor
        self.text = text
        self.config = config
        self.segments = segments
        self.keep_prefix = keep_prefix
        self._decode = decode
        self.on_part: Callable[[int, int], None] | None = None  # parts read, parts in all
        self._vision: dict[int, VisionFeatures] = {}
        self._prefixes: dict[tuple[int, str], Prefix] = {}

    @property
    def num_segments(self) -> int:
        return len(self.segments)

    def ask(self, question: str, prompt: str = "routing", **options: Any) -> Answer:
        """Answer a question; options as in ``Tempo.decode``."""
        return self.decode(self.compress(question, prompt), question, **options)

    def decode(self, memories: SegmentMemories, question: str, **options: Any) -> Answer:
        """Answer from memories that ``compress`` gave; options as in ``Tempo.decode``."""
        if self._decode is None:
            raise ValueError("this session has no decoder: it compresses and scores only")
        return self._decode(memories, question, is_image=self.segments.is_image, **options)

    @torch.no_grad()
    def compress(
        self, question: str, prompt: str = "routing", memories_first: bool = False
    ) -> SegmentMemories:
        """Memories and scores for one question under system prompt ``standard`` or ``routing``.

        ``memories_first``: memory tokens stand before the question instead of behind it.
        """
        memories_NKD, logits_N = self._read(question, prompt, memories_first)
        return SegmentMemories(memories_NKD, logits_N.sigmoid(), self.segments.seconds_N, logits_N)

    @torch.no_grad()
    def logits(self, question: str, prompt: str = "routing") -> torch.Tensor:
        """Relevance logits (N,) alone, float32 on the CPU."""
        return self._read(question, prompt)[1]

    def _read(
        self, question: str, prompt: str, memories_first: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Memories (N, K, D) and relevance logits (N,) of all segments.

        NotFiniteError where one of them is not finite.
        """
        query = self.text.ids(prompts.query_parts(question))
        outputs = []
        for part in range(len(self._parts)):
            outputs.append(self._read_part(part, prompt, query, memories_first))
            if self.on_part is not None:
                self.on_part(part + 1, len(self._parts))
        memories_NKD, h_rel_ND = (torch.cat(pieces) for pieces in zip(*outputs, strict=True))
        logits_N = self.compressor.relevance_logits(h_rel_ND).cpu()
        check_segments("relevance logits", logits_N, self.compressor)
        check_segments("memories", memories_NKD, self.compressor)
        return memories_NKD, logits_N

    @cached_property
    def _parts(self) -> list[SegmentPixels]:
        """The segments in groups that one forward pass reads."""
        size, total = self.config.segment_batch, self.num_segments
        starts = range(0, total, size)
        return [self.segments.part(start, min(start + size, total)) for start in starts]

    def _read_part(
        self, part: int, prompt: str, query: list[int], memories_first: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Memories (n, K, D) and h_rel (n, D) of the segments of one part."""
        if self.keep_prefix or memories_first:
            return self.compressor.suffix(self.prefix(part, prompt), query, memories_first)
        rows = [row + query for row in self._prefix_rows(part, prompt)]
        ids_NL, mask_NL = pad_rows(rows, self.compressor.device)
        return self.compressor(self._features(part), ids_NL, mask_NL, self._grid(part))

    def prefix(self, part: int, prompt: str) -> Prefix:
        """System prompt and video of one part of the segments, computed once."""
        if (part, prompt) not in self._prefixes:
            rows = self._prefix_rows(part, prompt)
            prefix = self.compressor.prefix(self._features(part), rows, self._grid(part))
            self._prefixes[part, prompt] = prefix
        return self._prefixes[part, prompt]

    def _prefix_rows(self, part: int, prompt: str) -> list[list[int]]:
        systems = prompts.SCORER_PROMPTS | self.config.system_prompts
        if prompt not in systems:
            raise ValueError(f"unknown prompt {prompt!r}; known: {', '.join(sorted(systems))}")
        merge = self.config.compressor_config.vision_config.spatial_merge_size
        return prefix_ids(self.text, systems[prompt], self._parts[part], merge)

    def _features(self, part: int) -> VisionFeatures:
        if part not in self._vision:
            pixels = self._parts[part]
            encode = self.compressor.encode_vision
            self._vision[part] = encode(pixels.pixel_rows_PC, pixels.grid_thw_N3)
        return self._vision[part]

    def _grid(self, part: int) -> torch.Tensor:
        return self._parts[part].grid_thw_N3.to(self.compressor.device)
