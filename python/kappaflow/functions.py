"""Spectral functions f(x) = c + Σᵢ wᵢ x/(x + tᵢ) and the Silverstein equation as plain functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from . import _core
from ._checks import (
    FloatArray,
    map_levels,
    not_negative,
    positive,
    real_array,
    rule_tolerance,
    spectrum_arrays,
    variance_of,
)
from ._repr import ShortRepr, short_repr
from ._tables import Columns, Tabular
from .sampling import SIGMA_MAX

__all__ = [
    "KappaInfo",
    "SpectralSupport",
    "SpectrumAtoms",
    "compress_spectrum",
    "denoiser",
    "df1",
    "df2",
    "matrix_power",
    "sampling_map",
    "solve_kappa",
    "spectral_density",
    "spectral_support",
]


@dataclass(frozen=True, repr=False)
class KappaInfo(Tabular):
    """κ with its certificate and the work done, from :func:`solve_kappa`; every array has the shape of the noise levels.

    Attributes
    ----------
    noise_variance : t = σ²
    kappa : κ(t)
    derivative : dκ/dt = n/(n − df2(κ, κ))
    df1 : degrees of freedom Σ s/(s+κ)
    residual : |κ(1 − df1/n) − t|/κ, the residual of the equation; 0 if κ(0) = 0
    iterations : evaluations of the equation
    certified : the equation changes sign across κ(1 ± 1e-13), proved with a bound on rounding errors; for a subnormal κ
        between its neighbours among doubles
    total_terms : work, the number of terms s/(s+κ) that were summed
    """

    noise_variance: FloatArray
    kappa: FloatArray
    derivative: FloatArray
    df1: FloatArray
    residual: FloatArray
    iterations: npt.NDArray[np.int64]
    certified: npt.NDArray[np.bool_]
    total_terms: int

    def __repr__(self) -> str:
        count = self.kappa.size
        good = "all certified" if self.certified.all() else f"{int(self.certified.sum())} certified"
        worst = f", largest residual {self.residual.max():.2g}" if count else ""
        return f"KappaInfo({count} noise levels, {good}{worst})"

    def _columns(self) -> Columns:
        names = ("noise_variance", "kappa", "derivative", "df1", "residual", "iterations", "certified")
        return {name: getattr(self, name).ravel() for name in names}


class SpectralSupport(NamedTuple):
    """The support of the limiting spectrum of a sample covariance.

    Attributes
    ----------
    intervals : (m, 2) closed intervals, ascending; the atom at zero is not one of them
    zero_mass : mass of the atom at zero, 1 − min(n, rank)/d
    """

    intervals: FloatArray
    zero_mass: float

    def __repr__(self) -> str:
        return short_repr(self)


@dataclass(frozen=True, repr=False)
class SpectrumAtoms(Tabular, ShortRepr):
    """A spectrum in few atoms.

    Attributes
    ----------
    eigenvalues : (k,) values s > 0
    multiplicity : (k,) weight of each of them, in general not a whole number
    """

    eigenvalues: FloatArray
    multiplicity: FloatArray

    def _columns(self) -> Columns:
        return {"eigenvalue": self.eigenvalues, "multiplicity": self.multiplicity}


def _degrees(n: Any) -> float:
    return positive("n", n)


@overload
def solve_kappa(
    eigenvalues: Any,
    n: float,
    *,
    sigma: Any = None,
    noise_variance: Any = None,
    multiplicity: Any = None,
    return_info: Literal[False] = False,
) -> FloatArray: ...
@overload
def solve_kappa(
    eigenvalues: Any,
    n: float,
    *,
    sigma: Any = None,
    noise_variance: Any = None,
    multiplicity: Any = None,
    return_info: Literal[True],
) -> KappaInfo: ...
def solve_kappa(
    eigenvalues: Any,
    n: float,
    *,
    sigma: Any = None,
    noise_variance: Any = None,
    multiplicity: Any = None,
    return_info: bool = False,
) -> FloatArray | KappaInfo:
    r"""Renormalised noise κ(t): the largest root of the Silverstein equation t = κ (1 − df1(κ)/n), t = σ².

    Parameters
    ----------
    eigenvalues : (k,)
        Population eigenvalues s ≥ 0, in any order.
    n : number > 0
        Degrees of freedom of the sample covariance: the number of training samples if their mean is known. For an
        estimated mean, and Σ̂ with divisor n, use :meth:`Splits.kappa`.
    sigma, noise_variance : array of any shape
        Noise levels σ ≥ 0, or their squares t = σ² ≥ 0. Give exactly one of the two.
    multiplicity : (k,), optional
        How often each eigenvalue occurs; 1 by default.
    return_info : bool
        Return a :class:`KappaInfo`, which holds κ and its certificate, and raise nothing if a value is not certified.

    Returns
    -------
    array of the shape of the noise levels, relative accuracy about 1e-15 for spectra of any width; or the
    :class:`KappaInfo`.

    Raises
    ------
    TypeError
        Both or neither of `sigma` and `noise_variance`, or values that are not real numbers.
    ValueError
        Negative, NaN or infinite values, shapes that do not fit.
    ConvergenceError
        A value is not certified, or exceeds 1.8e308, and `return_info` is false.

    Examples
    --------
    One eigenvalue of multiplicity 64 and 16 samples, no noise: κ = 64/16 − 1.

    >>> round(float(solve_kappa([1.0], 16, sigma=0.0, multiplicity=[64])), 12)
    3.0

    References
    ----------
    Silverstein (1995); Wang, Zavatone-Veth and Pehlevan (2026), arXiv 2602.02908. Equation (9) of docs/theory.md.
    """
    t = variance_of(sigma, noise_variance)
    spectrum = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity))
    result = _core.solve_kappa(t.ravel(), spectrum, _degrees(n))
    kappa = result.kappa.reshape(t.shape)
    if return_info:
        return _info(result, t, kappa)
    if not result.good:
        first = int(np.argmin(result.certified))
        problem = "is not certified" if np.isfinite(result.kappa[first]) else "exceeds the range of double precision"
        raise _core.ConvergenceError(f"solve_kappa: kappa {problem} at noise_variance {t.ravel()[first]}")
    return kappa


def _info(result: _core.KappaResult, t: FloatArray, kappa: FloatArray) -> KappaInfo:
    return KappaInfo(
        noise_variance=t,
        kappa=kappa,
        derivative=result.derivative.reshape(t.shape),
        df1=result.df1.reshape(t.shape),
        residual=result.residual.reshape(t.shape),
        iterations=result.iterations.astype(np.int64).reshape(t.shape),
        certified=np.asarray(result.certified, dtype=np.bool_).reshape(t.shape),
        total_terms=result.total_terms,
    )


def df1(kappa: Any, eigenvalues: Any, *, multiplicity: Any = None) -> FloatArray:
    """Degrees of freedom df1(κ) = Σ s/(s+κ), of the shape of `kappa`.

    Parameters
    ----------
    kappa : array of any shape
        κ ≥ 0; df1(0) is the rank.
    eigenvalues, multiplicity : (k,)
        See :func:`solve_kappa`.

    Raises
    ------
    TypeError, ValueError
        Values that are not real numbers; negative, NaN or infinite ones; shapes that do not fit.
    """
    spectrum = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity))
    k = real_array("kappa", kappa)
    return np.array([_core.df1(float(v), spectrum) for v in k.ravel()], dtype=np.float64).reshape(k.shape)


def df2(kappa: Any, kappa2: Any, eigenvalues: Any, *, multiplicity: Any = None) -> FloatArray:
    """df2(κ, κ′) = Σ s²/((s+κ)(s+κ′)), of the broadcast shape of `kappa` and `kappa2`.

    Parameters
    ----------
    kappa, kappa2 : arrays whose shapes broadcast
        κ ≥ 0 and κ′ ≥ 0.
    eigenvalues, multiplicity : (k,)
        As of :func:`solve_kappa`.

    Raises
    ------
    TypeError, ValueError
        Values that are not real numbers; negative, NaN or infinite ones; shapes that do not fit.
    """
    spectrum = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity))
    a, b = np.broadcast_arrays(real_array("kappa", kappa), real_array("kappa2", kappa2))
    values = [_core.df2(float(x), float(y), spectrum) for x, y in zip(a.ravel(), b.ravel(), strict=True)]
    return np.array(values, dtype=np.float64).reshape(a.shape)


def spectral_support(eigenvalues: Any, n: float, *, multiplicity: Any = None) -> SpectralSupport:
    """Support of the limiting spectrum of the sample covariance, for a known mean.

    Parameters
    ----------
    eigenvalues, n, multiplicity
        As of :func:`solve_kappa`.

    Returns
    -------
    SpectralSupport
        `intervals`, (m, 2), and `zero_mass`, the mass of the atom at zero.

    Raises
    ------
    TypeError, ValueError
        Bad input; no eigenvalue is positive.

    Examples
    --------
    Marchenko and Pastur: (1 ± √(d/n))².

    >>> spectral_support([1.0], 400, multiplicity=[100]).intervals
    array([[0.25, 2.25]])

    References
    ----------
    Silverstein and Choi (1995).
    """
    intervals, atom = _core.spectral_support(_core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity)), _degrees(n))
    return SpectralSupport(intervals, atom)


def spectral_density(x: Any, eigenvalues: Any, n: float, *, multiplicity: Any = None) -> FloatArray:
    """Density of the limiting spectrum of the sample covariance at x > 0; its integral is min(n, rank)/d.

    Every point is a root of the Silverstein equation at t = −x − i0 whose residual has been checked.

    Parameters
    ----------
    x : array of any shape
        Points x > 0.
    eigenvalues, n, multiplicity
        As of :func:`solve_kappa`.

    Raises
    ------
    TypeError, ValueError
        Bad input, such as x = 0.
    ConvergenceError
        A root fails its check.
    """
    points = real_array("x", x)
    if points.size and points.min() <= 0:
        raise ValueError(f"x must be positive, got {points.min()}")
    spectrum = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity))
    density, _ = _core.spectral_density(points.ravel(), spectrum, _degrees(n))
    return np.asarray(density).reshape(points.shape)


def compress_spectrum(eigenvalues: Any, multiplicity: Any = None) -> SpectrumAtoms:
    """A few atoms with the same Σ s/(s+κ), to 1e-14, for every κ > 0.

    The atoms are Gauss rules in log s with at most twelve atoms per decade. The cost of later calculations then does not depend
    on d.

    Parameters
    ----------
    eigenvalues, multiplicity : (k,)
        As of :func:`solve_kappa`.

    Returns
    -------
    SpectrumAtoms
        `eigenvalues` and `multiplicity`, for the other functions of this module.

    Raises
    ------
    TypeError, ValueError
        Bad input.
    """
    small = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity)).compressed()
    return SpectrumAtoms(small.eigenvalues, small.multiplicity)


def _interval(support: Any) -> tuple[float, float]:
    edges = real_array("support", support)
    if edges.shape != (2,) or not 0 < edges[0] <= edges[1]:
        raise ValueError(f"support must be (low, high) with 0 < low <= high, got {support!r}")
    return float(edges[0]), float(edges[1])


def denoiser(sigma: float) -> _core.SpectralFunction:
    """Optimal linear denoiser x/(x + σ²) at noise level σ ≥ 0: one node, exact.

    Raises
    ------
    TypeError, ValueError
        σ is not a number, negative, NaN or infinite, or above 0 and its square is not a normal number.
    """
    return _core.SpectralFunction.denoiser(not_negative("sigma", sigma))


def sampling_map(
    sigma: float = 0.0, sigma_max: float = SIGMA_MAX, *, support: Any, tolerance: float = 1e-13
) -> _core.SpectralFunction:
    """Probability-flow map √((x + σ²)/(x + σ_max²)) from σ_max down to σ, 0 ≤ σ < σ_max.

    Parameters
    ----------
    sigma, sigma_max : noise levels (standard deviations) at which the map ends and starts
    support : (low, high)
        An interval that holds the positive eigenvalues of Σ̂; :meth:`Splits.sampling_map` chooses it.
    tolerance : largest relative error of the rule on the support; zero eigenvalues are exact. The attribute `error_bound` of the
        result adds the rounding errors, a unit of rounding for each node and 64 more.

    Raises
    ------
    TypeError, ValueError
        Bad noise levels, support or tolerance; a noise level above 0 whose square is not a normal number.

    Examples
    --------
    >>> f = sampling_map(0.0, 80.0, support=(1e-6, 10.0))
    >>> bool(abs(f(0.5) / (0.5 / (0.5 + 6400)) ** 0.5 - 1) < 1e-12)
    True
    """
    low, top = map_levels(sigma, sigma_max)
    return _core.SpectralFunction.sampling_map(low, top, *_interval(support), rule_tolerance(tolerance))


def matrix_power(alpha: float, *, support: Any, tolerance: float = 1e-13) -> _core.SpectralFunction:
    """x^α with 0 < α < 1, exact at zero.

    Parameters
    ----------
    alpha : the exponent, strictly between 0 and 1
    support, tolerance : as of :func:`sampling_map`

    Raises
    ------
    TypeError, ValueError
        Bad exponent, support or tolerance.
    """
    exponent = positive("alpha", alpha)
    if exponent >= 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, got {alpha}")
    return _core.SpectralFunction.matrix_power(exponent, *_interval(support), rule_tolerance(tolerance))
