"""Short trainings under an intervention, and what finished ones show about front-loading.

A training starts from the base models: stage 0 of the recipe, then a shortened stage 1. At some
steps, heads and tails of the memories answer the same questions about held-out clips. The
finished trainings are data: ``data_manifests/measurements/conditions.csv``.

Shape suffixes: N segments, K memory tokens, S samples, L decoder tokens, D width.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from scipy import stats

from tempo_lib.analysis.front_loading import FEW_ANSWERS, HEAD, TAIL
from tempo_lib.analysis.interventions import (
    BASELINE,
    INTERVENTIONS,
    applied,
    get_interventions,
    keep_slots,
    prepared,
)
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.config import Preset, StageNumbers
from tempo_lib.model.attention import training_attention
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.from_base_models import tempo_from_base_models
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.intervals import ALPHA, CONFIDENCE, holm
from tempo_lib.statistics.summaries import ALL
from tempo_lib.training.loop import StageRun, train_stage
from tempo_lib.training.records import Sample
from tempo_lib.training.stages import stage_numbers

if TYPE_CHECKING:
    import pandas as pd

MEASURED_AT = (0.0, 0.125, 0.25, 0.5, 1.0)  # shares of the steps of stage 1
NO_LIMIT = 10_000  # epochs: the number of steps alone ends a stage
SMALLER, LARGER, NO_CHANGE = "smaller", "larger", "no clear change"
TOO_LITTLE = "learned too little to tell"
EFFECTS = (SMALLER, LARGER, NO_CHANGE, TOO_LITTLE)
LEAST_SHARE = 0.5  # of the baseline's accuracy: below it, a changed lead may be mere ignorance
HEADS_LEAD, TAILS_LEAD, NEITHER = "heads lead", "tails lead", "neither end leads"


class HeldOut(Protocol):
    """Questions about clips that no training reads."""

    def batches(self) -> Iterator[tuple[list[dict[str, Any]], dict[str, torch.Tensor]]]:
        """Rows that name the questions, and the batch of ``Tempo.forward`` that holds them."""


class TrainingData(Protocol):
    """What a short training reads: samples by stage and task, and held-out questions."""

    @property
    def frames(self) -> Path:
        """Folder of decoded clips."""

    def samples(self, stage: int, tasks: str) -> list[Sample]: ...

    def held_out(self, model: Tempo) -> HeldOut: ...


@dataclass(frozen=True, kw_only=True)
class ShortTraining:
    """One training: its intervention (see ``interventions``), seed and length."""

    preset: Preset
    intervention: str
    seed: int
    num_steps: int = 240  # of stage 1; about half of the recipe's
    stage0_steps: int = 96  # as many as the recipe's four epochs give

    @property
    def measured_steps(self) -> tuple[int, ...]:
        """Steps of stage 1 after which heads and tails are measured, ascending."""
        return tuple(sorted({round(share * self.num_steps) for share in MEASURED_AT}))

    def numbers(self, stage: int) -> StageNumbers:
        """The stage's numbers in the preset, with this length and these trainable parts."""
        numbers = stage_numbers(self.preset, stage)
        frozen = {part for one in get_interventions(self.intervention) for part in one.frozen}
        trainable = tuple(part for part in numbers.trainable if part not in frozen)
        steps = (self.stage0_steps, self.num_steps)[stage]
        changed = {"max_steps": steps, "epochs": float(NO_LIMIT), "trainable": trainable}
        return numbers.model_copy(update=changed)

    def train(self, model: Tempo, data: "TrainingData", stage: int, folder: str) -> list[float]:
        """One stage by the ordinary loop, on the samples of the intervention's task; its losses."""
        changes = get_interventions(self.intervention)
        tasks = next((one.tasks for one in changes if one.tasks != "all"), "all")
        run = StageRun(
            stage=stage,
            numbers=self.numbers(stage),
            out_dir=Path(folder) / f"stage{stage}",
            cache_dir=data.frames,
            seed=self.seed,
            save_every=NO_LIMIT,
        )
        records = train_stage(model, data.samples(stage, tasks), run)
        return [round(record["loss"], 5) for record in records]


def train_and_measure(
    training: ShortTraining, data: TrainingData
) -> tuple["pd.DataFrame", list[float]]:
    """Predictions of heads and tails at every measured step, and the losses of stage 1.

    The frame has the columns of ``measured_slices``, and step, intervention and seed.
    """
    import pandas as pd

    is_reversed = any(one.is_reversed for one in get_interventions(training.intervention))
    compressor = find_checkpoint(training.preset, "base_compressor")
    decoder = find_checkpoint(training.preset, "base_decoder")
    attention = training_attention()
    model = tempo_from_base_models(compressor, decoder, training.preset, training.seed, attention)
    prepared(model, training.intervention, training.seed)
    held_out = data.held_out(model)
    parts: dict[int, pd.DataFrame] = {}

    def measure(step: int) -> None:
        was_training = model.training
        parts[step] = measured_slices(model.eval(), held_out, is_reversed).assign(step=step)
        model.train(was_training)

    with applied(model, training.intervention, training.seed), TemporaryDirectory() as scratch:
        training.train(model, data, 0, scratch)
        with before_steps(model, training.measured_steps, measure):
            losses = training.train(model, data, 1, scratch)
        measure(training.num_steps)
    answers = pd.concat(parts.values(), ignore_index=True)
    return answers.assign(intervention=training.intervention, seed=training.seed), losses


@contextmanager
def before_steps(model: Tempo, steps: Sequence[int], act: Callable[[int], None]) -> Iterator[None]:
    """Call ``act(step)`` before those of ``steps`` that ``model`` is trained for inside."""
    done = 0

    def count(*_: Any) -> None:
        nonlocal done
        if done in steps:
            act(done)
        done += 1

    handle = model.register_forward_pre_hook(count)
    try:
        yield
    finally:
        handle.remove()


def slice_sizes(capacity: int) -> list[int]:
    """Sizes of heads and tails: 1, 2, 4 .. and all ``capacity`` memories."""
    powers = [2**power for power in range(capacity.bit_length()) if 2**power < capacity]
    return [*powers, capacity]


@torch.no_grad()
def measured_slices(
    model: Tempo, held_out: HeldOut, is_reversed: bool = False, ks: Sequence[int] = ()
) -> "pd.DataFrame":
    """One row per (scheme, k, question): scheme, k, what names the question, correct.

    Right means: word for word the expected answer, which is what greedy decoding gives exactly
    if every word of it is the likeliest after those before it. So one pass scores a whole batch.
    ``is_reversed``: the model hands its memories over from the last to the first; head is
    always the end that the compressor makes first.
    """
    import pandas as pd

    capacity, rows = model.config.num_memory_tokens, []
    place_K = torch.arange(capacity)
    place_K = place_K.flip(0) if is_reversed else place_K
    for named, batch in held_out.batches():
        vision = model.compressor.encode_vision(batch["pixel_rows"], batch["grid_thw"])
        ids_NL, mask_NL = batch["compressor_ids"], batch["compressor_mask"]
        memories_NKD, _ = model.compressor(vision, ids_NL, mask_NL, batch["grid_thw"])
        for k in ks or slice_sizes(capacity):
            for scheme in (HEAD, TAIL):
                keep_K = place_K < k if scheme == HEAD else place_K >= capacity - k
                right_S = exact_answers(model, batch, memories_NKD, keep_K)
                facts = zip(named, right_S.tolist(), strict=True)
                rows += [{"scheme": scheme, "k": k, **n, "correct": right} for n, right in facts]
    return pd.DataFrame(rows)


def exact_answers(
    model: Tempo, batch: dict[str, torch.Tensor], memories_NKD: torch.Tensor, keep_K: torch.Tensor
) -> torch.Tensor:
    """Which samples (S,) are answered word for word when all segments keep ``keep_K``."""
    keep_NK = keep_K.expand(len(memories_NKD), -1)
    cut = keep_slots(batch, keep_NK.flatten())
    logits_SLV = model.decoder(
        inputs_embeds=model.embed(cut["input_ids"], memories_NKD[keep_NK]),
        attention_mask=cut["attention_mask"],
        use_cache=False,
    ).logits
    wanted_SL = cut["labels"][:, 1:]
    return ((logits_SLV[:, :-1].argmax(-1) == wanted_SL) | (wanted_SL == IGNORE)).all(1)


def last_rows(summary: "pd.DataFrame") -> "pd.DataFrame":
    """Rows of the measurements after the last step, over all kinds of question."""
    rows = summary[summary["kind"] == ALL]
    last = rows.groupby(["condition", "seed"])["step"].transform("max")
    return rows[rows["step"] == last].reset_index(drop=True)


def compare_with_baseline(summary: "pd.DataFrame") -> "pd.DataFrame":
    """One row per intervention, the baseline first: factor, num_seeds, n (questions per seed),
    whole and index (means over seeds), end (which end leads in every seed), change of the head's
    lead with Student's 95 % interval over seeds (NaN for one), p_holm (the largest of its seeds)
    and effect: one of ``EFFECTS``.

    An effect counts where every seed shows it, after Holm's correction for all comparisons.
    ValueError for unknown interventions, or without a baseline.
    """
    import pandas as pd

    rows = last_rows(summary)
    statements = {name: INTERVENTIONS.get(name) for name in rows["condition"].unique()}
    baseline = rows[rows["condition"] == BASELINE]
    if baseline.empty:
        raise ValueError("no baseline among the measurements: there is nothing to compare with")
    tested = rows["change_p"].notna()
    rows.loc[tested, "p_holm"] = holm(rows.loc[tested, "change_p"].tolist())
    found = []
    for name in [name for name in INTERVENTIONS.names() if name in statements]:
        part = rows[rows["condition"] == name]
        paired = part[part["change"].notna()]
        low, high = interval_over_seeds(paired["change"].tolist())
        own = baseline[baseline["seed"].isin(paired["seed"])]  # what the same seeds learned
        facts = {"condition": name, "factor": statements[name].factor, "num_seeds": len(part)}
        facts |= {"n": int(part["n"].min()), "whole": part["whole"].mean()}
        facts |= {"index": part["index"].mean(), "end": _end(part)}
        facts |= {"change": paired["change"].mean(), "change_low": low, "change_high": high}
        effect = "" if name == BASELINE else _effect(paired, float(own["whole"].mean()))
        found.append({**facts, "p_holm": paired["p_holm"].max(), "effect": effect})
    return pd.DataFrame(found)


def attention_verdict(table: "pd.DataFrame", name: str = "bidirectional") -> str:
    """What the comparison says about the paper's explanation, causal attention.

    "in line with" where the head's lead is smaller without it (``name``), "against" where heads
    lead in every seed without it and no smaller lead is found, else "undecided about" it: also
    where the baseline has no lead to explain.
    """
    by_name = table.set_index("condition")
    if name not in by_name.index or by_name.loc[BASELINE, "end"] != HEADS_LEAD:
        return "undecided about"
    row = by_name.loc[name]
    if row["effect"] == SMALLER:
        return "in line with"
    is_kept = row["end"] == HEADS_LEAD and row["effect"] in (NO_CHANGE, LARGER)
    return "against" if is_kept else "undecided about"


def interval_over_seeds(values: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean over seeds; NaN for fewer than two."""
    if len(values) < 2:
        return np.nan, np.nan
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))
    return mean - half, mean + half


def _effect(paired: "pd.DataFrame", baseline_whole: float) -> str:
    """One of ``EFFECTS``: the same sign in every seed, each beyond chance."""
    if paired.empty:
        return NO_CHANGE
    if paired["whole"].mean() < LEAST_SHARE * baseline_whole:
        return TOO_LITTLE
    signs = set(np.sign(paired["change"]))
    if (paired["p_holm"] < ALPHA).all() and signs in ({-1.0}, {1.0}):
        return SMALLER if signs == {-1.0} else LARGER
    return NO_CHANGE


def _end(part: "pd.DataFrame") -> str:
    """Which end leads in every seed: the index's interval leaves 0 out."""
    if (part[["head", "tail"]].max(axis=1) < FEW_ANSWERS).any():
        return NEITHER
    if (part["low"] > 0).all():
        return HEADS_LEAD
    return TAILS_LEAD if (part["high"] < 0).all() else NEITHER
