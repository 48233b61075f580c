"""The small experiment that compares the laws: draw training sets from the profiles, form the models, compare the variances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._repr import ShortRepr
from .._tables import Columns, Tabular
from ..bands import Band
from ..groups import GroupArray, group_starts, images_of_groups
from ..laws import LawSpec
from ..maps import Map
from ..moments import gram_eigensystem, has_variance, symmetric_eigensystem
from ..population import Population
from ..profiles import fewer_profiles
from ..splits import Splits

__all__ = [
    "Asked",
    "LawError",
    "Measured",
    "Off",
    "law_error",
    "measured",
    "subsampling_error",
]

#: Profiles for each mode, and for each image of a training set, from which on drawing again is like drawing new images.
_PER_MODE, _PER_IMAGE = 10, 12
#: Runs of neighbours in a training set of neighbours, and the number of pairs of such sets.
_RUNS, _RUN_PAIRS = 4, 16


class Off(NamedTuple):
    """How far off a law is.

    Attributes
    ----------
    error : size of log(simulated/predicted) of a variance
    uncertainty : its Monte Carlo standard error
    """

    error: float
    uncertainty: float


@dataclass(frozen=True, repr=False)
class LawError(ShortRepr, Tabular):
    """Error of one law for one map, log(simulated/predicted) of variances: positive if the law predicts too little.

    Attributes
    ----------
    law, question : name of the law, and the map in words
    total, total_error : error of the variance summed over modes and inputs, and its Monte Carlo standard error
    band, band_error : (B,) the same by eigenband
    rms, rms_error : root mean square over the eigenbands, with the Monte Carlo noise subtracted in quadrature
    """

    law: str
    question: str
    total: float
    total_error: float
    band: FloatArray
    band_error: FloatArray
    rms: float
    rms_error: float

    @property
    def size(self) -> Off:
        """The larger of \\|total\\| and rms, with its standard error."""
        return max(Off(abs(self.total), self.total_error), Off(self.rms, self.rms_error))

    def _columns(self) -> Columns:
        return {"eigenband": np.arange(1, self.band.size + 1), "error": self.band, "standard_error": self.band_error}


@dataclass(frozen=True, repr=False)
class Asked(ShortRepr):
    """A map of the experiment and the inputs (B, k) that it is applied to."""

    map: Map
    inputs: FloatArray


def _own_population(
    profiles: npt.NDArray[np.float32],
    groups: GroupArray | None,
    limit: int,
    rng: np.random.Generator,
    *,
    known: bool,
) -> Population:
    """At most `limit` of the profiles (M, k), as a population that is known exactly or only through these samples.

    It is in its own mode coordinates, without the modes that have no variance. Profiles in groups are kept by whole groups.
    """
    chosen = profiles
    if len(profiles) > limit and groups is None:
        chosen = profiles[np.sort(rng.permutation(len(profiles))[:limit])]
    elif len(profiles) > limit and groups is not None:
        order = rng.permutation(int(groups[-1]) + 1)
        fitting = np.cumsum(np.bincount(groups)[order]) <= limit
        kept = np.isin(groups, order[fitting])
        chosen, groups = profiles[kept], groups[kept]
    own = Population.from_samples(chosen, profiles=len(chosen), groups=groups)
    assert own.profiles is not None
    alive = has_variance(own.eigenvalues)
    values = own.eigenvalues[alive]
    return Population(
        values,
        np.ones_like(values),
        dimension=len(values),
        profiles=np.ascontiguousarray(own.profiles[:, alive]),
        groups=own.groups,
        sample_size=None if known else len(chosen),
    )


def maps_apart(own: Population, sigma_max: float, sigma: float, count: int, rng: np.random.Generator) -> list[Asked]:
    """The two maps of :func:`two_maps`, with inputs that do not depend on any training set: noise of the same total variance."""
    noise = rng.standard_normal((2, count, len(own.eigenvalues)))
    scale = np.sqrt(own.eigenvalues.mean() + sigma**2)
    return [Asked(Map.sampling(0.0, sigma_max), sigma_max * noise[0]), Asked(Map.denoiser(sigma), scale * noise[1])]


def two_maps(exact: Population, sigma_max: float, sigma: float, count: int, rng: np.random.Generator) -> list[Asked]:
    """The sampling map with `count` seeds, and the denoiser at σ with as many noised images."""
    assert exact.profiles is not None
    noise = rng.standard_normal((2, count, len(exact.eigenvalues)))
    images = exact.profiles[rng.integers(0, len(exact.profiles), count)]
    return [
        Asked(Map.sampling(0.0, sigma_max), sigma_max * noise[0]),
        Asked(Map.denoiser(sigma), images + sigma * noise[1]),
    ]


def simulate(
    rows: FloatArray, n: int, count: int, asked: Sequence[Asked], rng: np.random.Generator
) -> list[FloatArray]:
    """(T, B, k) outputs of each map for T = `count` training sets of n of the rows (M, k), drawn with replacement."""
    return _outputs((rows[rng.integers(0, len(rows), n)] for _ in range(count)), count, asked)


def simulate_disjoint(
    rows: FloatArray, n: int, count: int, asked: Sequence[Asked], rng: np.random.Generator
) -> list[FloatArray]:
    """(T, B, k) outputs of each map for T = `count` training sets, each two of which have no row in common: A, B, A, B, ….

    The rows (M, k) are drawn without replacement, 2n ≤ M, so the two sets of a pair are independent if the rows are.
    """
    pairs = (rows[rng.permutation(len(rows))[: 2 * n]] for _ in range(count // 2))
    return _outputs((half for pair in pairs for half in (pair[:n], pair[n:])), 2 * (count // 2), asked)


def simulate_groups(
    own: Population, n: int, count: int, asked: Sequence[Asked], rng: np.random.Generator
) -> list[FloatArray]:
    """(T, B, k) as :func:`simulate_disjoint`, for sets of whole groups: n over their mean size, none common to a pair."""
    assert own.profiles is not None
    assert own.groups is not None
    rows, starts = own.profiles.astype(np.float64), group_starts(own.groups)
    each = round(n / own.group_size)

    def sets() -> Iterator[FloatArray]:
        for _ in range(count // 2):
            order = rng.permutation(len(starts) - 1)
            for chosen in (order[:each], order[each : 2 * each]):
                yield np.concatenate([rows[starts[group] : starts[group + 1]] for group in chosen])

    return _outputs(sets(), 2 * (count // 2), asked)


def _outputs(sets: Iterable[FloatArray], count: int, asked: Sequence[Asked]) -> list[FloatArray]:
    """(T, B, k) outputs of each map for T = `count` training sets (n, k), which are changed."""
    outputs = [np.empty((count, *each.inputs.shape)) for each in asked]
    for index, drawn in enumerate(sets):
        mean = drawn.mean(axis=0)
        drawn -= mean
        values, vectors = gram_eigensystem(drawn) if len(drawn) < drawn.shape[1] else _covariance_eigensystem(drawn)
        for each, output in zip(asked, outputs, strict=True):
            constant = float(each.map.gain(0.0))
            centred = each.inputs - mean
            along = centred @ vectors
            output[index] = mean + constant * centred + (along * (each.map.gain(values) - constant)) @ vectors.T
    return outputs


def _covariance_eigensystem(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, vectors = symmetric_eigensystem(centred.T @ centred / len(centred))
    return np.maximum(values, 0.0), vectors


@dataclass(frozen=True, repr=False)
class OverSets(ShortRepr):
    """Variance of the outputs over training sets, from each of several sets or pairs.

    Attributes
    ----------
    squares : (T, k) estimates of the variance, summed over inputs
    independent : number of training sets that have no image in common; all others share images with these
    """

    squares: FloatArray
    independent: int


def spread(outputs: FloatArray) -> OverSets:
    """From outputs (T, B, k) of training sets that were drawn anew."""
    count = len(outputs)
    return OverSets(np.square(outputs - outputs.mean(axis=0)).sum(axis=1) * (count / (count - 1)), count)


def spread_of_pairs(outputs: FloatArray, independent: int) -> OverSets:
    """From outputs (2T, B, k) of pairs A, B, A, B, … of disjoint training sets: half of their squared distance."""
    return OverSets(np.square(outputs[::2] - outputs[1::2]).sum(axis=1) / 2, independent)


@dataclass(frozen=True, repr=False)
class Measured(ShortRepr):
    """What training sets of some profiles show.

    Attributes
    ----------
    population : the profiles as the laws see them
    n : size of the training sets
    disjoint : whether pairs of training sets have no image in common
    asked, spreads : the maps, and the variance of their outputs over training sets
    neighbours : the same for training sets of neighbouring profiles, relative to these; None if there are too few profiles
    """

    population: Population
    n: int
    disjoint: bool
    asked: Sequence[Asked]
    spreads: Sequence[OverSets]
    neighbours: Off | None

    def seen_by(self, law: LawSpec) -> Population:
        """The population for a law: without its groups if the law takes none."""
        if law.takes_groups or self.population.groups is None:
            return self.population
        return self.population.replace(groups=None, group_count=None)


def measured(
    profiles: npt.NDArray[np.float32],
    limit: int,
    n: int,
    count: int,
    *,
    sigmas: tuple[float, float],
    inputs: int,
    rng: np.random.Generator,
    groups: GroupArray | None = None,
) -> Measured:
    """Draw training sets from at most `limit` of the profiles (M, k), and measure the variance of both maps.

    Profiles in groups are drawn in pairs of training sets without a group in common.

    Drawing again from the profiles as if they were the population is like drawing new images only if there are many of them:
    with 1.3 to 3 profiles for each mode and n = M/2, laws that hold seem off by 15 to 40 %. With :data:`_PER_MODE` profiles for
    each mode, or :data:`_PER_IMAGE` for each image of a training set, it is at most about 4 %. Elsewhere pairs of disjoint
    training sets are drawn, which are independent as the profiles are, and the laws know the population only through the
    profiles. Such sets hold at most M/2 images.

    Parameters
    ----------
    n, count : size and number of training sets
    sigmas : noise level at which the sampling map starts, and that of the denoiser
    inputs : number of inputs of each map
    groups : (M,) numbers of the groups of the profiles, None if they are independent
    """
    drawn = min(len(profiles), limit)
    few = groups is not None or (drawn < _PER_MODE * profiles.shape[1] and drawn < _PER_IMAGE * n)
    own = _own_population(profiles, groups, limit, rng, known=not few)
    assert own.profiles is not None
    rows = own.profiles.astype(np.float64)
    if own.groups is not None:
        half = (int(own.groups[-1]) + 1) // 2
        n = images_of_groups(own, min(half, max(2, round(n / own.group_size))))
        asked = maps_apart(own, *sigmas, inputs, rng)
        independent = 2 * half // round(n / own.group_size)
        spreads = [spread_of_pairs(each, independent) for each in simulate_groups(own, n, count, asked, rng)]
    elif few:
        n = min(n, drawn // 2)
        asked = maps_apart(own, *sigmas, inputs, rng)
        spreads = [spread_of_pairs(each, drawn // n) for each in simulate_disjoint(rows, n, count, asked, rng)]
    else:
        asked = two_maps(own, *sigmas, inputs, rng)
        spreads = [spread(each) for each in simulate(rows, n, count, asked, rng)]
    return Measured(
        population=own,
        n=n,
        disjoint=few,
        asked=asked,
        spreads=spreads,
        neighbours=_neighbours(rows, n, asked, spreads, rng) if groups is None else None,
    )


def _neighbours(
    rows: FloatArray, n: int, asked: Sequence[Asked], spreads: Sequence[OverSets], rng: np.random.Generator
) -> Off | None:
    """Log of the variance over training sets of neighbouring rows, over that of sets drawn at random.

    It is about 0 if rows are independent.
    Each set consists of :data:`_RUNS` runs of neighbours. Of the two maps, the one that differs more; None if M < 2n.
    """
    length = n // _RUNS
    runs = len(rows) // max(length, 1)
    if length < 2 or runs < 2 * _RUNS:
        return None
    outputs = _outputs(_sets_of_runs(rows, length, rng), 2 * _RUN_PAIRS, asked)
    found = []
    for each, at_random in zip(outputs, spreads, strict=True):
        totals, usual = spread_of_pairs(each, runs - 1).squares.sum(axis=1), at_random.squares.sum(axis=1)
        error = totals.std(ddof=1) / totals.mean() / np.sqrt(min(_RUN_PAIRS, runs - 1))
        found.append(Off(float(np.log(totals.mean() / usual.mean() * _RUNS * length / n)), float(error)))
    return max(found)


def _sets_of_runs(rows: FloatArray, length: int, rng: np.random.Generator) -> Iterable[FloatArray]:
    """Training sets of :data:`_RUNS` runs of neighbouring rows; the two of a pair have no run in common."""
    runs = len(rows) // length
    for _ in range(_RUN_PAIRS):
        first = rng.integers(0, len(rows) - runs * length + 1)
        cut = rows[first : first + runs * length].reshape(runs, length, -1)
        order = rng.permutation(runs)
        for chosen in (order[:_RUNS], order[_RUNS : 2 * _RUNS]):
            yield cut[chosen].reshape(_RUNS * length, -1)


def law_error(splits: Splits, asked: Asked, observed: OverSets, bands: Sequence[Band]) -> LawError:
    """Simulated against predicted variance, in total and by eigenband.

    Standard errors come from the spread of the training sets.
    """
    squares = observed.squares
    parts = np.stack([squares[:, band.start : band.stop].sum(axis=1) for band in bands], axis=1)
    parts = np.column_stack([parts, squares.sum(axis=1)])
    simulated = parts.mean(axis=0)
    error = parts.std(axis=0, ddof=1) / np.sqrt(observed.independent) / simulated
    modes = asked.inputs.shape[1]
    by_band = splits.disagreement(asked.map.function(splits), asked.inputs, bands=bands).sum(axis=0) * (modes / 2)
    logs = np.log(simulated / np.append(by_band, by_band.sum()))
    square = float(np.mean(logs[:-1] ** 2 - error[:-1] ** 2))
    rms = float(np.sqrt(max(0.0, square)))
    deviation = float(np.sqrt(np.sum(4 * logs[:-1] ** 2 * error[:-1] ** 2 + 2 * error[:-1] ** 4))) / len(bands)
    return LawError(
        law=splits.law,
        question=asked.map.label,
        total=float(logs[-1]),
        total_error=float(error[-1]),
        band=logs[:-1],
        band_error=error[:-1],
        rms=rms,
        rms_error=deviation / (rms + float(np.sqrt(rms**2 + deviation))),
    )


def subsampling_error(population: Population, law: str, n: int, sigma_max: float) -> float | None:
    """Relative standard error of a law's total because only M of N samples are profiles; None if all samples are profiles.

    It is the standard deviation of the total between four disjoint quarters of the profiles, halved for all of them together.
    """
    profiles, samples = population.profiles, population.sample_size
    assert profiles is not None
    if samples is None or len(profiles) >= samples:
        return None
    totals = []
    for quarter in range(4):
        splits = Splits(fewer_profiles(population, 4, quarter), n, law=law)
        totals.append(float(splits.mean_disagreement(splits.sampling_map(0.0, sigma_max), input_sigma=sigma_max)))
    return float(np.std(totals, ddof=1) / np.mean(totals) / 2 * np.sqrt(1 - len(profiles) / samples))
