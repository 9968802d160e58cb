"""What memory tokens look at, and what the decoder looks at when it answers.

The held models run as they are, with eager attention, and are asked for their attention weights
on the way in. Weights are averaged over heads; each row of them sums to 1. Eager attention holds
heads x L x L weights a layer: at the paper's scale ask short clips.

Shape suffixes: Y layers, H heads, L tokens, N segments, K memory tokens, Q query tokens,
T frame pairs, R and C rows and columns of merged patches.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tempo_lib import prompts
from tempo_lib.analysis.probes import actor_segments
from tempo_lib.miniature.world.language import FPS
from tempo_lib.miniature.world.questions import QUESTION_TEXT
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import Story
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER, Turn, training_ids
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.intervals import Difference, paired_difference
from tempo_lib.video.clip import Video

if TYPE_CHECKING:
    import pandas as pd

TARGETS = ("patches", "query", "memory", "prompt")


@dataclass(frozen=True)
class MemoryAttention:
    """Where the K memory tokens of one segment look, a layer; the four parts sum to 1.

    patches (Y, K, T, R, C); query (Y, K, Q) with its ``words``; memory (Y, K, K), itself
    included, never a later one; prompt (Y, K): system prompt, time tags and layout together.
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


@dataclass(frozen=True)
class AnswerAttention:
    """Where the decoder looks while it says an answer, averaged over the answer's tokens.

    memory (Y, N, K): what goes to each memory; rest (Y,): to all words. They sum to 1.
    """

    memory: np.ndarray
    rest: np.ndarray

    def by_position(self) -> "pd.DataFrame":
        """Columns layer, position, share: of all attention, summed over the segments."""
        import pandas as pd

        rows = [
            {"layer": layer, "position": position, "share": float(share)}
            for (layer, position), share in np.ndenumerate(self.memory.sum(1))
        ]
        return pd.DataFrame(rows)


@dataclass
class Recording:
    """Attention weights of one call, one (N, H, L, L) a layer, and the call's arguments."""

    weights: Sequence[torch.Tensor] = ()
    arguments: dict[str, Any] = field(default_factory=dict)

    def mean_over_heads(self) -> torch.Tensor:
        """(Y, N, L, L) float32 on the CPU."""
        return torch.stack([layer.float().mean(1) for layer in self.weights]).cpu()


@contextmanager
def recorded(language_model: nn.Module) -> Iterator[Recording]:
    """Record the attention of ``language_model``'s last call inside; its settings come back.

    ``language_model``: ``compressor.vlm.language_model`` or ``decoder.model``.
    """
    recording = Recording()

    def ask(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        recording.arguments = kwargs
        return args, {**kwargs, "output_attentions": True}

    def keep(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        recording.weights = [layer.detach() for layer in output.attentions]

    config: Any = language_model.config
    before = config._attn_implementation
    hooks = [
        language_model.register_forward_pre_hook(ask, with_kwargs=True),
        language_model.register_forward_hook(keep),
    ]
    config._attn_implementation = "eager"  # the other back-ends never form the weights
    try:
        yield recording
    finally:
        config._attn_implementation = before
        for hook in hooks:
            hook.remove()


def segment_clip(video: Video, segment: int, window: int, stride: int) -> Video:
    """The frames of one segment at their own seconds, so that its time tags stay the same."""
    start = segment * stride
    if not 0 <= start < video.num_frames:
        last = (video.num_frames - 1) // stride
        raise ValueError(f"segment must be in 0..{last}, got {segment}")
    frames, seconds = (part[start : start + window] for part in (video.frames, video.seconds))
    return Video(frames, video.fps, seconds, video.source, video.is_image)


def memory_attention(
    model: Tempo, video: Video, question: str, segment: int = 0, prompt: str = "routing"
) -> MemoryAttention:
    """Run the compressor once on one segment and say where its memory tokens look.

    ValueError for a segment that the video does not have.
    """
    numbers, compressor = model.config.video_numbers, model.compressor
    clip = segment_clip(video, segment, numbers.window, numbers.stride)
    session = model.open(clip, keep_prefix=False)
    with recorded(compressor.vlm.language_model) as recording:
        session.compress(question, prompt)
    num_memory = compressor.num_memory_tokens
    rows_YKL = recording.mean_over_heads()[:, 0, -num_memory:].numpy()
    visual_L = recording.arguments["visual_pos_masks"][0].cpu().numpy()
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


def story_attention(
    model: Tempo, stories: Sequence[Story], size: int = 128, seed: int = 0
) -> "pd.DataFrame":
    """Columns story, position, target, share, averaged over layers: one segment a story.

    It is the first that shows one actor, asked for it; stories without one are left out.
    ``seed`` paints the stories. ValueError when no story is left.
    """
    import pandas as pd

    numbers, parts = model.config.video_numbers, []
    for index, story in enumerate(stories):
        shown = next(actor_segments(story, numbers.window, numbers.stride), None)
        if shown is None:
            continue
        segment, scene = shown
        video = Video(render(story, [seed, index], size), fps=FPS)
        question = QUESTION_TEXT["needle"].format(actor=scene.actor)
        shares = memory_attention(model, video, question, segment).shares()
        mean = shares.groupby(["position", "target"], sort=False)["share"].mean().reset_index()
        parts.append(mean.assign(story=index))
    if not parts:
        raise ValueError(f"none of {len(stories)} stories shows an actor; draw more stories")
    return pd.concat(parts, ignore_index=True)


def attention_halves(shares: "pd.DataFrame", target: str, seed: int) -> Difference:
    """Share of ``story_attention`` that goes to ``target`` in the first half of the positions
    minus that in the second half, paired by story. ValueError for an unknown target."""
    if target not in TARGETS:
        raise ValueError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    part = shares[shares["target"] == target]
    grid = part.pivot(index="story", columns="position", values="share").sort_index(axis=1)
    middle = grid.shape[1] // 2
    first, second = grid.iloc[:, :middle].mean(axis=1), grid.iloc[:, middle:].mean(axis=1)
    videos = [str(story) for story in grid.index]
    return paired_difference(first.tolist(), second.tolist(), videos, seed)


@torch.no_grad()
def answer_attention(
    model: Tempo, memories: SegmentMemories, question: str, answer: str
) -> AnswerAttention:
    """Where the decoder looks when it is made to say ``answer`` from whole memories.

    The rows averaged are those that predict the answer's tokens and its end.
    """
    ids, labels = answer_ids(model, memories, question, answer)
    with recorded(model.decoder.model) as recording:
        embeds_1LD = model.embed(
            torch.tensor([ids], device=model.device),
            memories.memories.flatten(0, 1).to(model.device, model.projector.weight.dtype),
        )
        model.decoder(inputs_embeds=embeds_1LD, use_cache=False)
    says_L = np.roll(np.array(labels) != IGNORE, -1)  # a row predicts the token after it
    look_YL = recording.mean_over_heads()[:, 0].numpy()[:, says_L].mean(1)
    slot_L = np.array(ids) == MEMORY_PLACEHOLDER
    memory = look_YL[:, slot_L].reshape(len(look_YL), *memories.memories.shape[:2])
    return AnswerAttention(memory, look_YL[:, ~slot_L].sum(1))


def answer_ids(
    model: Tempo, memories: SegmentMemories, question: str, answer: str
) -> tuple[list[int], list[int]]:
    """Ids and labels of the decoder's prompt with whole memories and a given answer."""
    num_segments, capacity = memories.memories.shape[:2]
    turn = Turn(memories.seconds.tolist(), [capacity] * num_segments, question, answer)
    return training_ids(model.encoder, model.config.decoder_system_prompt, turn)


def _query_places(model: Tempo, question: str, length: int) -> tuple[list[int], np.ndarray]:
    """Ids of the query's own words and where they lie (L,): before the layout that closes it."""
    parts = prompts.query_parts(question)
    words = model.encoder.ids(parts[:1])
    closing = len(model.encoder.ids(parts[1:])) + model.compressor.num_memory_tokens
    place_L = np.arange(length)
    stop = length - closing
    return words, (stop - len(words) <= place_L) & (place_L < stop)
