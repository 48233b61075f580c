"""What happens to every law on entry: one scale is divided out, and N samples must determine the answer."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from .. import _core
from .._checks import FloatArray
from ..population import Population
from .law import Ensemble, IndexArray, Law, Support, independent_ensemble
from .sample_error import SampleError

__all__ = ["EnteredLaw", "enter"]

#: Populations whose largest standard deviation lies between 1/256 and 256 keep their units: no law loses digits there.
_UNIT_EXPONENT = 8
#: Range of the largest eigenvalue. Beyond it, squares of other quantities in these units are not double-precision numbers.
_SMALLEST, _LARGEST = 1e-280, 1e280
#: Eigenvalues of at least 2 to this power have all their digits, with room for products.
_LEAST_EXPONENT = -1000

#: A gain between 0 and 1 has at most the variance E(1 − E). Laws of a few samples may exceed it by this much.
_ALLOWED_EXCESS = 0.05
#: Rounding error of the sum of the weights of a map.
_ROUNDING = 1e-9

_IN_UNITS: WeakKeyDictionary[Population, Population] = WeakKeyDictionary()


def enter(build: Callable[[Ensemble], Law], ensemble: Ensemble) -> EnteredLaw:
    """The law that `build` makes of the ensemble, in units in which the data are of order 1.

    Raises
    ------
    ValueError
        The largest eigenvalue is not between 1e-280 and 1e280.
    """
    unit = _unit(ensemble.population)
    if unit != 1:
        ensemble = replace(ensemble, population=_divided(ensemble.population, unit))
    return EnteredLaw(build(ensemble), SampleError(independent_ensemble(ensemble)), unit)


def _unit(population: Population) -> float:
    """A power of two near the largest standard deviation, by which a division is exact; 1 if that is of order 1.

    It is smaller where the smallest positive eigenvalue, divided by its square, would lose digits.
    """
    largest = float(np.max(population.eigenvalues, initial=0.0))
    if largest == 0:
        return 1.0
    if not _SMALLEST <= largest <= _LARGEST:
        raise ValueError(
            f"population must have a largest eigenvalue between {_SMALLEST:g} and {_LARGEST:g}, got {largest:.3g}: "
            "multiply the data by a constant"
        )
    smallest = float(np.min(population.eigenvalues, where=population.eigenvalues > 0, initial=largest))
    exponent = min(math.frexp(math.sqrt(largest))[1], (math.frexp(smallest)[1] - _LEAST_EXPONENT) // 2)
    return 1.0 if abs(exponent) <= _UNIT_EXPONENT else math.ldexp(1.0, exponent)


def _divided(population: Population, unit: float) -> Population:
    """The population of the data divided by `unit`, kept for all n; without what no law uses, the mean and the eigenvectors."""
    found = _IN_UNITS.get(population)
    if found is None:
        profiles = population.profiles
        found = population.replace(
            eigenvalues=population.eigenvalues / unit / unit,
            mean=None,
            eigenvectors=None,
            profiles=None if profiles is None else np.asarray(profiles / unit, dtype=np.float32),
        )
        _IN_UNITS[population] = found
    return found


class EnteredLaw(Law):
    """A law in units in which the data are of order 1, for callers who use the units of the data.

    Attributes
    ----------
    law : the law in those units
    unit : the value, in units of the data, that is 1 there
    """

    def __init__(self, law: Law, error: SampleError, unit: float) -> None:
        self.law, self.unit = law, unit
        self._error = error

    def _map(self, f: _core.SpectralFunction) -> _core.SpectralFunction:
        """The map in these units; TypeError if it is none."""
        if not isinstance(f, _core.SpectralFunction):
            raise TypeError(
                f"f must be a SpectralFunction, such as those of Splits.sampling_map, got {reprlib.repr(f)}"
            )
        if self.unit == 1:
            return f
        return _core.SpectralFunction(f.constant, f.weights, self._squared(f.shifts), f.error_bound)

    def _squared(self, values: FloatArray) -> FloatArray:
        """Variances in units of the data, divided by the square of the unit, which itself may not be representable."""
        return values / self.unit / self.unit

    def _restored(self, values: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):  # the caller refuses infinite answers
            return values * self.unit * self.unit

    def _determined(self, *maps: _core.SpectralFunction, variance: FloatArray | None) -> None:
        for f in maps:
            self._error.require(f, variance)

    def _possible(self, f: _core.SpectralFunction, variance: FloatArray, modes: slice | IndexArray) -> None:
        """Check the variances of the gains of some modes, for maps whose gain lies between 0 and 1."""
        if f.constant < 0 or np.any(f.weights < 0) or f.constant + f.weights.sum() > 1 + _ROUNDING:
            return
        gain = self.law.expectation(f)[modes]
        excess = variance - gain * (1 - gain)
        if not np.any(excess > _ALLOWED_EXCESS):
            return
        worst = int(np.argmax(excess))
        message = (
            f"the law has the variance {variance[worst]:.3g} for a gain between 0 and 1 of mean {gain[worst]:.3g}, whose "
            f"variance is at most {gain[worst] * (1 - gain[worst]):.3g}"
        )
        if self._error.corrected:
            raise _core.UnidentifiedError(f"Splits: n must be smaller or sample_size larger: {message}")
        raise _core.ConvergenceError(f"Splits: {message}")

    def expectation(self, f: _core.SpectralFunction) -> FloatArray:
        """Gains have no unit."""
        return self.law.expectation(self._map(f))

    def mode_covariance(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, modes: IndexArray | None
    ) -> FloatArray:
        """Covariances of gains have no unit."""
        first, second = self._map(f), self._map(g)
        self._determined(first, second, variance=None)
        covariance = self.law.mode_covariance(first, second, modes)
        if f is g:
            self._possible(first, np.diagonal(covariance), slice(None) if modes is None else modes)
        return covariance

    def equal_mode_variance(self, f: _core.SpectralFunction) -> FloatArray:
        """Variances of gains have no unit."""
        inner = self._map(f)
        self._determined(inner, variance=None)
        variance = self.law.equal_mode_variance(inner)
        self._possible(inner, variance, slice(None))
        return variance

    def output(self, f: _core.SpectralFunction, x: FloatArray, groups: FloatArray) -> FloatArray:
        """Inputs have the unit of the data, and variances of outputs its square."""
        inner, inputs = self._map(f), x / self.unit
        self._determined(inner, variance=_mean_square(inputs))
        return self._restored(self.law.output(inner, inputs, groups))

    def directional(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, x: FloatArray, y: FloatArray, v: FloatArray
    ) -> FloatArray:
        """Inputs have the unit of the data, covariances of outputs its square, and directions none."""
        first, second = self._map(f), self._map(g)
        inputs = x / self.unit
        others = inputs if x is y else y / self.unit
        self._determined(first, variance=_mean_square(inputs))
        self._determined(second, variance=_mean_square(others))
        return self._restored(self.law.directional(first, second, inputs, others, v))

    def spread(self, f: _core.SpectralFunction, variance: FloatArray, multiplicity: FloatArray) -> FloatArray:
        """The variances of inputs and of outputs have the square of the unit."""
        inner, inputs = self._map(f), self._squared(variance)
        self._determined(inner, variance=inputs)
        return self._restored(self.law.spread(inner, inputs, multiplicity))

    def support(self) -> Support:
        """Eigenvalues have the square of the unit."""
        low, high = self.law.support()
        return Support(low * self.unit * self.unit, high * self.unit * self.unit)

    def kappa(self, noise_variance: FloatArray) -> FloatArray:
        """Noise variances and κ have the square of the unit."""
        noise = self._squared(noise_variance)
        self._error.require_kappa(noise)
        return self._restored(self.law.kappa(noise))

    def kappa_correction(self, noise_variance: FloatArray) -> FloatArray:
        """As κ."""
        noise = self._squared(noise_variance)
        self._error.require_kappa(noise)
        return self._restored(self.law.kappa_correction(noise))

    def expectation_correction(self, f: _core.SpectralFunction) -> FloatArray:
        """Gains have no unit."""
        inner = self._map(f)
        self._determined(inner, variance=None)
        return self.law.expectation_correction(inner)


def _mean_square(inputs: FloatArray) -> FloatArray:
    """(1,) the mean square of the mode coordinates of inputs (B, k), as their variance."""
    with np.errstate(over="ignore"):  # the caller refuses infinite answers
        return np.array([np.mean(inputs * inputs) if inputs.size else 0.0])
