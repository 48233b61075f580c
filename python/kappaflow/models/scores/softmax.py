"""Means with softmax weights over many samples, block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..._checks import FloatArray
from .base import LOGIT_ERROR

__all__ = ["WeightedMean", "distance_logits", "squared_distances"]

#: Samples whose logit is this far below the largest have no weight in float64.
_NO_WEIGHT = 45.0
#: Entries of differences that are formed at once, 64 MiB.
_DIFFERENCES = 2**23


class WeightedMean:
    """Mean with weights exp(logit), of values that come block by block: running maximum, sum and weighted sum.

    Parameters
    ----------
    rows, width : B and the length of each value
    """

    def __init__(self, rows: int, width: int) -> None:
        self.top = np.full((rows, 1), -np.inf)
        self._total = np.zeros((rows, 1))
        self._weighted = np.zeros((rows, width))

    def add(self, logits: FloatArray, weigh: Callable[[FloatArray], FloatArray]) -> None:
        """Add a block: its logits (B, n), and the function that sums its values with weights (B, n) to (B, width)."""
        higher = np.maximum(self.top, logits.max(axis=1, keepdims=True))
        kept, weights = np.exp(self.top - higher), np.exp(logits - higher)
        self._total = kept * self._total + weights.sum(axis=1, keepdims=True)
        self._weighted = kept * self._weighted + weigh(weights)
        self.top = higher

    def log_sum(self) -> FloatArray:
        """(B, 1) log Σ exp(logit) over all blocks so far."""
        return np.asarray(self.top + np.log(self._total))

    def mean(self) -> FloatArray:
        """(B, width) the mean over all blocks so far."""
        return np.asarray(self._weighted / self._total)


def squared_distances(x: FloatArray, y: FloatArray) -> FloatArray:
    """‖x − y‖², (B, n), of rows (B, d) and (n, d) by one matrix product."""
    return np.asarray((x**2).sum(axis=1)[:, None] - 2 * x @ y.T + (y**2).sum(axis=1))


def distance_logits(
    x: FloatArray, y: FloatArray, distances: FloatArray, level: FloatArray, top: FloatArray
) -> FloatArray:
    """−‖x − y‖²/2σ², (B, n). If the rounding of products matters, entries near the largest are computed from differences.

    Parameters
    ----------
    x, y : (B, d) and (n, d)
    distances : (B, n) of :func:`squared_distances`
    level : (B, 1) or (1, 1) noise variances σ²
    top : (B, 1) largest logit of earlier blocks
    """
    logits = -distances / (2 * level)
    if len(x) == 0:
        return np.asarray(logits)
    scale = float(np.maximum((x**2).sum(axis=1).max(), (y**2).sum(axis=1).max()))
    error = 4 * np.finfo(np.float64).eps * scale / (2 * float(level.min()))
    if error <= LOGIT_ERROR:
        return np.asarray(logits)
    bar = np.maximum(top, logits.max(axis=1, keepdims=True)) - _NO_WEIGHT - 2 * error
    row, column = np.nonzero(logits >= bar)
    spread = np.broadcast_to(level, (len(x), 1))[:, 0]
    step = max(1, _DIFFERENCES // x.shape[1])
    for start in range(0, row.size, step):
        i, j = row[start : start + step], column[start : start + step]
        logits[i, j] = -((x[i] - y[j]) ** 2).sum(axis=1) / (2 * spread[i])
    return np.asarray(logits)
