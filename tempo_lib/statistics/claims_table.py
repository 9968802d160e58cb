"""Every finding of the paper, judged by the records of one or more trained models.

Which variants the claims need, whose parts are here, the answers of all training seeds as one
frame, and the tables that are read off it. Effects are accuracies in 0..1 unless a row says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tempo_lib.analysis.measurements import train_command
from tempo_lib.checkpoints.loading import CheckpointError, find_checkpoint
from tempo_lib.config import Preset, load_preset
from tempo_lib.evaluation.benchmark import Benchmark
from tempo_lib.evaluation.jobs import MAIN_CHECKPOINT
from tempo_lib.evaluation.learned import learned_k_min
from tempo_lib.evaluation.runner import evaluate_records, frame_of
from tempo_lib.evaluation.scorers import scorer_folder
from tempo_lib.evaluation.variants import MATCHED, Variant, get_variant, matched_name
from tempo_lib.miniature.world.questions import KINDS
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import project_root
from tempo_lib.statistics.allocation_claims import (
    NOT_ASKED,
    allocation_findings,
    variants_of_claims,
)
from tempo_lib.statistics.claims import Claim, beyond_claims, paper_claims
from tempo_lib.statistics.findings import NOT_MEASURED, findings
from tempo_lib.statistics.intervals import accuracy, skewness
from tempo_lib.statistics.summaries import ALL as ALL_KINDS
from tempo_lib.statistics.summaries import QUESTION as ASKED
from tempo_lib.statistics.summaries import clusters, pool_seeds

if TYPE_CHECKING:
    import pandas as pd

ALL_VARIANTS, SHORT_LIST = "all", "short"
_SHORT = ("uniform", "adversarial", "top-k", "head-fixed", "tail-fixed", "prior-tempo-std")
SHORT = ("ata", "tail-dynamic", *_SHORT, "ata-logit", *map(matched_name, (*_SHORT, "ata-logit")))
BEYOND = "beyond"  # the source of claims that the paper does not make
# These rules spend what they are given to the last token; those that share by scores may keep some.
SPENDS_ALL = ("full", "fixed", "uniform", "random-drop", "adversarial", "top-k")
COLUMNS = (
    *("family", "claim", "says", "source", "unit", "expects", "needs", "compared", "first"),
    *("second", "n", "effect", "low", "high", "p", "p_holm", "verdict", "tokens_first"),
    *("tokens_second", "seeds"),
)


def seed_checkpoint(preset: Preset | str, seed: int) -> Path | str:
    """Stage 3 of a training seed: 0 is what ``find_checkpoint`` finds, s lies in train-seed<s>.

    CheckpointError, with the command that trains it, where there is none.
    """
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    if seed == 0:
        return find_checkpoint(numbers, MAIN_CHECKPOINT)
    folder = project_root() / "runs" / numbers.name / f"train-seed{seed}" / MAIN_CHECKPOINT
    if (folder / "card.json").is_file():
        return folder
    command = train_command(numbers.name, f"train-seed{seed}", seed, {})
    raise CheckpointError(f"no model of training seed {seed} at {folder}; make it with `{command}`")


def load_models(preset: Preset | str, seeds: Sequence[int]) -> dict[int, Tempo]:
    """Training seed -> model after stage 3. All are looked for before any is loaded."""
    if not seeds:
        raise ValueError("model_seeds is empty; name at least one training seed, such as 0")
    places = {seed: seed_checkpoint(preset, seed) for seed in seeds}
    return {seed: Tempo.from_pretrained(place) for seed, place in places.items()}


def all_claims() -> list[Claim]:
    """The paper's claims that two variants decide, then those of the policies beyond it."""
    return [*paper_claims(), *beyond_claims()]


def choose_variants(
    names: Sequence[str], models: Mapping[int, Tempo]
) -> tuple[list[str], dict[str, str]]:
    """Variants to ask, and those left out with the part that is missing.

    ``["all"]`` stands for every variant that a claim needs and whose parts are here for every
    model, ``["short"]`` for ``SHORT``; other names are taken as they are. ValueError for an
    unknown name, for none, or for "all" or "short" among others.
    """
    if list(names) == [SHORT_LIST]:
        names = SHORT
    if list(names) != [ALL_VARIANTS]:
        if not names or {ALL_VARIANTS, SHORT_LIST} & set(names):
            raise ValueError(f"variants must be names, or ['all'] or ['short'] alone, got {names}")
        return [get_variant(name).name for name in dict.fromkeys(names)], {}
    needed = [get_variant(name) for name in variants_of_claims(all_claims())]
    missing = {
        row.name: part
        for row in needed
        for part in [missing_part(row, models.values())]
        if part is not None
    }
    return [row.name for row in needed if row.name not in missing], missing


def missing_part(row: Variant, models: Iterable[Tempo]) -> str | None:
    """What a variant lacks beside one of the models; None when it can run."""
    for model in models:
        folder = Path(model.name_or_path).parent / row.checkpoint
        if row.checkpoint != MAIN_CHECKPOINT and not (folder / "config.json").is_file():
            return f"checkpoint {row.checkpoint}"
        if row.learned_k_min and learned_k_min(load_preset(model.config.preset)) is None:
            return "a learned k_min in the preset"
        if row.score_source == "tempo":
            continue
        try:
            scorer_folder(row.score_source, model)
        except CheckpointError:
            return f"scores of the {row.score_source}"
    return None


def answers_of_seeds(
    models: Mapping[int, Tempo],
    suites: Sequence[Benchmark],
    variants: Sequence[str],
    seed: int = 0,
    root: Path | None = None,
    cache: bool = True,
) -> "pd.DataFrame":
    """Every question of every suite under every variant, by every model.

    Columns of ``evaluate`` and model_seed; capacity (tokens that budget and segments allow) and
    skewness (of the tokens a segment). ``seed`` draws the segments of random-drop.
    """
    import pandas as pd

    frames = {}
    for model_seed, model in models.items():
        parts = []
        for suite in suites:
            options: dict[str, Any] = {"seed": seed, "progress": False, "root": root}
            records = evaluate_records(model, suite, variants, cache=cache, **options)
            frame = frame_of(records)  # suite by suite: the lists of all would fill the memory
            room = frame["num_segments"] * model.config.k_max
            shape = [skewness(record.counts) for record in records]
            parts.append(frame.assign(capacity=room.clip(upper=frame["budget"]), skewness=shape))
        frames[model_seed] = pd.concat(parts, ignore_index=True)
    return pool_seeds(frames)


def accuracies(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Rows (suite, variant, kind, n, accuracy, low, high, tokens); "all" pools suites or kinds.

    Intervals of 95 % are clustered by video; tokens are those really used, mean over questions.
    """
    import pandas as pd

    rows = []
    names = list(dict.fromkeys(frame["suite"]))
    for suite in (ALL_KINDS, *(names if len(names) > 1 else ())):
        of_suite = frame if suite == ALL_KINDS else frame[frame["suite"] == suite]
        for variant, answers in of_suite.groupby("variant", sort=False):
            kinds = [kind for kind in KINDS if kind in set(answers["kind"])]
            for kind in (ALL_KINDS, *kinds):
                part = answers if kind == ALL_KINDS else answers[answers["kind"] == kind]
                measured = asdict(accuracy(part["correct"].tolist(), clusters(part)))
                tokens = float(part["tokens_used"].mean())
                place = {"suite": suite, "variant": variant, "kind": kind}
                rows.append({**place, **measured, "tokens": tokens})
    return pd.DataFrame(rows)


def accuracy_grid(table: "pd.DataFrame", suite: str = ALL_KINDS) -> "pd.DataFrame":
    """``accuracies`` of one suite to read: variants by kinds, percent with its interval."""
    part = table[table["suite"] == suite]
    if part.empty:
        known = ", ".join(dict.fromkeys(table["suite"]))
        raise ValueError(f"no accuracies of suite {suite!r}; the table holds {known}")
    values = (part[name] * 100 for name in ("accuracy", "low", "high"))
    shown = [f"{a:.1f} ({low:.0f} to {high:.0f})" for a, low, high in zip(*values, strict=True)]
    sizes = part.groupby("kind")["n"].max()
    part = part.assign(shown=shown, column=[f"{kind}, n = {sizes[kind]}" for kind in part["kind"]])
    order = {"index": part["variant"].unique(), "columns": part["column"].unique()}
    grid = part.pivot(index="variant", columns="column", values="shown").reindex(**order)
    whole = part[part["kind"] == ALL_KINDS].set_index("variant")
    grid.insert(0, "tokens", whole["tokens"].round(1))
    grid.columns.name = None
    return grid


def claims_table(frame: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """One row per family, claim and way of comparing; columns as in ``COLUMNS``.

    ``frame``: as ``answers_of_seeds`` gives it. The paper's claims, the policies beyond it, and
    the claims about ATA's own tokens are three families of Holm's correction each, in "all" and
    in every suite where there are several. A claim whose variants the frame does not hold is
    "not asked" and counts as no test. ``seeds``: the effect of each training seed, as text.
    """
    import pandas as pd

    tables = [findings(frame, claims, seed) for claims in (paper_claims(), beyond_claims())]
    table = pd.concat([*(part.assign(unit="accuracy") for part in tables)], ignore_index=True)
    by_name = {claim.name: claim for claim in all_claims()}
    rows = [by_name[name] for name in table["claim"]]
    table["expects"] = [row.expects for row in rows]
    table["needs"] = [row.margin if row.expects == "alike" else row.by for row in rows]
    table["verdict"] = table["verdict"].replace(NOT_MEASURED, NOT_ASKED)
    table = pd.concat([table, allocation_findings(frame, seed)], ignore_index=True)
    table = table.reindex(columns=list(COLUMNS))
    table["seeds"] = [_effects_text(seeds) for seeds in table["seeds"]]
    if frame["suite"].nunique() == 1:
        table = table[table["family"] == ALL_KINDS]
    return table.reset_index(drop=True)


def asked(table: "pd.DataFrame") -> "pd.DataFrame":
    """The rows of a claims table that have an answer."""
    return table[table["verdict"] != NOT_ASKED]


def not_asked(table: "pd.DataFrame") -> list[str]:
    """One line a claim, over all suites, that the asked variants leave open."""
    rows = table[(table["family"] == ALL_KINDS) & (table["verdict"] == NOT_ASKED)]
    pairs = rows[["says", "compared", "first", "second"]].itertuples(index=False)
    return [
        f"{says} ({compared}): needs {' and '.join(filter(None, (first, second)))}"
        for says, compared, first, second in pairs
    ]


def unspent_tokens(frame: "pd.DataFrame") -> "pd.DataFrame":
    """By token-matched twin: tokens of ATA that it left (mean, most), and whether it must not.

    ``most_over``: how many it took beyond ATA's, which no rule may.
    """
    import pandas as pd

    twins = frame[frame["variant"].str.endswith(MATCHED)]
    gap = (twins["matched_tokens"] - twins["tokens_used"]).groupby(twins["variant"], sort=False)
    facts = {"mean": gap.mean(), "most": gap.max(), "most_over": -gap.min()}
    table = pd.DataFrame(facts)
    exact = [get_variant(name).allocation in SPENDS_ALL for name in table.index]
    return table.assign(spends_all=np.array(exact, dtype=bool))


def same_questions(frame: "pd.DataFrame") -> bool:
    """Whether every variant has the same questions of the same models, each once."""
    keys = [key for key in ASKED if key in frame]
    asked_of = [
        frozenset(part[keys].itertuples(index=False, name=None))
        for _, part in frame.groupby("variant")
    ]
    return len(set(asked_of)) == 1 and not frame.duplicated(["variant", *keys]).any()


def _effects_text(seeds: Any) -> str:
    """``0: +0.012, 1: -0.003``; empty where nothing was measured."""
    if not isinstance(seeds, Mapping):
        return ""
    return ", ".join(f"{seed}: {effect:+.3f}" for seed, effect in seeds.items())
