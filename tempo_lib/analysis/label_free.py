"""What a cut of the memories does to an answer, measured without knowing the right one.

The model's own answer from whole memories is read again from fewer of them; the Kullback-Leibler
divergence of its tokens' distributions says how much was lost. Any model, video and question will
do. 0: the cut changes nothing.

Shape suffixes: N segments, K memory tokens, k of them kept, d channels, L tokens of a prompt,
T tokens of the answer, V vocabulary, C cuts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from tempo_lib import prompts
from tempo_lib.analysis.ablation import ablate, geometry_by_position
from tempo_lib.analysis.slices import each_question
from tempo_lib.evaluation.benchmark import Benchmark
from tempo_lib.model.compressor import Cut, SegmentMemories
from tempo_lib.model.decoding import batches_by_length, greedy_answers
from tempo_lib.model.tempo import Tempo

if TYPE_CHECKING:
    import pandas as pd

SHIFTED, KEPT = "shifted", "kept"  # places of the memories that stay, for the decoder
Positions = Sequence[int]


@dataclass(frozen=True)
class Reading:
    """A question with its whole memories, the model's answer from them and its log-probabilities
    (T, V)."""

    question: str
    memories: SegmentMemories
    answer: tuple[int, ...]
    whole_TV: torch.Tensor


def read(model: Tempo, memories: SegmentMemories, question: str) -> Reading:
    """The answer from whole memories, such as ``session.compress(question)`` gives them."""
    new, end = model.config.max_new_tokens, model.encoder.special(prompts.IM_END)
    with torch.no_grad():
        prompt_LD = _prompt(model, memories, memories.memories, question)
        (answer,) = greedy_answers(model.decoder, [prompt_LD], new, end)
        (whole_TV,) = _log_probabilities(model, [prompt_LD], answer)
    return Reading(question, memories, tuple(answer), whole_TV)


def readings(model: Tempo, suite: Benchmark, prompt: str = "routing") -> Iterator[Reading]:
    """Those of all questions of a benchmark; its right answers are not used."""
    for _, question, memories in each_question(model, suite, prompt):
        yield read(model, memories, question.text)


def divergences(model: Tempo, reading: Reading, cuts_Nkd: Sequence[torch.Tensor]) -> list[float]:
    """KL(whole || cut) in nats per token of the answer, for each of ``cuts`` (N, k, d)."""
    with torch.no_grad():
        embeds = [_prompt(model, reading.memories, cut, reading.question) for cut in cuts_Nkd]
        found = _log_probabilities(model, embeds, reading.answer)
    whole_TV = reading.whole_TV
    return [float((whole_TV.exp() * (whole_TV - cut_TV)).sum(-1).mean()) for cut_TV in found]


def mean_of(all_readings: Sequence[Reading]) -> torch.Tensor:
    """The mean memory of each position (K, d) over all segments, which tells of none of them."""
    return torch.cat([each.memories.memories for each in all_readings]).float().mean(0)


def named_cuts(capacity: int, k: int, best: Positions | None = None) -> dict[str, list[int]]:
    """Positions that head, tail, even and odd places and, with an order, the best k keep."""
    cuts = {
        "head": list(range(k)),
        "tail": list(range(capacity - k, capacity)),
        "even": list(range(0, capacity, 2))[:k],
        "odd": list(range(1, capacity, 2))[:k],
    }
    return cuts if best is None else {**cuts, "best": sorted(best[:k])}


def cut_divergences(
    model: Tempo, all_readings: Sequence[Reading], cuts: Mapping[str, Positions]
) -> "pd.DataFrame":
    """Columns cut, k, places, question, kl: what keeping only these positions loses.

    Places "shifted": what is kept moves up, as truncation does; "kept": what is not kept is
    replaced by its mean over all readings, so that every memory stays where it was.
    """
    import pandas as pd

    mean_Kd, rows = mean_of(all_readings), []
    for reading in all_readings:
        whole_NKd = reading.memories.memories
        ways = {}
        for name, positions in cuts.items():
            out = [place for place in range(whole_NKd.shape[1]) if place not in positions]
            ways[name, SHIFTED] = whole_NKd[:, sorted(positions)]
            ways[name, KEPT] = ablate(whole_NKd, out, mean_Kd)
        values = divergences(model, reading, list(ways.values()))
        for (name, places), kl in zip(ways, values, strict=True):
            what = {"cut": name, "k": len(cuts[name]), "places": places}
            rows.append({**what, "question": reading.question, "kl": kl})
    return pd.DataFrame(rows)


def order_divergences(
    model: Tempo, all_readings: Sequence[Reading], orders: Mapping[str, Positions]
) -> "pd.DataFrame":
    """Columns order, question, kl: all memories, in other orders; ``orders`` has each by name.

    Beside the places "shifted" of ``cut_divergences``, where the relative order stays, these tell
    a decoder that expects memories at their places from one that expects them in their order.
    """
    import pandas as pd

    rows = []
    for reading in all_readings:
        moved = [reading.memories.memories[:, list(order)] for order in orders.values()]
        values = divergences(model, reading, moved)
        for name, kl in zip(orders, values, strict=True):
            rows.append({"order": name, "question": reading.question, "kl": kl})
    return pd.DataFrame(rows)


def ablation_costs(model: Tempo, all_readings: Sequence[Reading]) -> "pd.DataFrame":
    """Columns position, cost, rank, to_first, to_previous, n; most costly first.

    ``cost``: mean KL where the position alone is replaced by its mean; the others: the geometry
    of the same memories (``ablation.geometry_by_position``).
    """
    mean_Kd = mean_of(all_readings)
    total = torch.zeros(len(mean_Kd), dtype=torch.float64)
    for reading in all_readings:
        cuts = [ablate(reading.memories.memories, [p], mean_Kd) for p in range(len(mean_Kd))]
        total += torch.tensor(divergences(model, reading, cuts), dtype=torch.float64)
    memories_nKd = torch.cat([each.memories.memories for each in all_readings]).float()
    table = geometry_by_position(memories_nKd.cpu().numpy())
    table.insert(1, "cost", (total / len(all_readings)).numpy())
    return table.sort_values(["cost", "position"], ascending=[False, True], ignore_index=True)


def _prompt(
    model: Tempo, memories: SegmentMemories, kept_Nkd: torch.Tensor, question: str
) -> torch.Tensor:
    """Decoder embeddings (L, D) of the prompt with these memories."""
    counts_N = torch.full((len(kept_Nkd),), kept_Nkd.shape[1])
    cut = Cut(replace(memories, memories=kept_Nkd), counts_N, "none")
    return model.prompt_embeds(cut, question, model.config.max_new_tokens)[0]


def _log_probabilities(
    model: Tempo, prompts_LD: Sequence[torch.Tensor], answer: Sequence[int]
) -> list[torch.Tensor]:
    """Log-probabilities (T, V), float32, of an answer's tokens behind each prompt, which is read
    together with the answer."""
    decoder = model.decoder
    ids_T = torch.tensor(answer[:-1], dtype=torch.long, device=model.device)
    draft_TD = decoder.get_input_embeddings()(ids_T).to(prompts_LD[0].dtype)
    found: list[torch.Tensor] = [ids_T] * len(prompts_LD)
    steps_T = torch.arange(len(answer), device=model.device)
    for batch in batches_by_length([len(prompt) for prompt in prompts_LD]):
        rows = [torch.cat([prompts_LD[place], draft_TD]) for place in batch]
        hidden_CLD = decoder.model(  # padding lies behind what is read, so it needs no mask
            inputs_embeds=pad_sequence(rows, batch_first=True), use_cache=False
        ).last_hidden_state
        for row, place in enumerate(batch):
            own_TD = hidden_CLD[row, len(prompts_LD[place]) - 1 + steps_T]
            found[place] = decoder.lm_head(own_TD).float().log_softmax(-1)
    return found
