"""Twelve variants of Table 2: compressed and decoded together, against one at a time."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tempo_lib.bench.film import write_film
from tempo_lib.bench.harness import Pair, Setting
from tempo_lib.config import Preset
from tempo_lib.evaluation.benchmark import BENCHMARKS, Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.runner import evaluate_records
from tempo_lib.model.tempo import Tempo

# of one checkpoint, with its own scores
TWELVE = (
    *("ata", "no-ata", "uniform", "random-drop", "adversarial", "top-k"),
    *("tail-fixed", "head-fixed", "merge", "tail-dynamic", "prior-tempo-std", "prune"),
)

SUITE = "bench-film"
SIDE, FPS = 64, 2.0  # of the film: decoding is another case


class FilmSuite:
    """Questions without right answers: only their cost is measured."""

    def load(self, preset: Preset, *args: Any, **options: Any) -> Benchmark:
        """Nothing to read: ``suite`` makes it."""
        raise ValueError(f"{SUITE} is made by `tempo bench variants`")

    def score(self, question: Question, text: str) -> bool:
        """No text is right."""
        return False


BENCHMARKS.register(SUITE)(FilmSuite())


def make(setting: Setting) -> Iterator[Pair]:
    """``one variant``: ATA alone, on the same questions."""
    whole = suite(setting)
    for count in dict.fromkeys((1, setting.num_questions)):
        video = whole.videos[0]
        some = replace(whole, videos=(replace(video, questions=video.questions[:count]),))
        yield Pair(
            label=f"{count} questions",
            sides={
                "ours": partial(predictions, setting.model, some, TWELVE),
                "reference": partial(one_by_one, setting.model, some),
                "one variant": partial(predictions, setting.model, some, TWELVE[:1]),
            },
            difference=partial(unequal, setting.model, some),
            rounds=3 if count == 1 else 2,
            warm=False,  # finding the difference was that
        )


def suite(setting: Setting) -> Benchmark:
    """One film with questions."""
    path = setting.folder / "film-small.mp4"
    write_film(path, 2 * setting.seconds, SIDE, SIDE, FPS)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    texts = [f"Which number is shown with star {i}?" for i in range(setting.num_questions)]
    questions = tuple(Question(id=f"q{i}", text=text, answer="") for i, text in enumerate(texts))
    num_frames = round(2 * setting.seconds * FPS)
    video = BenchmarkVideo(
        id="film", path=path, sha256=digest, num_frames=num_frames, questions=questions
    )
    return Benchmark(
        name=SUITE,
        preset=setting.model.config.preset,
        identity=digest,
        data_hash=digest,
        videos=(video,),
    )


def predictions(model: Tempo, some: Benchmark, names: Sequence[str]) -> dict[Any, str]:
    """Text by variant and question, with everything shared that can be."""
    budget = model.config.k_max * (-(-some.videos[0].num_frames // 8)) // 2  # half: it binds
    made = evaluate_records(model, some, names, budget=budget, cache=False, progress=False)
    return {(record.variant, record.question_id): record.prediction for record in made}


def one_by_one(model: Tempo, some: Benchmark) -> dict[Any, str]:
    """The same with each variant of each question from the file."""
    found: dict[Any, str] = {}
    for question in some.videos[0].questions:
        alone = replace(some, videos=(replace(some.videos[0], questions=(question,)),))
        for name in TWELVE:
            found |= predictions(model, alone, [name])
    return found


def unequal(model: Tempo, some: Benchmark) -> float:
    """How many predictions differ."""
    ours, theirs = predictions(model, some, TWELVE), one_by_one(model, some)
    return float(sum(ours.get(key) != text for key, text in theirs.items()))
