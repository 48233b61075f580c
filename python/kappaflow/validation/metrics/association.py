"""Correlation of predicted and observed numbers, with a bootstrap interval and a permutation null."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations as orders
from typing import Any

import numpy as np
from scipy import stats

from ..._checks import FloatArray, choice, integer, real_array

__all__ = ["Correlation", "correlate"]

_LEVEL = 0.95
_BLOCK = 2**22  # most numbers in one block of resamples or permutations
_LEAST = 3  # entries below which a coefficient says nothing


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient of predicted and observed values.

    Attributes
    ----------
    kind : "spearman" or "pearson"
    value : the coefficient, NaN where either side does not vary or there are fewer than three entries
    low, high : 95 % bootstrap interval over the entries, NaN where `value` is
    p_value : two-sided, of a permutation test, NaN where `value` is
    count : entries
    """

    kind: str
    value: float
    low: float
    high: float
    p_value: float
    count: int


def correlate(
    predicted: Any,
    observed: Any,
    *,
    kind: str = "spearman",
    replicates: int = 2000,
    permutations: int = 10_000,
    seed: int = 0,
) -> Correlation:
    """Correlation coefficient over E entries, its bootstrap interval and its permutation p-value.

    Spearman's coefficient is Pearson's of the ranks, ties sharing their mean rank. The interval holds the middle 95 % of the
    coefficients of resampled entries, pairs kept together and ranked anew (percentile bootstrap). The p-value is the share of
    permutations of one side whose |coefficient| is at least that observed, the observed order counted among them; all E!
    permutations are taken where they are no more than `permutations`.

    Parameters
    ----------
    predicted, observed : (E,) finite
    kind : "spearman" or "pearson"
    replicates, permutations : how many, at least 100
    seed : of both

    Raises
    ------
    ValueError : shapes that differ, values that are not finite, an unknown kind
    """
    choice("kind", kind, ("spearman", "pearson"))
    integer("replicates", replicates, 100)
    integer("permutations", permutations, 100)
    x, y = real_array("predicted", predicted), real_array("observed", observed)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"predicted and observed must be (E,) alike, got {x.shape} and {y.shape}")
    count = x.size
    a, b = _scores(x[None], kind), _scores(y[None], kind)
    value = float(_coefficients(a, b)[0]) if count >= _LEAST else math.nan
    if math.isnan(value):
        return Correlation(kind, math.nan, math.nan, math.nan, math.nan, count)
    rng = np.random.default_rng(seed)
    low, high = _interval(x, y, kind, replicates, rng)
    return Correlation(kind, value, low, high, _p_value(a[0], b[0], value, permutations, rng), count)


def _scores(rows: FloatArray, kind: str) -> FloatArray:
    """Values, or their ranks, less their mean and of unit length; zero where they do not vary."""
    scores = rows if kind == "pearson" else stats.rankdata(rows, axis=1)
    scores = scores - scores.mean(axis=1, keepdims=True)
    length = np.linalg.norm(scores, axis=1, keepdims=True)
    still = length <= 1e-14 * np.linalg.norm(rows, axis=1, keepdims=True)  # rounding of the mean of equal values
    return np.asarray(np.where(still, 0.0, scores / np.where(length == 0, 1.0, length)))


def _coefficients(a: FloatArray, b: FloatArray) -> FloatArray:
    """(R,) products of scores; NaN where one side does not vary."""
    dead = ~a.any(axis=1) | ~b.any(axis=1)
    return np.where(dead, np.nan, np.clip(np.einsum("re,re->r", a, b), -1.0, 1.0))


def _interval(
    x: FloatArray, y: FloatArray, kind: str, replicates: int, rng: np.random.Generator
) -> tuple[float, float]:
    found = []
    rows = max(1, _BLOCK // x.size)
    for start in range(0, replicates, rows):
        chosen = rng.integers(0, x.size, (min(rows, replicates - start), x.size))
        found.append(_coefficients(_scores(x[chosen], kind), _scores(y[chosen], kind)))
    low, high = np.nanquantile(np.concatenate(found), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _p_value(a: FloatArray, b: FloatArray, value: float, most: int, rng: np.random.Generator) -> float:
    reached = abs(value) * (1 - 1e-12)  # equal ones count, whatever the order of the sum
    if a.size <= 12 and math.factorial(a.size) <= most:
        every = np.array(list(orders(range(a.size))))
        return float(np.mean(np.abs(a[every] @ b) >= reached))
    hits = 0
    rows = max(1, _BLOCK // a.size)
    for start in range(0, most, rows):
        shuffled = rng.permuted(np.broadcast_to(a, (min(rows, most - start), a.size)), axis=1)
        hits += int(np.sum(np.abs(shuffled @ b) >= reached))
    return (hits + 1) / (most + 1)
