"""Greedy answers to many prompts at once: one question under many allocations.

``generate`` of transformers pads on the left, and a padded prompt needs a mask that makes
attention over all of it twice as expensive. Padded on the right, a causal prompt needs none:
nothing before the padding can see it. Only the few tokens generated afterwards are masked.

Answers to one question are much alike. So each batch reads an answer of the batch before it along
with its prompts, and keeps as much of it as greedy decoding would have produced itself (Leviathan
et al., 2023, arXiv:2211.17192, without its sampling): the same tokens in fewer steps.

Shape suffixes: B prompts, L tokens of the longest one, G tokens of a draft, D width.
"""

from collections.abc import Iterator, Sequence

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PreTrainedModel

from tempo_lib import prompts
from tempo_lib.model.compressor import Cut
from tempo_lib.model.numerics import check_logits
from tempo_lib.model.tempo import Tempo

MOST_TOKENS = 2048  # of a batch, padding included: more is slower on a CPU, whose caches it leaves
MOST_PADDING = 0.2  # of a batch's longest prompt


@torch.no_grad()
def decode_many(model: Tempo, question: str, cuts: Sequence[Cut]) -> list[str]:
    """The texts that ``model.decode`` gives for each cut, in few passes.

    ContextError when a prompt exceeds the decoder's context, NotFiniteError for logits that are
    not finite.
    """
    new, text = model.config.max_new_tokens, model.encoder
    embeds = [model.prompt_embeds(cut, question, new)[0] for cut in cuts]
    answers = greedy_answers(model.decoder, embeds, new, text.special(prompts.IM_END))
    return [text.decode(ids) for ids in answers]


@torch.no_grad()
def greedy_answers(
    decoder: PreTrainedModel,
    prompts_LD: Sequence[torch.Tensor],
    max_new_tokens: int,
    end_id: int,
) -> list[list[int]]:
    """New token ids of each prompt (L, D), up to and with ``end_id``, as ``generate`` gives them.

    NotFiniteError for logits that are not finite.

    Batches are made of prompts of about one length. What shares a batch can change a logit in its
    last bits, as any other kernel can.
    """
    answers: list[list[int]] = [[] for _ in prompts_LD]
    draft: list[int] = []
    for batch in batches_by_length([len(prompt) for prompt in prompts_LD]):
        chosen = [prompts_LD[i] for i in batch]
        found = _answer_batch(decoder, chosen, draft, max_new_tokens, end_id)
        for index, ids in zip(batch, found, strict=True):
            answers[index] = ids
        draft = found[0][: max_new_tokens - 1]
        draft = draft[:-1] if draft[-1:] == [end_id] else draft
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
    decoder: PreTrainedModel,
    prompts_LD: list[torch.Tensor],
    draft: list[int],
    max_new_tokens: int,
    end_id: int,
) -> list[list[int]]:
    device = prompts_LD[0].device
    draft_G = torch.tensor(draft, dtype=torch.long, device=device)
    draft_GD = decoder.get_input_embeddings()(draft_G).to(prompts_LD[0].dtype)
    length_B = torch.tensor([len(prompt) for prompt in prompts_LD], device=device)
    embeds_BLD = pad_sequence([torch.cat([one, draft_GD]) for one in prompts_LD], batch_first=True)
    cache = DynamicCache(config=decoder.config)
    hidden_BLD = decoder.model(
        inputs_embeds=embeds_BLD, past_key_values=cache, use_cache=True
    ).last_hidden_state
    rows_B = torch.arange(len(length_B), device=device)
    places_BG = length_B[:, None] + torch.arange(-1, len(draft), device=device)
    greedy_BG = _best_token(decoder, decoder.lm_head(hidden_BLD[rows_B[:, None], places_BG]))
    agreed_B = (greedy_BG[:, :-1] == draft_G).cumprod(1).sum(1)
    token_B = greedy_BG[rows_B, agreed_B]
    answers = [
        [*draft[:agreed], token]
        for agreed, token in zip(agreed_B.tolist(), token_B.tolist(), strict=True)
    ]
    length_B = length_B + agreed_B
    # rejected draft tokens stay in the cache, as padding does: nothing attends to them
    mask_BL = (torch.arange(embeds_BLD.shape[1], device=device) < length_B[:, None]).long()
    while not all(_is_over(ids, max_new_tokens, end_id) for ids in answers):
        mask_BL = torch.cat([mask_BL, torch.ones_like(mask_BL[:, :1])], dim=1)
        hidden_BD = decoder.model(
            input_ids=token_B[:, None],
            attention_mask=mask_BL,
            position_ids=length_B[:, None],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        token_B, length_B = _best_token(decoder, decoder.lm_head(hidden_BD)), length_B + 1
        for ids, token in zip(answers, token_B.tolist(), strict=True):
            if not _is_over(ids, max_new_tokens, end_id):
                ids.append(token)
    return answers


def _best_token(decoder: PreTrainedModel, logits: torch.Tensor) -> torch.Tensor:
    """Argmax over the vocabulary; NotFiniteError where a logit is none: it would hide in a text."""
    largest, token = logits.max(-1)
    check_logits(largest, decoder, "decoder")
    return token


def _is_over(ids: list[int], max_new_tokens: int, end_id: int) -> bool:
    return ids[-1] == end_id or len(ids) == max_new_tokens
