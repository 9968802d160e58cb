"""Pick a few videos of a benchmark, one question each, without reading any prediction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.records import Record

if TYPE_CHECKING:
    import pandas as pd


def pick_videos(
    suite: Benchmark, num_videos: int, seed: int, groups: Sequence[str] = ()
) -> Benchmark:
    """A part of the suite: ``num_videos`` of its videos with one question each, seeded.

    Groups and forms with the fewest questions so far go first, so that few videos show many of
    both. What a model predicts plays no part. ``groups``: in the order from which ties are drawn
    (default: sorted). ValueError for more videos than the suite has.
    """
    if not 1 <= num_videos <= len(suite.videos):
        raise ValueError(
            f"{suite.name} has {len(suite.videos)} videos to pick from, got {num_videos}; "
            "load more of its questions"
        )
    rng = np.random.default_rng(seed)
    groups = groups or sorted(groups_of(suite))
    chosen = sorted(rng.permutation(len(suite.videos))[:num_videos].tolist())
    taken: Counter[str] = Counter()
    videos = []
    for index in chosen:
        question = _rarest(suite.videos[index], taken, groups, rng)
        taken.update((question.group, question.form))
        videos.append(replace(suite.videos[index], questions=(question,)))
    return replace(suite, videos=tuple(videos))


def pick_groups(suite: Benchmark, groups: Sequence[str], seed: int) -> Benchmark:
    """A part of the suite: for every group, in that order, one video with one question of it.

    Drawn by ``seed``; no video twice. ValueError where the videos at hand do not have one question
    of each, and without groups.
    """
    if not groups:
        raise ValueError(f"name some of {', '.join(groups_of(suite))}")
    rng = np.random.default_rng(seed)
    mixed = [suite.videos[place] for place in rng.permutation(len(suite.videos))]
    left = [video for video in mixed if not video.problem]
    readable = len(left)
    rarest_first = sorted(dict.fromkeys(groups), key=lambda group: len(_with_group(left, group)))
    picked = {}
    for group in rarest_first:  # else a common group may take the only video of a rare one
        able = _with_group(left, group)
        if not able:
            raise ValueError(
                f"{suite.name}: no {group} question is left among {readable} videos; "
                f"load more of its questions, or name some of {', '.join(groups_of(suite))}"
            )
        video = able[0]
        left.remove(video)
        own = [question for question in video.questions if question.group == group]
        picked[group] = replace(video, questions=(own[int(rng.integers(len(own)))],))
    return replace(suite, videos=tuple(picked[group] for group in dict.fromkeys(groups)))


def groups_of(suite: Benchmark) -> list[str]:
    """The groups of its questions, in the order in which they first occur."""
    return list(dict.fromkeys(q.group for video in suite.videos for q in video.questions))


def example_table(records: Sequence[Record]) -> "pd.DataFrame":
    """One row per record, numbered from 1: question, answers, and how scores and tokens fell.

    ``score inside`` and ``tokens inside`` are means over segments that hold the evidence,
    ``outside`` over all others; empty (NaN) for questions about the whole video.
    """
    import pandas as pd

    rows = []
    for number, record in enumerate(records, start=1):
        rows.append(
            {
                "number": number,
                "video": record.video,
                "kind": record.kind,
                "question": record.question.replace("\n", " | "),
                "right answer": record.answer,
                "prediction": record.prediction,
                "correct": record.correct,
                "auc": np.nan if record.auc is None else record.auc,
                **_means("score", record.scores, record.relevant),
                **_means("tokens", record.counts, record.relevant),
                "tokens used": record.tokens_used,
                "budget": record.budget,
                "segments": record.num_segments,
            }
        )
    return pd.DataFrame(rows).set_index("number")


def segment_table(records: Sequence[Record]) -> "pd.DataFrame":
    """One row per segment: number of its record, seconds, score, tokens, relevant (1, 0, NaN)."""
    import pandas as pd

    parts = []
    for number, record in enumerate(records, start=1):
        columns = {"seconds": record.seconds, "score": record.scores, "tokens": record.counts}
        relevant: Sequence[float] = record.relevant or [np.nan] * record.num_segments
        parts.append(pd.DataFrame({"number": number, **columns, "relevant": relevant}))
    return pd.concat(parts, ignore_index=True)


def _with_group(videos: Sequence[BenchmarkVideo], group: str) -> list[BenchmarkVideo]:
    return [video for video in videos if any(q.group == group for q in video.questions)]


def _rarest(
    video: BenchmarkVideo, taken: Counter[str], groups: Sequence[str], rng: np.random.Generator
) -> Question:
    """The question whose group, then form, was taken least; ties by chance."""
    mixed = [video.questions[i] for i in rng.permutation(len(video.questions))]
    order = {group: place for place, group in enumerate(rng.permutation(list(groups)).tolist())}
    return min(mixed, key=lambda q: (taken[q.group], taken[q.form], order[q.group]))


def _means(name: str, values: Sequence[float], relevant: Sequence[int] | None) -> dict[str, float]:
    if relevant is None or not any(relevant) or all(relevant):
        return {f"{name} inside": np.nan, f"{name} outside": np.nan}
    inside_N = np.array(relevant, dtype=bool)
    value_N = np.array(values, dtype=float)
    return {
        f"{name} inside": float(value_N[inside_N].mean()),
        f"{name} outside": float(value_N[~inside_N].mean()),
    }
