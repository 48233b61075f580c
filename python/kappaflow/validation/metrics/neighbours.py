"""Nearest neighbours, and a test whether generated images are nearer to the training images than they should be.

Distances are Euclidean, ‖x − y‖. To show them per dimension, callers divide by √d; neither `memorisation` nor
`memorised_fraction` depends on that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from ..._checks import FloatArray, integer, positive, real_array
from ..._repr import short_repr

__all__ = ["Memorisation", "Neighbours", "memorisation", "memorised_fraction", "nearest"]

IntArray = npt.NDArray[np.int64]

#: The most bytes that a pair of rows takes: its product, the copy that is partitioned, a mask, and, where it is a candidate, two
#: indices, a distance and their sorted copies.
_PAIR = 112
#: Copies of a row: scaled, centred, and a temporary.
_ROW = 24


class Neighbours(NamedTuple):
    """Distances (Z, count) and indices (Z, count) of the nearest rows, nearest first; rows at equal distances are sorted by
    index.
    """

    distances: FloatArray
    indices: IntArray

    def __repr__(self) -> str:
        return short_repr(self)


def nearest(queries: Any, data: Any, *, count: int = 1, memory: int = 2**28, exclude_self: bool = False) -> Neighbours:
    r"""The exact `count` nearest rows of `data` for every row of `queries`.

    A matrix product gives ‖q‖² + ‖y‖² − 2 qᵀy of blocks of rows, after subtracting the mean of the data. Rounding changes it by
    less than e = (d + 16) 2ε (‖q‖² + ‖y‖²), ε = 2⁻⁵², which covers the rounding of sums in any order (Higham 2002, section
    3.1), in the product and in direct differences, and that of the centring. Every row whose lower bound, product − e, does not
    exceed the count-th smallest upper bound is a candidate, so no neighbour is lost. The distances ‖q − y‖ of candidates are
    computed from differences.

    Parameters
    ----------
    queries : (Z, d)
    data : (N, d)
    count : number of neighbours, at most N, or N − 1 with `exclude_self`
    memory : bytes for blocks, in addition to the arrays themselves; it does not change the result
    exclude_self : for queries that are the data: row i does not count as its own neighbour, but other rows equal to it do

    Raises
    ------
    ValueError, TypeError
        Shapes do not fit, `count` is out of range, entries are not finite real numbers, `exclude_self` is given and the queries
        are not the data, or the memory is too small for one pair of rows.

    >>> distances, indices = nearest([[0.0, 0.0]], [[3.0, 4.0], [1.0, 0.0]], count=2)
    >>> distances.tolist(), indices.tolist()
    ([[1.0, 5.0]], [[1, 0]])
    """
    q, y = real_array("queries", queries), real_array("data", data)
    if q.ndim != 2 or y.ndim != 2 or q.shape[1] != y.shape[1] or q.shape[1] == 0 or len(y) == 0:
        raise ValueError(f"queries must be (Z, d) and data (N, d) with N, d > 0, got {q.shape} and {y.shape}")
    wanted, most = integer("count", count, 1), len(y) - bool(exclude_self)
    if wanted > most:
        raise ValueError(f"count must be at most {most}, the rows to choose from, got {wanted}")
    if exclude_self and not np.array_equal(q, y):
        raise ValueError("exclude_self needs queries that are the data, got other rows")
    query_rows, data_rows, direct = _block_rows(len(q), len(y), q.shape[1], wanted, integer("memory", memory, 1))
    # a power of two, which rounds nothing: squares then neither overflow nor underflow
    largest = float(max(y.max(), -y.min(), q.max(initial=0.0), -q.min(initial=0.0)))
    exponent = min(max(math.frexp(largest)[1], -1000), 1000)
    centre = _mean(y, data_rows, exponent)
    distances, indices = np.empty((len(q), wanted)), np.empty((len(q), wanted), dtype=np.int64)
    for start in range(0, len(q), query_rows):
        rows = slice(start, min(start + query_rows, len(q)))
        search = _Search(np.ldexp(q[rows], -exponent), centre, wanted, direct)
        for first in range(0, len(y), data_rows):
            block = np.ldexp(y[first : first + data_rows], -exponent)
            search.add(block, first, own=start if exclude_self else None)
        distances[rows], indices[rows] = search.distances, search.indices
    return Neighbours(np.ldexp(distances, exponent), indices)


def _mean(data: FloatArray, rows: int, exponent: int) -> FloatArray:
    """Mean of the scaled rows, block by block; a centre near it would do as well."""
    total = np.zeros(data.shape[1])
    for first in range(0, len(data), rows):
        total += np.ldexp(data[first : first + rows], -exponent).sum(axis=0) / len(data)
    return total


def _block_rows(queries: int, data: int, dimension: int, count: int, memory: int) -> tuple[int, int, int]:
    """Rows of a block of queries and of data, and pairs whose differences are held at once: half of `memory`, and a quarter."""
    row = _ROW * dimension + _PAIR * count
    direct = memory // 4 // (2 * 8 * dimension)
    # rows r of each side take _PAIR r² + 2 row r
    least = max(2 * (_PAIR + 2 * row), 64 * dimension)
    if memory < least:
        raise ValueError(f"memory must be at least {least} bytes for one pair of rows, got {memory}")
    side = max(1, int((math.sqrt(row * row + _PAIR * (memory // 2)) - row) / _PAIR))

    def other(rows: int) -> int:
        return (memory // 2 - row * rows) // (_PAIR * rows + row)

    query_rows = max(1, min(queries, other(data) if data < side else side))
    return query_rows, min(data, other(query_rows) if query_rows < side else side), direct


class _Search:
    """The nearest rows so far of a block of queries."""

    def __init__(self, queries: FloatArray, centre: FloatArray, count: int, direct: int) -> None:
        self._queries, self._centre, self._count, self._pairs = queries, centre, count, direct
        self._centred = queries - centre
        self._squares = (self._centred**2).sum(axis=1)
        self.distances = np.full((len(queries), count), np.inf)
        self.indices = np.full((len(queries), count), -1, dtype=np.int64)
        self._reach = np.full(len(queries), np.inf)  # no further candidate has a larger square

    def add(self, block: FloatArray, first: int, *, own: int | None) -> None:
        """Rows `first`, … of the data; `own` is the index of the first query where queries are rows of the data too."""
        centred = block - self._centre
        squares = (centred**2).sum(axis=1)
        error = (block.shape[1] + 16) * 2 * float(np.finfo(np.float64).eps)
        product = self._centred @ centred.T
        product *= -2.0
        product += self._squares[:, None]
        product += squares
        # that of the query; that of the data is added column by column. Squares of coordinates below 1e-154 are lost.
        slack = error * self._squares + (block.shape[1] + 16) * np.finfo(np.float64).tiny
        if own is not None:
            i = np.arange(max(own, first), min(own + len(self._queries), first + len(block)))
            product[i - own, i - first] = np.inf
        product += error * squares  # upper bounds, but for the query's slack
        if product.shape[1] >= self._count:
            upper = np.partition(product, self._count - 1, axis=1)[:, self._count - 1] + slack
            self._reach = np.minimum(self._reach, upper)
        product -= 2 * error * squares  # lower bounds; this rounds by ε of the same squares, which d + 16 covers
        product -= slack[:, None]
        query, candidate = np.nonzero(product <= np.minimum(self._reach, np.finfo(np.float64).max)[:, None])
        del product
        self._merge(query, candidate, self._direct(query, block, candidate), first)
        self._reach = np.minimum(self._reach, self.distances[:, -1] ** 2 * (1 + error))

    def _direct(self, query: IntArray, block: FloatArray, candidate: IntArray) -> FloatArray:
        """‖q − y‖ of pairs, from differences."""
        squares = np.empty(len(query))
        for start in range(0, len(query), self._pairs):
            part = slice(start, start + self._pairs)
            difference = self._queries[query[part]]
            difference -= block[candidate[part]]
            squares[part] = np.square(difference, out=difference).sum(axis=1)
        return np.sqrt(squares)

    def _merge(self, query: IntArray, candidate: IntArray, distances: FloatArray, first: int) -> None:
        """Keep the nearest of those so far and of the candidates; the earlier row wins ties."""
        order = np.lexsort((candidate, distances, query))
        query, candidate, distances = query[order], candidate[order], distances[order]
        starts = np.searchsorted(query, np.arange(len(self._queries)))
        rank = np.arange(len(query)) - starts[query]
        kept = rank < self._count
        fresh = np.full((len(self._queries), self._count), np.inf)
        places = np.full((len(self._queries), self._count), -1, dtype=np.int64)
        fresh[query[kept], rank[kept]] = distances[kept]
        places[query[kept], rank[kept]] = candidate[kept] + first
        both = np.concatenate([self.distances, fresh], axis=1)
        indices = np.concatenate([self.indices, places], axis=1)
        best = np.argsort(both, axis=1, kind="stable")[:, : self._count]  # those so far have the lower indices
        self.distances = np.take_along_axis(both, best, axis=1)
        self.indices = np.take_along_axis(indices, best, axis=1)


@dataclass(frozen=True)
class Memorisation:
    """Whether samples are nearer to the training images of their model than to images that it never saw.

    Attributes
    ----------
    auc : P(own < other) + ½ P(own = other) over all pairs of samples. It is ½ without memorisation, and 1 if every sample is
        nearer to its training set than any sample is to the other set
    ratio : median over samples of own/other. It is 1 without memorisation, and 0 if training images are reproduced
    """

    auc: float
    ratio: float


def memorisation(own: Any, other: Any) -> Memorisation:
    """Compare the distances of samples to their own training set with those to another set.

    The other set must have *the same size*, because the nearest image of a larger set is nearer. The AUC is the statistic of
    Mann and Whitney (1947) divided by Z², computed from ranks.

    Parameters
    ----------
    own, other : (Z,) distance of each sample to its nearest image in either set, ≥ 0, in the same unit. If both are zero, the
        ratio is 1.

    Raises
    ------
    ValueError, TypeError
        Shapes differ, there are no samples, distances are negative, or entries are not finite real numbers.
    """
    inside, outside = real_array("own", own), real_array("other", other)
    if inside.ndim != 1 or inside.shape != outside.shape or inside.size == 0:
        raise ValueError(f"own and other must have the same shape (Z,), Z > 0, got {inside.shape} and {outside.shape}")
    for name, values in (("own", inside), ("other", outside)):
        if values.min() < 0:
            raise ValueError(f"{name} must not be negative, got {values.min()} at index {int(values.argmin())}")
    count = len(inside)
    ranks = stats.rankdata(np.concatenate([inside, outside]))
    auc = (float(ranks[count:].sum()) - count * (count + 1) / 2) / count**2
    ratio = np.where(inside == outside, 1.0, np.inf)
    np.divide(inside, outside, out=ratio, where=outside > 0)
    return Memorisation(auc=auc, ratio=float(np.median(ratio)))


def memorised_fraction(two_nearest: Any, factor: float = 3.0) -> float:
    """Share of samples that are copies: their nearest training image is at least `factor` times nearer than the second.

    This is the criterion of Yoon et al. (2023), whose factor is 3. A sample that equals two training images is a copy. A sample
    near an image that occurs twice in the training set is not recognised as a copy: remove duplicates first.

    Parameters
    ----------
    two_nearest : (Z, 2) distances to the nearest and second nearest training image, as :func:`nearest` gives with ``count=2``
    factor : ≥ 1

    Raises
    ------
    ValueError, TypeError
        The shape is another one, there are no samples, distances are negative or descending, or the factor is below 1.
    """
    values = real_array("two_nearest", two_nearest)
    if values.ndim != 2 or values.shape[1] != 2 or len(values) == 0:
        raise ValueError(f"two_nearest must have shape (Z, 2), Z > 0, got {values.shape}")
    if values.min() < 0:
        raise ValueError(f"two_nearest must not be negative, got {values.min()}")
    if (values[:, 0] > values[:, 1]).any():
        row = int(np.argmax(values[:, 0] > values[:, 1]))
        raise ValueError(f"two_nearest must be nearest first, got {values[row].tolist()} in row {row}")
    if positive("factor", factor) < 1:
        raise ValueError(f"factor must be at least 1, got {factor}")
    return float(np.mean(factor * values[:, 0] <= values[:, 1]))
