"""Greedy answers to many prompts at once: one question under many allocations.

``generate`` of transformers pads on the left, and a padded prompt needs a mask that makes
attention over all of it twice as dear. Padded on the right, a causal prompt needs none: nothing
before the padding can see it. Only the few tokens that are generated afterwards are masked.

Shape suffixes: B prompts, L tokens of the longest one, D width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PreTrainedModel

from tempo_lib import prompts
from tempo_lib.compressor import SegmentMemories
from tempo_lib.reduction import reduce_memories
from tempo_lib.sequence import Turn

if TYPE_CHECKING:
    from tempo_lib.model import Tempo

MOST_TOKENS = 2048  # of a batch, padding included: more is slower on a CPU, whose caches it leaves
MOST_PADDING = 0.2  # of a batch's longest prompt


@dataclass(frozen=True)
class Cut:
    """What the decoder is shown: ``counts`` (N,) memories of each segment, chosen by ``scheme``."""

    memories: SegmentMemories
    counts: torch.Tensor
    scheme: str = "head"


@torch.no_grad()
def decode_many(model: "Tempo", question: str, cuts: Sequence[Cut]) -> list[str]:
    """The texts that ``model.decode`` gives for each cut, in few passes.

    ValueError when a prompt exceeds the decoder's context.
    """
    new, text = model.config.max_new_tokens, model.encoder
    embeds = []
    for cut in cuts:
        kept = reduce_memories(cut.memories.memories, cut.counts, scheme=cut.scheme)
        turn = Turn(cut.memories.seconds.tolist(), [len(k) for k in kept], question)
        embeds.append(model.prompt_embeds(kept, turn, new)[0])
    answers = greedy_answers(model.decoder, embeds, new, text.special(prompts.IM_END))
    return [text.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in answers]


@torch.no_grad()
def greedy_answers(
    decoder: PreTrainedModel,
    prompts_LD: Sequence[torch.Tensor],
    max_new_tokens: int,
    end_id: int,
) -> list[list[int]]:
    """New token ids of each prompt (L, D), up to and with ``end_id``, as ``generate`` gives them.

    Batches are made of prompts of about one length. What shares a batch can change a logit in its
    last bits, as any other kernel can.
    """
    answers: list[list[int]] = [[] for _ in prompts_LD]
    for batch in batches_by_length([len(prompt) for prompt in prompts_LD]):
        found = _answer_batch(decoder, [prompts_LD[i] for i in batch], max_new_tokens, end_id)
        for index, ids in zip(batch, found, strict=True):
            answers[index] = ids
    return answers


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of prompts that go together: with little padding, and not too many tokens."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        longest = lengths[batch[0]] if batch else 0
        is_full = (len(batch) + 1) * longest > MOST_TOKENS
        if batch and (is_full or lengths[place] < (1 - MOST_PADDING) * longest):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _answer_batch(
    decoder: PreTrainedModel, prompts_LD: list[torch.Tensor], max_new_tokens: int, end_id: int
) -> list[list[int]]:
    device = prompts_LD[0].device
    length_B = torch.tensor([len(prompt) for prompt in prompts_LD], device=device)
    embeds_BLD = pad_sequence(prompts_LD, batch_first=True)
    mask_BL = (torch.arange(embeds_BLD.shape[1], device=device) < length_B[:, None]).long()
    cache = DynamicCache(config=decoder.config)
    hidden_BLD = decoder.model(
        inputs_embeds=embeds_BLD, past_key_values=cache, use_cache=True
    ).last_hidden_state
    hidden_BD = hidden_BLD[torch.arange(len(length_B), device=device), length_B - 1]
    columns: list[torch.Tensor] = []
    is_over_B = torch.zeros_like(length_B, dtype=torch.bool)
    for step in range(max_new_tokens):
        token_B = decoder.lm_head(hidden_BD).argmax(-1)
        columns.append(token_B)
        is_over_B |= token_B == end_id
        if bool(is_over_B.all()) or step == max_new_tokens - 1:
            break
        mask_BL = torch.cat([mask_BL, torch.ones_like(mask_BL[:, :1])], dim=1)
        hidden_BD = decoder.model(
            input_ids=token_B[:, None],
            attention_mask=mask_BL,
            position_ids=(length_B + step)[:, None],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
    return [_until(end_id, row) for row in torch.stack(columns, dim=1).tolist()]


def _until(end_id: int, ids: list[int]) -> list[int]:
    return ids[: ids.index(end_id) + 1] if end_id in ids else ids
