r"""The best denoisers of three architectures: a mean image, a full convolution, and a full matrix.

Among all maps that an architecture can represent, the one of least loss E‖D(x₀ + σz; σ) − x₀‖² depends on only a few second
moments of the data: it treats the data as if they had the symmetry of the architecture. Each class here is the exact optimum at
every σ separately: for a layer that ignores its input and returns an image (:class:`MeanDenoiser`), for one that multiplies by
any matrix (:class:`FullLinearDenoiser`), and for a circular convolution as wide as the image (:class:`ConvolutionDenoiser`).
The convolution of a patch is in :mod:`.patch_denoiser`.

All of them are affine in x, so the probability flow dx/d ln σ = x − D(x; σ) from x_T = σ_T z down to σ₀ is an affine map of z.
:meth:`Architecture.law` gives the law of its end point: mean, spectrum and exact samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, choice, positive
from ..._repr import ShortRepr
from ...population import Population
from ...sampling import SIGMA_MAX, SIGMA_MIN
from ..layout import ComplexArray, SpatialLayout
from ..linear import flow_gain, wiener_gain
from ..noise_levels import noise_levels_above_zero
from ..stationary import BIASES, SpectralStatistics
from .generated_laws import GeneratedLaw, LinearLaw, StationaryLaw

__all__ = [
    "Architecture",
    "ConvolutionDenoiser",
    "FullLinearDenoiser",
    "MeanDenoiser",
]


class Architecture(ABC):
    """The best denoiser of an architecture; a :class:`~kappaflow.models.rows.RowDenoiser` of rows."""

    @property
    @abstractmethod
    def layout(self) -> SpatialLayout:
        """Grid and channels of the data."""

    def __call__(self, x: Any, sigma: Any) -> FloatArray:
        """D(x; σ), (B, d).

        Parameters
        ----------
        x : (B, d) or (B, *shape)
        sigma : one noise level σ > 0 for all rows, or (B,) of them

        Raises
        ------
        ValueError
            `x` has another shape, a noise level is not above 0, or an entry is NaN or infinite.
        """
        rows, noise = self.layout.rows(x), noise_levels_above_zero("sigma", sigma)
        if noise.ndim > 1 or (noise.ndim == 1 and len(noise) != len(rows)):
            raise ValueError(f"sigma must be a number or have shape ({len(rows)},), got {noise.shape}")
        result = np.empty_like(rows)
        for level in np.unique(noise):
            chosen = np.broadcast_to(noise == level, len(rows))
            result[chosen] = self._denoise(rows[chosen], float(level))
        return result

    def loss(self, sigma: Any) -> FloatArray:
        """E‖D(x₀ + σz; σ) − x₀‖² over the data, summed over pixels, of the shape of `sigma`; exact for any data with these moments.

        Raises
        ------
        ValueError
            A noise level is not above 0.
        """
        return self._loss(noise_levels_above_zero("sigma", sigma))

    def law(self, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> GeneratedLaw:
        """The Gaussian law at σ₀ = `sigma_min` of the flow from N(0, σ_T²I), σ_T = `sigma_max`.

        Raises
        ------
        ValueError
            0 < sigma_min < sigma_max does not hold, or the layer is zero-padded and has more than ``ZERO_PADDING_LIMIT`` values.
        """
        high, low = positive("sigma_max", sigma_max), positive("sigma_min", sigma_min)
        if low >= high:
            raise ValueError(f"sigma_min must be below sigma_max = {high:g}, got {low:g}")
        return self._law(high, low)

    @abstractmethod
    def _denoise(self, rows: FloatArray, sigma: float) -> FloatArray: ...

    @abstractmethod
    def _loss(self, sigma: FloatArray) -> FloatArray: ...

    @abstractmethod
    def _law(self, high: float, low: float) -> GeneratedLaw: ...


@dataclass(frozen=True, repr=False)
class MeanDenoiser(ShortRepr, Architecture):
    """D = μ for any x. Its loss, tr Σ, is the reference for all others.

    Attributes
    ----------
    statistics : of the data
    """

    statistics: SpectralStatistics

    @property
    def layout(self) -> SpatialLayout:
        """Grid and channels of the data."""
        return self.statistics.layout

    @classmethod
    def fit(cls, source: Any, *, shape: tuple[int, ...] | None = None) -> MeanDenoiser:
        """From a Population, samples (N, *shape), or SpectralStatistics; `shape` of a sample where samples come flat."""
        return cls(SpectralStatistics.of(source, shape=shape))

    def _denoise(self, rows: FloatArray, sigma: float) -> FloatArray:
        return np.broadcast_to(self.statistics.mean, rows.shape)

    def _loss(self, sigma: FloatArray) -> FloatArray:
        return np.full(sigma.shape, self.statistics.total_variance)

    def _law(self, high: float, low: float) -> GeneratedLaw:
        mean = self.statistics.mean * (1 - low / high)
        factor = np.zeros(self.statistics.spectra.shape, np.complex128)
        factor += low * np.eye(self.layout.channels)
        return StationaryLaw(self.layout, mean, factor)


@dataclass(frozen=True, repr=False)
class FullLinearDenoiser(ShortRepr, Architecture):
    """Any matrix and any bias: D = μ + Σ(Σ + σ²)⁻¹(x − μ), with the loss Σₖ λₖσ²/(λₖ + σ²).

    In a mode, its law has the variance σ_T²(λ + σ₀²)/(λ + σ_T²), and the share √((λ + σ₀²)/(λ + σ_T²)) of the mean is missing.

    Attributes
    ----------
    population : of the data; directions outside of its modes have no variance
    """

    population: Population

    @property
    def layout(self) -> SpatialLayout:
        """Grid and channels of the data."""
        return SpatialLayout.of(self.population.shape)

    def _denoise(self, rows: FloatArray, sigma: float) -> FloatArray:
        values = self.population.eigenvalues
        return self.population.apply(rows, wiener_gain(values, noise_variance=sigma**2))

    def _loss(self, sigma: FloatArray) -> FloatArray:
        values, noise = self.population.eigenvalues, sigma[..., None] ** 2
        return np.asarray((values * noise / (values + noise)) @ self.population.multiplicity)

    def _law(self, high: float, low: float) -> GeneratedLaw:
        moved, null = flow_gain(self.population.eigenvalues, low, high), low / high
        mean = self.population.apply(np.zeros(self.population.dimension), moved, null_gain=null)[0]
        return LinearLaw(layout=self.layout, mean=mean, population=self.population, scales=high * moved, null_scale=low)


@dataclass(frozen=True, repr=False)
class ConvolutionDenoiser(ShortRepr, Architecture):
    r"""A circular convolution as wide as the image that mixes channels freely: Wₘ = Sₘ(Sₘ + σ²)⁻¹ at each frequency.

    Sₘ is the spectrum S̃ₘ of the data only if the bias is an image, or the data are centred. With a bias of one number for each
    channel, it is S̃ₘ + μ̂ₘμ̂ₘ† at all frequencies except 0, and without a bias it is so at all of them: structure of the mean
    image then counts as variance. The law is a stationary Gaussian process with the spectrum Sₘ, up to the effect of the end
    points of the flow.

    Attributes
    ----------
    statistics : of the data
    bias : "image", "scalar" (one number for each channel) or "none"
    values : (*grid, C) eigenvalues of Sₘ
    modes : (*grid, C, C) its eigenvectors
    """

    statistics: SpectralStatistics
    bias: str
    values: FloatArray
    modes: ComplexArray

    @property
    def layout(self) -> SpatialLayout:
        """Grid and channels of the data."""
        return self.statistics.layout

    @classmethod
    def fit(cls, source: Any, *, bias: str = "image", shape: tuple[int, ...] | None = None) -> ConvolutionDenoiser:
        """From a Population, samples (N, *shape), or SpectralStatistics; `shape` of a sample where samples come flat.

        Raises
        ------
        ValueError
            The bias is unknown, or :class:`~kappaflow.lens.stationary.SpectralStatistics` does not accept the samples or the
            population.
        """
        choice("bias", bias, BIASES)
        statistics = SpectralStatistics.of(source, shape=shape)
        values, modes = np.linalg.eigh(statistics.seen(bias))
        return cls(statistics=statistics, bias=bias, values=np.maximum(values, 0.0), modes=modes)

    def transfer(self, sigma: float) -> ComplexArray:
        """Wₘ at one σ > 0, (*grid, C, C), Hermitian.

        Raises
        ------
        TypeError, ValueError
            `sigma` is not a finite number above 0.
        """
        noise = positive("sigma", sigma) ** 2
        return self._function(wiener_gain(self.values, noise_variance=noise))

    def filter(self, sigma: float) -> FloatArray:
        """Weights w of D(x)_i = Σ_δ w[δ] x_{i+δ} at one σ > 0, (*grid, C, C): cyclic offset, input and output channel."""
        axes = tuple(range(len(self.layout.grid)))
        return np.asarray(np.fft.fftn(self.transfer(sigma), axes=axes, norm="forward").real.swapaxes(-1, -2))

    def _function(self, gains: FloatArray) -> ComplexArray:
        return np.asarray((self.modes * gains[..., None, :]) @ self.modes.conj().swapaxes(-1, -2))

    def _denoise(self, rows: FloatArray, sigma: float) -> FloatArray:
        centre = self.statistics.centre(self.bias)
        return centre + self.layout.mix(self.transfer(sigma), rows - centre)

    def _loss(self, sigma: FloatArray) -> FloatArray:
        flat, noise = self.values.ravel(), sigma[..., None] ** 2
        return np.asarray((flat * noise / (flat + noise)).sum(axis=-1))

    def _law(self, high: float, low: float) -> GeneratedLaw:
        moved = self._function(flow_gain(self.values, low, high))
        centre = self.statistics.centre(self.bias)
        return StationaryLaw(self.layout, centre - self.layout.mix(moved, centre[None])[0], high * moved)
