"""A suite of seconds, an untrained Tempo and untrained scorers, for tests of the evaluation."""

from dataclasses import replace

from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import load_benchmark
from tempo_lib.evaluation.runner import evaluate_records
from tempo_lib.evaluation.scorers import VlmScorer
from tempo_lib.miniature.benchmark import suite_numbers
from tempo_lib.model.compressor import Compressor

NUMBERS = replace(
    suite_numbers(load_preset("tiny")),
    num_questions=6,
    fewest_questions=3,
    most_questions=3,
    frames_per_second=0.1,
    size=32,
)
BUDGET = 60  # all segments at 16 tokens would need more


def small_suite(root):
    """Two videos of about 25 seconds with three questions each."""
    return load_benchmark("tiny", "mini-longvideobench", world_seed=1, root=root, numbers=NUMBERS)


def first_video(suite):
    return replace(suite, videos=suite.videos[:1])


def brief(model):
    """The model, which now answers with 2 tokens at most."""
    model.config.max_new_tokens = 2
    return model


def other_scorers(make_tiny_tempo):
    """Scorers of other weights than the model's."""
    return {
        name: VlmScorer(without_memory(make_tiny_tempo(seed).compressor), name)
        for name, seed in (("base", 5), ("reranker", 6))
    }


def without_memory(compressor):
    """The same compressor as a scorer: no memory tokens follow its prompt."""
    scorer = Compressor(compressor.config, num_memory_tokens=0)
    scorer.vlm.load_state_dict(compressor.vlm.state_dict())
    scorer.relevance_rows.copy_(compressor.relevance_rows)
    return scorer


def run(model, suite, names, **options):
    """Records without a cache; options as in ``evaluate_records``."""
    options = {"budget": BUDGET, "progress": False, "cache": False, **options}
    return evaluate_records(model, suite, names, **options)
