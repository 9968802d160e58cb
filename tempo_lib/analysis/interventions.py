"""Change one thing in a model on purpose, to see whether front-loading follows.

One more intervention is one function under ``@intervention``. Hooks change what a held model
computes and leave with the context; no class of the model knows about them. A name may combine
several, as in ``"truncated+k8"``.

Shape suffixes: N segments, K memory tokens, M = N K, L tokens, S samples, D width.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.hooks import RemovableHandle

from tempo_lib.model.attention import CPU_TRAINING
from tempo_lib.model.compressor import Compressor
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER
from tempo_lib.model.tempo import Tempo
from tempo_lib.registry import Registry

BASELINE = "baseline"
ATTENTION, POSITIONS, HABIT = "causal attention", "positions", "the decoder's habit"
TASK, NUMBER, PRESSURE = "the task", "the number of memories", "pressure to be short"
PADDING = {"input_ids": 0, "attention_mask": 0, "labels": IGNORE}
MASKED_ATTENTION = ("eager", "sdpa", CPU_TRAINING)  # back-ends that take a mask of any shape
ORDER_STREAM = 43  # keeps the drawn order of positions apart from other draws of the seed

Change = Callable[[Tempo, int], Sequence[RemovableHandle]]  # model, seed -> hooks to remove
Kwargs = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """One change. ``factor``: the suspected cause it tests; ``statement``: what is done.

    ``is_initial``: ``change`` alters a fresh model before its first step, else it adds hooks.
    ``tasks``: what memories are trained on; ``frozen``: parts that do not train; ``is_reversed``:
    the decoder reads the memories of a segment from the last to the first.
    """

    name: str
    factor: str
    statement: str
    change: Change
    is_initial: bool = False
    is_reversed: bool = False
    tasks: Literal["all", "captions", "questions"] = "all"
    frozen: tuple[str, ...] = ()


INTERVENTIONS: Registry[Intervention] = Registry("intervention")


def intervention(name: str, factor: str, statement: str, **more: Any) -> Callable[[Change], Change]:
    """Register a function (model, seed) -> hooks as an intervention; ``more``: its other fields."""

    def add(change: Change) -> Change:
        made = Intervention(name=name, factor=factor, statement=statement, change=change, **more)
        INTERVENTIONS.register(name)(made)
        return change

    return add


def get_interventions(name: str) -> list[Intervention]:
    """The parts of a name joined by "+"; ValueError for an unknown one lists the known ones."""
    return [INTERVENTIONS.get(part) for part in name.split("+")]


def prepared(model: Tempo, name: str, seed: int) -> Tempo:
    """A fresh ``model``, changed in place: its number of memory tokens and their first values."""
    for one in get_interventions(name):
        if one.is_initial:
            one.change(model, seed)
    return model


@contextmanager
def applied(model: Tempo, name: str, seed: int = 0) -> Iterator[None]:
    """Let ``model`` compute under an intervention inside the context; afterwards it is as before.

    ``seed`` draws the order of positions and the lengths of heads. What ``prepared`` does and the
    choice of samples and trainable parts are not part of this.
    """
    with ExitStack() as hooks:
        for one in get_interventions(name):
            if not one.is_initial:
                for handle in one.change(model, seed):
                    hooks.callback(handle.remove)
        yield


def no_change(model: Tempo, seed: int) -> list[RemovableHandle]:
    """For interventions that choose samples or trainable parts alone."""
    return []


intervention(BASELINE, "none", "nothing is changed")(no_change)


@intervention("bidirectional", ATTENTION, "memories of a segment see each other in both directions")
def bidirectional(model: Tempo, seed: int) -> list[RemovableHandle]:
    used = model.compressor.vlm.language_model.config._attn_implementation
    if used not in MASKED_ATTENTION:
        raise ValueError(
            f"attention {used!r} takes no mask of this shape; load the model with "
            f"attn_implementation one of {', '.join(MASKED_ATTENTION)}"
        )

    def both_ways(kwargs: Kwargs, num_memory: int) -> Kwargs:
        embeds, mask_NL = kwargs["inputs_embeds"], kwargs["attention_mask"]
        mask = both_ways_mask(mask_NL, embeds.shape[1], num_memory, embeds.dtype)
        return {"attention_mask": mask}

    return [_before_memories(model.compressor, both_ways)]


@intervention(
    "reversed",
    HABIT,
    "the decoder reads each segment's memories from the last to the first",
    is_reversed=True,
)
def reversed_memories(model: Tempo, seed: int) -> list[RemovableHandle]:
    compressor = model.compressor

    def turn(_: nn.Module, __: Any, kwargs: Kwargs, output: Any) -> Any:
        if _ends_on_memory(compressor, kwargs):
            hidden, count = output.last_hidden_state, compressor.num_memory_tokens
            parts = [hidden[:, :-count], hidden[:, -count:].flip(1)]
            output.last_hidden_state = torch.cat(parts, dim=1)
        return output

    return [compressor.vlm.language_model.register_forward_hook(turn, with_kwargs=True)]


@intervention(
    "shuffled-positions",
    POSITIONS,
    "the memories' position ids are dealt out in another, fixed order",
)
def shuffled_positions(model: Tempo, seed: int) -> list[RemovableHandle]:
    order_K = drawn_order(model.compressor.num_memory_tokens, seed)

    def deal(kwargs: Kwargs, num_memory: int) -> Kwargs:
        positions = kwargs["position_ids"]
        before, last = positions[..., :-num_memory], positions[..., -num_memory:]
        return {"position_ids": torch.cat([before, last[..., order_K.to(last.device)]], dim=-1)}

    return [_before_memories(model.compressor, deal)]


@intervention(
    "equal-init",
    POSITIONS,
    "all memory tokens start as one and the same vector",
    is_initial=True,
)
def equal_memory_tokens(model: Tempo, seed: int) -> list[RemovableHandle]:
    tokens = model.compressor.memory_tokens.data
    tokens.copy_(tokens[:, :1].expand_as(tokens))
    return []


@intervention("truncated", PRESSURE, "while training, each segment keeps a head of random length")
def random_heads(model: Tempo, seed: int) -> list[RemovableHandle]:
    """Nested dropout: two hooks that agree on the slots in the text and on what fills them."""
    generator = torch.Generator().manual_seed(seed)
    kept: dict[str, torch.Tensor] = {}

    def cut_slots(_: nn.Module, args: Any, kwargs: Kwargs) -> tuple[Any, Kwargs]:
        num_slots = int((kwargs["input_ids"] == MEMORY_PLACEHOLDER).sum())
        if not model.training or not num_slots:
            return args, kwargs
        capacity = model.compressor.num_memory_tokens
        kept_N1 = torch.randint(1, capacity + 1, (num_slots // capacity, 1), generator=generator)
        kept["NK"] = (torch.arange(capacity) < kept_N1).to(kwargs["input_ids"].device)
        return args, keep_slots(kwargs, kept["NK"].flatten())

    def cut_memories(_: nn.Module, __: Any, output: tuple[torch.Tensor, torch.Tensor]) -> Any:
        if not model.training:
            return output
        memories_NKD, h_rel_ND = output
        # the model puts all segments' memories in one line, so heads of any length may follow
        return memories_NKD[kept["NK"]][None], h_rel_ND

    return [
        model.register_forward_pre_hook(cut_slots, with_kwargs=True),
        model.compressor.register_forward_hook(cut_memories),
    ]


intervention(
    "captions-only",
    TASK,
    "memories are trained on captions and descriptions alone",
    tasks="captions",
)(no_change)
intervention("questions-only", TASK, "memories are trained on questions alone", tasks="questions")(
    no_change
)


def memory_tokens_of(number: int, model: Tempo, seed: int) -> list[RemovableHandle]:
    """``number`` memory tokens, newly drawn."""
    compressor, config = model.compressor, model.config
    table = compressor.memory_tokens
    compressor.memory_tokens = nn.Parameter(table.new_zeros(1, number, table.shape[-1]))
    compressor.init_memory_tokens(torch.Generator().manual_seed(seed))
    config.num_memory_tokens = config.k_max = number
    config.k_min = min(config.k_min, number)
    return []


for _number in (4, 8, 16, 32):
    intervention(f"k{_number}", NUMBER, f"{_number} memories per segment", is_initial=True)(
        partial(memory_tokens_of, _number)
    )
intervention(
    "frozen-decoder",
    HABIT,
    "the decoder stays as its text training left it",
    frozen=("decoder",),
)(no_change)


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
    """The order (K,) in which position ids are dealt out: one permutation per seed."""
    generator = torch.Generator().manual_seed(1000 * ORDER_STREAM + seed)
    return torch.randperm(num_memory_tokens, generator=generator)


def both_ways_mask(
    mask_NL: torch.Tensor, num_new: int, num_memory: int, dtype: torch.dtype
) -> torch.Tensor:
    """What attention adds, (N, 1, num_new, L): causal, but memories see all memories.

    The last ``num_new`` of L tokens are the queries, the last ``num_memory`` of them memories.
    """
    length = mask_NL.shape[1]
    place_L = torch.arange(length, device=mask_NL.device)
    sees = place_L <= place_L[-num_new:, None]
    sees |= (place_L >= length - num_memory) & (place_L[-num_new:, None] >= length - num_memory)
    seen = sees & mask_NL.bool()[:, None, None, :]
    hidden = torch.full(seen.shape, torch.finfo(dtype).min, dtype=dtype, device=seen.device)
    return hidden.masked_fill(seen, 0.0)


def _before_memories(
    compressor: Compressor, change: Callable[[Kwargs, int], Kwargs]
) -> RemovableHandle:
    """Update the arguments of those calls of the language model that read memory tokens."""

    def hook(_: nn.Module, args: Any, kwargs: Kwargs) -> tuple[Any, Kwargs]:
        if not _ends_on_memory(compressor, kwargs):
            return args, kwargs
        return args, {**kwargs, **change(kwargs, compressor.num_memory_tokens)}

    return compressor.vlm.language_model.register_forward_pre_hook(hook, with_kwargs=True)


def _ends_on_memory(compressor: Compressor, kwargs: Kwargs) -> bool:
    """Whether a call of the language model reads memory tokens: a prefix is read without them."""
    embeds_NLD, memory_KD = kwargs["inputs_embeds"], compressor.memory_tokens[0]
    last_KD = embeds_NLD[0, -len(memory_KD) :]
    return torch.equal(last_KD, memory_KD.to(last_KD.dtype))
