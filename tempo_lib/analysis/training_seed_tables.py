"""Answers of several training seeds as tables: accuracies and claims, by seed and pooled.

Effects are accuracies in 0..1, first variant minus second; texts give points.
"""

from typing import TYPE_CHECKING

from tempo_lib.miniature.world.corpus_specs import SUITE_SECONDS
from tempo_lib.statistics.claims_table import accuracies, asked, claims_table
from tempo_lib.statistics.summaries import ALL as ALL_KINDS

if TYPE_CHECKING:
    import pandas as pd

POOLED = "pooled"  # in place of a seed: the answers of all of them
COMPARISON = ["family", "claim", "compared"]
CLAIM_COLUMNS = (
    *("family", "claim", "says", "source", "expects", "needs", "compared", "first", "second"),
    *("model_seed", "n", "effect", "low", "high", "p", "p_holm", "verdict", "spread"),
    *("tokens_first", "tokens_second"),
)


def accuracy_by_seed(answers: "pd.DataFrame") -> "pd.DataFrame":
    """Rows (model_seed, suite, variant, kind, n, accuracy, low, high, tokens).

    Kind "all" pools the kinds, suite "all" the suites where there are several.
    """
    import pandas as pd

    tables = []
    for model_seed, of_seed in answers.groupby("model_seed", sort=True):
        found = accuracies(of_seed)
        names = of_seed["suite"].unique()
        if len(names) == 1:  # then "all" is this suite
            found["suite"] = names[0]
        found.insert(0, "model_seed", model_seed)
        tables.append(found)
    return pd.concat(tables, ignore_index=True)


def claims_by_seed(answers: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """Rows (family, claim, way of comparing, model_seed) with the columns ``CLAIM_COLUMNS``.

    A row a training seed, then one of them all, ``POOLED``. Each seed alone, and the pool, is
    judged as ``claims_table`` does: intervals clustered by video, corrected by Holm within the
    family. ``spread``, in the pooled rows: largest minus smallest effect of the seeds, NaN for
    one seed. Claims whose variants were not asked are left out.
    """
    import pandas as pd

    seeds = sorted(int(value) for value in answers["model_seed"].unique())
    parts = {str(value): answers[answers["model_seed"] == value] for value in seeds}
    tables = []
    for name, part in {**parts, POOLED: answers}.items():
        found = asked(claims_table(part, seed))
        tables.append(found[found["unit"] == "accuracy"].assign(model_seed=name))
    table = pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)
    is_pooled = table["model_seed"] == POOLED
    effects = table[~is_pooled].groupby(COMPARISON)["effect"]
    spread = (effects.max() - effects.min()).where(effects.size() > 1).rename("spread")
    table = table.join(spread, on=COMPARISON)
    table["spread"] = table["spread"].where(is_pooled)
    return table[list(CLAIM_COLUMNS)]


def agreement(claims: "pd.DataFrame", family: str = ALL_KINDS) -> "pd.DataFrame":
    """One row a claim and way of comparing: what the seeds say side by side.

    verdicts: text, by seed; pooled: the verdict of all; same_verdict: all seeds agree; same_side:
    no two seeds have effects of opposite sign; lowest, highest: effects of the seeds; spread.
    """
    import pandas as pd

    rows = []
    of_family = claims[claims["family"] == family]
    for (name, compared), part in of_family.groupby(["claim", "compared"], sort=False):
        alone = part[part["model_seed"] != POOLED]
        pooled = part[part["model_seed"] == POOLED].iloc[0]
        pairs = zip(alone["model_seed"], alone["verdict"], strict=True)
        rows.append(
            {
                "claim": name,
                "says": pooled["says"],
                "source": pooled["source"],
                "compared": compared,
                "verdicts": ", ".join(f"{seed}: {verdict}" for seed, verdict in pairs),
                "pooled": pooled["verdict"],
                "same_verdict": alone["verdict"].nunique() == 1,
                "same_side": not (alone["effect"].min() < 0 < alone["effect"].max()),
                "lowest": alone["effect"].min(),
                "highest": alone["effect"].max(),
                "spread": pooled["spread"],
            }
        )
    return pd.DataFrame(rows)


def effect_grid(claims: "pd.DataFrame", family: str = ALL_KINDS) -> "pd.DataFrame":
    """``claims_by_seed`` of one family to read: effects in points with intervals and verdicts.

    ValueError for a family that the table does not hold.
    """
    part = claims[claims["family"] == family]
    if part.empty:
        known = ", ".join(dict.fromkeys(claims["family"]))
        raise ValueError(f"no claims of family {family!r}; the table holds {known}")
    values = (100 * part[name] for name in ("effect", "low", "high"))
    spans = [f"{a:+.1f} ({low:+.1f} to {high:+.1f})" for a, low, high in zip(*values, strict=True)]
    shown = [f"{span}, {word}" for span, word in zip(spans, part["verdict"], strict=True)]
    part = part.assign(shown=shown)
    rows = ["says", "source", "compared"]
    order = {"index": list(dict.fromkeys(part[rows].itertuples(index=False, name=None)))}
    order["columns"] = list(dict.fromkeys(part["model_seed"]))
    grid = part.pivot(index=rows, columns="model_seed", values="shown").reindex(**order)
    spread = part[part["model_seed"] == POOLED].set_index(rows)["spread"]
    grid["spread"] = (100 * spread).round(1)
    grid.columns.name = None
    return grid.reset_index()


def sentences(claims: "pd.DataFrame", family: str = ALL_KINDS) -> list[str]:
    """What can be said of the seeds, in words: three counts, then a line a comparison."""
    rows = agreement(claims, family)
    split = rows[~rows["same_side"]]
    seeds = [name for name in dict.fromkeys(claims["model_seed"]) if name != POOLED]
    lines = [
        f"training seeds {', '.join(seeds)}: {len(rows)} comparisons",
        f"every seed gives the same verdict: {int(rows['same_verdict'].sum())} of {len(rows)}",
        f"seeds lie on opposite sides of no difference: {len(split)} of {len(rows)}",
    ]
    for row in rows.itertuples():
        span = f"{100 * row.lowest:+.1f} to {100 * row.highest:+.1f} points"
        lines.append(
            f"{row.says} ({row.compared}): {row.verdicts}; pooled: {row.pooled}; effects {span}"
        )
    return lines


def longest_suite(accuracy: "pd.DataFrame") -> str:
    """The suite of the longest videos among those of the table."""
    return max(set(accuracy["suite"]) & set(SUITE_SECONDS), key=lambda name: SUITE_SECONDS[name])
