"""A fresh model to train, and what finished short trainings show about front-loading.

The finished ones are data: ``data_manifests/measurements/conditions.csv`` (interventions, of the
version before) and ``position_losses.csv`` (vector or place).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from tempo_lib.analysis.front_loading import FEW_ANSWERS
from tempo_lib.analysis.interventions import (
    BASELINE,
    INTERVENTIONS,
    memory_tokens_of,
)
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.config import Preset
from tempo_lib.model.attention import training_attention
from tempo_lib.model.from_base_models import tempo_from_base_models
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.intervals import ALPHA, CONFIDENCE, holm
from tempo_lib.statistics.summaries import ALL
from tempo_lib.training.fast_norm import speed_up_norms

if TYPE_CHECKING:
    import pandas as pd

SMALLER, LARGER, NO_CHANGE = "smaller", "larger", "no clear change"
TOO_LITTLE = "learned too little to tell"
EFFECTS = (SMALLER, LARGER, NO_CHANGE, TOO_LITTLE)
LEAST_SHARE = 0.5  # of the baseline's accuracy: below it, a changed lead may be mere ignorance
HEADS_LEAD, TAILS_LEAD, NEITHER = "heads lead", "tails lead", "neither end leads"


def fresh_model(preset: Preset, num_memory_tokens: int, seed: int) -> Tempo:
    """An untrained Tempo from the base models, ready for a loop of one's own.

    All but the vision tower trains, which knows its pictures already. ``seed`` draws the memory
    tokens and the projector.
    """
    compressor, decoder = (find_checkpoint(preset, f"base_{n}") for n in ("compressor", "decoder"))
    model = tempo_from_base_models(compressor, decoder, preset, seed, training_attention())
    memory_tokens_of(num_memory_tokens, model, seed)
    model.compressor.vlm.visual.requires_grad_(False)
    speed_up_norms(model)
    return model.train()


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
