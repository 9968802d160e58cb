"""What an answer loses with the memories that are left out: any set of them, one question.

``effect`` measures one set with a model. ``measure_effects`` does so for named sets of positions;
the file that ``write_effects`` makes of them needs no model to be explored.

Shape suffixes: N segments, K memory tokens per segment, d channels, L decoder tokens, A tokens of
an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from transformers import DynamicCache

from tempo_lib import prompts
from tempo_lib.analysis.probes import Readers
from tempo_lib.analysis.slices import kept_positions
from tempo_lib.fingerprint import write_atomic
from tempo_lib.gates import field_problems
from tempo_lib.model.compressor import Cut, SegmentMemories
from tempo_lib.model.tempo import Tempo

WHOLE = "all"
ENDS = ("head", "tail", "every")


class Effect(BaseModel):
    """What comes of one set of kept memories.

    ``positions``: kept in every segment; None where segments differ. ``text``: the greedy answer;
    ``log_likelihoods`` of the candidates, end of turn included; ``readings``: what probes read in
    each of the N segments, by attribute, "" where nothing is kept.
    """

    model_config = ConfigDict(extra="forbid")
    name: str = ""
    positions: list[int] | None = None
    num_kept: int
    text: str
    log_likelihoods: list[float]
    readings: dict[str, list[str]] = {}


class Effects(BaseModel):
    """One question with its effects, of all memories first: the whole of a saved file.

    ``candidates``: the answers that are compared; ``seconds``, ``scores``: of the N segments.
    """

    model_config = ConfigDict(extra="forbid")
    preset: str
    question: str
    candidates: list[str]
    capacity: int
    seconds: list[float]
    scores: list[float]
    effects: list[Effect]


@dataclass(frozen=True)
class Measured:
    """A model with the memories of one question, and the answers that are compared."""

    model: Tempo
    memories: SegmentMemories
    question: str
    candidates: tuple[str, ...]
    readers: Readers | None = None

    def effect(self, kept_NK: torch.Tensor, name: str = "") -> Effect:
        """What comes of the memories marked in ``kept_NK`` (bool); ValueError for another shape."""
        memories_NKd = self.memories.memories
        if kept_NK.shape != memories_NKd.shape[:2]:
            found, expected = tuple(kept_NK.shape), tuple(memories_NKd.shape[:2])
            raise ValueError(f"kept must be {expected}, segments by positions, got {found}")
        text, likely = _answer(self, kept_NK)
        same = len(kept_NK) > 0 and bool((kept_NK == kept_NK[0]).all())
        read = {} if self.readers is None else self.readers.read(memories_NKd, kept_NK)
        return Effect(
            name=name,
            positions=kept_NK[0].nonzero().flatten().tolist() if same else None,
            num_kept=int(kept_NK.sum()),
            text=text,
            log_likelihoods=likely,
            readings=read,
        )

    def effects(self, choices: Mapping[str, Sequence[int]] | None = None) -> Effects:
        """The effects of all memories and of named sets of positions (None: ``some_choices``).

        ValueError for a position outside 0..K-1.
        """
        num_segments, capacity = self.memories.memories.shape[:2]
        chosen = some_choices(capacity) if choices is None else choices
        measured = []
        for name, positions in {WHOLE: range(capacity), **chosen}.items():
            wrong = [place for place in positions if not 0 <= place < capacity]
            if wrong:
                raise ValueError(f"{name}: positions must be in 0..{capacity - 1}, got {wrong}")
            kept_NK = torch.zeros(num_segments, capacity, dtype=torch.bool)
            kept_NK[:, list(positions)] = True
            measured.append(self.effect(kept_NK, name))
        return Effects(
            preset=self.model.config.preset,
            question=self.question,
            candidates=list(self.candidates),
            capacity=capacity,
            seconds=self.memories.seconds.tolist(),
            scores=self.memories.scores.tolist(),
            effects=measured,
        )


def some_choices(capacity: int) -> dict[str, list[int]]:
    """Head, tail and evenly spaced positions: 1, 2, 4 and so on of them, named "head 4"."""
    found: dict[str, list[int]] = {}
    for size in (2**power for power in range(capacity.bit_length()) if 2**power < capacity):
        found[f"head {size}"] = list(range(size))
        found[f"tail {size}"] = list(range(capacity - size, capacity))
        found[f"every {size}"] = kept_positions(capacity, size, "every").tolist()
    return found


def write_effects(path: Path, effects: Effects) -> None:
    """Write one question's effects as JSON."""
    write_atomic(path, effects.model_dump_json() + "\n")


def read_effects(path: Path) -> Effects:
    """What ``write_effects`` wrote; ValueError, in one line, for anything else."""
    try:
        found = Effects.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    except ValidationError as error:
        raise ValueError(f"{path} holds no effects: {field_problems(error)}") from error
    if not found.effects or found.effects[0].name != WHOLE:
        raise ValueError(f"{path}: the first effect must be that of {WHOLE} memories")
    return found


@torch.no_grad()
def _answer(measured: Measured, kept_NK: torch.Tensor) -> tuple[str, list[float]]:
    """The greedy answer from the memories kept, and the candidates' log-likelihoods after it."""
    model, memories = measured.model, measured.memories
    order_NK1 = (~kept_NK).int().argsort(dim=1, stable=True)[..., None]
    kept_first = memories.memories.take_along_dim(order_NK1.to(memories.memories.device), dim=1)
    cut = Cut(replace(memories, memories=kept_first), kept_NK.sum(1))
    end = model.encoder.special(prompts.IM_END)
    answers = [[*model.encoder.encode(text), end] for text in measured.candidates]
    num_new = max([model.config.max_new_tokens, *map(len, answers)])
    embeds_1LD = model.prompt_embeds(cut, measured.question, num_new)
    cache = DynamicCache(config=model.decoder.config)
    ids = model.generate_ids(embeds_1LD, model.config.max_new_tokens, past_key_values=cache)
    likely = []
    for answer in answers:  # one prompt, read once: each candidate goes on from its cache
        cache.crop(embeds_1LD.shape[1] - 1 - cache.get_seq_length())
        ids_1A = torch.tensor([answer], device=model.device)
        answer_1AD = model.decoder.get_input_embeddings()(ids_1A[:, :-1])
        inputs_1AD = torch.cat([embeds_1LD[:, -1:], answer_1AD.to(embeds_1LD.dtype)], dim=1)
        logits_AV = model.decoder(inputs_embeds=inputs_1AD, past_key_values=cache).logits[0]
        logs_A1 = logits_AV.float().log_softmax(-1).gather(1, ids_1A[0, :, None])
        likely.append(float(logs_A1.sum()))
    return model.encoder.decode(ids), likely
