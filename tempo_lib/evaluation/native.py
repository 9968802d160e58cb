"""A Qwen3-VL that reads frames itself, without memory tokens: the baselines of Table 1.

It gets as many frames as fit the budget of visual tokens (``native-<name>``), or all of them with
the tokens of each frame pair pooled until they fit (``native-<name>-pooled``). Frames are those of
Tempo, at its rate, cap and size, so that one video and one budget are compared; the chat layout is
Qwen3-VL's, with the system prompt of lmms-eval's ``qwen3_vl``. The base compressor
is registered; another model, of any size, is one function under
``@NATIVE_MODELS.register("name")`` that returns its folder or hub id.

Shape suffixes: P frame pairs, L tokens, V visual tokens, D width.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d
from transformers import Cache, Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.checkpoints.loading import load_tokenizer, local_folder
from tempo_lib.evaluation.records import weights_digest
from tempo_lib.evaluation.scorers import as_compressor, scorer_folder
from tempo_lib.model.compressor import Compressor, Prefix, VisionFeatures
from tempo_lib.model.decoder_prompt import ContextError
from tempo_lib.model.numerics import check_logits
from tempo_lib.model.processing import SegmentPixels, TextEncoder, prefix_ids, segment_pixels
from tempo_lib.model.tempo import Tempo
from tempo_lib.registry import Registry
from tempo_lib.video.clip import Video

NATIVE_MODELS: Registry[Callable[[Tempo], Path | str]] = Registry("native model")


@NATIVE_MODELS.register("base")
def base_folder(model: Tempo) -> Path | str:
    """The base compressor that ``model`` came from; CheckpointError where there is none."""
    return scorer_folder("base", model)


@dataclass(frozen=True)
class VisualTokens:
    """What a native model reads: frames of a video, and rows and columns of tokens per pair."""

    num_frames: int
    rows: int
    columns: int


def fitting_tokens(
    num_frames: int, rows: int, columns: int, temporal: int, budget: int, pooled: bool
) -> VisualTokens:
    """As much of a video as ``budget`` visual tokens hold.

    ``rows``, ``columns``: tokens of a whole pair of ``temporal`` frames. Not pooled: as many whole
    pairs as fit, of which the only one is pooled where not even one does. Pooled: all pairs, each
    with an equal share of the budget, of at least one token. ValueError for a budget below 1.
    """
    if budget < 1:
        raise ValueError(f"a model that reads frames needs a budget of at least 1, got {budget}")
    pairs, whole = math.ceil(num_frames / temporal), rows * columns
    pairs = min(pairs, budget if pooled else max(1, budget // whole))
    share = min(whole, budget // pairs)
    kept = max(1, min(rows, share, math.floor(rows * math.sqrt(share / whole))))
    return VisualTokens(min(num_frames, pairs * temporal), kept, min(columns, share // kept))


@dataclass(frozen=True)
class NativeVlm:
    """A Qwen3-VL with its head; ``weights`` tells one from another in records."""

    compressor: Compressor
    head: nn.Module
    text: TextEncoder
    weights: str

    def open(self, video: Video, model: Tempo, shape: VisualTokens) -> "NativeVideo":
        """Frames of ``shape``, already of the size that ``model`` reads, encoded once."""
        numbers = model.config.video_numbers
        rules, window = model.config.pixel_rules, numbers.window
        pixels = segment_pixels(video, rules, model.patch_shape, window, window, is_sized=True)
        size = model.config.segment_batch
        starts = range(0, len(pixels), size)
        with torch.no_grad():
            parts = [
                self._pooled(pixels.part(start, min(start + size, len(pixels))), shape)
                for start in starts
            ]
        return NativeVideo(self, pixels, parts, shape, model.config.max_context)

    def _pooled(self, pixels: SegmentPixels, shape: VisualTokens) -> list[torch.Tensor]:
        """Features of all pairs, and of each deepstack level: (V, D) each."""
        vision = self.compressor.encode_vision(pixels.pixel_rows_PC, pixels.grid_thw_N3)
        merge = self.compressor.config.vision_config.spatial_merge_size
        rows, columns = (int(side) // merge for side in pixels.grid_thw_N3[0, 1:])
        levels = [torch.cat(each) for each in (vision.features, *vision.deepstack)]
        if (rows, columns) == (shape.rows, shape.columns):
            return levels
        grids = [level_VD.unflatten(0, (-1, rows, columns)) for level_VD in levels]
        return [
            adaptive_avg_pool2d(grid_PRCD.movedim(-1, 1), (shape.rows, shape.columns))
            .movedim(1, -1)
            .flatten(0, 2)
            for grid_PRCD in grids
        ]


class NativeVideo:
    """One video as a native model reads it: system prompt and video serve every question."""

    def __init__(
        self,
        vlm: NativeVlm,
        pixels: SegmentPixels,
        parts: list[list[torch.Tensor]],
        shape: VisualTokens,
        max_context: int,
    ) -> None:
        self.vlm = vlm
        self.max_context = max_context
        self.seconds = [time for times in pixels.pair_seconds for time in times]
        merge = vlm.compressor.config.vision_config.spatial_merge_size
        grid = [[len(self.seconds), shape.rows * merge, shape.columns * merge]]
        whole = replace(pixels, grid_thw_N3=torch.tensor(grid), pair_seconds=[self.seconds])
        self.ids = prefix_ids(vlm.text, prompts.DECODER_SYSTEM, whole, merge)
        levels = [torch.cat(level) for level in zip(*parts, strict=True)]
        vision = VisionFeatures([levels[0]], [[level] for level in levels[1:]])
        self._prefix: Prefix | None = None
        self._given = (vision, whole.grid_thw_N3.to(vlm.compressor.device))

    def answer(self, question: str, max_new_tokens: int) -> str:
        """The text of ``token_ids``."""
        return self.vlm.text.decode(self.token_ids(question, max_new_tokens))

    @torch.no_grad()
    def token_ids(self, question: str, max_new_tokens: int) -> list[int]:
        """The greedy answer. ContextError where prompt and answer exceed the context,
        NotFiniteError for logits that are not finite."""
        text, end = self.vlm.text, self.vlm.text.special(prompts.IM_END)
        ids = text.ids(prompts.closing_parts(question))
        num_prompt = len(self.ids[0]) + len(ids)
        if num_prompt + max_new_tokens > self.max_context:
            raise ContextError(num_prompt, max_new_tokens, self.max_context)
        prefix = self._prefix or self.vlm.compressor.prefix(
            self._given[0], self.ids, self._given[1]
        )
        self._prefix = None  # until its cache is as it was: nothing half read is used again
        start, made = int(prefix.next_position_N), list[int]()
        position = start
        while len(made) < max_new_tokens and made[-1:] != [end]:
            made.append(self._next_token(prefix.cache, ids, position))
            position, ids = position + len(ids), made[-1:]
        prefix.cache.crop(start - position)
        self._prefix = prefix
        return made

    def _next_token(self, cache: Cache, ids: list[int], position: int) -> int:
        """The best token after ``ids``, which join the cache."""
        model = self.vlm.compressor.vlm.language_model
        ids_1L = torch.tensor([ids], device=self.vlm.compressor.device)
        steps_L = torch.arange(position, position + len(ids), device=ids_1L.device)
        hidden_1LD = model(
            inputs_embeds=model.embed_tokens(ids_1L),
            position_ids=steps_L.expand(3, 1, -1),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        largest, token = self.vlm.head(hidden_1LD[0, -1]).max(-1)
        check_logits(largest, self.vlm.compressor)
        return int(token)


def load_native(name: str, model: Tempo) -> NativeVlm:
    """The native model registered as ``name``, in the precision and on the device of ``model``."""
    folder = local_folder(NATIVE_MODELS.get(name)(model))
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=model.dtype)
    return as_native(vlm, TextEncoder(load_tokenizer(folder)), model)


def as_native(vlm: Qwen3VLForConditionalGeneration, text: TextEncoder, model: Tempo) -> NativeVlm:
    """``vlm`` beside ``model``; ValueError where it cuts pictures into other patches."""
    shape = model.patch_shape
    vision = vlm.config.vision_config
    theirs = (vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
    if theirs != (shape.patch, shape.merge, shape.temporal):
        raise ValueError(f"patches of {theirs} do not read what {shape} reads")
    compressor = as_compressor(vlm, model).eval()
    head = vlm.lm_head.to(model.device)
    return NativeVlm(compressor, head, text, weights_digest(vlm))
