"""How the samples differ from Gaussian data: leverage of each sample, kurtosis of each mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import FloatArray
from .._repr import ShortRepr
from ..functions import df1, df2
from ..laws import radial_scales, require_profiles
from ..moments import has_variance
from ..population import Population

__all__ = ["Leverage", "kurtosis", "leverage_at"]


@dataclass(frozen=True, repr=False)
class Leverage(ShortRepr):
    """Leverage τ_a = Σₖ z²ₐₖ/(sₖ+κ) / df1(κ) of M profiles.

    Attributes
    ----------
    kappa : the κ at which it is computed
    values : (M,) leverage of each profile, 1 on average
    variance_if_gaussian : its variance for Gaussian data, 2 df2(κ,κ)/df1(κ)²
    """

    kappa: float
    values: FloatArray
    variance_if_gaussian: float


def leverage_at(population: Population, n: int) -> Leverage:
    """Leverage of every profile at the κ where df1(κ) is half of min(n, rank).

    If the population is known through N samples, both df1 and df2 are read off the sample spectrum at the shift u of κ,
    equations (33) and (36) of docs/theory.md: with A = d̂f1(u), B = d̂f2(u, u) and M = N − 1, df1(κ) = A, κ = u/(1 − A/M) and
    df2(κ, κ) = (B − A²/M)/(1 − (2A − B)/M).

    Raises
    ------
    ValueError
        The population holds no profiles.
    """
    from scipy.optimize import brentq

    spectrum: dict[str, Any] = {"eigenvalues": population.eigenvalues, "multiplicity": population.multiplicity}
    top = float(population.eigenvalues[0])
    alive = has_variance(population.eigenvalues)
    wanted = 0.5 * min(float(n), float(population.multiplicity[alive].sum()))
    # so far below the smallest mode with variance that df1(low) is nearly the number of these modes
    low = np.log(min(1e-12, 100 * len(alive) * np.finfo(np.float64).eps) * top * 1e-3)
    high = np.log(2 * population.total_variance / wanted)
    shift = float(np.exp(brentq(lambda x: float(df1(np.exp(x), **spectrum)) - wanted, low, high, xtol=1e-10)))
    values = radial_scales(population, np.array([shift]))[:, 0]
    first, second = float(df1(shift, **spectrum)), float(df2(shift, shift, **spectrum))
    share = 0.0 if population.sample_size is None else 1 / (population.sample_size - 1)
    second = (second - first**2 * share) / (1 - (2 * first - second) * share)
    return Leverage(shift / (1 - first * share), values, 2 * second / first**2)


def kurtosis(population: Population) -> FloatArray:
    """(k,) E z⁴/(E z²)² of each mode over the profiles: 3 for Gaussian data, NaN for modes without variance.

    Raises
    ------
    ValueError
        The population holds no profiles.
    """
    squares = np.square(require_profiles(population, "kurtosis"), dtype=np.float64)
    second = squares.mean(axis=0)
    alive = has_variance(population.eigenvalues)
    fourth = np.einsum("ak,ak->k", squares, squares) / len(squares)
    return np.asarray(np.divide(fourth, second**2, out=np.full(second.shape, np.nan), where=alive & (second > 0)))
