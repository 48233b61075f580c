"""Correlation of predicted and observed numbers, with a bootstrap interval and a permutation null."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Correlation"]


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient of predicted and observed values.

    Attributes
    ----------
    kind : "spearman" or "pearson"
    value : the coefficient, NaN where either side does not vary
    low, high : 95 % bootstrap interval over the entries
    p_value : two-sided, of a permutation test
    count : entries
    """

    kind: str
    value: float
    low: float
    high: float
    p_value: float
    count: int
