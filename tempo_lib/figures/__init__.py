"""One function a figure; each returns a ``DescribedFigure`` with its alt text."""

from tempo_lib.figures.curves import loss_curves
from tempo_lib.figures.schemes import head_against_tail
from tempo_lib.figures.style import DescribedFigure
from tempo_lib.figures.timeline import allocation

__all__ = ["DescribedFigure", "allocation", "head_against_tail", "loss_curves"]
