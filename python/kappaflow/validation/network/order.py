"""Whether the order of modes is predicted: the correlation that is observed beside what a right prediction reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["PREDICTED", "UNKNOWN_REACH", "WORSE", "Reach"]

#: Rank correlation of relative disagreement over modes from which on their order counts as predicted in any case.
PREDICTED = 0.8
#: A correlation counts as wrong in practice only if it is this much below what right predictions reach.
WORSE = 0.1


@dataclass(frozen=True)
class Reach:
    """Rank correlations over modes that pairs of exact linear models reach, for which the prediction is right.

    Attributes
    ----------
    low, median, high : 5, 50 and 95 % quantiles; NaN if they are not known
    draws : number of simulated experiments
    """

    low: float
    median: float
    high: float
    draws: int

    def verdict(self, value: float) -> bool | None:
        """Whether a correlation counts as predicted; None if right predictions would not show it.

        It counts from :data:`PREDICTED` on, and from :data:`WORSE` below the 5 % quantile on if that is lower. Where an order at
        random would count too, nothing can be judged.
        """
        if value >= PREDICTED or math.isnan(self.low):
            return value >= PREDICTED
        if self.low <= WORSE:
            return None
        return value >= self.low - WORSE


UNKNOWN_REACH = Reach(low=math.nan, median=math.nan, high=math.nan, draws=0)
