"""Many questions on one context in one pass, each in a block that sees the context and itself.

Asking ten questions of a segment costs one reading of the segment; without the mask, later
questions would be answered by copying earlier answers. Shape suffixes: B rows, L tokens.
"""

from dataclasses import dataclass

import torch

from tempo_lib.model.decoder_prompt import IGNORE


@dataclass(frozen=True)
class BlockRow:
    """One context and its blocks; a block is (ids of the question, ids of the answer)."""

    context: list[int]
    blocks: list[tuple[list[int], list[int]]]


@dataclass(frozen=True)
class BlockBatch:
    """ids, labels, steps (tokens since the end of the context; -1 in it), block number (0 in
    the context, -1 in padding), all (B, L); context_lengths (B,)."""

    ids: torch.Tensor
    labels: torch.Tensor
    steps: torch.Tensor
    block: torch.Tensor
    context_lengths: torch.Tensor


def collate_blocks(rows: list[BlockRow]) -> BlockBatch:
    """Right-padded tensors of rows; labels are the answers' ids, -100 elsewhere."""
    columns: list[list[list[int]]] = [[], [], [], []]
    for row in rows:
        size = len(row.context)
        ids, labels, steps = list(row.context), [IGNORE] * size, [-1] * size
        block = [0] * size
        for number, (question, answer) in enumerate(row.blocks, start=1):
            ids += question + answer
            labels += [IGNORE] * len(question) + answer
            steps += range(len(question) + len(answer))
            block += [number] * (len(question) + len(answer))
        for column, values in zip(columns, (ids, labels, steps, block), strict=True):
            column.append(values)
    longest = max(len(values) for values in columns[0])
    ids_BL, labels_BL, steps_BL, block_BL = (
        torch.tensor([values + [fill] * (longest - len(values)) for values in column])
        for column, fill in zip(columns, (0, IGNORE, 0, -1), strict=True)
    )
    lengths_B = torch.tensor([len(row.context) for row in rows])
    return BlockBatch(ids_BL, labels_BL, steps_BL, block_BL, lengths_B)


def block_mask(block_BL: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Additive mask (B, 1, L, L): causal, and a block sees the context and itself only."""
    length = block_BL.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    same = block_BL[:, :, None] == block_BL[:, None, :]
    seen = causal & (same | (block_BL[:, None, :] == 0))
    return torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)[:, None]
