"""Which memory positions an answer needs: knock-outs, gradients, and the memories' geometry.

Knock-outs and gradients ask a suite of the miniature's world, whose right answers are known; the
geometry needs memories alone and suits any preset.

Shape suffixes: N segments, K memory tokens, d channels, n rows of any kind.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tempo_lib.analysis.attention_maps import answer_ids
from tempo_lib.analysis.slices import answers_kept, asked_memories, question_row
from tempo_lib.evaluation.benchmark import Benchmark
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.intervals import Difference, paired_difference
from tempo_lib.statistics.summaries import clusters

if TYPE_CHECKING:
    import pandas as pd

WAYS = ("mean", "drop")
BACKWARDS = "backwards"  # the block of answers from whole memories, last one first
WHOLE = "none"  # the block of answers from whole memories


def position_blocks(capacity: int, size: int = 1) -> list[range]:
    """Consecutive blocks of ``size`` positions; the last one may be shorter."""
    if size < 1:
        raise ValueError(f"a block needs at least 1 position, got {size}")
    return [range(start, min(start + size, capacity)) for start in range(0, capacity, size)]


def knock_out(
    memories_NKd: torch.Tensor, positions: Sequence[int], mean_Kd: torch.Tensor | None
) -> torch.Tensor:
    """Memories without what ``positions`` say: replaced by ``mean_Kd``, or dropped where it is
    None.

    ValueError for positions outside 0..K-1, and for dropping all of them.
    """
    capacity = memories_NKd.shape[1]
    wrong = [place for place in positions if not 0 <= place < capacity]
    if wrong:
        raise ValueError(f"positions must be in 0..{capacity - 1}, got {wrong}")
    is_out_K = torch.zeros(capacity, dtype=torch.bool, device=memories_NKd.device)
    is_out_K[list(positions)] = True
    if mean_Kd is not None:
        return torch.where(is_out_K[:, None], mean_Kd.to(memories_NKd), memories_NKd)
    if bool(is_out_K.all()):
        raise ValueError(f"dropping all {capacity} positions leaves no memory; use smaller blocks")
    return memories_NKd[:, ~is_out_K]


def mean_memory(model: Tempo, suite: Benchmark, prompt: str = "routing") -> torch.Tensor:
    """The mean memory of each position (K, d), float32, over all segments and questions."""
    total, count = torch.zeros(()), 0
    for _, _, memories in asked_memories(model, suite, prompt):
        total = total + memories.memories.float().sum(0).cpu()
        count += len(memories.memories)
    if not count:
        raise ValueError(f"{suite.name} has no questions to average over; load some")
    return total / count


def knockout_answers(
    model: Tempo,
    suite: Benchmark,
    blocks: Sequence[Sequence[int]] | None = None,
    way: str = "mean",
    mean_Kd: torch.Tensor | None = None,
    prompt: str = "routing",
    progress: bool = True,
) -> "pd.DataFrame":
    """One row per (block, question): block, first, last, way, question_row, prediction, correct.

    Block "none" is the answer from whole memories, "backwards" that from whole memories in
    reverse. ``blocks``: None takes every position alone. ``way``: "mean" replaces by ``mean_Kd``
    (None: that of the suite), "drop" leaves out, and all later memories then move up. ValueError
    for another way.
    """
    import pandas as pd

    if way not in WAYS:
        raise ValueError(f"unknown way {way!r}; known: {', '.join(WAYS)}")
    chosen = position_blocks(model.config.num_memory_tokens) if blocks is None else blocks
    if way == "mean" and mean_Kd is None:
        mean_Kd = mean_memory(model, suite, prompt)
    stand_in = mean_Kd if way == "mean" else None
    rows: list[dict[str, Any]] = []
    for video, question, memories in asked_memories(model, suite, prompt, progress):
        whole = {"block": WHOLE, "first": -1, "last": -1}
        kept = [(whole, memories.memories)]
        kept += [({**whole, "block": BACKWARDS}, memories.memories.flip(1))]
        kept += [(named_block(b), knock_out(memories.memories, b, stand_in)) for b in chosen]
        shown = [kept_Nkd for _, kept_Nkd in kept]
        texts = answers_kept(model, memories, shown, question.text)
        for (block, _), text in zip(kept, texts, strict=True):
            judged = {"prediction": text, "correct": suite.score(question, text)}
            named = question_row(suite, video, question)
            rows.append({**block, "way": way, **named, **judged})
    return pd.DataFrame(rows)


def half_blocks(capacity: int) -> list[list[int]]:
    """The first and the second half of the positions, then every position alone."""
    middle = capacity // 2
    singles = [list(block) for block in position_blocks(capacity)]
    return [list(range(middle)), list(range(middle, capacity)), *singles]


def block_difference(answers: "pd.DataFrame", first: str, second: str, seed: int) -> Difference:
    """Accuracy of the answers of block ``first`` minus those of ``second``, paired.

    ValueError for a block that the frame does not hold.
    """
    keys = ["suite", "world_seed", "question_id"]
    parts = [answers[answers["block"] == name].set_index(keys) for name in (first, second)]
    for name, part in zip((first, second), parts, strict=True):
        if part.empty:
            known = ", ".join(map(str, answers["block"].unique()))
            raise ValueError(f"no answers without block {name!r}; the frame holds {known}")
    one, other = parts[0], parts[1].loc[parts[0].index]
    videos = clusters(one.reset_index())
    return paired_difference(one["correct"].tolist(), other["correct"].tolist(), videos, seed)


def knockout_table(answers: "pd.DataFrame", seed: int) -> "pd.DataFrame":
    """Columns block, first, last, n, whole, difference, low, high, p_value: accuracy without a
    block minus ``whole``, the accuracy of whole memories.

    Intervals and p as in ``metrics.paired_difference``. ValueError for several ways in a frame.
    """
    import pandas as pd

    if answers["way"].nunique() != 1:
        ways = ", ".join(sorted(answers["way"].unique()))
        raise ValueError(f"a table is of one way to knock out, got {ways}; filter the frame")
    keys = ["suite", "world_seed", "question_id"]
    whole = answers[answers["block"] == WHOLE].set_index(keys)
    rows = []
    blocks = answers[~answers["block"].isin([WHOLE, BACKWARDS])]
    for name, part in blocks.groupby("block", sort=False):
        without = part.set_index(keys).loc[whole.index]
        without_Q, whole_Q = (frame["correct"].tolist() for frame in (without, whole))
        change = paired_difference(without_Q, whole_Q, clusters(whole.reset_index()), seed)
        where = {"block": name, "first": part["first"].iloc[0], "last": part["last"].iloc[0]}
        rows.append({**where, "whole": whole["correct"].mean(), **asdict(change)})
    return pd.DataFrame(rows)


def answer_gradients(
    model: Tempo, memories: SegmentMemories, question: str, answer: str
) -> torch.Tensor:
    """|gradient . memory| (N, K), float32 on the CPU, of the loss of saying ``answer``.

    To first order, how much the loss changes when a memory is scaled away.
    """
    ids, labels = answer_ids(model, memories, question, answer)
    with torch.enable_grad():
        leaf_NKd = memories.memories.to(model.device, model.projector.weight.dtype)
        leaf_NKd = leaf_NKd.detach().requires_grad_()
        ids_1L, labels_1L = (torch.tensor([row], device=model.device) for row in (ids, labels))
        embeds_1LD = model.embed(ids_1L, leaf_NKd.flatten(0, 1))
        loss = model.decoder(inputs_embeds=embeds_1LD, labels=labels_1L, use_cache=False).loss
        (grad_NKd,) = torch.autograd.grad(loss, leaf_NKd)
    return (grad_NKd * leaf_NKd.detach()).float().sum(-1).abs().cpu()


def gradient_shares(
    model: Tempo, suite: Benchmark, prompt: str = "routing", progress: bool = True
) -> "pd.DataFrame":
    """One row per (question, position): ``question_row``, position and share of a question's
    whole attribution, summed over segments. Shares of a question sum to 1."""
    import pandas as pd

    rows = []
    for video, question, memories in asked_memories(model, suite, prompt, progress):
        named = question_row(suite, video, question)
        total_K = answer_gradients(model, memories, question.text, question.answer).sum(0)
        for position, share in enumerate((total_K / total_K.sum()).tolist()):
            rows.append({**named, "position": position, "share": share})
    return pd.DataFrame(rows)


def gradient_halves(shares: "pd.DataFrame", seed: int) -> Difference:
    """Share of ``gradient_shares`` in the first half of the positions minus the second half."""
    keys = ["suite", "world_seed", "video", "question_id"]
    grid = shares.pivot(index=keys, columns="position", values="share").sort_index(axis=1)
    middle = grid.shape[1] // 2
    first, second = grid.iloc[:, :middle].sum(axis=1), grid.iloc[:, middle:].sum(axis=1)
    videos = clusters(grid.reset_index())
    return paired_difference(first.tolist(), second.tolist(), videos, seed)


def position_similarity(memories_nKd: np.ndarray) -> np.ndarray:
    """Cosine similarity (K, K) of every two positions of a row, averaged over rows."""
    norm_nK1 = np.linalg.norm(memories_nKd, axis=-1, keepdims=True)
    unit_nKd = memories_nKd / np.where(norm_nK1 > 0, norm_nK1, 1.0)
    return np.einsum("nid,njd->ij", unit_nKd, unit_nKd) / len(memories_nKd)


def effective_rank(rows_nd: np.ndarray) -> float:
    """exp of the entropy of the singular values as shares (Roy and Vetterli 2007).

    1 for rows along one line, min(n, d) for orthogonal rows of one length; 0 for zeros.
    """
    values = np.linalg.svd(np.asarray(rows_nd, dtype=np.float64), compute_uv=False)
    if not values.sum():
        return 0.0
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def geometry_by_position(memories_nKd: np.ndarray) -> "pd.DataFrame":
    """Columns position, rank, to_first, to_previous, n.

    ``rank``: effective rank of a position's memories around their mean, which says nothing about
    a segment; ``to_first``, ``to_previous``: mean cosine similarity (previous: NaN for the first).
    """
    import pandas as pd

    similar_KK = position_similarity(memories_nKd)
    centred_nKd = memories_nKd - memories_nKd.mean(0)
    rows = [
        {
            "position": position,
            "rank": effective_rank(centred_nKd[:, position]),
            "to_first": float(similar_KK[position, 0]),
            "to_previous": float(similar_KK[position, position - 1]) if position else np.nan,
            "n": len(memories_nKd),
        }
        for position in range(memories_nKd.shape[1])
    ]
    return pd.DataFrame(rows)


def named_block(block: Sequence[int]) -> dict[str, Any]:
    """Name of a block and its ends: "3", "0-3", or "0,2" with gaps."""
    first, last = min(block), max(block)
    if sorted(block) != list(range(first, last + 1)):
        name = ",".join(map(str, sorted(block)))
    else:
        name = str(first) if first == last else f"{first}-{last}"
    return {"block": name, "first": first, "last": last}
