"""The points of Figures 1c and 3: accuracy against frames, budgets and tokens per frame.

A point is ATA with at most so many frames under a budget; its name is that of ``sweep_name``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo
from tempo_lib.evaluation.variants import get_variant, sweep
from tempo_lib.statistics.claims import Scaling
from tempo_lib.statistics.summaries import summarise

if TYPE_CHECKING:
    import pandas as pd

PANELS = ("videomme", "lvbench")  # of Figure 3; of a stand-in, how its name ends
SHORTER = {"short", "medium"}  # of Video-MME's three durations
MEANS = {
    "budget": "budget",
    "frames": "num_frames",
    "tokens": "tokens_used",
    "tokens_per_frame": "tokens_per_frame",
    "bound": "bound",
}


def point_names(frames: Sequence[int] = (), budgets: Sequence[int | str] = ()) -> list[str]:
    """Variants of every cap of frames with every budget; none named: those of ``Scaling``."""
    own = Scaling()
    return [row.name for row in sweep(frames or own.frames, budgets or own.budgets)]


def is_drawn(suite: str) -> bool:
    """Whether Figures 1c and 3 have points of this benchmark, or of the one it stands for."""
    return suite.rpartition("-")[2] in PANELS


def scaling_points(answers: "pd.DataFrame") -> "pd.DataFrame":
    """One row per suite, cap of frames and role of the budget, with n, accuracy and MEANS.

    ``role``: the benchmark's name of the budget, or the number of tokens. ``answers``: as
    ``answers_of_seeds`` gives them; rows of variants that are no point are left out. Intervals of
    95 % take the video as the unit. ``frames``, ``tokens``: means over questions of those really
    read and used; ``tokens_per_frame``: mean of their ratio; ``bound``: mean of budget by frames,
    the paper's upper bound (Eq. 5) with the frames that a video really has.
    ValueError without any point.
    """
    cap_of = {name: get_variant(name).max_frames for name in answers["variant"].unique()}
    points = answers[[cap_of[name] is not None for name in answers["variant"]]]
    if points.empty:
        raise ValueError("no answers of a point; evaluate variants such as ata-f512-b8K")
    points = points.assign(
        max_frames=points["variant"].map(cap_of).astype(int),
        role=points["budget_role"].where(points["budget_role"] != "", points["budget"].astype(str)),
        tokens_per_frame=points["tokens_used"] / points["num_frames"],
        bound=points["budget"] / points["num_frames"],
    )
    return summarise(points, ["suite", "max_frames", "role"], means=MEANS)


def at_most_frames(points: "pd.DataFrame", suite: str) -> "pd.DataFrame":
    """The points of one suite with the most frames, by rising budget: Figure 1c.

    ValueError for a suite that has no points.
    """
    part = points[points["suite"] == suite]
    if part.empty:
        known = ", ".join(dict.fromkeys(points["suite"]))
        raise ValueError(f"no points of suite {suite!r}; there are points of {known}")
    most = part["max_frames"].max()
    return part[part["max_frames"] == most].sort_values("budget").reset_index(drop=True)


def other_ways(answers: "pd.DataFrame", labels: Mapping[str, str]) -> "pd.DataFrame":
    """Columns label, n, accuracy, low, high, tokens_per_frame of the variants in ``labels``."""
    part = answers[answers["variant"].isin(labels)]
    part = part.assign(tokens_per_frame=part["tokens_used"] / part["num_frames"])
    table = summarise(part, ["variant"], means={"tokens_per_frame": "tokens_per_frame"})
    return table.assign(label=table["variant"].map(labels)).drop(columns="variant")


def long_videos(suite: Benchmark) -> Benchmark:
    """The suite without videos that its questions call short or medium: Figure 3's Video-MME Long.

    Where a benchmark does not tell durations apart, the suite itself.
    """
    kept = [video for video in suite.videos if not SHORTER & _durations(video)]
    return replace(suite, videos=tuple(kept)) if kept else suite


def mean_frames(suites: Sequence[Benchmark]) -> dict[str, float]:
    """Suite -> frames of its videos, mean over those at hand: caps beyond it change little."""
    return {
        suite.name: sum(video.num_frames for video in suite.videos) / len(suite.videos)
        for suite in suites
    }


def _durations(video: BenchmarkVideo) -> set[str]:
    """What the questions call the video's duration; Video-MME's own groups are durations."""
    named = [
        value for question in video.questions for _, values in question.tags for value in values
    ]
    return {*named, *(question.group for question in video.questions)}
