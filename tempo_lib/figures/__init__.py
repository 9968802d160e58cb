"""One function per figure; each returns a ``DescribedFigure`` with its alt text."""

from tempo_lib.figures.claims import claims_forest
from tempo_lib.figures.groups import accuracy_by_stage, head_against_tail
from tempo_lib.figures.pages import (
    allocation,
    qualitative_examples,
    video_page,
    videos_at_a_glance,
)
from tempo_lib.figures.style import DescribedFigure
from tempo_lib.figures.synthetic import (
    contact_sheet,
    story_strip,
    suite_mixes,
    world_numbers,
)
from tempo_lib.figures.training import (
    accuracy_by_length,
    base_curves,
    decoder_learning,
    loss_curves,
)

__all__ = [
    "DescribedFigure",
    "accuracy_by_length",
    "accuracy_by_stage",
    "allocation",
    "base_curves",
    "claims_forest",
    "contact_sheet",
    "decoder_learning",
    "head_against_tail",
    "loss_curves",
    "qualitative_examples",
    "story_strip",
    "suite_mixes",
    "video_page",
    "videos_at_a_glance",
    "world_numbers",
]
