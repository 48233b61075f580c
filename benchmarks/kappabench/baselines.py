"""The methods that people use today, written as well as their authors or a careful NumPy user would write them.

* `numpy_newton`: the Silverstein equation by vectorised NumPy, all modes times all noise levels at once.
* `fsolve_kappa`: the published float64 recipe, SciPy's ``fsolve`` for one noise level at a time.
* `mpmath_root`: the published recipe at 80 digits, ``mpmath.findroot`` for one noise level at a time.
* `published_square_root`: the published float64 recipe for Σ̂^½: 100 Gauss-Legendre nodes in θ, t = tan²θ, SciPy's ``fsolve``
  for κ at each node, dense (d, 100, 100) arrays for the variance of every mode.
* `dblquad_variance`, `cubature_square_root`: the same integrals by SciPy's adaptive quadrature.

Each of the first three takes the start of its iteration: ``"trace"``, t + tr Σ/n, at or above the largest root, or
``"noise"``, t itself, below it.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
from scipy import integrate
from scipy.optimize import brentq, fsolve

FloatArray = npt.NDArray[np.float64]


def _start(t: Any, trace: Any, n: float, start: str) -> Any:
    return t + trace / n if start == "trace" else t


def numpy_newton(t: FloatArray, s: FloatArray, n: float, start: str = "trace") -> FloatArray:
    """κ(t) by Newton's iteration on a (d, T) array."""
    kappa, previous = np.array(_start(t, s.sum(), n, start)), np.inf
    for _ in range(200):
        g = s[:, None] / (s[:, None] + kappa)
        residual = kappa * (1 - g.sum(0) / n) - t
        new = kappa - residual / (1 - (g * g).sum(0) / n)
        change = np.max(np.abs(1 - new / kappa))
        kappa = new
        if change <= 1e-14 or (change <= 1e-8 and change >= previous):  # the second: rounding has taken over
            break
        previous = change
    return kappa


def fsolve_kappa(
    t: FloatArray, s: FloatArray, n: float, start: str = "trace"
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """(κ(t), whether fsolve said that it stopped short), one noise level at a time."""
    kappa, warned = np.empty(len(t)), np.zeros(len(t), dtype=bool)
    with warnings.catch_warnings():  # the flag is recorded; the recipe continues, and so does this copy of it
        warnings.simplefilter("ignore", RuntimeWarning)
        for i, level in enumerate(t):
            root, _, flag, _ = fsolve(
                lambda k, level=level: k * (1 - (s / (s + k)).sum() / n) - level,
                _start(level, s.sum(), n, start),
                xtol=1e-14,
                full_output=True,
            )
            kappa[i], warned[i] = root[0], flag != 1
    return kappa, warned


def mpmath_root(t: float, s: FloatArray, n: float, start: str = "trace") -> mpmath.mpf:
    """κ(t) by mpmath.findroot at 80 digits."""
    with mpmath.workdps(80):
        values, noise, samples = [mpmath.mpf(float(v)) for v in s], mpmath.mpf(float(t)), mpmath.mpf(n)

        def equation(k: mpmath.mpf) -> mpmath.mpf:
            return k * (1 - mpmath.fsum(v / (v + k) for v in values) / samples) - noise

        return mpmath.findroot(equation, _start(noise, mpmath.fsum(values), samples, start))


def gauss_legendre(nodes: int, scale: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """(weights, shifts) of √x ≈ Σ w x/(x + t) by Gauss-Legendre nodes in θ, t = scale tan²θ; the recipe has scale 1."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    theta = 0.25 * np.pi * (x + 1)
    weights = 0.25 * np.pi * w * (2 / np.pi) / np.cos(theta) ** 2
    return np.sqrt(scale) * weights, scale * np.tan(theta) ** 2


def published_square_root(s: FloatArray, n: float, nodes: int = 100) -> tuple[FloatArray, FloatArray]:
    """(E Σ̂^½, variance of each equal mode) by the published float64 recipe."""
    weight, t = gauss_legendre(nodes)
    kappa, _ = fsolve_kappa(t, s, n)
    g = 1 / (s[:, None] + kappa)
    expectation = (weight * s[:, None] * g).sum(1)
    df2 = (s[:, None] * g).T @ (s[:, None] * g)
    kernel = np.outer(weight * kappa, weight * kappa) / (n - df2)
    anisotropy = s[:, None, None] * g[:, :, None] * g[:, None, :]  # (d, nodes, nodes)
    return expectation, np.einsum("ij,kij->k", kernel, anisotropy**2)


# ---------------------------------------------------------------- SciPy quadrature
def dblquad_variance(s: FloatArray, n: float, mode: int, tolerance: float) -> tuple[float, int]:
    """(equal-mode variance of Σ̂^½ for one mode, integrand evaluations) by scipy.integrate.dblquad in (θ, θ′).

    κ comes from SciPy's brentq on a bracket, which cannot take a wrong root, and is kept for nodes that return.
    """
    rank, trace, calls = int(np.count_nonzero(s)), float(s.sum()), 0

    @functools.cache
    def kappa(t: float) -> float:
        def balance(k: float) -> float:
            return n * t / k - (n - rank) - float((k / (s + k)).sum())

        return float(brentq(balance, 0.5 * t, 2 * (t + trace / n), xtol=1e-300, rtol=1e-15))

    def integrand(a: float, b: float) -> float:
        nonlocal calls
        calls += 1
        ki, kj = kappa(np.tan(a) ** 2), kappa(np.tan(b) ** 2)
        df2 = float((s / (s + ki) * (s / (s + kj))).sum())
        jacobian = (2 / np.pi) ** 2 / (np.cos(a) * np.cos(b)) ** 2
        return float(jacobian * ki * kj / (n - df2) * (s[mode] / ((s[mode] + ki) * (s[mode] + kj))) ** 2)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", integrate.IntegrationWarning)
        value, _ = integrate.dblquad(integrand, 0, np.pi / 2, 0, np.pi / 2, epsabs=0, epsrel=tolerance)
    return float(value), calls


def cubature_square_root(s: FloatArray, n: float, tolerance: float) -> tuple[FloatArray, FloatArray, int, bool]:
    """(expectation, variance, evaluations, converged) of all modes of Σ̂^½ by scipy.integrate.cubature in θ and (θ, θ′).

    κ by `numpy_newton` on all points of a call. The variable θ takes the published form, t = tan²θ.
    """
    points = 0

    def resolvent(theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        kappa = numpy_newton(np.tan(theta) ** 2, s, n)
        return kappa, (2 / np.pi) / np.cos(theta) ** 2, s[:, None] / (s[:, None] + kappa)

    def mean(x: FloatArray) -> FloatArray:
        nonlocal points
        points += len(x)
        _, jacobian, g = resolvent(x[:, 0])
        return (jacobian * g).T

    def spread(x: FloatArray) -> FloatArray:
        nonlocal points
        points += len(x)
        ki, ji, gi = resolvent(x[:, 0])
        kj, jj, gj = resolvent(x[:, 1])
        kernel = ji * ki * jj * kj / (n - (gi * gj).sum(0))
        return (kernel * (gi * gj / s[:, None]) ** 2).T

    top = np.pi / 2
    first = integrate.cubature(mean, [0.0], [top], rtol=tolerance, atol=0)
    second = integrate.cubature(spread, [0.0, 0.0], [top, top], rtol=tolerance, atol=0, max_subdivisions=2000)
    good = first.status == "converged" and second.status == "converged"
    return first.estimate, second.estimate, points, good
