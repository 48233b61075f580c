"""The noise levels over which a sampler runs, and integrals over their logarithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._checks import FloatArray, positive
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...sampling import SIGMA_MAX, SIGMA_MIN

__all__ = ["ALL_LEVELS", "NoiseNodes", "NoiseRange"]


@dataclass(frozen=True, repr=False)
class NoiseNodes(Tabular, ShortRepr):
    """A quadrature over noise levels: ∫ f(σ) d ln σ ≈ Σ weights · f(sigma).

    Attributes
    ----------
    sigma : (S,) nodes, ascending
    weights : (S,)
    """

    sigma: FloatArray
    weights: FloatArray

    def _columns(self) -> Columns:
        return {"sigma": self.sigma, "weight": self.weights}


@dataclass(frozen=True)
class NoiseRange:
    """Noise levels of a sampler, from `sigma_max` down to `sigma_min`.

    Parameters
    ----------
    sigma_min, sigma_max : 0 < σ₀ < σ_T

    Raises
    ------
    ValueError
        `sigma_min` is not above 0, or `sigma_max` not above `sigma_min`. A gain ψ < 1 at σ → 0 gives a variance ∝
        sigma_min^(2 − 2ψ): at 0 nothing would be generated before training has converged.
    """

    sigma_min: float = SIGMA_MIN
    sigma_max: float = SIGMA_MAX

    def __post_init__(self) -> None:
        if np.ndim(self.sigma_min) == 0 and self.sigma_min == 0:
            raise ValueError(
                "sigma_min must be above 0, got 0: before training has converged, the generated variance is proportional "
                "to a power of sigma_min and vanishes with it"
            )
        if positive("sigma_min", self.sigma_min) >= positive("sigma_max", self.sigma_max):
            raise ValueError(f"sigma_max must be above sigma_min = {self.sigma_min}, got {self.sigma_max}")

    def quadrature(self) -> NoiseNodes:
        """Gauss-Legendre nodes and weights of ∫ f d ln σ, enough of them for gains that change over a factor e of σ."""
        low, high = np.log(self.sigma_min), np.log(self.sigma_max)
        nodes, weights = np.polynomial.legendre.leggauss(int(np.ceil(12 * (high - low))) + 32)
        half = 0.5 * (high - low)
        return NoiseNodes(np.exp(low + half * (nodes + 1)), half * weights)


#: The noise levels of samplers of images, 0.002 to 80.
ALL_LEVELS = NoiseRange()
