"""The numbers behind Figures A and B: how tokens spread over segments, and how many are used.

All functions read frames of ``what_if``, one row per segment, whether tokens were kept that
way or allocated again from saved scores. Intervals of 95 % take the video as the unit.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.analysis.what_if import BOUNDS, QUESTION
from tempo_lib.evaluation.benchmark import TABLE_ROLE
from tempo_lib.statistics.claims import findings, load_claims
from tempo_lib.statistics.intervals import mean_interval, skewness
from tempo_lib.statistics.summaries import clusters

if TYPE_CHECKING:
    import pandas as pd

MOST_BINS = 33  # one per count in the miniature (0..16), one per four counts at the paper's 128
GROUP = ("suite", *BOUNDS)


def bin_edges(k_max: int) -> np.ndarray:
    """Borders of the bins of tokens per segment, from 0 to beyond ``k_max``; all equally wide."""
    width = -(-(k_max + 1) // MOST_BINS)
    return np.arange(0, k_max + width + 1, width)


def distribution(segments: "pd.DataFrame") -> "pd.DataFrame":
    """Rows (suite, budget, bin): counts ``low`` to ``high``, the segments there, their share."""
    import pandas as pd

    edges = bin_edges(int(segments["k_max"].max()))
    parts = []
    for names, part in segments.groupby([*GROUP], sort=False):
        found = np.histogram(part["tokens"], edges)[0]
        bins = {"low": edges[:-1], "high": edges[1:] - 1, "segments": found}
        place = dict(zip(GROUP, names, strict=True))
        parts.append(pd.DataFrame({**place, **bins, "share": found / len(part)}))
    return pd.concat(parts, ignore_index=True)


def shapes(segments: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """One row per suite and budget: where tokens per segment lie and how skewed they are.

    ``at_k_min``, ``at_k_max``: share of segments with no more than k_min, and with k_max;
    ``mode``: the most frequent bin's first count, ``lowest`` whether no occupied bin lies
    below it. ``skewness``: mean over questions, with its interval; ``seed`` draws its bootstrap.
    """
    marked = segments.assign(
        at_k_min=segments["tokens"] <= segments["k_min"],
        at_k_max=segments["tokens"] == segments["k_max"],
    )
    table = marked.groupby([*GROUP], sort=False).agg(
        segments=("tokens", "size"),
        mean=("tokens", "mean"),
        median=("tokens", "median"),
        at_k_min=("at_k_min", "mean"),
        at_k_max=("at_k_max", "mean"),
    )
    occupied = distribution(segments).query("segments > 0").groupby([*GROUP], sort=False)
    mode = occupied.apply(lambda bins: int(bins["low"][bins["segments"].idxmax()]))
    skewed = _means(per_question(segments), GROUP, ["skewness"], seed).set_index([*GROUP])
    table = table.assign(mode=mode, lowest=mode == occupied["low"].min())
    return skewed[["n"]].join(table).join(skewed.drop(columns="n")).reset_index()


def overlaps(segments: "pd.DataFrame") -> "pd.DataFrame":
    """By suite: the part (0..1) that the distributions at each budget and the first have in common.

    1: the same share of segments in every bin. The first budget is that of the first row.
    """
    import pandas as pd

    bins = distribution(segments)
    rows = []
    for suite, part in bins.groupby("suite", sort=False):
        first, *others = list(dict.fromkeys(part["role"]))
        shares = part.groupby(["role", "low"], sort=False)["share"].first()
        for role in others:
            common = float(np.minimum(shares[first], shares[role]).sum())
            rows.append({"suite": suite, "first": first, "second": role, "overlap": common})
    return pd.DataFrame(rows, columns=["suite", "first", "second", "overlap"])


def per_question(segments: "pd.DataFrame") -> "pd.DataFrame":
    """One row per question and budget: segments, tokens, capacity, both per segment, skewness.

    ``capacity``: tokens that the budget and the segments at k_max each leave room for.
    """
    grouped = segments.groupby([*QUESTION, *BOUNDS], sort=False)["tokens"]
    frame = grouped.agg(num_segments="size", tokens_used="sum", skewness=skewness).reset_index()
    room = (frame["num_segments"] * frame["k_max"]).clip(upper=frame["budget"])
    return frame.assign(
        capacity=room,
        tokens_per_segment=frame["tokens_used"] / frame["num_segments"],
        capacity_per_segment=room / frame["num_segments"],
    )


def budget_use(questions: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """One row per suite and budget of ``per_question``: tokens per segment against their capacity.

    ``line``: the paper's capacity of a whole data set, samples * budget / segments of all.
    ``q25``, ``q50``, ``q75``: tokens per segment of the samples. ``above``: share of samples above
    the line; ``full``: share that uses the last token of its budget; ``most``: the largest share
    of a budget that was used. ``used``: mean share of the capacity, with its interval.
    """
    samples = questions.groupby([*GROUP], sort=False)
    line = samples["budget"].sum() / samples["num_segments"].sum()
    marked = questions.join(line.rename("line"), on=[*GROUP]).assign(
        used=questions["tokens_used"] / questions["capacity"],
        of_budget=questions["tokens_used"] / questions["budget"],
        full=questions["tokens_used"] == questions["budget"],
    )
    marked["above"] = marked["tokens_per_segment"] > marked["line"]
    table = marked.groupby([*GROUP], sort=False).agg(
        segments=("num_segments", "mean"),
        mean=("tokens_per_segment", "mean"),
        **{f"q{q}": ("tokens_per_segment", partial(np.quantile, q=q / 100)) for q in (25, 50, 75)},
        line=("line", "first"),
        above=("above", "mean"),
        full=("full", "mean"),
        most=("of_budget", "max"),
    )
    used = _means(marked, GROUP, ["used"], seed).set_index([*GROUP])
    return used[["n"]].join(table).join(used.drop(columns="n")).reset_index()


def spread_by_kind(segments: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """One row per kind of question: how evenly its tokens lie over segments, mean over questions.

    ``many``: share of segments above halfway from k_min to k_max; ``fullest``: share of the
    tokens that the fullest tenth of the segments hold, 0.1 if all hold alike; with intervals.
    """
    halfway = (segments["k_min"] + segments["k_max"]) / 2
    marked = segments.assign(many=segments["tokens"] > halfway)
    grouped = marked.groupby([*QUESTION, *BOUNDS], sort=False)
    questions = grouped.agg(many=("many", "mean"), fullest=("tokens", _of_fullest)).reset_index()
    return _means(questions.sort_values("kind", kind="stable"), ["kind"], ["many", "fullest"], seed)


def allocation_findings(questions: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """The paper's claims about allocations, judged by rows of ``per_question``.

    Claims about a budget that no row has are left out; columns are those of ``findings``.
    """
    names = {role: f"ata-b{role}" for role in questions["role"].unique()} | {TABLE_ROLE: "ata"}
    frame = questions.assign(
        variant=questions["role"].map(names),
        unused=1 - questions["tokens_used"] / questions["capacity"],
        budget_bound=questions["num_segments"] * questions["k_max"] > questions["budget"],
    )
    found = findings(frame, load_claims("allocation"), seed)
    return found[found["n"] > 0].reset_index(drop=True)


def _of_fullest(tokens: "pd.Series") -> float:
    """Share of the tokens in the fullest tenth of the segments, of at least one."""
    ordered = tokens.sort_values(ascending=False)
    return float(ordered.iloc[: -(-len(ordered) // 10)].sum() / ordered.sum())


def _means(
    questions: "pd.DataFrame", by: Sequence[str], columns: Sequence[str], seed: int
) -> "pd.DataFrame":
    """Per group: n, and of every column its mean and interval by bootstrap over videos."""
    import pandas as pd

    rows = []
    for place, part in questions.groupby([*by], sort=False):
        row = dict(zip(by, place, strict=True)) | {"n": len(part)}
        for name in columns:
            found = mean_interval(part[name].tolist(), clusters(part), seed)
            row |= {name: found.difference, f"{name}_low": found.low, f"{name}_high": found.high}
        rows.append(row)
    return pd.DataFrame(rows)
