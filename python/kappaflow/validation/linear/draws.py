"""Training sets in the mode coordinates of a population whose mean and covariance are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray
from ..._tensors import digest
from ...population import Population

__all__ = ["DisjointSets", "GaussianSets", "Pool", "ResampledSets", "TrainingSets", "collect_pool", "collect_rows"]

#: Rows that are turned into mode coordinates at once.
_BLOCK = 8192
#: Wishart matrices are drawn by their triangular factor from this many samples per mode on.
_BARTLETT_FROM = 2


class TrainingSets(Protocol):
    """A source of training sets, in mode coordinates relative to the population's mean.

    ``batch`` returns sample means (b, k) and rows (b, r, k) with Σ̂ = rowsᵀrows/n; rows are centred on the sample mean
    unless it is known. All that is random comes from `rng`, so that a seed gives the same training sets on any device.
    """

    name: str
    population: Population
    population_is: str  # to the theory: "exact" where sets are drawn from the population itself

    def check(self, n: int, group_size: int) -> None:
        """Raise ValueError where sets of n samples, `group_size` at a time, cannot be drawn."""

    def rows(self, n: int, known_mean: bool) -> int:
        """How many rows r a training set of n samples has."""

    def start_group(self, n: int, group_size: int, rng: np.random.Generator) -> None:
        """Called before the batches of each group."""

    def batch(self, n: int, count: int, rng: np.random.Generator, known_mean: bool) -> tuple[FloatArray, FloatArray]:
        """`count` training sets."""

    def fingerprint(self) -> str:
        """Identifies the data that sets are drawn from."""


def _centred(rows: FloatArray, known_mean: bool) -> tuple[FloatArray, FloatArray]:
    if known_mean:
        return np.zeros((rows.shape[0], rows.shape[2])), rows
    mean = rows.mean(axis=1)
    rows -= mean[:, None, :]
    return mean, rows


class GaussianSets:
    """Gaussian samples with the covariance of a population.

    With many samples per mode the Wishart matrix is drawn by Bartlett's triangular factor, which has the same
    distribution at a cost that does not depend on n; the sample mean is then drawn apart, as it is independent.
    """

    name, population_is = "gaussian", "exact"

    def __init__(self, population: Population) -> None:
        if np.any(population.multiplicity != 1):
            raise ValueError(
                "population must have no multiplicity above 1 for a simulation, got "
                f"{population.multiplicity.max():g}: list equal eigenvalues one by one"
            )
        self.population = population
        self._scale = np.sqrt(population.eigenvalues)

    def check(self, n: int, group_size: int) -> None:
        """Any size can be drawn."""

    def rows(self, n: int, known_mean: bool) -> int:
        """n, or one for each mode where the triangular factor is drawn."""
        modes, degrees = self._scale.size, n if known_mean else n - 1
        return n if degrees < _BARTLETT_FROM * modes else modes

    def start_group(self, n: int, group_size: int, rng: np.random.Generator) -> None:
        """Nothing to prepare."""

    def batch(self, n: int, count: int, rng: np.random.Generator, known_mean: bool) -> tuple[FloatArray, FloatArray]:
        """Samples √s z, or the factor of their Wishart matrix."""
        modes = self._scale.size
        degrees = n if known_mean else n - 1
        if self.rows(n, known_mean) == n:
            return _centred(rng.standard_normal((count, n, modes)) * self._scale, known_mean)
        factor, mean = np.empty((count, modes, modes)), np.zeros((count, modes))
        for place in range(count):  # one by one, so that a set does not depend on how many are drawn at once
            factor[place] = np.tril(rng.standard_normal((modes, modes)), -1)
            np.fill_diagonal(factor[place], np.sqrt(rng.chisquare(degrees - np.arange(modes))))
            if not known_mean:
                mean[place] = rng.standard_normal(modes) * self._scale / np.sqrt(n)
        rows = factor.transpose(0, 2, 1) * self._scale  # rowsᵀrows = √s A Aᵀ √s
        return mean, rows

    def fingerprint(self) -> str:
        """Of the eigenvalues."""
        return digest(self.population.eigenvalues)


@dataclass(frozen=True)
class Pool:
    """A dataset that is its own population: mean and covariance of its N rows are known exactly.

    Attributes
    ----------
    population : with divisor N
    coordinates : (N, k) mode coordinates of every row
    total : images there were; the pool is a seeded random subset of them where they did not fit
    """

    population: Population
    coordinates: FloatArray
    total: int

    @property
    def size(self) -> int:
        """Rows N."""
        return len(self.coordinates)


class ResampledSets:
    """i.i.d. samples, with replacement, of the rows of a pool: real data whose population is exactly known."""

    name, population_is = "resample", "exact"

    def __init__(self, pool: Pool) -> None:
        self.pool, self.population = pool, pool.population

    def check(self, n: int, group_size: int) -> None:
        """Any size can be drawn with replacement."""

    def rows(self, n: int, known_mean: bool) -> int:
        """n."""
        return n

    def start_group(self, n: int, group_size: int, rng: np.random.Generator) -> None:
        """Nothing to prepare."""

    def batch(self, n: int, count: int, rng: np.random.Generator, known_mean: bool) -> tuple[FloatArray, FloatArray]:
        """Rows drawn with replacement."""
        rows = self.pool.coordinates[rng.integers(0, self.pool.size, (count, n))]
        return _centred(rows, known_mean)

    def fingerprint(self) -> str:
        """Of the spectrum and the rows."""
        return digest(self.population.eigenvalues, self.pool.coordinates[:: max(1, self.pool.size // 1000)])


class DisjointSets:
    """Disjoint subsets of a dataset, as one would split it in practice: within a group no two sets share a sample.

    Half the squared difference of two disjoint sets has the variance over i.i.d. sets of the *unknown* distribution
    behind the dataset as its expectation; theory too takes the dataset for a sample of its population.
    """

    name, population_is = "disjoint", "sample"

    def __init__(self, pool: Pool) -> None:
        self.pool, self.population = pool, pool.population
        self._order: npt.NDArray[np.int64] | None = None
        self._next = 0

    def check(self, n: int, group_size: int) -> None:
        """Two sets must fit."""
        if 2 * n > self.pool.size:
            raise ValueError(
                f"n must be at most {self.pool.size // 2} for disjoint splits of {self.pool.size} images, got {n}"
            )
        if n * group_size > self.pool.size:
            raise ValueError(
                f"group_size must be at most {self.pool.size // n} for disjoint splits of {n} out of "
                f"{self.pool.size} images, got {group_size}"
            )

    def rows(self, n: int, known_mean: bool) -> int:
        """n."""
        return n

    def start_group(self, n: int, group_size: int, rng: np.random.Generator) -> None:
        """A new random order."""
        self._order, self._next = rng.permutation(self.pool.size), 0

    def batch(self, n: int, count: int, rng: np.random.Generator, known_mean: bool) -> tuple[FloatArray, FloatArray]:
        """The next sets in the random order of this group."""
        if self._order is None:
            raise RuntimeError("batch: start_group must come first")
        chosen = self._order[self._next : self._next + count * n].reshape(count, n)
        self._next += count * n
        return _centred(self.pool.coordinates[chosen], known_mean)

    def fingerprint(self) -> str:
        """Of the spectrum and the rows."""
        return digest(self.population.eigenvalues, self.pool.coordinates[:: max(1, self.pool.size // 1000)])


def collect_pool(
    batches: Iterable[FloatArray],
    *,
    shape: tuple[int, ...],
    count: int | None,
    most_bytes: int,
    seed: int = 0,
    profiles: int = 0,
    description: str = "",
) -> Pool:
    """Read a dataset into a pool; where it has more rows than fit, a seeded random subset is kept.

    Parameters
    ----------
    batches : (B, d) arrays
    shape : of one sample
    count : rows in all where known; unknown counts are read whole, and refused when they do not fit
    most_bytes : of the float64 rows that are kept
    seed : of the subset
    profiles : samples that the population keeps for the empirical law

    Raises
    ------
    MemoryError : more rows than fit and no `count` to draw a subset by
    """
    dimension = int(np.prod(shape))
    samples, seen = collect_rows(batches, dimension=dimension, count=count, most_bytes=most_bytes, seed=seed)
    population = Population.from_samples(samples, shape=shape, profiles=profiles, description=description)
    vectors = population.eigenvectors
    assert vectors is not None  # from_samples always has them
    if vectors.shape[1] < dimension:
        return Pool(population, (samples - population.mean) @ vectors, seen)
    for start in range(0, len(samples), _BLOCK):  # in place: the rows are most of the memory
        block = samples[start : start + _BLOCK]
        block[:] = (block - population.mean) @ vectors
    return Pool(population, samples, seen)


def collect_rows(
    batches: Iterable[FloatArray], *, dimension: int, count: int | None, most_bytes: int, seed: int = 0
) -> tuple[FloatArray, int]:
    """The rows of a dataset in their order, a seeded random subset where not all fit, and how many there were.

    Parameters and errors as of :func:`collect_pool`.
    """
    most_rows = most_bytes // (8 * dimension)
    if most_rows < 2:
        raise MemoryError(f"most_bytes must hold at least two samples of {dimension} values, got {most_bytes} bytes")
    if count is None:
        return _read_whole(batches, dimension, most_rows)
    return _read_subset(batches, dimension, count, min(count, most_rows), seed)


def _read_whole(batches: Iterable[FloatArray], dimension: int, most_rows: int) -> tuple[FloatArray, int]:
    """All rows of a source that does not know how many it has."""
    held: list[FloatArray] = [np.empty((0, dimension))]
    rows = 0
    for batch in batches:
        rows += len(batch)
        if rows > most_rows:
            raise MemoryError(
                f"the images are more than the {most_rows} that memory holds, and their number is not known beforehand: "
                "give a limit on the images or more memory"
            )
        held.append(batch)
    return np.concatenate(held), rows


def _read_subset(
    batches: Iterable[FloatArray], dimension: int, count: int, rows: int, seed: int
) -> tuple[FloatArray, int]:
    """A random subset of `rows` of the `count` rows, in their order, and how many there were."""
    keep = np.zeros(count, dtype=np.bool_)
    keep[np.random.default_rng(seed).choice(count, rows, replace=False)] = True
    samples = np.empty((rows, dimension))
    seen = filled = 0
    for batch in batches:
        if seen + len(batch) > count:
            raise ValueError(f"count must be the number of images, got {count} and at least {seen + len(batch)} images")
        chosen = batch[keep[seen : seen + len(batch)]]
        samples[filled : filled + len(chosen)] = chosen
        seen, filled = seen + len(batch), filled + len(chosen)
    return samples[:filled], seen
