"""Accuracy against the number of memories kept, by where in the segment they are taken from.

Every segment keeps the same k memories: no allocation, no budget. One compression per question
serves all slices.

Shape suffixes: N segments, K memory tokens per segment, k of them kept, d channels.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from tempo_lib.allocation.reduction import reduce_memories
from tempo_lib.checkpoints.folders import (
    BASE_MODELS,
    checkpoint_digest,
    find_checkpoint,
    stage_names,
)
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.clip import Compression, SharedClip, SharedFrames
from tempo_lib.fingerprint import code_fingerprint, digest, library_versions, write_atomic
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoding import Cut, decode_many
from tempo_lib.model.from_base_models import tempo_from_base_models
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import project_root
from tempo_lib.statistics.summaries import summarise

if TYPE_CHECKING:
    import pandas as pd

SCHEMES = ("head", "tail", "every", "random", "merge")
INDEXED = ("every", "random")  # the others are schemes of tempo_lib.allocation.reduction
TEXT_COLUMNS = ("video", "question_id", "block", "prediction")  # that may look like numbers
BASE = "base"  # both base models as they were before any stage


@dataclass(frozen=True)
class Checkpoint:
    """A stage, or "base"; ``digest`` names its weights. ``seed`` draws the new parts of "base",
    whose memory tokens and projector are untrained."""

    preset: str
    name: str
    digest: str
    seed: int

    def load(self) -> Tempo:
        """The model, ready to answer."""
        if self.name != BASE:
            return Tempo.from_pretrained(find_checkpoint(self.preset, self.name))
        compressor, decoder = (find_checkpoint(self.preset, part) for part in _parts(BASE))
        model = tempo_from_base_models(compressor, decoder, load_preset(self.preset), self.seed)
        model.eval()
        return model


def find_stages(preset: str, seed: int = 0) -> dict[str, Checkpoint]:
    """ "base" and every stage of a preset, in the order of training."""
    names = (BASE, *stage_names(load_preset(preset)))
    return {name: find_stage(preset, name, seed) for name in names}


def find_stage(preset: str, name: str, seed: int = 0) -> Checkpoint:
    """Checkpoint ``name`` of a preset: a stage, or "base". CheckpointError where it is absent."""
    digests = [checkpoint_digest(find_checkpoint(preset, part)) for part in _parts(name)]
    drawn = [str(seed)] if name == BASE else []
    return Checkpoint(preset, name, "+".join([*digests, *drawn]), seed)


def cached_answers(
    checkpoint: Checkpoint,
    suite: Benchmark,
    measure: Callable[..., "pd.DataFrame"],
    folder: Path | None = None,
    model: Tempo | None = None,
    **options: Any,
) -> "pd.DataFrame":
    """``measure(model, suite, **options)`` with a column checkpoint, computed once.

    Cached as CSV in ``folder`` (default: ``runs/<preset>/front_loading``) under the weights,
    suite, options and code that it depends on, which lie beside it. ``model``: the loaded
    checkpoint, where there is one.
    """
    import pandas as pd

    folder = folder or project_root() / "runs" / checkpoint.preset / "front_loading"
    facts = {
        "measure": measure.__name__,
        "checkpoint": checkpoint.name,
        "weights": checkpoint.digest,
        "suite": suite.name,
        "identity": suite.identity,
        "data_hash": suite.data_hash,
        "options": options,
        "code": code_fingerprint(measure.__module__, *load_preset(checkpoint.preset).plugins),
        "versions": library_versions(),
    }
    path = folder / f"{measure.__name__}-{suite.name}-{checkpoint.name}-{digest(facts)[:16]}.csv"
    if not path.is_file():
        answers = measure(checkpoint.load() if model is None else model, suite, **options)
        write_atomic(path.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
        write_atomic(path, answers.to_csv(index=False))
    frame = pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str), keep_default_na=False)
    return frame.assign(checkpoint=checkpoint.name)


def kept_positions(
    capacity: int, k: int, scheme: str, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Positions (k,) of 0..capacity-1, ascending, that ``every`` or ``random`` keeps.

    ``every`` takes the middle of k equal stretches: starting at 0 would keep the first memory at
    every k, and the first memory is what the head holds. ``random`` draws without
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
    """Memories (N, k, d): what ``scheme`` keeps of every segment; ``random`` draws for each.

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
    suite: Benchmark,
    ks: Sequence[int] | None = None,
    schemes: Sequence[str] = SCHEMES,
    seed: int = 0,
    prompt: str = "routing",
    progress: bool = True,
) -> "pd.DataFrame":
    """One row per (scheme, k, question): columns of ``question_row``, prediction and correct.

    ``ks``: None takes 1..K. ``seed`` draws the positions of ``random``; those of a question at k
    are among those at k + 1. ValueError for unknown schemes or a k outside 1..K, before anything
    is computed.
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
    for video, question, memories in each_question(model, suite, prompt, progress):
        named = question_row(suite, video, question)
        # all K memories are the same under every scheme
        places = [(k, schemes[0] if k == capacity else s) for k in wanted for s in schemes]
        kept = {}
        for k, scheme in dict.fromkeys(places):
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {question.id}".encode()))
            kept[k, scheme] = slice_memories(memories.memories, k, scheme, generator)
        texts = decoded(model, memories, list(kept.values()), question.text)
        text_of = dict(zip(kept, texts, strict=True))
        for place, (k, scheme) in zip(places, product(wanted, schemes), strict=True):
            text = text_of[place]
            scored = {"prediction": text, "correct": suite.score(question, text)}
            rows.append({"scheme": scheme, "k": k, **named, **scored})
    return pd.DataFrame(rows)


def accuracy_by_slice(answers: "pd.DataFrame") -> "pd.DataFrame":
    """Columns scheme, k, kind, n, accuracy, low, high of ``slice_answers``; kind "all" comes first.

    The 95 % interval is clustered by video.
    """
    return summarise(answers, ["scheme", "k"], totals=["kind"])


def each_question(
    model: Tempo, suite: Benchmark, prompt: str = "routing", progress: bool = False
) -> Iterator[tuple[BenchmarkVideo, Question, SegmentMemories]]:
    """Every question of a suite with its memories: a video is read once, a question once."""
    hidden = None if progress else True
    for video in tqdm(suite.videos, desc=suite.name, unit="video", disable=hidden):
        clip = SharedClip(model, SharedFrames(video), {})
        for question in video.questions:
            how = Compression(question.text, prompt, clip.num_frames)
            yield video, question, clip.memories(how)
            clip.forget_question()


def decoded(
    model: Tempo, memories: SegmentMemories, kept: Sequence[torch.Tensor], question: str
) -> list[str]:
    """The greedy predictions from each of ``kept`` (N, k, d) in place of the memories."""
    cuts = []
    for kept_Nkd in kept:
        counts_N = torch.full((len(kept_Nkd),), kept_Nkd.shape[1])
        cuts.append(Cut(replace(memories, memories=kept_Nkd), counts_N, "none"))
    return decode_many(model, question, cuts)


def question_row(suite: Benchmark, video: BenchmarkVideo, question: Question) -> dict[str, Any]:
    """What tells a question of a suite apart: suite, world_seed, video, question_id, kind."""
    where = {"suite": suite.name, "world_seed": suite.world_seed, "video": video.id}
    return {**where, "question_id": question.id, "kind": question.group}


def _parts(name: str) -> tuple[str, ...]:
    """Folders that a checkpoint is made of."""
    return BASE_MODELS[::-1] if name == BASE else (name,)  # the compressor first
