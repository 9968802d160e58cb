"""Which memory positions an answer needs: ablations, gradients, and the memories' geometry.

Ablations and gradients need a benchmark, whose right answers are known; the geometry needs
memories alone.

Shape suffixes: N segments, K memory tokens, d channels, n rows of any kind.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import entropy

from tempo_lib.analysis.slices import decoded, each_question, question_row
from tempo_lib.evaluation.benchmark import Benchmark
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoder_prompt import Turn, training_ids
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.intervals import Difference, paired_difference
from tempo_lib.statistics.summaries import clusters, compare, difference_of

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("mean", "token")
BACKWARDS = "backwards"  # the block of predictions from whole memories, last one first
WHOLE = "none"  # the block of predictions from whole memories


def position_blocks(capacity: int, size: int = 1) -> list[range]:
    """Consecutive blocks of ``size`` positions; the last one may be shorter."""
    if size < 1:
        raise ValueError(f"a block needs at least 1 position, got {size}")
    return [range(start, min(start + size, capacity)) for start in range(0, capacity, size)]


def half_blocks(capacity: int) -> list[list[int]]:
    """The first and the second half of the positions, then every position alone."""
    middle = capacity // 2
    singles = [list(block) for block in position_blocks(capacity)]
    return [list(range(middle)), list(range(middle, capacity)), *singles]


def ablate(
    memories_NKd: torch.Tensor, positions: Sequence[int], mean_Kd: torch.Tensor | None
) -> torch.Tensor:
    """Memories without the content of ``positions``: replaced by ``mean_Kd`` (mean ablation), or
    dropped where it is None (token ablation).

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
    for _, _, memories in each_question(model, suite, prompt):
        total = total + memories.memories.float().sum(0).cpu()
        count += len(memories.memories)
    if not count:
        raise ValueError(f"{suite.name} has no questions to average over; load some")
    return total / count


def ablated_answers(
    model: Tempo,
    suite: Benchmark,
    blocks: Sequence[Sequence[int]] | None = None,
    method: str = "mean",
    mean_Kd: torch.Tensor | None = None,
    prompt: str = "routing",
    progress: bool = True,
) -> "pd.DataFrame":
    """One row per (block, question): block, first, last, method, question_row, prediction,
    correct.

    Block "none" is the prediction from whole memories, "backwards" that from whole memories in
    reverse. ``blocks``: None takes every position alone. ``method``: "mean" replaces by
    ``mean_Kd`` (None: that of the suite), "token" leaves out, and all later memories then move up.
    ValueError for another method.
    """
    import pandas as pd

    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    chosen = position_blocks(model.config.num_memory_tokens) if blocks is None else blocks
    if method == "mean" and mean_Kd is None:
        mean_Kd = mean_memory(model, suite, prompt)
    stand_in = mean_Kd if method == "mean" else None
    rows: list[dict[str, Any]] = []
    for video, question, memories in each_question(model, suite, prompt, progress):
        whole = {"block": WHOLE, "first": -1, "last": -1}
        kept = [(whole, memories.memories)]
        kept += [({**whole, "block": BACKWARDS}, memories.memories.flip(1))]
        kept += [(named_block(b), ablate(memories.memories, b, stand_in)) for b in chosen]
        texts = decoded(model, memories, [kept_Nkd for _, kept_Nkd in kept], question.text)
        named = question_row(suite, video, question)
        for (block, _), text in zip(kept, texts, strict=True):
            scored = {"prediction": text, "correct": suite.score(question, text)}
            rows.append({**block, "method": method, **named, **scored})
    return pd.DataFrame(rows)


def block_difference(answers: "pd.DataFrame", first: str, second: str, seed: int) -> Difference:
    """Accuracy of the predictions of block ``first`` minus those of ``second``, paired.

    ValueError for a block that the frame does not hold.
    """
    return difference_of(answers, first, second, seed, "block")


def ablation_table(answers: "pd.DataFrame", seed: int) -> "pd.DataFrame":
    """Columns block, first, last, n, whole, difference, low, high, p_value: accuracy without a
    block minus ``whole``, the accuracy of whole memories.

    Intervals and p as in ``statistics.paired_difference``. ValueError for several methods.
    """
    if answers["method"].nunique() != 1:
        methods = ", ".join(sorted(answers["method"].unique()))
        raise ValueError(f"a table is of one method of ablation, got {methods}; filter the frame")
    blocks = answers[~answers["block"].isin([WHOLE, BACKWARDS])].drop_duplicates("block")
    found = compare(answers, [(b, WHOLE) for b in blocks["block"]], seed=seed, column="block")
    places = blocks[["block", "first", "last"]].reset_index(drop=True)
    whole = answers.loc[answers["block"] == WHOLE, "correct"].mean()
    return places.assign(whole=whole).join(found.drop(columns=["first", "second"]))


def answer_gradients(
    model: Tempo, memories: SegmentMemories, question: str, answer: str
) -> torch.Tensor:
    """|gradient x memory| (N, K), float32 on the CPU, of the loss of giving ``answer``.

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


def answer_ids(
    model: Tempo, memories: SegmentMemories, question: str, answer: str
) -> tuple[list[int], list[int]]:
    """Ids and labels of the decoder's prompt with whole memories and a given answer."""
    num_segments, capacity = memories.memories.shape[:2]
    turn = Turn(memories.seconds.tolist(), [capacity] * num_segments, question, answer)
    return training_ids(model.encoder, model.config.decoder_system_prompt, turn)


def gradient_shares(
    model: Tempo, suite: Benchmark, prompt: str = "routing", progress: bool = True
) -> "pd.DataFrame":
    """One row per (question, position): ``question_row``, position and share of a question's
    whole attribution, summed over segments. Shares of a question sum to 1."""
    import pandas as pd

    rows = []
    for video, question, memories in each_question(model, suite, prompt, progress):
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
    return float(np.exp(entropy(values))) if values.sum() else 0.0


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
