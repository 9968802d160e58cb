"""The four suites as they are drawn, beside what the real benchmarks ask. Nothing is painted."""

from collections import Counter
from typing import TYPE_CHECKING

from tempo_lib.config import Preset, load_preset
from tempo_lib.evaluation import benchmark
from tempo_lib.miniature.benchmark import SUITES, suite_numbers, suite_spec
from tempo_lib.miniature.manifests import load_manifest
from tempo_lib.miniature.world.corpus_specs import questions_of, story_of, suite_corpus
from tempo_lib.miniature.world.questions import KINDS, Question, is_correct
from tempo_lib.miniature.world.scenes import FPS, Story
from tempo_lib.statistics.summaries import ALL as ALL_KINDS
from tempo_lib.statistics.summaries import constant_answers

if TYPE_CHECKING:
    import pandas as pd


def suite_floors(preset: Preset | str, name: str, world_seed: int, by: str) -> dict[str, float]:
    """Accuracy of always giving the commonest answer, by "kind" or "form", and for "all".

    Over the whole suite, however few of its questions are asked: among five questions, the
    commonest answer would look like a good guess.
    """
    _, asked = _drawn(load_preset(preset) if isinstance(preset, str) else preset, name, world_seed)
    groups: dict[str, list[Question]] = {ALL_KINDS: asked}
    for question in asked:
        form = "choice" if question.options else "open"
        groups.setdefault({"kind": question.kind, "form": form}[by], []).append(question)
    return {value: _majority(same) for value, same in groups.items()}


def suite_facts(preset: Preset | str, world_seed: int = 0) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Draw all questions of the four suites; return their sizes and their mixes.

    Sizes, by suite: benchmark, videos, questions, choices (share with four options), seconds
    (mean), and the real ones beside them. Mixes: rows (suite, benchmark, kind, real, ours,
    real_n, n) with shares in 0..1. ValueError for a preset without suites.
    """
    import pandas as pd

    preset = load_preset(preset) if isinstance(preset, str) else preset
    sizes, mixes = [], []
    for name in SUITES:
        manifest = load_manifest(name)
        stories, asked = _drawn(preset, name, world_seed)
        kinds = Counter(question.kind for question in asked)
        weight = sum(manifest.kinds.values())
        real_n = sum(real.count for real in manifest.types.values())
        sizes.append(
            {
                "suite": name,
                "benchmark": manifest.benchmark,
                "videos": len(stories),
                "questions": len(asked),
                "a video": len(asked) / len(stories),
                "real, a video": manifest.questions_per_video.mean,
                "four options": sum(bool(q.options) for q in asked) / len(asked),
                "mean seconds": sum(s.num_frames for s in stories) / FPS / len(stories),
                "real, mean seconds": manifest.mean_seconds.paper,
            }
        )
        for kind in KINDS:
            row = {"suite": name, "benchmark": manifest.benchmark, "kind": kind}
            shares = {"real": manifest.kinds[kind] / weight, "ours": kinds[kind] / len(asked)}
            mixes.append({**row, **shares, "real_n": real_n, "n": len(asked)})
    return pd.DataFrame(sizes).set_index("suite"), pd.DataFrame(mixes)


def _majority(asked: list[Question]) -> float:
    """Accuracy of the majority-class baseline on questions of the world."""
    facts = ("text", "answer", "options", "start", "stop")
    world_of = {str(index): question for index, question in enumerate(asked)}
    questions = [
        benchmark.Question(id=key, group=q.kind, **{name: getattr(q, name) for name in facts})
        for key, q in world_of.items()
    ]
    rule = [lambda question, text: is_correct(world_of[question.id], text)] * len(questions)
    return constant_answers(questions, rule)


def _drawn(preset: Preset, name: str, world_seed: int) -> tuple[list[Story], list[Question]]:
    """All stories of a suite and all questions about them, in order."""
    spec = suite_spec(name, suite_numbers(preset))
    (source,) = suite_corpus(spec).sources
    stories = [story_of(name, source, world_seed, index) for index in range(spec.num_videos)]
    asked = [
        question
        for index, story in enumerate(stories)
        for question in questions_of(name, source, world_seed, index, story)
    ]
    return stories, asked
