"""What a condition changes in a model.

``prepared`` changes a fresh model before its first step, ``applied`` changes what a held model
computes, by hooks that leave with the context: no class knows of conditions.

Shape suffixes: N segments, K memory tokens, M = N K, L tokens, S samples, D width.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from tempo_lib.analysis.condition_list import Condition
from tempo_lib.model.attention import CPU_TRAINING
from tempo_lib.model.compressor import Compressor
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER
from tempo_lib.model.tempo import Tempo

PADDING = {"input_ids": 0, "attention_mask": 0, "labels": IGNORE}
MASKED_ATTENTION = ("eager", "sdpa", CPU_TRAINING)  # back-ends that take a mask of any shape
ORDER_STREAM = 43  # keeps the drawn order of positions apart from other draws of the seed


def prepared(model: Tempo, condition: Condition, seed: int) -> Tempo:
    """A fresh ``model``, changed in place: its number of memory tokens and their first values."""
    compressor, config = model.compressor, model.config
    wanted = condition.num_memory_tokens or compressor.num_memory_tokens
    if wanted != compressor.num_memory_tokens:
        table = compressor.memory_tokens
        compressor.memory_tokens = nn.Parameter(table.new_zeros(1, wanted, table.shape[-1]))
        compressor.init_memory_tokens(torch.Generator().manual_seed(seed))
        config.num_memory_tokens = config.k_max = wanted
        config.k_min = min(config.k_min, wanted)
    if condition.has_equal_memories:
        tokens = compressor.memory_tokens.data
        tokens.copy_(tokens[:, :1].expand_as(tokens))
    return model


@contextmanager
def applied(model: Tempo, condition: Condition, seed: int = 0) -> Iterator[None]:
    """Let ``model`` compute under ``condition`` inside the context; afterwards it is as before.

    ``seed`` draws the order of positions and the lengths of heads. What ``prepared`` and the
    choice of samples and trainable parts do is not part of this.
    """
    compressor = model.compressor
    language = compressor.vlm.language_model
    with ExitStack() as hooks:
        if condition.is_bidirectional:
            _check_mask(compressor)
            add = language.register_forward_pre_hook
            hooks.callback(add(_both_ways(compressor), with_kwargs=True).remove)
        if condition.is_shuffled:
            order_K = drawn_order(compressor.num_memory_tokens, seed)
            add = language.register_forward_pre_hook
            hooks.callback(add(_reordered(compressor, order_K), with_kwargs=True).remove)
        if condition.is_reversed:
            turn = language.register_forward_hook(_turned(compressor), with_kwargs=True)
            hooks.callback(turn.remove)
        if condition.is_truncated:
            cut = _RandomHeads(model, seed)
            hooks.callback(model.register_forward_pre_hook(cut.slots, with_kwargs=True).remove)
            hooks.callback(compressor.register_forward_hook(cut.memories).remove)
        yield


def keep_slots(batch: dict[str, torch.Tensor], keep_M: torch.Tensor) -> dict[str, torch.Tensor]:
    """A batch of ``Tempo.forward`` with only those memory slots, row by row, that ``keep_M`` names.

    Rows are padded anew, so that a slot left out leaves no gap in the decoder's positions.
    ValueError where slots and ``keep_M`` differ in number.
    """
    slots_SL = batch["input_ids"] == MEMORY_PLACEHOLDER
    if int(slots_SL.sum()) != len(keep_M):
        raise ValueError(f"{int(slots_SL.sum())} memory slots but {len(keep_M)} to choose from")
    stays_SL = batch["attention_mask"].bool().masked_scatter(slots_SL, keep_M)
    cut = {
        name: pad_sequence(
            [row[stays] for row, stays in zip(batch[name], stays_SL, strict=True)],
            batch_first=True,
            padding_value=padding,
        )
        for name, padding in PADDING.items()
    }
    return {**batch, **cut}


def drawn_order(num_memory_tokens: int, seed: int) -> torch.Tensor:
    """The order (K,) in which position ids are dealt out: one permutation a seed."""
    generator = torch.Generator().manual_seed(1000 * ORDER_STREAM + seed)
    return torch.randperm(num_memory_tokens, generator=generator)


def both_ways_mask(
    mask_NL: torch.Tensor, num_new: int, num_memory: int, dtype: torch.dtype
) -> torch.Tensor:
    """What attention adds, (N, 1, num_new, L): causal, but memories see all memories.

    The last ``num_new`` of L tokens ask, the last ``num_memory`` of them are memories.
    """
    length = mask_NL.shape[1]
    place_L = torch.arange(length, device=mask_NL.device)
    sees = place_L <= place_L[-num_new:, None]
    sees |= (place_L >= length - num_memory) & (place_L[-num_new:, None] >= length - num_memory)
    seen = sees & mask_NL.bool()[:, None, None, :]
    hidden = torch.full(seen.shape, torch.finfo(dtype).min, dtype=dtype, device=seen.device)
    return hidden.masked_fill(seen, 0.0)


def _ends_on_memory(compressor: Compressor, kwargs: dict[str, Any]) -> bool:
    """Whether a call of the language model reads memory tokens: a prefix is read without them."""
    embeds_NLD, memory_KD = kwargs["inputs_embeds"], compressor.memory_tokens[0]
    last_KD = embeds_NLD[0, -len(memory_KD) :]
    return torch.equal(last_KD, memory_KD.to(last_KD.dtype))


def _both_ways(compressor: Compressor) -> Any:
    def hook(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if not _ends_on_memory(compressor, kwargs):
            return args, kwargs
        embeds = kwargs["inputs_embeds"]
        mask = both_ways_mask(
            kwargs["attention_mask"], embeds.shape[1], compressor.num_memory_tokens, embeds.dtype
        )
        return args, {**kwargs, "attention_mask": mask}

    return hook


def _reordered(compressor: Compressor, order_K: torch.Tensor) -> Any:
    def hook(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if not _ends_on_memory(compressor, kwargs):
            return args, kwargs
        positions = kwargs["position_ids"]
        before, last = positions[..., : -len(order_K)], positions[..., -len(order_K) :]
        dealt = torch.cat([before, last[..., order_K.to(last.device)]], dim=-1)
        return args, {**kwargs, "position_ids": dealt}

    return hook


def _turned(compressor: Compressor) -> Any:
    def hook(_: nn.Module, __: Any, kwargs: dict[str, Any], output: Any) -> Any:
        if _ends_on_memory(compressor, kwargs):
            hidden, count = output.last_hidden_state, compressor.num_memory_tokens
            parts = [hidden[:, :-count], hidden[:, -count:].flip(1)]
            output.last_hidden_state = torch.cat(parts, dim=1)
        return output

    return hook


class _RandomHeads:
    """Two hooks that agree: the slots in the text, and the memories that fill them."""

    def __init__(self, model: Tempo, seed: int) -> None:
        self.model, self.generator = model, torch.Generator().manual_seed(seed)
        self.keep_NK = torch.zeros(0, 0, dtype=torch.bool)

    def slots(self, _: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        num_slots = int((kwargs["input_ids"] == MEMORY_PLACEHOLDER).sum())
        if not self.model.training or not num_slots:
            return args, kwargs
        capacity = self.model.compressor.num_memory_tokens
        kept_N1 = torch.randint(
            1, capacity + 1, (num_slots // capacity, 1), generator=self.generator
        )
        self.keep_NK = (torch.arange(capacity) < kept_N1).to(kwargs["input_ids"].device)
        return args, keep_slots(kwargs, self.keep_NK.flatten())

    def memories(self, _: nn.Module, __: Any, output: tuple[torch.Tensor, torch.Tensor]) -> Any:
        if not self.model.training:
            return output
        memories_NKD, h_rel_ND = output
        # the model puts all segments' memories in one line, so heads of any length may follow
        return memories_NKD[self.keep_NK][None], h_rel_ND


def _check_mask(compressor: Compressor) -> None:
    used = compressor.vlm.language_model.config._attn_implementation
    if used not in MASKED_ATTENTION:
        raise ValueError(
            f"attention {used!r} takes no mask of this shape; load the model with "
            f"attn_implementation one of {', '.join(MASKED_ATTENTION)}"
        )
