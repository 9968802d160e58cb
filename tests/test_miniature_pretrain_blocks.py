"""Blocks on one context: what they see, and what is labelled."""

from tempo_lib.miniature.pretrain.blocks import BlockRow, block_mask, collate_blocks
from tempo_lib.model.decoder_prompt import IGNORE


def test_a_block_sees_its_context_and_itself_only():
    row = BlockRow(context=[1, 2], blocks=[([3], [4]), ([5], [6])])
    batch = collate_blocks([row, BlockRow(context=[1], blocks=[([3], [4])])])
    assert batch.labels[0].tolist() == [IGNORE, IGNORE, IGNORE, 4, IGNORE, 6]
    assert batch.positions[0].tolist() == [0, 1, 2, 3, 2, 3]
    seen = block_mask(batch.block)[0, 0] == 0
    assert seen.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 1, 1],
    ]


def test_without_blocks_no_mask_is_needed_and_labels_begin_where_the_row_says():
    batch = collate_blocks([BlockRow(context=[1, 2, 3, 4], blocks=[], first_label=2)])
    assert block_mask(batch.block) is None
    assert batch.labels.tolist() == [[IGNORE, IGNORE, 3, 4]]
    assert batch.positions.tolist() == [[0, 1, 2, 3]]
