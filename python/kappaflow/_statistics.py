"""Statistics that several rooms need."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ._checks import FloatArray

__all__ = ["RankCorrelation", "rank_correlation", "rank_sum"]


class RankCorrelation(NamedTuple):
    """Spearman's coefficient, between −1 and 1, and its two-sided p-value for independent entries."""

    value: float
    p_value: float


def rank_correlation(a: FloatArray, b: FloatArray) -> RankCorrelation:
    """Spearman's rank correlation of two arrays (E,) by SciPy; equal values share their mean rank.

    Both numbers are NaN for fewer than three entries, or if all entries of one array are equal.
    """
    from scipy import stats  # lazy: a quick start

    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return RankCorrelation(math.nan, math.nan)
    correlation = stats.spearmanr(a, b)
    return RankCorrelation(float(correlation.statistic), float(correlation.pvalue))


def rank_sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """(E,) sum of the ranks of each entry in two arrays (E,), from 2 to 2 E; equal values share their mean rank."""
    from scipy import stats  # lazy: a quick start

    return np.asarray(stats.rankdata(a) + stats.rankdata(b))
