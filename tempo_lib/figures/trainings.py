"""Several trainings of one miniature side by side: effects of the claims, and accuracies."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tempo_lib.figures.style import (
    BLACK,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    TITLE_POINTS,
    VERMILLION,
    DescribedFigure,
    light_grid,
    made_by,
    new_figure,
)
from tempo_lib.miniature.world.questions import KINDS
from tempo_lib.statistics.findings import AS_PAPER, SHOWN, TOKEN_MATCHED

POOLED = "pooled"
ALL = "all"
LABEL_LETTERS = 34  # a line of a claim's words
ROW_INCHES = 0.52
HEAD_INCHES = 2.1  # title, headings, axis and legend
POOL = "#CFE6F5"  # a pale sky, behind the seeds
BAND = "#EAEAEA"  # where a difference counts as none
PANELS = {AS_PAPER: "as the paper", TOKEN_MATCHED: "at equal tokens"}
TRAINING_WORDS = {
    "recipe": "recipe of the kit",
    "paper-windows": "windows as in the paper",
    "paper-prompt": "prompt as in the paper",
}
VARIANTS = {"ata": "ATA", "no-ata": "all tokens", "ata-two-pass": "ATA, two passes"}


@dataclass(frozen=True)
class Look:
    """Colour and form of a training: no two share either."""

    colour: str
    marker: str


LOOKS = (
    Look(VERMILLION, "o"),
    Look(GREEN, "s"),
    Look(BLACK, "^"),
    Look(PURPLE, "D"),
    Look(ORANGE, "v"),
)


def seeds_forest(
    table: pd.DataFrame, preset: str | None = None, family: str = ALL
) -> DescribedFigure:
    """A row a claim, a mark a training seed, a bar the pooled interval; a panel a comparison.

    ``table``: as ``analysis.training_seed_tables.claims_by_seed`` gives it. The words beside the
    panels count the seeds that show the claim. Grey bands: within them two variants count as
    alike; dotted: what a collapse must exceed; below the grey line: a policy beyond the paper.
    ValueError without any row, or for more seeds than there are looks.
    """
    rows = table[table["family"] == family]
    if rows.empty:
        known = ", ".join(dict.fromkeys(table["family"]))
        raise ValueError(f"no claims of family {family!r}; the table holds {known}")
    looks = _looks([name for name in dict.fromkeys(rows["model_seed"]) if name != POOLED])
    names = list(dict.fromkeys(rows["claim"]))
    with new_figure(HEAD_INCHES + ROW_INCHES * len(names)) as fig:
        axes = fig.subplots(1, len(PANELS), sharex=True, sharey=True)
        for ax, (compared, heading) in zip(axes, PANELS.items(), strict=True):
            part = rows[rows["compared"] == compared]
            _frame(ax, rows, names)
            _pools(ax, part, names)
            _marks(ax, part, names, looks)
            _counts(ax, part, names)
            ax.set_title(heading)
            ax.set_xlabel(_axis_words(rows))
        _label(axes[0], rows, names)
        handles, labels = _legend(looks, "pooled effect and its 95 % interval")
        fig.legend(handles, labels, loc="outside lower center", ncols=min(4, len(handles)))
        title = f"The paper's claims, a mark a training seed{made_by(preset)}"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe_claims(rows, names, family)
    return fig


def seeds_accuracy(table: pd.DataFrame, suite: str, preset: str | None = None) -> DescribedFigure:
    """Accuracy by kind of question on one suite: a panel a variant, a mark a training seed.

    ``table``: as ``analysis.training_seed_tables.accuracy_by_seed`` gives it; lines are 95 %
    intervals. ValueError where no variant of the figure was asked in the suite.
    """
    seeds = dict.fromkeys(table["model_seed"].astype(str))
    words = {seed: _seed_words(seed) for seed in seeds}
    rows = table.assign(training=table["model_seed"].astype(str))
    return _accuracies(rows, suite, words, "training seed", made_by(preset))


def switches_accuracy(
    table: pd.DataFrame, suite: str, preset: str | None = None
) -> DescribedFigure:
    """The same for trainings with one departure taken back, of one length and seed.

    ``table``: accuracies as ``analysis.training_switches`` gives them.
    """
    words = {name: TRAINING_WORDS.get(name, name) for name in dict.fromkeys(table["training"])}
    return _accuracies(table, suite, words, "training", made_by(preset))


def switches_forest(table: pd.DataFrame, preset: str | None = None) -> DescribedFigure:
    """A row a training, a panel a variant: its accuracy minus that of its equal by the recipe.

    ``table``: differences as ``analysis.training_switches`` gives them, all suites and kinds
    together; lines are 95 % intervals, seeds pooled are drawn as a bar. ValueError without rows.
    """
    rows = table[(table["suite"] == ALL) & (table["kind"] == ALL)]
    variants = [name for name in VARIANTS if name in set(rows["variant"])]
    if not variants:
        raise ValueError(f"no differences of {', '.join(VARIANTS)} over all suites and kinds")
    rows = rows.assign(label=[_training_words(row) for row in rows.itertuples()])
    names = list(dict.fromkeys(rows["label"]))
    with new_figure(HEAD_INCHES + ROW_INCHES * len(names)) as fig:
        axes = fig.subplots(1, len(variants), sharex=True, sharey=True, squeeze=False)[0]
        for ax, variant in zip(axes, variants, strict=True):
            _minus_recipe(ax, rows[rows["variant"] == variant], names)
            ax.set_title(VARIANTS[variant])
            ax.set_xlabel("minus the recipe (points)")
        axes[0].set_yticks(np.arange(len(names)), names)
        n = sorted(set(rows.loc[rows["model_seed"] != POOLED, "n"]))
        asked = f"95 % intervals; n = {' to '.join(map(str, n))} questions a training"
        fig.legend([], [], title=asked, loc="outside lower center")
        title = f"Trainings minus the recipe of equal length and seed{made_by(preset)}"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe_differences(rows, variants)
    return fig


def _minus_recipe(ax: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.axvline(0, color=BLACK, linewidth=1)
    for row in rows.itertuples():
        y = names.index(row.label)
        low, middle, high = (100 * value for value in (row.low, row.difference, row.high))
        if row.model_seed == POOLED:
            ax.fill_betweenx([y - 0.34, y + 0.34], low, high, color=POOL, zorder=1)
            ax.vlines(middle, y - 0.34, y + 0.34, color=SKY, linewidth=3, zorder=2)
        else:
            ax.hlines(y, low, high, color=VERMILLION, linewidth=1.5)
            ax.plot(middle, y, zorder=3, **_style(LOOKS[0]))
    light_grid(ax, "x")
    ax.spines["left"].set_visible(False)


def _training_words(row: Any) -> str:
    """Two lines: the departure taken back, then length and seed."""
    switch = TRAINING_WORDS.get(row.training, row.training)
    length = "preset's length" if row.longer == 1 else f"{row.longer:g} times as long"
    which = "all seeds" if row.model_seed == POOLED else f"seed {row.model_seed}"
    return f"{switch}\n{length}, {which}"


def _describe_differences(rows: pd.DataFrame, variants: list[str]) -> str:
    told = []
    for name in variants:
        found = [
            f"{', '.join(row.label.splitlines())} {100 * row.difference:+.1f} "
            f"({100 * row.low:+.1f} to {100 * row.high:+.1f})"
            for row in rows[rows["variant"] == name].itertuples()
        ]
        told.append(f"{VARIANTS[name]}: {'; '.join(found)}.")
    return f"Accuracy minus the recipe's, points, all suites together. {' '.join(told)}"


def _accuracies(
    table: pd.DataFrame, suite: str, words: dict[str, str], unit: str, made: str
) -> DescribedFigure:
    """``words``: what the legend says of each value of the column ``training``."""
    rows = table[(table["suite"] == suite) & table["variant"].isin(list(VARIANTS))]
    if rows.empty:
        known = ", ".join(dict.fromkeys(table["suite"]))
        raise ValueError(f"no accuracies of {', '.join(VARIANTS)} on {suite!r}; known: {known}")
    variants = [name for name in VARIANTS if name in set(rows["variant"])]
    looks = _looks([name for name in words if name in set(rows["training"])])
    sizes = rows.groupby("kind")["n"].max()
    kinds = [kind for kind in (ALL, *KINDS) if kind in sizes.index]
    with new_figure(HEAD_INCHES + 0.55 * len(kinds)) as fig:
        axes = fig.subplots(1, len(variants), sharex=True, sharey=True, squeeze=False)[0]
        for ax, name in zip(axes, variants, strict=True):
            _kinds(ax, rows[rows["variant"] == name], kinds, looks, words)
            ax.set_title(VARIANTS[name])
            ax.set_xlabel("accuracy (%)")
        labels = [f"{'all kinds' if kind == ALL else kind}, n = {sizes[kind]}" for kind in kinds]
        axes[0].set_yticks(np.arange(len(kinds)), labels)
        handles, shown = axes[0].get_legend_handles_labels()
        legend: dict[str, Any] = {"loc": "outside lower center", "ncols": len(handles)}
        fig.legend(handles, shown, title=f"95 % intervals; n: questions a {unit}", **legend)
        title = f"Accuracy on {suite} by {unit}{made}"
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        fig.alt_text = _describe_accuracy(rows, variants, suite, unit, words)
    return fig


def _looks(seeds: Sequence[str]) -> dict[str, Look]:
    if not 1 <= len(seeds) <= len(LOOKS):
        raise ValueError(f"a figure shows 1 to {len(LOOKS)} trainings, got {len(seeds)}")
    return dict(zip(seeds, LOOKS, strict=False))


def _offsets(looks: dict[str, Look], height: float) -> dict[str, float]:
    """Rows down from the middle, so that no seed hides another."""
    places = np.linspace(-height, height, len(looks)) if len(looks) > 1 else [0.0]
    return {seed: float(place) for seed, place in zip(looks, places, strict=True)}


def _label(ax: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    firsts = rows.drop_duplicates("claim").set_index("claim").loc[names]
    pairs = zip(firsts["says"], firsts["source"], strict=True)
    labels = [textwrap.fill(f"{says} ({source})", LABEL_LETTERS) for says, source in pairs]
    ax.set_yticks(np.arange(len(names)), labels)


def _frame(ax: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    """The line of no difference, and what each claim must exceed."""
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.axvline(0, color=BLACK, linewidth=1)
    firsts = rows.drop_duplicates("claim").set_index("claim").loc[names]
    for place, (need, expects) in enumerate(zip(firsts["needs"], firsts["expects"], strict=True)):
        if expects == "alike":
            ends = [place - 0.45, place + 0.45]
            ax.fill_betweenx(ends, -100 * need, 100 * need, color=BAND, zorder=0)
        elif need > 0:
            span = (place - 0.4, place + 0.4)
            ax.vlines(100 * need, *span, color=GREY, linewidth=2, linestyle=":")
    beyond = (firsts["source"] == "beyond").tolist()
    if True in beyond[1:]:
        ax.axhline(beyond.index(True) - 0.5, color=GREY, linewidth=1)
    ax.margins(x=0.06)
    light_grid(ax, "x")
    ax.spines["left"].set_visible(False)


def _pools(ax: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    """The pooled interval as a bar, its effect as a stroke across it."""
    for row in rows[rows["model_seed"] == POOLED].itertuples():
        y = names.index(row.claim)
        low, effect, high = (100 * value for value in (row.low, row.effect, row.high))
        ax.fill_betweenx([y - 0.34, y + 0.34], low, high, color=POOL, zorder=1)
        ax.vlines(effect, y - 0.34, y + 0.34, color=SKY, linewidth=3, zorder=2)


def _marks(ax: Axes, rows: pd.DataFrame, names: list[str], looks: dict[str, Look]) -> None:
    for seed, offset in _offsets(looks, 0.2).items():
        part = rows[rows["model_seed"] == seed]
        y = np.array([names.index(name) for name in part["claim"]], dtype=float) + offset
        ax.plot(100 * part["effect"], y, label=_seed_words(seed), zorder=3, **_style(looks[seed]))


def _counts(ax: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    """How many of the seeds show each claim, in words beside the axes."""
    place: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "va": "center"}
    place |= {"xytext": (8, 0), "textcoords": "offset points"}
    alone = rows[rows["model_seed"] != POOLED]
    for index, name in enumerate(names):
        verdicts = alone.loc[alone["claim"] == name, "verdict"]
        shown = int((verdicts == SHOWN).sum())
        text = f"{shown} of {len(verdicts)}" if len(verdicts) else "-"
        weight = "bold" if len(verdicts) and shown == len(verdicts) else "normal"
        ax.annotate(text, (1, index), fontweight=weight, **place)
    ax.annotate("shown", (1, -0.75), fontweight="bold", **place)


def _axis_words(rows: pd.DataFrame) -> str:
    sizes = sorted(set(rows.loc[rows["model_seed"] != POOLED, "n"].astype(int)))
    asked = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"difference of accuracy (points)\nn = {asked} pairs of answers a seed"


def _legend(looks: dict[str, Look], pooled: str) -> tuple[list[Any], list[str]]:
    marks = [Line2D([], [], **_style(look)) for look in looks.values()]
    bar = Patch(facecolor=POOL, edgecolor=SKY)
    return [*marks, bar], [*map(_seed_words, looks), pooled]


def _kinds(
    ax: Axes, rows: pd.DataFrame, kinds: list[str], looks: dict[str, Look], words: dict[str, str]
) -> None:
    ax.set_ylim(len(kinds) - 0.5, -0.5)
    for place in range(0, len(kinds), 2):
        ax.axhspan(place - 0.5, place + 0.5, color="#F6F6F6", zorder=0)
    for seed, offset in _offsets(looks, 0.24).items():
        part = rows[rows["training"] == seed]
        y = np.array([kinds.index(kind) for kind in part["kind"]], dtype=float) + offset
        look = looks[seed]
        ax.hlines(y, 100 * part["low"], 100 * part["high"], color=look.colour, linewidth=1.5)
        ax.plot(100 * part["accuracy"], y, label=words[seed], zorder=3, **_style(look))
    ax.set(xlim=(-4, 104), xticks=(0, 25, 50, 75, 100))
    light_grid(ax, "x")
    ax.spines["left"].set_visible(False)


def _style(look: Look) -> dict[str, Any]:
    style = {"color": look.colour, "marker": look.marker, "linestyle": "none", "markersize": 7}
    return {**style, "markeredgecolor": "white", "markeredgewidth": 0.7}


def _seed_words(seed: str) -> str:
    return f"training seed {seed}"


def _describe_claims(rows: pd.DataFrame, names: list[str], family: str) -> str:
    told = []
    for name in names:
        part = rows[rows["claim"] == name]
        found = []
        for compared, of_way in part.groupby("compared", sort=False):
            effects = [
                f"{row.model_seed} {100 * row.effect:+.1f} ({row.verdict})"
                for row in of_way.itertuples()
            ]
            found.append(f"{compared}: {', '.join(effects)}")
        told.append(f"{part['says'].iloc[0]}; {'; '.join(found)}.")
    where = "all suites together" if family == ALL else family
    return f"Differences of accuracy in points by training seed, {where}. {' '.join(told)}"


def _describe_accuracy(
    rows: pd.DataFrame, variants: list[str], suite: str, unit: str, words: dict[str, str]
) -> str:
    told = []
    for name in variants:
        whole = rows[(rows["variant"] == name) & (rows["kind"] == ALL)]
        shares = [
            f"{words[row.training]} {100 * row.accuracy:.1f} % ({100 * row.low:.1f} to "
            f"{100 * row.high:.1f})"
            for row in whole.itertuples()
        ]
        told.append(f"{VARIANTS[name]}: {', '.join(shares)}.")
    kinds = rows["kind"].nunique() - 1
    return f"Accuracy on {suite} by {unit}, over {kinds} kinds. {' '.join(told)}"
