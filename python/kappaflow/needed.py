"""How many images are needed: :func:`~kappaflow.samples_for` by eigenband, with the empirical law at a bearable cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray
from ._core import SpectralFunction, UnidentifiedError
from .bands import Band
from .population import Population
from .splits import LARGEST_N, SampleSize, Splits, samples_for

__all__ = ["CHEAPER", "Correction", "images_needed", "largest_n"]

#: The law that answers in the empirical law's place where that has no answer or is too dear.
CHEAPER = "elliptical"
_SIZES = 5


@dataclass(frozen=True)
class Correction:
    """Ratio of the empirical to the elliptical law's relative disagreement at a few n, interpolated in log n.

    Attributes
    ----------
    sizes : (T,) ascending n
    ratio : (T, B) by n and eigenband; constant beyond the sizes
    """

    sizes: npt.NDArray[np.int64]
    ratio: FloatArray

    @classmethod
    def of(
        cls, population: Population, sizes: Sequence[int], relative: FloatArray, bands: Sequence[Band], sigma_max: float
    ) -> Correction:
        """From the empirical law's relative disagreement (T, B) at some sizes."""
        cheap = np.stack([_relative(Splits(population, n, law=CHEAPER), bands, sigma_max) for n in sizes])
        ratio = np.divide(relative, cheap, out=np.ones_like(cheap), where=(cheap > 0) & (relative > 0))
        return cls(np.array(sizes, dtype=np.int64), ratio)

    def at(self, n: int, band: int) -> float:
        """The ratio at n for one of the eigenbands."""
        return float(np.exp(np.interp(np.log(n), np.log(self.sizes), np.log(self.ratio[:, band]))))


def _relative(splits: Splits, bands: Sequence[Band], sigma_max: float) -> FloatArray:
    f = splits.sampling_map(0.0, sigma_max)
    return splits.mean_disagreement(f, sigma_max**2, bands=bands, relative=True)


def largest_n(population: Population) -> int:
    """The largest n that can be asked of a population: 10¹², or the samples it is known from where more are not identified."""
    splits = Splits(population, LARGEST_N)
    try:
        splits.expectation(splits.sampling_map())
    except UnidentifiedError:
        assert population.sample_size is not None  # else nothing is unidentified
        return population.sample_size
    return LARGEST_N


def images_needed(
    population: Population,
    bands: Sequence[Band],
    sigma_max: float,
    tolerance: float,
    *,
    law: str = "gaussian",
    correction: Correction | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[SampleSize | None, ...]:
    """(B,) smallest n at which each eigenband's relative disagreement of the sampling map meets the tolerance.

    The empirical law takes about a second for each n, and a search asks for a hundred: it is searched for with the
    elliptical law, times the ratio of the two at a few n.

    Parameters
    ----------
    bands : eigenbands, answered one by one
    law : as of :class:`~kappaflow.Splits`
    correction : of the empirical law, where its numbers are known at some n; else it is computed about the answers
    progress : called with the number of bands that are done

    Returns
    -------
    The answers with their brackets; None where the tolerance is not met at any n that can be asked, see :func:`largest_n`.
    """
    if law == "empirical" and correction is None:
        first = images_needed(population, bands, sigma_max, tolerance, law=CHEAPER)
        correction = _about(population, [answer.n for answer in first if answer is not None], bands, sigma_max)
    answers: list[SampleSize | None] = []
    for index, band in enumerate(bands):
        answers.append(_needed(population, band, index, sigma_max, tolerance, law, correction))
        if progress is not None:
            progress(index + 1)
    return tuple(answers)


def _about(population: Population, answers: list[int], bands: Sequence[Band], sigma_max: float) -> Correction:
    """The empirical law at a few sizes that span the answers."""
    span = (max(2, min(answers)), max(3, max(answers))) if answers else (100, 100)
    sizes = np.unique(np.round(np.geomspace(*span, _SIZES)).astype(np.int64)).tolist()
    relative = np.stack([_relative(Splits(population, n, law="empirical"), bands, sigma_max) for n in sizes])
    return Correction.of(population, sizes, relative, bands, sigma_max)


def _needed(
    population: Population,
    band: Band,
    index: int,
    sigma_max: float,
    tolerance: float,
    law: str,
    correction: Correction | None,
) -> SampleSize | None:
    if population.eigenvalues[band.start] <= 0:  # nothing to disagree on
        return SampleSize(2, 0.0, None, None)

    def measure(splits: Splits, f: SpectralFunction) -> float:
        value = float(splits.mean_disagreement(f, sigma_max**2, bands=[band], relative=True)[0])
        return value if correction is None else value * correction.at(splits.n, index)

    try:
        return samples_for(
            population,
            lambda splits: splits.sampling_map(0.0, sigma_max),
            tolerance,
            measure=measure,
            law=law if correction is None else CHEAPER,
        )
    except ValueError as error:
        if not str(error).startswith("tolerance must be at least"):
            raise
        return None
