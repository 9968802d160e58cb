"""Pick the examples of Figure C: one question of each kind, without a look at the answers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo
from tempo_lib.miniature.world.questions import KINDS


def pick_kinds(suite: Benchmark, kinds: Sequence[str], seed: int) -> Benchmark:
    """A part of the suite: for every kind, in that order, one video with one question of it.

    Drawn by ``seed``; no video twice. ValueError for an unknown kind, and where the videos at
    hand do not have one question of each.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds:
        raise ValueError(f"unknown kinds {unknown}; name some of {', '.join(KINDS)}")
    rng = np.random.default_rng(seed)
    left = [suite.videos[place] for place in rng.permutation(len(suite.videos))]
    rarest_first = sorted(dict.fromkeys(kinds), key=lambda kind: len(_able(left, kind)))
    picked = {}
    for kind in rarest_first:  # else a common kind may take the only video of a rare one
        able = _able(left, kind)
        if not able:
            raise ValueError(
                f"{suite.name}: no {kind} question is left among {len(suite.videos)} videos; "
                "load more of its questions"
            )
        video = able[0]
        left.remove(video)
        asked = [question for question in video.questions if question.group == kind]
        picked[kind] = replace(video, questions=(asked[int(rng.integers(len(asked)))],))
    return replace(suite, videos=tuple(picked[kind] for kind in dict.fromkeys(kinds)))


def _able(videos: Sequence[BenchmarkVideo], kind: str) -> list[BenchmarkVideo]:
    return [video for video in videos if any(q.group == kind for q in video.questions)]
