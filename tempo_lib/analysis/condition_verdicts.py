"""What the trainings under changed conditions say about the cause of front-loading.

A condition is compared with the baseline of the same seed on the same questions. Its effect counts
where every seed shows it, after Holm's correction for all comparisons. Few seeds stay few: the
interval over seeds says how far another seed might be.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t

from tempo_lib.analysis.condition_list import BASELINE, CONDITIONS, get_condition
from tempo_lib.analysis.front_loading import MEAGRE
from tempo_lib.statistics.findings import ALPHA
from tempo_lib.statistics.intervals import CONFIDENCE, holm
from tempo_lib.statistics.summaries import ALL as ALL_KINDS

if TYPE_CHECKING:
    import pandas as pd

SMALLER, LARGER, NO_CHANGE = "smaller", "larger", "no clear change"
TOO_LITTLE = "learned too little to tell"
EFFECTS = (SMALLER, LARGER, NO_CHANGE, TOO_LITTLE)
LEAST_SHARE = 0.5  # of the baseline's accuracy: below it, a changed lead may be mere ignorance
IN_LINE, AGAINST, OPEN = "in line with", "against", "undecided about"
LEADS, LAGS, LEVEL = "heads lead", "tails lead", "neither end leads"


def last_rows(summary: "pd.DataFrame") -> "pd.DataFrame":
    """Rows of ``condition_summary.summarise`` after the last step, over all kinds."""
    rows = summary[summary["kind"] == ALL_KINDS]
    last = rows.groupby(["condition", "seed"])["step"].transform("max")
    return rows[rows["step"] == last].reset_index(drop=True)


def compare(summary: "pd.DataFrame") -> "pd.DataFrame":
    """One row a condition, the baseline first: factor, num_seeds, n (questions a seed), whole,
    index (means over seeds), end (which end leads in every seed), change of the head's lead with
    its interval over seeds (NaN for one seed), p_holm (the largest of its seeds), effect.

    ValueError for unknown conditions, or without a baseline.
    """
    import pandas as pd

    rows = last_rows(summary)
    for name in rows["condition"].unique():
        get_condition(name)
    baseline = rows[rows["condition"] == BASELINE]
    if baseline.empty:
        raise ValueError("no baseline among the measurements: there is nothing to compare with")
    tested = rows[rows["change_p"].notna()]
    corrected = dict(zip(tested.index, holm(tested["change_p"].tolist()), strict=True))
    rows = rows.assign(p_holm=rows.index.map(lambda place: corrected.get(place, np.nan)))
    found = []
    for name in [name for name in CONDITIONS if name in set(rows["condition"])]:
        part = rows[rows["condition"] == name]
        facts: dict[str, Any] = {"condition": name, "factor": get_condition(name).factor}
        facts |= {"num_seeds": len(part), "n": int(part["n"].min())}
        facts |= {"whole": part["whole"].mean(), "index": part["index"].mean()}
        facts["end"] = _end(part)
        paired = part[part["change"].notna()]
        low, high = over_seeds(paired["change"].tolist())
        facts |= {"change": paired["change"].mean(), "change_low": low, "change_high": high}
        own = baseline[baseline["seed"].isin(paired["seed"])]  # what the same seeds learned
        effect = "" if name == BASELINE else _effect(paired, float(own["whole"].mean()))
        found.append({**facts, "p_holm": paired["p_holm"].max(), "effect": effect})
    return pd.DataFrame(found)


def over_seeds(values: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean over seeds; NaN for fewer than two."""
    if len(values) < 2:
        return np.nan, np.nan
    wide = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    half = wide * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def sentences(table: "pd.DataFrame") -> list[str]:
    """One sentence a condition, of rows of ``compare``."""
    said = []
    for row in table.to_dict("records"):
        seeds = f"{row['num_seeds']} seed" + "s" * (row["num_seeds"] != 1)
        index = "no index" if np.isnan(row["index"]) else f"index {row['index']:+.2f}"
        where = f"{index}, {row['end']}; {seeds}, whole memories {row['whole']:.0%}"
        if row["condition"] == BASELINE:
            said.append(f"Baseline: {where}.")
            continue
        change = "no baseline of its seed"
        if not np.isnan(row["change"]):
            change = f"{100 * row['change']:+.1f} points"
        if not np.isnan(row["change_low"]):
            low, high = 100 * row["change_low"], 100 * row["change_high"]
            change += f", {low:+.1f} to {high:+.1f} over seeds"
        says = get_condition(row["condition"]).says
        lead = f"the head's lead: **{row['effect']}** ({change})"
        said.append(f"{_capital(row['factor'])}, {row['condition']} ({says}): {lead}; {where}.")
    return said


def paper_verdict(table: "pd.DataFrame", name: str = "bidirectional") -> str:
    """``in line with``, ``against`` or ``undecided about`` the paper's cause, causal attention.

    In line: without it (condition ``name``) the head's lead is smaller. Against: heads lead in
    every seed without it, and no smaller lead is found. Undecided: all else, also where the
    baseline shows no lead to explain.
    """
    by_name = table.set_index("condition")
    if name not in by_name.index or by_name.loc[BASELINE, "end"] != LEADS:
        return OPEN
    row = by_name.loc[name]
    if row["effect"] == SMALLER:
        return IN_LINE
    kept = row["end"] == LEADS and row["effect"] in (NO_CHANGE, LARGER)
    return AGAINST if kept else OPEN


def paper_sentence(table: "pd.DataFrame") -> str:
    """The verdict on the paper's explanation in words, with the reason."""
    by_name = table.set_index("condition")
    verdict = paper_verdict(table)
    says = f"This is {verdict} the paper's explanation, causal attention"
    if by_name.loc[BASELINE, "end"] != LEADS:
        return f"{says}: heads do not lead in every seed of the baseline, so nothing is explained."
    if "bidirectional" not in by_name.index:
        return f"{says}: nothing was trained without it."
    row = by_name.loc["bidirectional"]
    return (
        f"{says}: where memories see each other both ways, {row['end']}, and the head's lead "
        f"against the baseline is: {row['effect']}."
    )


def certainty(table: "pd.DataFrame") -> str:
    """How much the number of seeds lets one say."""
    fewest, most = int(table["num_seeds"].min()), int(table["num_seeds"].max())
    seeds = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    wide = t.ppf((1 + CONFIDENCE) / 2, max(fewest - 1, 1))
    times = "" if fewest < 2 else f" (the spread of the mean counts {wide:.1f} times)"
    return (
        f"Seeds a condition: {seeds}. A verdict asks every seed for the same effect on questions "
        f"that both have answered; the interval over seeds is wide with so few{times}, and one "
        "that holds 0 leaves it open whether another seed would agree."
    )


def page_lines(summary: "pd.DataFrame | None") -> list[str]:
    """The section of the page on front-loading; nothing where nothing was measured."""
    if summary is None:
        return []
    table = compare(summary)
    lines = ["## Which factor carries it", ""]
    lines += [
        "Short trainings from the base models with one thing changed (lesson 43), asked about "
        "held-out clips. The lead is the head's area minus the tail's, in points of accuracy.",
        "",
        f"**In one sentence:** {paper_sentence(table)}",
        "",
    ]
    return [*lines, *(f"* {line}" for line in sentences(table)), "", certainty(table), ""]


def _effect(paired: "pd.DataFrame", baseline_whole: float) -> str:
    """One of ``EFFECTS``: the same sign in every seed, each beyond chance."""
    if paired.empty:
        return NO_CHANGE
    if paired["whole"].mean() < LEAST_SHARE * baseline_whole:
        return TOO_LITTLE
    if (paired["p_holm"] < ALPHA).all():
        signs = set(np.sign(paired["change"]))
        if signs in ({-1.0}, {1.0}):
            return SMALLER if signs == {-1.0} else LARGER
    return NO_CHANGE


def _end(part: "pd.DataFrame") -> str:
    """Which end leads in every seed: the index's interval leaves 0 out."""
    is_meagre = part[["head", "tail"]].max(axis=1) < MEAGRE
    if (part["low"] > 0).all() and not is_meagre.any():
        return LEADS
    return LAGS if (part["high"] < 0).all() and not is_meagre.any() else LEVEL


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
