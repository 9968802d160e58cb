"""Accuracy against the number of memories kept, by where in the segment they are taken from.

Every segment keeps the same k memories: no allocation, no budget. One compression a question
serves all slices. Questions come from a suite of the miniature's world, because only there is the
right answer known by rule; the preset 6b has no such suite.

Shape suffixes: N segments, K memory tokens a segment, k of them kept, d channels.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from tempo_lib.compressor import SegmentMemories
from tempo_lib.evaluation.clip import SharedClip
from tempo_lib.evaluation.metrics import ALL_KINDS, accuracy, clusters
from tempo_lib.evaluation.suites import Suite, SuiteQuestion, SuiteVideo
from tempo_lib.model import Tempo
from tempo_lib.reduction import reduce_memories
from tempo_lib.world.questions import is_correct

if TYPE_CHECKING:
    import pandas as pd

SCHEMES = ("head", "tail", "every", "random", "merge")
INDEXED = ("every", "random")  # the others are schemes of tempo_lib.reduction


def kept_positions(
    capacity: int, k: int, scheme: str, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Positions (k,) of 0..capacity-1, ascending, that ``every`` or ``random`` keeps.

    ``every`` takes the middle of k equal stretches: starting at 0 would keep the first memory at
    every k, and the first memory is what the head is asked about. ``random`` draws without
    replacement from ``generator``. ValueError for another scheme or k outside 1..capacity.
    """
    if not 1 <= k <= capacity:
        raise ValueError(f"k must be in 1..{capacity}, got {k}")
    if scheme == "every":
        return (2 * torch.arange(k) + 1) * capacity // (2 * k)
    if scheme != "random":
        raise ValueError(f"scheme must be one of {', '.join(INDEXED)}, got {scheme!r}")
    if generator is None:
        raise ValueError("scheme 'random' needs a generator: torch.Generator().manual_seed(...)")
    return torch.randperm(capacity, generator=generator)[:k].sort().values


def slice_memories(
    memories_NKd: torch.Tensor, k: int, scheme: str, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Memories (N, k, d): what ``scheme`` keeps of every segment; ``random`` draws anew for each.

    ValueError for an unknown scheme or k outside 1..K.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; known: {', '.join(SCHEMES)}")
    num_segments, capacity = memories_NKd.shape[:2]
    if not 1 <= k <= capacity:
        raise ValueError(f"k must be in 1..{capacity}, got {k}")
    if scheme in INDEXED:
        rows = [kept_positions(capacity, k, scheme, generator) for _ in range(num_segments)]
        index_Nk1 = torch.stack(rows).to(memories_NKd.device)[..., None]
        return memories_NKd.take_along_dim(index_Nk1, dim=1)
    return torch.stack(reduce_memories(memories_NKd, [k] * num_segments, scheme=scheme))


def slice_answers(
    model: Tempo,
    suite: Suite,
    ks: Sequence[int] | None = None,
    schemes: Sequence[str] = SCHEMES,
    seed: int = 0,
    prompt: str = "routing",
    progress: bool = True,
) -> "pd.DataFrame":
    """One row per (scheme, k, question): columns of ``question_row``, prediction and correct.

    ``ks``: None takes 1..K. ``seed`` draws the positions of ``random``; those of a question at k
    are among those at k + 1. ValueError for unknown schemes or a k outside 1..K, before anything
    is asked.
    """
    import pandas as pd

    capacity = model.config.num_memory_tokens
    wanted = list(range(1, capacity + 1)) if ks is None else sorted(set(ks))
    unknown = sorted(set(schemes) - set(SCHEMES))
    if unknown or not schemes:
        raise ValueError(f"unknown schemes {unknown}; known: {', '.join(SCHEMES)}")
    if not wanted or wanted[0] < 1 or wanted[-1] > capacity:
        raise ValueError(f"ks must lie in 1..{capacity}, got {wanted}")
    rows = []
    for video, question, memories in asked_memories(model, suite, prompt, progress):
        named = question_row(suite, video, question)
        whole: dict[int, str] = {}  # all K memories are the same under every scheme
        for k in wanted:
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {question.id}".encode()))
            for scheme in schemes:
                text = whole.get(k)
                if text is None:
                    kept = slice_memories(memories.memories, k, scheme, generator)
                    text = answer_kept(model, memories, kept, question.asked.text)
                if k == capacity:
                    whole[k] = text
                judged = {"prediction": text, "correct": is_correct(question.asked, text)}
                rows.append({"scheme": scheme, "k": k, **named, **judged})
    return pd.DataFrame(rows)


def accuracy_by_slice(answers: "pd.DataFrame") -> "pd.DataFrame":
    """Columns scheme, k, kind, n, accuracy, low, high of ``slice_answers``; kind "all" comes first.

    The 95 % interval is clustered by video.
    """
    import pandas as pd

    rows = []
    for (scheme, k), part in answers.groupby(["scheme", "k"], sort=False):
        for kind, group in [(ALL_KINDS, part), *part.groupby("kind", sort=True)]:
            measured = asdict(accuracy(group["correct"].tolist(), clusters(group)))
            rows.append({"scheme": scheme, "k": k, "kind": kind, **measured})
    return pd.DataFrame(rows)


def asked_memories(
    model: Tempo, suite: Suite, prompt: str = "routing", progress: bool = False
) -> Iterator[tuple[SuiteVideo, SuiteQuestion, SegmentMemories]]:
    """Every question of a suite with its memories: a video is read once, a question once."""
    videos: Iterable[SuiteVideo] = suite.videos
    for video in tqdm(videos, desc=suite.name, unit="video", disable=None if progress else True):
        clip = SharedClip(model, video, {})
        for question in video.questions:
            yield video, question, clip.memories(question.asked.text, prompt, clip.num_frames)
            clip.forget_question()


def answer_kept(
    model: Tempo, memories: SegmentMemories, kept_Nkd: torch.Tensor, question: str
) -> str:
    """The greedy answer from ``kept_Nkd`` in place of the memories, at the same seconds."""
    counts_N = torch.full((len(kept_Nkd),), kept_Nkd.shape[1])
    asked = replace(memories, memories=kept_Nkd)
    return model.decode(asked, question, counts=counts_N, scheme="none").text


def question_row(suite: Suite, video: SuiteVideo, question: SuiteQuestion) -> dict[str, Any]:
    """What tells a question of a suite apart: suite, world_seed, video, question_id, kind."""
    where = {"suite": suite.name, "world_seed": suite.world_seed, "video": video.id}
    return {**where, "question_id": question.id, "kind": question.asked.kind}
