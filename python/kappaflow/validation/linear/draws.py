"""Random training sets, in the mode coordinates of a population whose mean and covariance are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray
from ..._layout import mirror_images
from ..._repr import ShortRepr, short_repr
from ..._tensors import digest
from ...datasets.memory import collect_rows, require_whole_groups
from ...groups import by_group, group_numbers, group_starts, images_of_groups
from ...population import Population
from ...provenance import Provenance

__all__ = ["DisjointSets", "GaussianSets", "Pool", "ResampledSets", "TrainingSets", "TrainingSetsBatch", "collect_pool"]

#: Rows that are turned into mode coordinates at once.
_BLOCK = 8192
#: Wishart matrices are drawn by their triangular factor from this many samples per mode on.
_BARTLETT_FROM = 2


class TrainingSetsBatch(NamedTuple):
    """Some training sets: sample means (b, k), and rows (b, r, k) with Σ̂ = rowsᵀrows/n.

    Rows are centred on the sample mean. If the mean is known, they are not, and the sample means are zero. Sets of whole groups,
    whose number of images varies, are scaled to n and filled up with rows of zeros.
    """

    means: FloatArray
    rows: FloatArray

    def __repr__(self) -> str:
        return short_repr(self)


class TrainingSets(Protocol):
    """A source of training sets, in mode coordinates relative to the population's mean.

    All random numbers come from `rng`, so a seed gives the same training sets on any device.

    Attributes
    ----------
    name : short identifier
    population : what the sets are drawn from
    population_is : what the theory assumes: "exact" if sets are drawn from the population itself, else "sample"
    pool : the dataset that sets are drawn from, None for Gaussian samples
    """

    name: str
    population: Population
    population_is: str

    @property
    def pool(self) -> Pool | None:
        """The dataset that sets are drawn from, None for Gaussian samples."""

    def check(self, n: int, group_size: int) -> None:
        """Check that groups of `group_size` sets of n samples can be drawn.

        Raises
        ------
        ValueError
            They cannot be drawn.
        """

    def nearest(self, n: int) -> int:
        """The size nearest to n of training sets of whole groups; n itself if samples are independent."""

    def rows(self, n: int, known_mean: bool) -> int:
        """Number of rows r that stand for a training set of n samples."""

    def start_group(self, n: int, group_size: int, rng: np.random.Generator) -> None:
        """Called before the batches of each group."""

    def batch(self, n: int, count: int, rng: np.random.Generator, known_mean: bool) -> TrainingSetsBatch:
        """The next `count` training sets of n samples."""

    def fingerprint(self) -> str:
        """Identifies the data that sets are drawn from."""


def _centred(rows: FloatArray, known_mean: bool) -> TrainingSetsBatch:
    if known_mean:
        return TrainingSetsBatch(np.zeros((rows.shape[0], rows.shape[2])), rows)
    mean = rows.mean(axis=1)
    rows -= mean[:, None, :]
    return TrainingSetsBatch(mean, rows)


class GaussianSets:
    """Gaussian samples with the covariance of a population.

    With many samples per mode, the triangular factor of the Wishart matrix is drawn instead of the samples (Bartlett 1933). The
    distribution of Σ̂ is the same, and the cost does not depend on n. The sample mean is independent of Σ̂ and is drawn
    separately.

    Raises
    ------
    ValueError
        Eigenvalues of the population have multiplicities above 1.
    """

    name, population_is = "gaussian", "exact"
    pool: Pool | None = None

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

    def nearest(self, n: int) -> int:
        """n."""
        return n

    def rows(self, n: int, known_mean: bool) -> int:
        """n, or one row for each mode if the triangular factor is drawn."""
        modes, degrees = self._scale.size, n if known_mean else n - 1
        return n if degrees < _BARTLETT_FROM * modes else modes

    def start_group(self, n: int, group_size: int, rng: np.random.Generator) -> None:
        """Nothing to prepare."""

    def batch(self, n: int, count: int, rng: np.random.Generator, known_mean: bool) -> TrainingSetsBatch:
        """Samples √s z, or the triangular factor of their Wishart matrix."""
        modes = self._scale.size
        degrees = n if known_mean else n - 1
        if self.rows(n, known_mean) == n:
            return _centred(rng.standard_normal((count, n, modes)) * self._scale, known_mean)
        factor, mean = np.empty((count, modes, modes)), np.zeros((count, modes))
        for number in range(count):  # one by one, so that a set does not depend on how many are drawn at once
            factor[number] = np.tril(rng.standard_normal((modes, modes)), -1)
            np.fill_diagonal(factor[number], np.sqrt(rng.chisquare(degrees - np.arange(modes))))
            if not known_mean:
                mean[number] = rng.standard_normal(modes) * self._scale / np.sqrt(n)
        rows = factor.transpose(0, 2, 1) * self._scale  # rowsᵀrows = √s A Aᵀ √s
        return TrainingSetsBatch(mean, rows)

    def fingerprint(self) -> str:
        """Digest of the eigenvalues."""
        return digest(self.population.eigenvalues)


@dataclass(frozen=True, repr=False)
class Pool(ShortRepr):
    """A dataset that is its own population, so that mean and covariance of its N rows are known exactly.

    Attributes
    ----------
    population : of the rows; its covariance has divisor N
    coordinates : (N, k) mode coordinates of every row
    total : number of images in the dataset; the pool is a random subset if not all of them fitted into memory
    starts : (G + 1,) first row of each group, and N; None if rows are independent. With mirror images, a group holds them too.
    """

    population: Population
    coordinates: FloatArray
    total: int
    starts: npt.NDArray[np.int64] | None = None

    @property
    def size(self) -> int:
        """Number of images, mirror images not counted."""
        return len(self.coordinates) // self.population.versions

    def groups_of(self, n: int) -> int:
        """How many groups make a training set of n images: n if they are independent."""
        return n if self.starts is None else max(1, round(n / self.population.group_size))

    def nearest(self, n: int) -> int:
        """The size nearest to n of training sets of whole groups, at least two of them."""
        if self.starts is None:
            return n
        return images_of_groups(self.population, max(2, self.groups_of(n)))

    def rows_of(self, n: int) -> int:
        """The largest number of rows in a training set of n images."""
        if self.starts is None:
            return n
        return self.groups_of(n) * int(np.diff(self.starts).max())

    @property
    def units(self) -> int:
        """What is drawn as a whole: the number of groups, or of rows if they are independent."""
        return len(self.coordinates) if self.starts is None else len(self.starts) - 1

    def disjoint_sets(self, n: int) -> int:
        """How many training sets of n images have no image, and no group, in common."""
        return self.units // self.groups_of(n)

    def sets(self, chosen: npt.NDArray[np.int64], n: int, known_mean: bool) -> TrainingSetsBatch:
        """The training sets of n images that consist of the chosen rows or groups (count, units)."""
        if self.starts is None:
            return _centred(self.coordinates[chosen], known_mean)
        modes = self.coordinates.shape[1]
        rows, means = np.zeros((len(chosen), self.rows_of(n), modes)), np.zeros((len(chosen), modes))
        for number, groups in enumerate(chosen):
            members = np.concatenate([np.arange(self.starts[g], self.starts[g + 1]) for g in groups])
            drawn = self.coordinates[members]
            if not known_mean:
                means[number] = drawn.mean(axis=0)
            rows[number, : len(drawn)] = (drawn - means[number]) * np.sqrt(n / len(drawn))
        return TrainingSetsBatch(means, rows)


class ResampledSets:
    """Rows or groups of a pool, drawn independently with replacement: real data whose population is known exactly."""

    name, population_is = "resample", "exact"

    def __init__(self, pool: Pool) -> None:
        self.pool, self.population = pool, pool.population

    def check(self, n: int, group_size: int) -> None:
        """Any size can be drawn with replacement."""

    def nearest(self, n: int) -> int:
        """See :meth:`Pool.nearest`."""
        return self.pool.nearest(n)

    def rows(self, n: int, known_mean: bool) -> int:
        """See :meth:`Pool.rows_of`."""
        return self.pool.rows_of(n)

    def start_group(self, n: int, group_size: int, rng: np.random.Generator) -> None:
        """Nothing to prepare."""

    def batch(self, n: int, count: int, rng: np.random.Generator, known_mean: bool) -> TrainingSetsBatch:
        """Rows or groups drawn with replacement."""
        chosen = rng.integers(0, self.pool.units, (count, self.pool.groups_of(n)))
        return self.pool.sets(chosen, n, known_mean)

    def fingerprint(self) -> str:
        """Of the spectrum and the rows."""
        return digest(self.population.eigenvalues, self.pool.coordinates[:: max(1, self.pool.size // 1000)])


class DisjointSets:
    """Disjoint subsets of a dataset, as one would split it in practice: two sets have no sample, and no group, in common.

    The expectation of half the squared difference of two disjoint sets is the variance over i.i.d. sets of the *unknown*
    distribution behind the dataset. The theory therefore also treats the dataset as a sample of its population.
    """

    name, population_is = "disjoint", "sample"

    def __init__(self, pool: Pool) -> None:
        self.pool, self.population = pool, pool.population
        self._order: npt.NDArray[np.int64] | None = None
        self._next = 0

    def check(self, n: int, group_size: int) -> None:
        """Check that at least two sets, and a whole group, fit into the pool.

        Raises
        ------
        ValueError
            They do not fit.
        """
        most = self.pool.disjoint_sets(n)
        if most < 2:
            half = self.pool.units // 2
            largest = half if self.pool.starts is None else images_of_groups(self.population, half)
            raise ValueError(f"n must be at most {largest} for disjoint splits of {self.pool.size} images, got {n}")
        if group_size > most:
            raise ValueError(
                f"group_size must be at most {most} for disjoint splits of {n} out of "
                f"{self.pool.size} images, got {group_size}"
            )

    def nearest(self, n: int) -> int:
        """See :meth:`Pool.nearest`."""
        return self.pool.nearest(n)

    def rows(self, n: int, known_mean: bool) -> int:
        """See :meth:`Pool.rows_of`."""
        return self.pool.rows_of(n)

    def start_group(self, n: int, group_size: int, rng: np.random.Generator) -> None:
        """Put the pool into a new random order."""
        self._order, self._next = rng.permutation(self.pool.units), 0

    def batch(self, n: int, count: int, rng: np.random.Generator, known_mean: bool) -> TrainingSetsBatch:
        """The next sets in the random order of this group.

        Raises
        ------
        RuntimeError
            :meth:`start_group` was not called.
        """
        if self._order is None:
            raise RuntimeError("batch: start_group must come first")
        units = self.pool.groups_of(n)
        chosen = self._order[self._next : self._next + count * units].reshape(count, units)
        self._next += count * units
        return self.pool.sets(chosen, n, known_mean)

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
    groups: npt.NDArray[Any] | None = None,
    flip: bool = False,
    provenance: Provenance | None = None,
) -> Pool:
    """Read a dataset into a pool; if not all rows fit, keep a random subset.

    Parameters
    ----------
    batches : (B, d) arrays
    shape : of one sample
    count, most_bytes, seed : see :func:`kappaflow.datasets.memory.collect_rows`
    profiles : number of samples that the population keeps, for the laws that need them
    groups : (N,) labels of samples that belong together, None if they are independent
    flip : whether models are trained with random horizontal flips
    provenance : of the data

    Raises
    ------
    MemoryError, ValueError
        See :func:`kappaflow.datasets.memory.collect_rows`. Samples in groups do not all fit.
    """
    dimension = int(np.prod(shape))
    collected = collect_rows(batches, dimension=dimension, count=count, most_bytes=most_bytes, seed=seed)
    samples, total = collected
    labels = None if groups is None else group_numbers(groups)
    if labels is not None and labels.independent:
        labels = None
    if labels is not None:
        require_whole_groups(collected)
        labels.require(len(samples))
        order = by_group(labels)
        samples, labels = samples[order], replace(labels, numbers=labels.numbers[order])
    population = Population.from_samples(  # every row is drawn, whether it is a copy or not
        samples,
        shape=shape,
        profiles=profiles,
        groups=None if labels is None else labels.numbers,
        flip=flip,
        copies="independent",
        provenance=provenance,
    )
    if flip:
        samples = mirror_images(samples, shape)
    starts = None
    if labels is not None or flip:
        numbers = np.arange(len(samples) // population.versions) if labels is None else labels.numbers
        starts = population.versions * group_starts(numbers)
    vectors = population.eigenvectors
    assert vectors is not None  # from_samples always has them
    if vectors.shape[1] < dimension:
        return Pool(population, coordinates=(samples - population.mean) @ vectors, total=total, starts=starts)
    for start in range(0, len(samples), _BLOCK):  # in place: the rows are most of the memory
        block = samples[start : start + _BLOCK]
        block[:] = (block - population.mean) @ vectors
    return Pool(population, coordinates=samples, total=total, starts=starts)
