"""Records with planted scores, for tests of allocations that need no model."""

from tempo_lib.allocation.ata import allocate
from tempo_lib.evaluation.records import Record

K_MIN, K_MAX = 2, 16


def planted(scores, name="q-0", suite="mini-mlvu", budget=384, video=None, kind="needle"):
    """A record of ata whose counts follow from ``scores``."""
    counts = allocate(scores, budget, K_MIN, K_MAX).tolist()
    return Record(
        suite=suite,
        world_seed=0,
        variant="ata",
        video=video or name,
        video_sha256="",
        question_id=name,
        kind=kind,
        form="open",
        question="Where is the red star seen?",
        options=[],
        answer="The red star 47.",
        start=0.0,
        stop=4.0,
        prediction="The red star 47.",
        correct=True,
        tokens_used=sum(counts),
        matched_tokens=None,
        num_segments=len(counts),
        num_frames=8 * len(counts),
        budget=budget,
        k_min=K_MIN,
        auc=None,
        scores=list(scores),
        logits=None,
        counts=counts,
        seconds=[4.0 * i + 2 for i in range(len(counts))],
        relevant=None,
    )


def peaked(num_segments, name="q-0", **options):
    """One segment in ten scores 1, the others 0."""
    return planted([float(i % 10 == 3) for i in range(num_segments)], name, **options)
