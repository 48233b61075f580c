"""What people use today, written as well as its authors or a careful NumPy user would, and a reference to judge errors by.

* `numpy_newton`: the Silverstein equation by vectorised NumPy, all modes times all noise levels at once.
* `mpmath_root`: the published recipe at 80 digits, ``mpmath.findroot`` for one noise level at a time.
* `published_square_root`: the published float64 recipe for Σ̂^½: 100 Gauss-Legendre nodes in θ, t = tan²θ, SciPy's ``fsolve``
  for κ at each node, dense (d, 100, 100) arrays for the variance of every mode.
* `reference_square_root`: trapezoid rule in log t in extended precision; its error falls like exp(−2π²/h), below 1e-18 here.
"""

from __future__ import annotations

import warnings

import mpmath
import numpy as np
from scipy.optimize import fsolve


def power_law(d: int, exponent: float = 1.6) -> np.ndarray:
    """Eigenvalues k^−exponent, as natural images have."""
    return np.arange(1, d + 1, dtype=np.float64) ** -exponent


def numpy_newton(t: np.ndarray, s: np.ndarray, n: float) -> np.ndarray:
    """κ(t) by Newton's iteration from the right on a (d, T) array."""
    kappa = t + s.sum() / n
    for _ in range(200):
        g = s[:, None] / (s[:, None] + kappa)
        residual = kappa * (1 - g.sum(0) / n) - t
        new = kappa - residual / (1 - (g * g).sum(0) / n)
        done = np.all(np.abs(kappa - new) <= 1e-14 * kappa)
        kappa = new
        if done:
            break
    return kappa


def mpmath_root(t: float, s: np.ndarray, n: float) -> mpmath.mpf:
    """κ(t) by mpmath.findroot at 80 digits."""
    with mpmath.workdps(80):
        values, noise, samples = [mpmath.mpf(float(v)) for v in s], mpmath.mpf(float(t)), mpmath.mpf(n)

        def equation(k: mpmath.mpf) -> mpmath.mpf:
            return k * (1 - mpmath.fsum(v / (v + k) for v in values) / samples) - noise

        return mpmath.findroot(equation, noise + mpmath.fsum(values) / samples)


def published_square_root(s: np.ndarray, n: float, nodes: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """(E Σ̂^½, variance of each equal mode) by the published float64 recipe."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    theta, weight = 0.25 * np.pi * (x + 1), 0.25 * np.pi * w
    u = np.tan(theta)
    weight = weight * (2 / np.pi) / np.cos(theta) ** 2
    kappa = np.empty(nodes)
    with warnings.catch_warnings():  # fsolve says where it stops short; the recipe goes on, and so does this copy of it
        warnings.simplefilter("ignore", RuntimeWarning)
        for i, t in enumerate(u**2):
            kappa[i] = fsolve(lambda k, t=t: k * (1 - (s / (s + k)).sum() / n) - t, t + s.sum() / n, xtol=1e-14)[0]
    g = 1 / (s[:, None] + kappa)
    expectation = (weight * s[:, None] * g).sum(1)
    df2 = (s[:, None] * g).T @ (s[:, None] * g)
    kernel = np.outer(weight * kappa, weight * kappa) / (n - df2)
    anisotropy = s[:, None, None] * g[:, :, None] * g[:, None, :]  # (d, nodes, nodes)
    return expectation, np.einsum("ij,kij->k", kernel, anisotropy**2)


def reference_square_root(
    s: np.ndarray, n: float, modes: np.ndarray, step: float = 0.45
) -> tuple[np.ndarray, np.ndarray]:
    """(E Σ̂^½ and equal-mode variance of the published law) of a few modes in extended precision."""
    wide = s.astype(np.longdouble)
    low, high = np.log(s.min()) - 2 * 44, np.log(s.sum()) + 2 * 44
    u = np.arange(low, high, step, dtype=np.longdouble)
    t = np.exp(u)
    kappa = numpy_newton_extended(t, wide, n)
    weight = np.longdouble(step) / np.longdouble("3.14159265358979323846264338327950288") * np.exp(u / 2)
    g = 1 / (wide[:, None] + kappa)
    deficit = n * t / kappa  # n - df1, free of cancellation
    remaining = deficit[:, None] + kappa * ((wide[:, None] * g).T @ g)
    kernel = np.outer(weight * kappa, weight * kappa) / remaining
    chosen, gm = wide[modes], g[modes]
    expectation = (weight * chosen[:, None] * gm).sum(1)
    variance = np.array([c**2 * ((r * r) @ kernel @ (r * r)) for c, r in zip(chosen, gm, strict=True)])
    return expectation, variance


def numpy_newton_extended(t: np.ndarray, s: np.ndarray, n: float) -> np.ndarray:
    """κ in extended precision: Newton's point written as a quotient of positive sums (no cancellation for d < n or n < d)."""
    t, s = t.astype(np.longdouble), s.astype(np.longdouble)
    kappa = t + s.sum() / n
    for _ in range(400):
        ratio = kappa / (s[:, None] + kappa)
        product = (ratio * (1 - ratio)).sum(0)
        deficit = (n - len(s)) + ratio.sum(0)
        new = (n * t + kappa * product) / (deficit + product)
        done = np.all(np.abs(kappa - new) <= 1e-16 * kappa)
        kappa = new
        if done:
            break
    return kappa
