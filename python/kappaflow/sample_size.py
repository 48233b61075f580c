"""How many training samples are needed: the smallest n at which a measure of the splits meets a tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from . import _core
from ._checks import choice, positive
from ._progress import CountProgress, counted
from ._tables import Columns, Tabular
from .laws import DEFAULT_LAW
from .population import Population
from .splits import Splits, input_spread

__all__ = [
    "LARGEST_N",
    "MEASURES",
    "NotReachedError",
    "SampleSize",
    "require_training_sets",
    "samples_for",
    "smallest_size",
    "smallest_training_set",
]

#: A measure of the splits for a map, which decreases for large n.
Measure: TypeAlias = Callable[[Splits, _core.SpectralFunction], float]

#: The largest training set that :func:`samples_for` considers.
LARGEST_N = 10**12


class NotReachedError(ValueError):
    """No allowed training-set size meets the tolerance."""


@dataclass(frozen=True)
class SampleSize(Tabular):
    """Answer of :func:`samples_for`.

    Attributes
    ----------
    n, value : the smallest training-set size that meets the tolerance, and the measure there
    n_below, value_below : n − 1, which does not meet it, and the measure there; None if n is the smallest possible size
    """

    n: int
    value: float
    n_below: int | None
    value_below: float | None

    def _columns(self) -> Columns:
        if self.n_below is None:
            return {"n": [self.n], "value": [self.value], "meets": [True]}
        return {"n": [self.n_below, self.n], "value": [self.value_below, self.value], "meets": [False, True]}


def _disagreement(relative: bool, bands: Any, **spread: Any) -> Measure:
    """The mean disagreement of the band where it is largest; `spread` is that of the inputs."""
    return lambda splits, f: float(np.max(splits.mean_disagreement(f, bands=bands, relative=relative, **spread)))


#: Named measures of :func:`samples_for`, and whether each is relative: the mean disagreement of the worst band.
MEASURES = {"disagreement": False, "relative_disagreement": True}


def _evaluation(measure: str | Measure, bands: Any, input_sigma: Any, input_variance: Any) -> Measure:
    if not isinstance(measure, str):
        return measure
    choice("measure", measure, tuple(MEASURES))
    if input_sigma is None and input_variance is None:
        raise TypeError(
            f"the measure {measure!r} needs input_sigma, for instance sigma_max, or input_variance, got neither"
        )
    input_spread(input_sigma, input_variance)  # an error before any work
    return _disagreement(MEASURES[measure], bands, input_sigma=input_sigma, input_variance=input_variance)


def samples_for(
    population: Population,
    f_of_splits: Callable[[Splits], _core.SpectralFunction],
    tolerance: float,
    *,
    measure: str | Measure = "relative_disagreement",
    law: str = DEFAULT_LAW,
    population_is: str = "sample",
    bands: Any = None,
    input_sigma: Any = None,
    input_variance: Any = None,
    progress: CountProgress = None,
) -> SampleSize:
    """Smallest n from which on a measure of the splits meets a tolerance, with its bracket.

    Parameters
    ----------
    population : Population
    f_of_splits : callable
        Returns the spectral function for a `Splits`, for example ``lambda splits: splits.sampling_map()``.
    tolerance : number > 0
        The measure must be at most this.
    measure : name in :data:`MEASURES`, or a callable (splits, f) → float that decreases for large n
        "relative_disagreement" and "disagreement" are the mean disagreement of the band where it is largest.
    law, population_is : options of :class:`Splits`
    bands, input_sigma, input_variance
        Options of the named measures, which need exactly one of the last two; see :meth:`Splits.mean_disagreement`.
    progress : bool or callable
        True shows a progress bar on a terminal and in a notebook. A callable is called with the number of sizes tried so far.

    Raises
    ------
    TypeError
        A named measure without `input_sigma` and `input_variance`, or with both.
    NotReachedError
        A ValueError: the tolerance is not met at n = 10¹², or at n = N if the population is known through N samples that
        determine nothing beyond N.
    ValueError
        Bad options.

    Notes
    -----
    A measure need not be monotone when n is far below the rank. The search goes downwards from large n, so every larger n (on a
    grid of powers of two) meets the tolerance as well.
    """
    allowed = positive("tolerance", tolerance)
    evaluate = _evaluation(measure, bands, input_sigma, input_variance)
    with counted(progress, "training-set sizes tried") as report:
        tried = 0

        def value(n: int) -> float:
            nonlocal tried
            splits = Splits(population, n, law=law, population_is=population_is)
            measured = evaluate(splits, f_of_splits(splits))
            tried += 1
            report(tried)
            return measured

        return smallest_size(value, allowed, population)


def smallest_training_set(population: Population) -> int:
    """The smallest n that determines a covariance and a mean: 2, or more than one group."""
    return 2 if population.group_count is None else int(population.group_size) + 1


def require_training_sets(population: Population, sizes: Sequence[int]) -> None:
    """Check that training sets of these sizes determine a covariance and a mean.

    Raises
    ------
    ValueError
        The smallest of them holds one image, or no more than one group of mean size.
    """
    least = smallest_training_set(population)
    if min(sizes) < least:
        grouped = population.group_count is not None and population.group_size > 1
        why = f", more than one group of {population.group_size:.4g} images on average" if grouped else ""
        raise ValueError(f"n must be at least {least}{why}, got {min(sizes)}")


def _determined(value: Callable[[int], float], n: int) -> float:
    """The value at n, infinite if the images do not determine it."""
    try:
        return value(n)
    except _core.UnidentifiedError:
        return math.inf


def largest_determined(determined: Callable[[int], bool], low: int, high: int) -> int:
    """The largest n from `low` to `high` at which the images determine an answer, by bisection; `low` if there is none."""
    if determined(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if determined(middle) else (low, middle)
    return low


def smallest_size(value: Callable[[int], float], allowed: float, population: Population) -> SampleSize:
    """The smallest n from which on a measure meets a tolerance: halve n from the largest one while it is met, then bisect.

    Parameters
    ----------
    value : the measure of training sets of n samples
    allowed : the largest value that is allowed
    population : what the samples are drawn from

    Raises
    ------
    NotReachedError
        See :func:`samples_for`.
    UnidentifiedError
        The images do not determine the measure at any n.
    """
    sample_size, smallest = population.sample_size, smallest_training_set(population)
    high, reason = LARGEST_N, ""
    at_high = _determined(value, high)
    if math.isinf(at_high) and sample_size is not None:
        high = largest_determined(lambda n: math.isfinite(_determined(value, n)), smallest, sample_size)
        reason, at_high = " (so few images determine nothing beyond it)", value(high)
    if not at_high <= allowed:
        raise NotReachedError(
            f"tolerance must be at least {at_high:.3g}, the measure at n = {high}{reason}, got {allowed:.3g}"
        )
    while True:
        low = max(smallest, high // 2)
        at_low = _determined(value, low)
        if not at_low <= allowed:
            break
        high, at_high = low, at_low
        if low == smallest:
            return SampleSize(n=smallest, value=at_high, n_below=None, value_below=None)
    while high - low > 1:
        middle = (low + high) // 2
        at_middle = _determined(value, middle)
        if at_middle <= allowed:
            high, at_high = middle, at_middle
        else:
            low, at_low = middle, at_middle
    return SampleSize(n=high, value=at_high, n_below=low, value_below=at_low)
