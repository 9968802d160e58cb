"""Pick a few videos of a suite, one question each, without a look at the answers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.records import Record
from tempo_lib.miniature.world.questions import KINDS

if TYPE_CHECKING:
    import pandas as pd


def pick_videos(suite: Benchmark, num_videos: int, seed: int) -> Benchmark:
    """A part of the suite: ``num_videos`` of its videos with one question each, seeded.

    Kinds and forms that were asked least so far go first, so that few videos show many of both.
    What a model answers plays no part. ValueError for more videos than the suite has.
    """
    if not 1 <= num_videos <= len(suite.videos):
        raise ValueError(
            f"{suite.name} has {len(suite.videos)} videos to pick from, got {num_videos}; "
            "load more of its questions"
        )
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.permutation(len(suite.videos))[:num_videos].tolist())
    asked: Counter[str] = Counter()
    videos = []
    for index in chosen:
        question = _least_asked(suite.videos[index], asked, rng)
        asked.update((question.group, _form(question)))
        videos.append(replace(suite.videos[index], questions=(question,)))
    return replace(suite, videos=tuple(videos))


def example_table(records: Sequence[Record]) -> "pd.DataFrame":
    """One row a record, numbered from 1: question, answers, and how scores and tokens fell.

    ``score inside`` and ``tokens inside`` are means over segments that show an asked actor,
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
    """One row a segment: number of the record, seconds, score, tokens, relevant (1, 0, or NaN)."""
    import pandas as pd

    parts = []
    for number, record in enumerate(records, start=1):
        columns = {"seconds": record.seconds, "score": record.scores, "tokens": record.counts}
        relevant: Sequence[float] = record.relevant or [np.nan] * record.num_segments
        parts.append(pd.DataFrame({"number": number, **columns, "relevant": relevant}))
    return pd.concat(parts, ignore_index=True)


def _least_asked(video: BenchmarkVideo, asked: Counter[str], rng: np.random.Generator) -> Question:
    """The question whose kind, then form, was asked least; ties by chance."""
    mixed = [video.questions[i] for i in rng.permutation(len(video.questions))]
    order = {kind: place for place, kind in enumerate(rng.permutation(list(KINDS)).tolist())}
    return min(mixed, key=lambda q: (asked[q.group], asked[_form(q)], order[q.group]))


def _form(question: Question) -> str:
    return "four options" if question.options else "open"


def _means(name: str, values: Sequence[float], relevant: Sequence[int] | None) -> dict[str, float]:
    if relevant is None or not any(relevant) or all(relevant):
        return {f"{name} inside": np.nan, f"{name} outside": np.nan}
    inside_N = np.array(relevant, dtype=bool)
    value_N = np.array(values, dtype=float)
    return {
        f"{name} inside": float(value_N[inside_N].mean()),
        f"{name} outside": float(value_N[~inside_N].mean()),
    }
