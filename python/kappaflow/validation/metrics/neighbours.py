"""Nearest neighbours, exact and within a memory budget, and what they say of memorisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from ..._checks import FloatArray, integer, positive, real_array

__all__ = ["Memorisation", "memorisation", "memorised_fraction", "nearest"]

#: Candidates beyond those asked for, whose distances are computed exactly at the first try.
_SPARE = 4


@dataclass(frozen=True)
class Memorisation:
    """Distances of samples to the own training set beside those to another set of equal size.

    Attributes
    ----------
    auc : probability that a sample's distance to its own set is below that of a sample to the other set, ties half; ½ without
        memorisation, 1 where the two do not overlap (Mann and Whitney's U over the number of pairs)
    ratio : median of own over other distance, 1 without memorisation; NaN where other distances vanish
    """

    auc: float
    ratio: float


def nearest(
    queries: Any, data: Any, *, count: int = 1, memory: int = 2**28
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Euclidean distances (Z, count) of queries (Z, d) to their nearest rows of data (n, d), and which (Z, count).

    Exact: candidates come from a matrix product, whose rounding is bounded; every row that may be among the nearest within that
    bound is compared by its differences. Ties go to the lower index. Divide by √d for a distance per pixel.

    Parameters
    ----------
    count : neighbours, at most n
    memory : bytes of working memory

    Raises
    ------
    ValueError : shapes that do not fit, count beyond n
    """
    x, y = real_array("queries", queries), real_array("data", data)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or len(y) == 0:
        raise ValueError(f"queries and data must be (Z, d) and (n, d), n at least 1, got {x.shape} and {y.shape}")
    wanted = integer("count", count, 1)
    if wanted > len(y):
        raise ValueError(f"count must be at most the {len(y)} rows of data, got {wanted}")
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre
    squares = np.einsum("nd,nd->n", y, y)
    distances, indices = np.empty((len(x), wanted)), np.empty((len(x), wanted), dtype=np.int64)
    rows = max(1, int(positive("memory", memory)) // (8 * 3 * len(y)))
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        own = np.einsum("zd,zd->z", block, block)
        products = squares - 2 * block @ y.T + own[:, None]
        # rounding of a sum of d products of numbers no longer than the two rows, and of the three terms
        slack = 4 * (y.shape[1] + 4) * np.finfo(np.float64).eps * (own[:, None] + squares.max())
        for place in range(len(block)):
            found = _exact(block[place], y, products[place], float(slack[place, 0]), wanted)
            distances[start + place], indices[start + place] = found
    return distances, indices


def _exact(
    query: FloatArray, data: FloatArray, squares: FloatArray, slack: float, count: int
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The nearest rows among all whose approximate squares are within the slack of the count-th."""
    kth = min(count + _SPARE, squares.size) - 1
    bound = np.partition(squares, count - 1)[count - 1] + 2 * slack
    candidates = np.argpartition(squares, kth)[: kth + 1] if kth < squares.size - 1 else np.arange(squares.size)
    if squares[candidates].max() <= bound:  # more may be within the bound
        candidates = np.flatnonzero(squares <= bound)
    candidates = np.sort(candidates)
    exact = np.linalg.norm(data[candidates] - query, axis=1)
    order = np.argsort(exact, kind="stable")[:count]
    return exact[order], candidates[order]


def memorisation(own: Any, other: Any) -> Memorisation:
    """Whether samples lie nearer to their own training set than to another one.

    Parameters
    ----------
    own, other : (Z,) distance of each sample to its own set and to a control set of the same size

    Raises
    ------
    ValueError : shapes that differ, negative distances
    """
    a, b = real_array("own", own), real_array("other", other)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(f"own and other must be (Z,) alike, got {a.shape} and {b.shape}")
    if min(a.min(), b.min()) < 0:
        raise ValueError(f"own and other must be distances of at least 0, got {min(a.min(), b.min())}")
    auc = 1 - float(stats.mannwhitneyu(a, b, method="asymptotic").statistic) / a.size**2
    ratio = float(np.median(a / b)) if b.min() > 0 else float("nan")
    return Memorisation(auc, ratio)


def memorised_fraction(distances: Any, factor: float = 3.0) -> float:
    """Share of samples whose nearest training image is at least `factor` times nearer than the second (Yoon et al. 2023).

    `distances` is (Z, 2), the two nearest in ascending order; a sample that equals two images at once is a copy as well.
    """
    two = real_array("distances", distances)
    if two.ndim != 2 or two.shape[1] != 2 or len(two) == 0:
        raise ValueError(f"distances must be (Z, 2), the two nearest, got shape {two.shape}")
    if (two[:, 0] > two[:, 1]).any() or two.min() < 0:
        raise ValueError("distances must be ascending and of at least 0 in every row")
    return float(np.mean(two[:, 0] * positive("factor", factor) <= two[:, 1]))
