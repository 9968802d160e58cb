"""Heads of another order: a segment keeps its k most important memory tokens, not its first k.

The paper keeps the first ones. Here an order of positions that was learned beforehand, on other
videos and without labels (``analysis.memory_order``), says which; the decoder reads what is kept in
the positions' own order. No weight changes. ``ata-ordered`` and ``fixed-ordered`` use the tokens of
``ata`` and ``head-fixed``; both go beyond the paper.

A model with an order is a model of its own in records: what is recorded without one stays.

Shape suffixes: N segments, K memory tokens, d channels.
"""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from tempo_lib.allocation.policies import POLICIES, Limits, PolicyOptions
from tempo_lib.evaluation.records import weights_digest
from tempo_lib.evaluation.variants import MATCHED, Variant
from tempo_lib.model.compressor import Cut
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import manifest_path, project_root

ATA_ORDERED, FIXED_ORDERED = "ata-ordered", "fixed-ordered"
ORDERED = "ordered"  # how variants name the model with an order, as they name a checkpoint
_HALF = 0.5  # of k_max, as head-fixed keeps


@POLICIES.register(ATA_ORDERED)
def ata_ordered(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, generator: torch.Generator
) -> torch.Tensor:
    """The counts of ``ata``."""
    return POLICIES.get("ata")(logits_N, limits, options, generator)


@POLICIES.register(FIXED_ORDERED)
def fixed_ordered(
    logits_N: torch.Tensor, limits: Limits, options: PolicyOptions, generator: torch.Generator
) -> torch.Tensor:
    """The counts of ``head-fixed``."""
    share = options.fixed_share if options.use_all else _HALF
    halved = replace(options, fixed_share=share)
    return POLICIES.get("fixed")(logits_N, limits, halved, generator)


def first_of_order(
    memories_NKd: torch.Tensor, counts: Sequence[int], order: Sequence[int]
) -> torch.Tensor:
    """Memories (N, K, d) whose head of ``counts[i]`` holds the first of ``order``, places kept.

    ValueError unless ``order`` has every position of 0..K-1 once.
    """
    capacity = memories_NKd.shape[1]
    if sorted(order) != list(range(capacity)):
        raise ValueError(f"an order has each of the {capacity} positions once, got {list(order)}")
    rows = [[*sorted(order[:k]), *sorted(order[k:])] for k in counts]
    index_NK1 = torch.tensor(rows, device=memories_NKd.device).reshape(-1, capacity, 1)
    return memories_NKd.take_along_dim(index_NK1, dim=1)


def with_order(model: Tempo, order: Sequence[int]) -> Tempo:
    """``model``, sharing its weights, whose heads keep the first of ``order``.

    Its state dict holds the order, so that no record is taken for one of another order.
    """
    ordered = copy(model)
    places_K = torch.tensor(list(order), device=model.device)
    ordered._buffers = {**model._buffers, "memory_order": places_K}
    ordered.prompt_embeds = partial(_ordered_embeds, model, list(order))  # type: ignore[method-assign]
    return ordered


def order_file(model: Tempo, root: Path | None = None) -> Path:
    """Where a reader's own order of these weights lies."""
    folder = (root or project_root()) / "runs" / "memory_order"
    return folder / f"{weights_digest(model)[:16]}.json"


def read_order(model: Tempo, root: Path | None = None) -> list[int]:
    """The learned order: one that is kept with the project, where it is of these weights, else the
    reader's own. ValueError, with the command that learns it, where there is none."""
    own, weights = order_file(model, root), weights_digest(model)
    kept = manifest_path("measurements").glob("memory_order*.json")
    for path in (*sorted(kept), own):
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if found.get("weights") == weights:
            return [int(place) for place in found["order"]]
    raise ValueError(
        f"no order of memory positions for these weights at {own}; learn it with "
        "`python -m tempo_lib.analysis.memory_order PRESET --checkpoint FOLDER`"
    )


def is_ordered(row: Variant) -> bool:
    """Whether the variant, or token-matched control, keeps tokens by a learned order."""
    return row.name.removesuffix(MATCHED) in (ATA_ORDERED, FIXED_ORDERED)


def bound_to_order(
    model: Tempo, rows: Sequence[Variant], root: Path | None = None
) -> tuple[list[Variant], Mapping[str, Tempo]]:
    """The variants, ordered ones bound to a model with its order, and that model by name.

    ``rows`` and ``models`` of ``runner.run_evaluation``. ValueError as in ``read_order``.
    """
    if not any(map(is_ordered, rows)):
        return list(rows), {}
    ordered = with_order(model, read_order(model, root))
    bound = [replace(row, checkpoint=ORDERED) if is_ordered(row) else row for row in rows]
    return bound, {ORDERED: ordered}


def _ordered_embeds(
    model: Tempo, order: list[int], cut: Cut, *args: object, **options: object
) -> torch.Tensor:
    """``Tempo.prompt_embeds`` of the cut with the first of ``order`` in its heads."""
    if cut.scheme == "head" and len(cut.counts):
        counts = [int(k) for k in cut.counts]
        kept = first_of_order(cut.memories.memories, counts, order)
        cut = replace(cut, memories=replace(cut.memories, memories=kept))
    return model.prompt_embeds(cut, *args, **options)  # type: ignore[arg-type]
