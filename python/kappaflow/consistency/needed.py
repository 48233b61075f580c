"""How many images are needed: :func:`~kappaflow.samples_for` by eigenband.

The search uses the Gaussian law and corrects it by the requested law, so that every law costs about the same. For images in groups
it is the Gaussian law of the independent samples that stand for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._core import ConvergenceError, UnidentifiedError
from .._repr import ShortRepr
from ..bands import Band
from ..identified import largest_n
from ..laws import DEFAULT_LAW, Work
from ..population import Population
from ..sample_size import NotReachedError, SampleSize, smallest_size, smallest_training_set
from ..splits import Splits

__all__ = ["Correction", "images_needed", "search_work"]

#: Number of sizes n at which another law is compared with the Gaussian law.
_SIZES = 6
#: The largest of them is this many times the largest Gaussian answer: data of unequal samples need more than that answer.
_REACH = 8


@dataclass(frozen=True, repr=False)
class Correction(ShortRepr):
    """Relative disagreement of a law, divided by that of the Gaussian law, at a few n; interpolated in log n.

    Attributes
    ----------
    sizes : (T,) the values of n, ascending
    ratio : (T, B) the quotient by n and eigenband; constant beyond the sizes
    """

    sizes: npt.NDArray[np.int64]
    ratio: FloatArray

    @classmethod
    def of(
        cls, population: Population, sizes: Sequence[int], relative: FloatArray, bands: Sequence[Band], sigma_max: float
    ) -> Correction:
        """The quotient, from a law's relative disagreement (T, B) at T sizes."""
        plain = np.stack([_relative(Splits.in_closed_form(population, n), bands, sigma_max) for n in sizes])
        ratio = np.divide(relative, plain, out=np.ones_like(plain), where=(plain > 0) & (relative > 0))
        return cls(np.array(sizes, dtype=np.int64), ratio)

    def at(self, n: int, band: int) -> float:
        """The quotient at n for one of the eigenbands, by its number from 0."""
        return float(np.exp(np.interp(np.log(n), np.log(self.sizes), np.log(self.ratio[:, band]))))


def _relative(splits: Splits, bands: Sequence[Band], sigma_max: float) -> FloatArray:
    f = splits.sampling_map(0.0, sigma_max)
    return splits.mean_disagreement(f, input_sigma=sigma_max, bands=bands, relative=True)


def search_work(population: Population) -> Work:
    """The work of a law in :func:`images_needed` without a given correction."""
    return Work.of(population, sizes=_SIZES)


def images_needed(
    population: Population,
    bands: Sequence[Band],
    sigma_max: float,
    tolerance: float,
    *,
    law: str = DEFAULT_LAW,
    correction: Correction | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[SampleSize | None, ...]:
    """(B,) smallest n at which each eigenband's relative disagreement of the sampling map meets the tolerance.

    A search tries about a hundred values of n, and some laws take seconds for each. The search therefore uses the Gaussian law,
    multiplied by the quotient of the two laws at a few values of n, which changes slowly with n.

    Parameters
    ----------
    population : Population
    bands : eigenbands; each is searched separately
    sigma_max : noise level at which sampling starts
    tolerance : relative disagreement to reach
    law : name of a law in :data:`~kappaflow.laws.REGISTRY`
    correction : quotient of that law and the Gaussian law, if it is known at some n; otherwise it is computed around the
        results of the Gaussian law
    progress : called with the number of eigenbands that are done

    Returns
    -------
    The results with their brackets; None if the tolerance is not met at any allowed n, see
    :func:`~kappaflow.identified.largest_n`.

    Raises
    ------
    ValueError, TypeError
        Bad options, named.
    ConvergenceError
        The law has no answer at any of the sizes at which it is compared with the Gaussian law.
    """
    if law != DEFAULT_LAW and correction is None:
        first = images_needed(population, bands, sigma_max, tolerance)
        correction = _around(population, [answer.n for answer in first if answer is not None], bands, sigma_max, law)
    known: dict[int, FloatArray] = {}

    def relative(n: int) -> FloatArray:
        if n not in known:  # the searches of all eigenbands begin at the same n
            known[n] = _relative(Splits.in_closed_form(population, n), bands, sigma_max)
        return known[n]

    answers: list[SampleSize | None] = []
    for index, band in enumerate(bands):
        if population.eigenvalues[band.start] <= 0:  # no variance: models agree at any n
            answers.append(SampleSize(n=smallest_training_set(population), value=0.0, n_below=None, value_below=None))
        else:
            answers.append(_needed(population, index, relative, tolerance, correction))
        if progress is not None:
            progress(index + 1)
    return tuple(answers)


def _around(
    population: Population, answers: list[int], bands: Sequence[Band], sigma_max: float, law: str
) -> Correction:
    """The correction at a few sizes, from the smallest Gaussian answer to beyond the largest one."""
    least = smallest_training_set(population)
    span = (max(least, min(answers)), max(least + 1, max(answers))) if answers else (100 * least // 2,) * 2
    top = min(_REACH * span[1], largest_n(population))
    sizes = np.unique(np.round(np.geomspace(min(span[0], top), top, _SIZES)).astype(np.int64)).tolist()
    known: dict[int, FloatArray] = {}
    for n in sizes:
        try:
            known[n] = _relative(Splits(population, n, law=law), bands, sigma_max)
        except (UnidentifiedError, ConvergenceError) as error:
            problem = error
    if not known:
        raise problem
    return Correction.of(population, list(known), np.stack(list(known.values())), bands, sigma_max)


def _needed(
    population: Population,
    band: int,
    relative: Callable[[int], FloatArray],
    tolerance: float,
    correction: Correction | None,
) -> SampleSize | None:
    def measure(n: int) -> float:
        value = float(relative(n)[band])
        return value if correction is None else value * correction.at(n, band)

    try:
        return smallest_size(measure, tolerance, population)
    except (NotReachedError, UnidentifiedError):
        return None
