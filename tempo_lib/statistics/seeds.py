"""Several trainings of one recipe: what holds for the method and not for one set of weights.

The unit is the training seed. All seeds answer the same questions, so their effects share the
videos: with suites fixed, the mixed model of seeds and videos is then balanced, and what a new
training would give on these questions follows from the seeds' own effects by Student's t, exactly
(tests hold it against statsmodels' MixedLM and prediction intervals). Other videos are the
business of the clustered intervals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from tempo_lib.statistics.intervals import CONFIDENCE

FEWEST = 5  # trainings before a verdict is one on the method
ONE_TRAINING = "one training: no statement"
_NAN = math.nan


@dataclass(frozen=True)
class OverTrainings:
    """Effects of several trainings: their mean, how they spread, what a new one would give.

    ``low``, ``high``: 95 % interval of the mean of all trainings of the recipe; ``next_low``,
    ``next_high``: 95 % prediction interval of one more. One training leaves all but its own
    effect unknown (NaN).
    """

    num: int
    mean: float
    spread: float = _NAN
    low: float = _NAN
    high: float = _NAN
    next_low: float = _NAN
    next_high: float = _NAN

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.spread / self.num**0.5

    def p_above(self, bound: float) -> float:
        """One-sided p that the mean is at most ``bound``; NaN for one training."""
        return self._p(self.mean - bound)

    def p_below(self, bound: float) -> float:
        """One-sided p that the mean is at least ``bound``; NaN for one training."""
        return self._p(bound - self.mean)

    def _p(self, gap: float) -> float:
        if self.num < 2:
            return _NAN
        if self.error == 0:
            return 0.0 if gap > 0 else 1.0
        return float(t.sf(gap / self.error, self.num - 1))


def over_trainings(effects: Sequence[float]) -> OverTrainings:
    """Summary of one effect per training seed. ValueError without any."""
    if not len(effects):
        raise ValueError("need the effect of at least one training, got none")
    effect_S = np.asarray(effects, dtype=float)
    num, mean = len(effect_S), float(effect_S.mean())
    if num == 1:
        return OverTrainings(1, mean)
    spread = float(effect_S.std(ddof=1))
    wide = float(t.ppf((1 + CONFIDENCE) / 2, num - 1)) * spread
    of_mean, of_next = wide / num**0.5, wide * (1 + 1 / num) ** 0.5
    ends = (mean - of_mean, mean + of_mean, mean - of_next, mean + of_next)
    return OverTrainings(num, mean, spread, *ends)
