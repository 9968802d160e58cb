"""Many questions on one context in one pass, each in a block that sees the context and itself.

Asking ten questions of a context costs one reading of it; without the mask, later questions would
be answered by copying earlier answers. Both base models are trained this way.

Shape suffixes: B rows, L tokens, M tokens with a label, D width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tempo_lib import prompts
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.processing import TextEncoder

Block = tuple[list[int], list[int]]  # token ids of a question and of its answer


@dataclass(frozen=True, kw_only=True)
class BlockRow:
    """One context and its blocks; ``kinds`` names the kind of question of each block.

    ``positions`` of the context: 0, 1, 2, ... where None; blocks continue from its last one.
    Context tokens from ``first_label`` on carry a language-model loss; None: no token does.
    """

    context: list[int]
    blocks: list[Block]
    kinds: tuple[str, ...] = ()
    positions: list[int] | None = None
    first_label: int | None = None

    def __len__(self) -> int:
        return len(self.context) + sum(len(q) + len(a) for q, a in self.blocks)


@dataclass(frozen=True)
class BlockBatch:
    """Ids, labels, positions and block number (0 in the context, -1 in padding), all (B, L)."""

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    block: torch.Tensor
    kinds: tuple[tuple[str, ...], ...]  # of each row's blocks


@dataclass(frozen=True)
class LabelledLogits:
    """Logits (M, V) of the tokens with a label, their targets, rows and blocks, all (M,)."""

    logits: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor
    blocks: torch.Tensor


def make_block(text: TextEncoder, question: list[prompts.Part], answer: str) -> Block:
    return text.ids(question), [*text.encode(answer), text.special(prompts.IM_END)]


def collate_blocks(rows: Sequence[BlockRow]) -> BlockBatch:
    """Right-padded tensors of rows; labels are the answers' ids, -100 elsewhere."""
    columns = [_row_columns(row) for row in rows]
    longest = max(len(ids) for ids, *_ in columns)
    ids_BL, labels_BL, positions_BL, block_BL = (
        torch.tensor([values + [fill] * (longest - len(values)) for values in column])
        for column, fill in zip(zip(*columns, strict=True), (0, IGNORE, 0, -1), strict=True)
    )
    return BlockBatch(ids_BL, labels_BL, positions_BL, block_BL, tuple(row.kinds for row in rows))


def _row_columns(row: BlockRow) -> tuple[list[int], list[int], list[int], list[int]]:
    """Ids, labels, positions and block numbers of one row."""
    size = len(row.context)
    first = size if row.first_label is None else row.first_label
    ids, labels = list(row.context), [IGNORE] * first + row.context[first:]
    positions = list(range(size)) if row.positions is None else list(row.positions)
    block, after = [0] * size, positions[-1] + 1
    for number, (question, answer) in enumerate(row.blocks, start=1):
        length = len(question) + len(answer)
        ids += question + answer
        labels += [IGNORE] * len(question) + answer
        positions += range(after, after + length)
        block += [number] * length
    return ids, labels, positions, block


def block_mask(block_BL: torch.Tensor) -> torch.Tensor | None:
    """Additive float32 mask (B, 1, L, L): causal, and a block sees the context and itself only.

    None where no row has a block: padding is on the right, so plain causal attention does, and
    fused attention then skips the half of its work that causality leaves out.
    """
    if not bool((block_BL > 0).any()):
        return None
    length = block_BL.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    same = block_BL[:, :, None] == block_BL[:, None, :]
    seen = causal & (same | (block_BL[:, None, :] == 0))
    hidden = torch.finfo(torch.float32).min
    return torch.zeros_like(seen, dtype=torch.float32).masked_fill(~seen, hidden)[:, None]


def labelled_logits(head: nn.Module, hidden_BLD: torch.Tensor, batch: BlockBatch) -> LabelledLogits:
    """Run the head where a label is: over all tokens it would cost most of the step."""
    targets_BL = batch.labels[:, 1:]
    row_M, place_M = (targets_BL != IGNORE).nonzero(as_tuple=True)
    logits_MV = head(hidden_BLD[row_M, place_M])
    return LabelledLogits(
        logits_MV, targets_BL[row_M, place_M], row_M, batch.block[row_M, place_M + 1]
    )
