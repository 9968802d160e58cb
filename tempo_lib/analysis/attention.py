"""What memory tokens attend to.

The held compressor runs as it is, with eager attention. Weights are averaged over heads; each row
of them sums to 1.

Shape suffixes: Y layers, L tokens, N segments, K memory tokens, Q query tokens, T frame pairs,
R and C rows and columns of merged patches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib import prompts
from tempo_lib.analysis.hooks import recorded
from tempo_lib.analysis.probes import LabelledClip
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.intervals import Difference, paired_difference
from tempo_lib.video.clip import Video

if TYPE_CHECKING:
    import pandas as pd

TARGETS = ("patches", "query", "memory", "prompt")


@dataclass(frozen=True)
class MemoryAttention:
    """Attention of the K memory tokens of one segment, per layer; the four parts sum to 1.

    patches (Y, K, T, R, C); query (Y, K, Q) with its ``words``; memory (Y, K, K), itself
    included, never a later one; prompt (Y, K): system prompt, timestamps and layout together.
    """

    patches: np.ndarray
    query: np.ndarray
    memory: np.ndarray
    prompt: np.ndarray
    words: list[str]

    def shares(self) -> "pd.DataFrame":
        """Columns layer, position, target, share: how much goes to each of ``TARGETS``."""
        import pandas as pd

        sums = (self.patches.sum((2, 3, 4)), self.query.sum(2), self.memory.sum(2), self.prompt)
        rows = [
            {"layer": layer, "position": position, "target": target, "share": float(share)}
            for target, share_YK in zip(TARGETS, sums, strict=True)
            for (layer, position), share in np.ndenumerate(share_YK)
        ]
        return pd.DataFrame(rows)


def segment_clip(video: Video, segment: int, window: int, stride: int) -> Video:
    """The frames of one segment at their own seconds, so that its timestamps stay the same."""
    start = segment * stride
    if not 0 <= start < video.num_frames:
        last = (video.num_frames - 1) // stride
        raise ValueError(f"segment must be in 0..{last}, got {segment}")
    frames, seconds = (part[start : start + window] for part in (video.frames, video.seconds))
    return Video(frames, video.fps, seconds, video.source, video.is_image)


def memory_attention(
    model: Tempo, video: Video, question: str, segment: int = 0, prompt: str = "routing"
) -> MemoryAttention:
    """Run the compressor once on one segment; the attention of its memory tokens.

    ValueError for a segment that the video does not have.
    """
    numbers, compressor = model.config.video_numbers, model.compressor
    clip = segment_clip(video, segment, numbers.window, numbers.stride)
    session = model.open(clip, keep_prefix=False)
    with recorded(compressor.vlm.language_model, attention=True) as calls:
        session.compress(question, prompt)
    num_memory = compressor.num_memory_tokens
    rows_YKL = calls[-1].attention()[:, 0, -num_memory:].numpy()
    visual_L = calls[-1].kwargs["visual_pos_masks"][0].cpu().numpy()
    query_ids, query_L = _query_places(model, question, rows_YKL.shape[-1])
    memory_L = np.arange(rows_YKL.shape[-1]) >= rows_YKL.shape[-1] - num_memory
    pairs, height, width = session.segments.grid_thw_N3[0].tolist()
    merge = model.patch_shape.merge
    grid = (*rows_YKL.shape[:2], pairs, height // merge, width // merge)
    return MemoryAttention(
        patches=rows_YKL[:, :, visual_L].reshape(grid),
        query=rows_YKL[:, :, query_L],
        memory=rows_YKL[:, :, memory_L],
        prompt=rows_YKL[:, :, ~(visual_L | query_L | memory_L)].sum(-1),
        words=[model.encoder.tokenizer.decode([index]) for index in query_ids],
    )


def clip_attention(model: Tempo, clips: Sequence[LabelledClip]) -> "pd.DataFrame":
    """Columns story, position, target, share, averaged over layers: one segment per clip.

    It is the clip's first labelled segment under its own question; clips without one are left
    out. ValueError when no clip is left.
    """
    import pandas as pd

    parts = []
    for index, clip in enumerate(clips):
        if not clip.rows:
            continue
        segment, question, _ = clip.rows[0]
        shares = memory_attention(model, clip.video, question, segment).shares()
        mean = shares.groupby(["position", "target"], sort=False)["share"].mean().reset_index()
        parts.append(mean.assign(story=index))
    if not parts:
        raise ValueError(f"none of {len(clips)} clips has a labelled segment; draw more of them")
    return pd.concat(parts, ignore_index=True)


def attention_halves(shares: "pd.DataFrame", target: str, seed: int) -> Difference:
    """Share of ``clip_attention`` that goes to ``target`` in the first half of the positions
    minus that in the second half, paired by clip. ValueError for an unknown target."""
    if target not in TARGETS:
        raise ValueError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    part = shares[shares["target"] == target]
    grid = part.pivot(index="story", columns="position", values="share").sort_index(axis=1)
    middle = grid.shape[1] // 2
    first, second = grid.iloc[:, :middle].mean(axis=1), grid.iloc[:, middle:].mean(axis=1)
    videos = [str(story) for story in grid.index]
    return paired_difference(first.tolist(), second.tolist(), videos, seed)


def _query_places(model: Tempo, question: str, length: int) -> tuple[list[int], np.ndarray]:
    """Token ids of the query and where they stand (L,): before the layout that closes it."""
    parts = prompts.query_parts(question)
    ids = model.encoder.ids(parts[:1])
    closing = len(model.encoder.ids(parts[1:])) + model.compressor.num_memory_tokens
    place_L = np.arange(length)
    stop = length - closing
    return ids, (stop - len(ids) <= place_L) & (place_L < stop)
