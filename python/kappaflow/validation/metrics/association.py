"""Correlation of predicted and observed numbers, with a bootstrap interval and a permutation test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from ..._checks import FloatArray, choice, integer, real_array
from .agreement import SHOWN

__all__ = ["Correlation", "correlate"]

#: Entries whose range is below this share of the largest magnitude do not vary: the range is rounding.
ROUNDING = 1e-13
#: Entries of a block of resamples or permutations: 8 MiB for each of at most nine arrays.
_BLOCK = 2**20
#: Exact ties of a permuted Pearson coefficient with the observed one differ by rounding.
_TIE = 1e-12


#: Two-sided p-value of a coefficient that chance reaches too often to count as one.
_CHANCE = 0.05


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient of predicted and observed values.

    Attributes
    ----------
    kind : "spearman" or "pearson"
    value : the coefficient, NaN if either side does not vary
    low, high : 95 % bootstrap interval over the entries
    p_value : two-sided p-value of a permutation test
    count : number of entries
    """

    kind: str
    value: float
    low: float
    high: float
    p_value: float
    count: int

    @property
    def beats_chance(self) -> bool:
        """Whether the coefficient is positive with p < 0.05."""
        return self.value > 0 and self.p_value < _CHANCE


def correlate(
    predicted: Any,
    observed: Any,
    *,
    kind: Literal["spearman", "pearson"] = "spearman",
    replicates: int = 2000,
    permutations: int = 10_000,
    seed: int = 0,
) -> Correlation:
    r"""Spearman's or Pearson's coefficient of E pairs of numbers, its interval, and how often chance does as well.

    Spearman's coefficient is Pearson's of the ranks; ties share the mean of their ranks. Both the interval and the test assume
    that the E pairs are independent: average pairs that share a seed or a training set first.

    Interval: 2.5 % and 97.5 % quantiles of the coefficient of resampled pairs (percentile bootstrap). In 400 trials each, it
    contained the true value for normal pairs in 94 to 98 % (Spearman, 10 to 500 pairs, correlation 0 to 0.9) and in 92 to 95 %
    (Pearson, 30 to 500 pairs; 89 % at 10), and for log-normal pairs in 86 to 94 % (Pearson). It never leaves [−1, 1]. Neither
    the bias-corrected and accelerated form nor normal quantiles of artanh r was closer in all cases.

    Test: if the E! orders of one side are no more than `permutations`, p is the share of all orders with |r| ≥ |r observed|.
    Otherwise, p = (1 + number of such orders)/(1 + permutations), counted in `permutations` random orders; it is never zero
    (Phipson and Smyth 2010).

    The order of the pairs does not matter. Memory is bounded, because resamples and orders are drawn in blocks.

    Parameters
    ----------
    predicted, observed : (E,)
    kind : "spearman" or "pearson"
    replicates : number of resamples of the bootstrap, at least 100
    permutations : number of orders of the test, at least 100
    seed : of the random numbers of both

    Returns
    -------
    Correlation
        Value, interval and p are NaN if E < 3 or a side does not vary (its range is below 1e-13 of its largest magnitude).
        Resamples that are constant on a side are left out. If they are more than 5 % of all, the interval alone is NaN, because
        they could then contain everything that the quantiles cut off.

    Raises
    ------
    ValueError, TypeError
        Shapes differ, entries are not finite real numbers, or settings are out of range.

    >>> result = correlate([1.0, 2.0, 3.0, 4.0], [1.0, 4.0, 9.0, 16.0])
    >>> result.value, result.p_value  # the order and its reverse, of 24
    (1.0, 0.08333333333333333)
    """
    choice("kind", kind, ("spearman", "pearson"))
    resamples, orders = integer("replicates", replicates, 100), integer("permutations", permutations, 100)
    source = integer("seed", seed, 0)
    x, y = real_array("predicted", predicted), real_array("observed", observed)
    if x.ndim != 1 or y.shape != x.shape:
        raise ValueError(f"predicted and observed must have the same shape (E,), got {x.shape} and {y.shape}")
    count = len(x)
    if count < 3 or not (_varies(x) and _varies(y)):
        return Correlation(kind=kind, value=math.nan, low=math.nan, high=math.nan, p_value=math.nan, count=count)
    order = np.lexsort((y, x))  # so that their order does not matter
    x, y = x[order], y[order]
    bootstrap, permuting = (np.random.default_rng(np.random.SeedSequence(source, spawn_key=(i,))) for i in range(2))
    if kind == "spearman":
        value = float(_pearson(stats.rankdata(x), stats.rankdata(y)))
        replicated = _resampled_spearman(x, y, resamples, bootstrap)
        sides, slack = [2 * stats.rankdata(side) - (count + 1) for side in (x, y)], 0.0  # whole numbers: no rounding
    else:
        x, y = x / np.abs(x).max(), y / np.abs(y).max()  # squares neither overflow nor underflow
        value = float(_pearson(x, y))
        replicated = _resampled_pearson(x, y, resamples, bootstrap)
        sides = [(side - side.mean()) / np.linalg.norm(side - side.mean()) for side in (x, y)]
        slack = _TIE
    low, high = _interval(value, replicated)
    return Correlation(
        kind=kind,
        value=value,
        low=low,
        high=high,
        p_value=_p_value(sides[0], sides[1], slack, orders, permuting),
        count=count,
    )


def _varies(values: FloatArray) -> Any:
    """Whether rows (..., E) vary by more than rounding."""
    low, high = values.min(axis=-1), values.max(axis=-1)
    return high / 2 - low / 2 > ROUNDING / 2 * np.maximum(np.abs(low), np.abs(high))  # halves do not overflow


def _pearson(x: FloatArray, y: FloatArray) -> FloatArray:
    """Pearson's coefficient of rows (..., E), NaN where either does not vary."""
    good = _varies(x) & _varies(y)
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    norm = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    coefficient = np.divide((x * y).sum(axis=-1), norm, out=np.full(np.shape(norm), np.nan), where=good)
    return np.asarray(np.clip(coefficient, -1.0, 1.0))


def _resamples(count: int, replicates: int, rng: np.random.Generator) -> Iterator[Any]:
    """Indices (r, E) drawn with replacement, block by block."""
    rows = max(1, _BLOCK // count)
    for start in range(0, replicates, rows):
        yield rng.integers(0, count, (min(rows, replicates - start), count))


def _resampled_pearson(x: FloatArray, y: FloatArray, replicates: int, rng: np.random.Generator) -> FloatArray:
    return np.concatenate([_pearson(x[chosen], y[chosen]) for chosen in _resamples(len(x), replicates, rng)])


def _resampled_spearman(x: FloatArray, y: FloatArray, replicates: int, rng: np.random.Generator) -> FloatArray:
    """Spearman's coefficient of resamples, (R,), NaN where one is constant; ranks come from counts, without sorting.

    A value that w of the resampled entries share has the mean rank W − (w − 1)/2, where W of them are no larger. All sums are
    of whole numbers and exact.
    """
    count = len(x)
    codes = [np.unique(side, return_inverse=True) for side in (x, y)]
    parts = []
    for chosen in _resamples(count, replicates, rng):
        centred = []
        for distinct, code in codes:
            drawn = code[chosen]
            shift = len(distinct) * np.arange(len(chosen))[:, None]
            shared = np.bincount((drawn + shift).ravel(), minlength=len(chosen) * len(distinct))
            shared = shared.reshape(len(chosen), len(distinct))
            twice = (2 * shared.cumsum(axis=1) - shared - count).astype(np.float64)  # twice rank less mean rank
            centred.append(np.take_along_axis(twice, drawn, axis=1))
        a, b = centred
        norm = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        coefficients = np.divide((a * b).sum(axis=1), norm, out=np.full(len(a), np.nan), where=norm > 0)
        parts.append(np.clip(coefficients, -1.0, 1.0))
    return np.concatenate(parts)


def _interval(value: float, replicated: FloatArray) -> tuple[float, float]:
    usable = replicated[np.isfinite(replicated)]
    if usable.size < SHOWN * replicated.size:
        return math.nan, math.nan
    low, high = np.quantile(usable, [(1 - SHOWN) / 2, (1 + SHOWN) / 2])
    return float(low), float(high)


def _p_value(x: FloatArray, y: FloatArray, slack: float, permutations: int, rng: np.random.Generator) -> float:
    """Two-sided, of Σ xᵢ y_π(i) for centred sides."""
    count = len(x)
    reach = abs(float(x @ y)) - slack
    rows = max(1, _BLOCK // count)
    if math.factorial(min(count, 20)) <= permutations:
        total = math.factorial(count)
        every = itertools.permutations(range(count))
        blocks = (np.array(list(itertools.islice(every, rows))) for _ in range(0, total, rows))
        return sum(int((np.abs(y[block] @ x) >= reach).sum()) for block in blocks) / total
    extreme = 0
    for start in range(0, permutations, rows):
        block = np.broadcast_to(y, (min(rows, permutations - start), count))
        extreme += int((np.abs(rng.permuted(block, axis=1) @ x) >= reach).sum())
    return (1 + extreme) / (1 + permutations)
