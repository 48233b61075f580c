r"""Laws that linear denoisers generate. They are Gaussian: white noise after an affine sampling map.

The probability flow starts at x_T = σ_T z, z ~ N(0, I), and ends at σ₀ > 0 with x = m + Fz. Samples of different architectures
from the same z can be compared individually.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer
from ..._repr import ShortRepr
from ...population import Population
from ..layout import ComplexArray, SpatialLayout
from ..stationary import mode_rows

__all__ = ["AffineLaw", "GeneratedLaw", "LinearLaw", "StationaryLaw"]


@dataclass(frozen=True, repr=False)
class GeneratedLaw(ShortRepr, ABC):
    """A Gaussian law of images, x = m + Fz with z ~ N(0, I).

    Attributes
    ----------
    layout : grid and channels
    mean : (d,) m
    """

    layout: SpatialLayout
    mean: FloatArray

    @abstractmethod
    def _spread(self, noise: FloatArray) -> FloatArray:
        """Fz, (B, d), of noise (B, d)."""

    @property
    @abstractmethod
    def spectra(self) -> ComplexArray:
        """Spectra Eₘ = E (x̂ₘ − m̂ₘ)(x̂ₘ − m̂ₘ)†, (*grid, C, C), also if the law is not stationary."""

    @property
    @abstractmethod
    def variances(self) -> FloatArray:
        """Variance of each pixel, (*shape)."""

    @property
    def autocovariance(self) -> FloatArray:
        """c[δ] = N⁻¹ Σᵢ Cov(x_{i+δ}, xᵢ), (*grid, C, C), cyclic lags."""
        return self.layout.autocovariance(self.spectra)

    def from_noise(self, noise: Any) -> FloatArray:
        """End points (B, *shape) of the flow from x_T = σ_T z.

        Parameters
        ----------
        noise : (B, d) or (B, *shape), z of unit variance

        Raises
        ------
        ValueError
            The noise has another shape, or holds NaN or infinity.
        """
        rows = self.layout.rows(noise, "noise")
        return (self.mean + self._spread(rows)).reshape(len(rows), *self.layout.shape)

    def sample(self, count: int, *, rng: np.random.Generator) -> FloatArray:
        """Independent exact draws, (count, *shape).

        Raises
        ------
        TypeError, ValueError
            `count` is not a whole number of at least 1.
        """
        return self.from_noise(rng.standard_normal((integer("count", count, 1), self.layout.dimension)))


@dataclass(frozen=True, repr=False)
class StationaryLaw(GeneratedLaw):
    """A stationary Gaussian law around a mean image: one C×C matrix at each frequency.

    Attributes
    ----------
    factor : (*grid, C, C) Fₘ with F₋ₘ the conjugate of Fₘ; the spectrum is FₘFₘ†
    """

    factor: ComplexArray

    def _spread(self, noise: FloatArray) -> FloatArray:
        return self.layout.mix(self.factor, noise)

    @property
    def spectra(self) -> ComplexArray:
        """FₘFₘ†, (*grid, C, C)."""
        return np.asarray(self.factor @ self.factor.conj().swapaxes(-1, -2))

    @property
    def variances(self) -> FloatArray:
        """Variance of each pixel, (*shape): the same at every position."""
        per_channel = np.einsum("...aa->...a", self.spectra).real.reshape(-1, self.layout.channels).mean(axis=0)
        return self.layout.uniform(per_channel).reshape(self.layout.shape)


@dataclass(frozen=True, repr=False)
class LinearLaw(GeneratedLaw):
    """The law of a full linear denoiser: modes of the data, each with its own scale.

    Attributes
    ----------
    population : the data, whose modes these are
    scales : (k,) standard deviation along each mode
    null_scale : standard deviation in all directions outside of the modes
    """

    population: Population
    scales: FloatArray
    null_scale: float

    def _spread(self, noise: FloatArray) -> FloatArray:
        mean = self.population.mean
        return self.population.apply(noise + mean, self.scales, null_gain=self.null_scale) - mean

    @property
    def spectra(self) -> ComplexArray:
        """Spectra of the scaled modes and of white noise outside of them, (*grid, C, C)."""
        inside = self.layout.spectra(mode_rows(self.population, self.scales**2 - self.null_scale**2))
        return np.asarray(inside + self.null_scale**2 * np.eye(self.layout.channels))

    @property
    def variances(self) -> FloatArray:
        """Σₖ u²ₖ scale²ₖ, and the null scale outside of the modes, (*shape)."""
        vectors, excess = self.population.eigenvectors, self.scales**2 - self.null_scale**2
        inside = excess if vectors is None else vectors**2 @ excess
        return (self.null_scale**2 + inside).reshape(self.layout.shape)


@dataclass(frozen=True, repr=False)
class AffineLaw(GeneratedLaw):
    """A law without symmetry.

    Attributes
    ----------
    matrix : (d, d) F; the covariance is FFᵀ
    """

    matrix: FloatArray

    def _spread(self, noise: FloatArray) -> FloatArray:
        return np.asarray(noise @ self.matrix.T)

    @property
    def spectra(self) -> ComplexArray:
        """Spectra of FFᵀ averaged over shifts, (*grid, C, C)."""
        columns = np.ascontiguousarray(self.matrix.T)
        return self.layout.spectra(iter([(columns, np.ones(len(columns)))]))

    @property
    def variances(self) -> FloatArray:
        """Diagonal of FFᵀ, (*shape)."""
        return np.asarray(np.einsum("ij,ij->i", self.matrix, self.matrix)).reshape(self.layout.shape)
