"""Spectral functions f(x) = c + Σᵢ wᵢ x/(x + tᵢ) and the Silverstein equation as plain functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from . import _core
from ._checks import FloatArray, not_negative, positive, real_array, spectrum_arrays
from .sampling import SIGMA_MAX

__all__ = [
    "KappaInfo",
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


@dataclass(frozen=True)
class KappaInfo:
    """What :func:`solve_kappa` knows of its answer; every array has the shape of `noise_variance`.

    Attributes
    ----------
    derivative : dκ/dt = n/(n − df2(κ, κ))
    df1 : degrees of freedom Σ s/(s+κ)
    residual : |κ(1 − df1/n) − t|/κ, the residual of the equation
    iterations : evaluations of the equation
    certified : the equation changes sign across κ(1 ± 1e-13)
    total_terms : work, the number of terms s/(s+κ) that were summed
    """

    derivative: FloatArray
    df1: FloatArray
    residual: FloatArray
    iterations: npt.NDArray[np.int64]
    certified: npt.NDArray[np.bool_]
    total_terms: int


def _degrees(n: Any) -> float:
    return positive("n", n)


@overload
def solve_kappa(
    noise_variance: Any, eigenvalues: Any, n: float, *, multiplicity: Any = None, return_info: Literal[False] = False
) -> FloatArray: ...
@overload
def solve_kappa(
    noise_variance: Any, eigenvalues: Any, n: float, *, multiplicity: Any = None, return_info: Literal[True]
) -> tuple[FloatArray, KappaInfo]: ...
def solve_kappa(
    noise_variance: Any, eigenvalues: Any, n: float, *, multiplicity: Any = None, return_info: bool = False
) -> FloatArray | tuple[FloatArray, KappaInfo]:
    r"""Renormalised noise κ(t): the largest root of the Silverstein equation t = κ (1 − df1(κ)/n).

    Parameters
    ----------
    noise_variance : array of any shape
        t = σ² ≥ 0.
    eigenvalues : (k,)
        Population eigenvalues s ≥ 0, in any order.
    n : number > 0
        Degrees of freedom of the sample covariance: training samples with known mean. For an estimated mean, and
        Σ̂ with divisor n, use :meth:`Splits.kappa`.
    multiplicity : (k,), optional
        How often each eigenvalue occurs; 1 by default.
    return_info : bool
        Also return a :class:`KappaInfo`.

    Returns
    -------
    array of the shape of `noise_variance`, relative accuracy about 1e-15 for spectra of any width.

    Raises
    ------
    ValueError, TypeError
        Bad input, named.
    ConvergenceError
        A value is not certified and `return_info` is false.

    Examples
    --------
    One eigenvalue of multiplicity 64 and 16 samples, no noise: κ = 64/16 − 1.

    >>> round(float(solve_kappa(0.0, [1.0], 16, multiplicity=[64])), 12)
    3.0

    References
    ----------
    Silverstein (1995); Wang, Zavatone-Veth and Pehlevan (2026), arXiv 2602.02908.
    """
    t = real_array("noise_variance", noise_variance)
    if t.size and t.min() < 0:
        raise ValueError(f"noise_variance must not be negative, got {t.min()}")
    spectrum = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity))
    result = _core.solve_kappa(t.ravel(), spectrum, _degrees(n))
    kappa = result.kappa.reshape(t.shape)
    if return_info:
        return kappa, _info(result, t.shape)
    if not result.good:
        worst = t.ravel()[int(np.argmin(result.certified))]
        raise _core.ConvergenceError(f"solve_kappa: kappa is not certified at noise_variance {worst}")
    return kappa


def _info(result: _core.KappaResult, shape: tuple[int, ...]) -> KappaInfo:
    return KappaInfo(
        derivative=result.derivative.reshape(shape),
        df1=result.df1.reshape(shape),
        residual=result.residual.reshape(shape),
        iterations=result.iterations.astype(np.int64).reshape(shape),
        certified=np.asarray(result.certified, dtype=np.bool_).reshape(shape),
        total_terms=result.total_terms,
    )


def df1(kappa: Any, eigenvalues: Any, *, multiplicity: Any = None) -> FloatArray:
    """Degrees of freedom df1(κ) = Σ s/(s+κ), of the shape of `kappa` ≥ 0 (the rank at κ = 0)."""
    spectrum = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity))
    k = real_array("kappa", kappa)
    return np.array([_core.df1(float(v), spectrum) for v in k.ravel()], dtype=np.float64).reshape(k.shape)


def df2(kappa: Any, kappa2: Any, eigenvalues: Any, *, multiplicity: Any = None) -> FloatArray:
    """df2(κ, κ′) = Σ s²/((s+κ)(s+κ′)), of the broadcast shape of `kappa` and `kappa2`."""
    spectrum = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity))
    a, b = np.broadcast_arrays(real_array("kappa", kappa), real_array("kappa2", kappa2))
    values = [_core.df2(float(x), float(y), spectrum) for x, y in zip(a.ravel(), b.ravel(), strict=True)]
    return np.array(values, dtype=np.float64).reshape(a.shape)


def spectral_support(
    eigenvalues: Any, n: float, *, multiplicity: Any = None, return_zero_atom: bool = False
) -> FloatArray | tuple[FloatArray, float]:
    """Support of the limiting spectrum of the sample covariance (known mean): (m, 2) closed intervals, ascending.

    The atom at zero is not an interval; its mass 1 − min(n, rank)/d is returned too with ``return_zero_atom=True``.

    >>> spectral_support([1.0], 400, multiplicity=[100])  # Marchenko-Pastur, (1 ± √(d/n))²
    array([[0.25, 2.25]])
    """
    intervals, atom = _core.spectral_support(_core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity)), _degrees(n))
    return (intervals, atom) if return_zero_atom else intervals


def spectral_density(x: Any, eigenvalues: Any, n: float, *, multiplicity: Any = None) -> FloatArray:
    """Density at x > 0 of the limiting spectrum of the sample covariance; its integral is min(n, rank)/d.

    Every point is a root of the Silverstein equation at t = −x − i0 whose residual has been checked.
    """
    points = real_array("x", x)
    if points.size and points.min() <= 0:
        raise ValueError(f"x must be positive, got {points.min()}")
    spectrum = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity))
    density, _ = _core.spectral_density(points.ravel(), spectrum, _degrees(n))
    return np.asarray(density).reshape(points.shape)


def compress_spectrum(eigenvalues: Any, multiplicity: Any = None) -> tuple[FloatArray, FloatArray]:
    """A few atoms (values, multiplicities) with the same Σ s/(s+κ), to 1e-14, for every κ > 0.

    Gauss rules in log s, at most twelve atoms a decade: the cost of everything after this does not depend on d.
    """
    small = _core.Spectrum(*spectrum_arrays(eigenvalues, multiplicity)).compressed()
    return small.eigenvalues, small.multiplicity


def _interval(support: Any) -> tuple[float, float]:
    edges = real_array("support", support)
    if edges.shape != (2,) or not 0 < edges[0] <= edges[1]:
        raise ValueError(f"support must be (low, high) with 0 < low <= high, got {support!r}")
    return float(edges[0]), float(edges[1])


def denoiser(sigma: float) -> _core.SpectralFunction:
    """Optimal linear denoiser x/(x + σ²) at noise level σ ≥ 0: one node, exact."""
    return _core.SpectralFunction.denoiser(not_negative("sigma", sigma))


def sampling_map(
    sigma: float = 0.0, sigma_max: float = SIGMA_MAX, *, support: Any, tolerance: float = 1e-13
) -> _core.SpectralFunction:
    """Probability-flow map √((x + σ²)/(x + σ_max²)) from σ_max down to σ, 0 ≤ σ < σ_max.

    `support` = (low, high) holds the positive eigenvalues of Σ̂ on which the relative error is at most `tolerance`
    (zero eigenvalues are exact); :meth:`Splits.sampling_map` chooses it.

    >>> f = sampling_map(0.0, 80.0, support=(1e-6, 10.0))
    >>> bool(abs(f(0.5) / (0.5 / (0.5 + 6400)) ** 0.5 - 1) < 1e-12)
    True
    """
    low, top = not_negative("sigma", sigma), positive("sigma_max", sigma_max)
    if low >= top:
        raise ValueError(f"sigma must be below sigma_max = {top}, got {low}")
    return _core.SpectralFunction.sampling_map(low, top, *_interval(support), tolerance)


def matrix_power(alpha: float, *, support: Any, tolerance: float = 1e-13) -> _core.SpectralFunction:
    """x^α with 0 < α < 1, relative error at most `tolerance` on `support` = (low, high), exact at zero."""
    exponent = positive("alpha", alpha)
    if exponent >= 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, got {alpha}")
    return _core.SpectralFunction.matrix_power(exponent, *_interval(support), tolerance)
