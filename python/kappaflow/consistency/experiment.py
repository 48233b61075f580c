"""The small experiment that compares the laws: draw training sets from the profiles, form the models, compare the variances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._repr import ShortRepr
from .._tables import Columns, Tabular
from ..bands import Band
from ..maps import Map
from ..moments import gram_eigensystem, has_variance, symmetric_eigensystem
from ..population import Population, scaled_profiles
from ..splits import Splits

__all__ = ["Asked", "LawError", "Off", "exact_population", "law_error", "simulate", "subsampling_error", "two_maps"]


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


def exact_population(profiles: npt.NDArray[np.float32], limit: int, rng: np.random.Generator) -> Population:
    """At most `limit` of the profiles (M, k), as an exactly known population.

    It is in its own mode coordinates, without the modes that have no variance.
    """
    chosen = profiles
    if len(profiles) > limit:
        chosen = profiles[np.sort(rng.permutation(len(profiles))[:limit])]
    own = Population.from_samples(chosen, profiles=len(chosen))
    assert own.profiles is not None
    alive = has_variance(own.eigenvalues)
    values = own.eigenvalues[alive]
    return Population(
        values, np.ones_like(values), dimension=len(values), profiles=np.ascontiguousarray(own.profiles[:, alive])
    )


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
    outputs = [np.empty((count, *each.inputs.shape)) for each in asked]
    for index in range(count):
        drawn = rows[rng.integers(0, len(rows), n)]
        mean = drawn.mean(axis=0)
        drawn -= mean
        values, vectors = gram_eigensystem(drawn) if n < drawn.shape[1] else _covariance_eigensystem(drawn)
        for each, output in zip(asked, outputs, strict=True):
            constant = float(each.map.gain(0.0))
            centred = each.inputs - mean
            along = centred @ vectors
            output[index] = mean + constant * centred + (along * (each.map.gain(values) - constant)) @ vectors.T
    return outputs


def _covariance_eigensystem(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, vectors = symmetric_eigensystem(centred.T @ centred / len(centred))
    return np.maximum(values, 0.0), vectors


def law_error(splits: Splits, asked: Asked, outputs: FloatArray, bands: Sequence[Band]) -> LawError:
    """Simulated against predicted variance, in total and by eigenband.

    Standard errors come from the spread of the training sets.
    """
    count = len(outputs)
    squares = np.square(outputs - outputs.mean(axis=0)).sum(axis=1) * (count / (count - 1))
    parts = np.stack([squares[:, band.start : band.stop].sum(axis=1) for band in bands], axis=1)
    parts = np.column_stack([parts, squares.sum(axis=1)])
    simulated = parts.mean(axis=0)
    error = parts.std(axis=0, ddof=1) / np.sqrt(count) / simulated
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
        chosen = scaled_profiles(profiles[quarter::4], population.eigenvalues)
        splits = Splits(population.replace(profiles=chosen), n, law=law)
        totals.append(float(splits.mean_disagreement(splits.sampling_map(0.0, sigma_max), input_sigma=sigma_max)))
    return float(np.std(totals, ddof=1) / np.mean(totals) / 2 * np.sqrt(1 - len(profiles) / samples))
