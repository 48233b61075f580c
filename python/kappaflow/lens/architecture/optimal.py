r"""Best denoisers under architectural constraints, and the laws that they generate.

Of all maps that an architecture can make, the one with the least loss E‖D(x₀ + σz; σ) − x₀‖² depends on the data through a few
of their second moments, and it sees the data as if they had the symmetry that it has. Each architecture here is the exact
optimum at every σ separately: of a layer that adds an image of its own and multiplies by nothing
(:class:`MeanDenoiser`), by any matrix (:class:`FullLinearDenoiser`), by a circular convolution as wide as the image
(:class:`ConvolutionDenoiser`), by a convolution of a patch (:class:`PatchDenoiser`).

All of them are linear in x, so that the probability flow dx/d ln σ = x − D(x; σ) from x_T = σ_T z down to σ₀ is an affine map of
z: :meth:`law` gives it, with its mean, spectrum and exact samples.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from ..._checks import FloatArray, choice, positive
from ...population import Population
from ...sampling import SIGMA_MAX, SIGMA_MIN
from ..layout import ComplexArray, SpatialLayout
from ..linear import flow_gain, wiener_gain
from ..noise_levels import noise_levels_above_zero
from ..stationary import BIASES, SpectralStatistics, centred_rows
from .generated import AffineLaw, GeneratedLaw, LinearLaw, StationaryLaw
from .patch_filters import (
    PADDINGS,
    PatchRegression,
    circular_regression,
    patch_size,
    zero_convolution,
    zero_entries,
    zero_regression,
)

__all__ = [
    "ZERO_PADDING_LIMIT",
    "Architecture",
    "ConvolutionDenoiser",
    "FullLinearDenoiser",
    "MeanDenoiser",
    "PatchDenoiser",
    "log_gain_integral",
    "non_commutation",
]

TOLERANCE = 1e-11  # of ODE solutions, relative
#: Largest d for which the law of a zero-padded layer is integrated: it is a d×d matrix of ODEs.
ZERO_PADDING_LIMIT = 1024


class Architecture(ABC):
    """The best denoiser of an architecture; a :class:`~kappaflow.models.rows.RowDenoiser` of rows."""

    @property
    @abstractmethod
    def layout(self) -> SpatialLayout:
        """Grid and channels of the data."""

    def __call__(self, x: Any, sigma: Any) -> FloatArray:
        """D(x; σ), (B, d), for x (B, d) or (B, *shape) and σ a number or (B,) of them. Raises ValueError for others."""
        rows, noise = self.layout.rows(x), noise_levels_above_zero("sigma", sigma)
        if noise.ndim > 1 or (noise.ndim == 1 and len(noise) != len(rows)):
            raise ValueError(f"sigma must be a number or have shape ({len(rows)},), got {noise.shape}")
        result = np.empty_like(rows)
        for level in np.unique(noise):
            chosen = np.broadcast_to(noise == level, len(rows))
            result[chosen] = self._denoise(rows[chosen], float(level))
        return result

    def loss(self, sigma: Any) -> FloatArray:
        """E‖D(x₀ + σz; σ) − x₀‖² over the data, summed over pixels, of the shape of `sigma`: exact for any data with these
        moments. Raises ValueError unless all σ are above 0."""
        return self._loss(noise_levels_above_zero("sigma", sigma))

    def law(self, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> GeneratedLaw:
        """The Gaussian law at σ₀ = `sigma_min` of the flow from N(0, σ_T²I), σ_T = `sigma_max`.

        Raises ValueError unless 0 < sigma_min < sigma_max.
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


@dataclass(frozen=True)
class MeanDenoiser(Architecture):
    """D = μ, blind to x: the loss that all others are measured against is tr Σ.

    Attributes
    ----------
    statistics : of the data
    """

    statistics: SpectralStatistics

    @property
    def layout(self) -> SpatialLayout:
        return self.statistics.layout

    @classmethod
    def fit(cls, source: Any, *, shape: tuple[int, ...] | None = None) -> MeanDenoiser:
        """From a Population, samples (N, *shape) or SpectralStatistics."""
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


@dataclass(frozen=True)
class FullLinearDenoiser(Architecture):
    """Any matrix and any bias: D = μ + Σ(Σ + σ²)⁻¹(x − μ), loss Σₖ λₖσ²/(λₖ + σ²).

    The law has variance σ_T²(λ + σ₀²)/(λ + σ_T²) along a mode, and √((λ + σ₀²)/(λ + σ_T²)) of the mean is missing.

    Attributes
    ----------
    population : of the data; directions outside of its modes have variance 0
    """

    population: Population

    @property
    def layout(self) -> SpatialLayout:
        return SpatialLayout.of(self.population.shape)

    def _denoise(self, rows: FloatArray, sigma: float) -> FloatArray:
        values = self.population.eigenvalues
        return self.population.apply(rows, wiener_gain(values, sigma**2))

    def _loss(self, sigma: FloatArray) -> FloatArray:
        values, noise = self.population.eigenvalues, sigma[..., None] ** 2
        return np.asarray((values * noise / (values + noise)) @ self.population.multiplicity)

    def _law(self, high: float, low: float) -> GeneratedLaw:
        moved, null = flow_gain(self.population.eigenvalues, low, high), low / high
        mean = self.population.apply(np.zeros(self.population.dimension), moved, null_gain=null)[0]
        return LinearLaw(self.layout, mean, self.population, high * moved, low)


@dataclass(frozen=True)
class ConvolutionDenoiser(Architecture):
    r"""A circular convolution as wide as the image, channels mixed freely: Wₘ = Sₘ(Sₘ + σ²)⁻¹ at each frequency.

    Sₘ is the spectrum of the data, S̃ₘ, only if the bias is an image, or the data are centred. A bias of one number for each
    channel leaves S̃ₘ + μ̂ₘμ̂ₘ† at all frequencies but 0, no bias at all of them: what the mean image has of structure is then
    taken for variance. The law is a stationary Gaussian process with spectrum Sₘ, up to the ends of the flow.

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
        return self.statistics.layout

    @classmethod
    def fit(cls, source: Any, *, bias: str = "image", shape: tuple[int, ...] | None = None) -> ConvolutionDenoiser:
        """From a Population, samples (N, *shape) or SpectralStatistics; ValueError for another bias."""
        choice("bias", bias, BIASES)
        statistics = SpectralStatistics.of(source, shape=shape)
        values, modes = np.linalg.eigh(statistics.seen(bias))
        return cls(statistics, bias, np.maximum(values, 0.0), modes)

    def transfer(self, sigma: float) -> ComplexArray:
        """Wₘ, (*grid, C, C) Hermitian."""
        noise = positive("sigma", sigma) ** 2
        return self._function(wiener_gain(self.values, noise))

    def filter(self, sigma: float) -> FloatArray:
        """Response D(x)_i = Σ_δ w[δ] x_{i+δ}, (*grid, C, C): cyclic offset, channel it comes from, channel it goes to."""
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


@dataclass(frozen=True)
class PatchDenoiser(Architecture):
    r"""A convolution of a patch, D(x)_i = b + Σ_δ w_δ x_{i+δ}, circular or with zeros beyond the edges (what networks do).

    Weights at all σ come from one eigendecomposition, see :class:`~.patch_filters.PatchRegression`. The law:

    * circular, one channel: a stationary Gaussian process whose *log*-spectrum is the transform of a filter as small as the
      patch (:meth:`log_covariance`); neither its covariance nor its precision is local;
    * circular, several channels: filters of different σ do not commute, C×C ordinary differential equations at each frequency;
    * zeros: not stationary near the edges and no filters commute, a d×d differential equation, for d up to
      ``ZERO_PADDING_LIMIT``.

    Attributes
    ----------
    regression : solution of the normal equations
    padding : "circular" or "zero"
    bias : "image", "scalar" (one number for each channel) or "none"
    mean : (d,) of the data
    centre : (d,) the image around which a circular layer is linear
    patch_mean, target : (F,), (C,) of the bias "scalar" with zeros beyond the edges, 0 otherwise
    """

    regression: PatchRegression
    padding: str
    bias: str
    mean: FloatArray
    centre: FloatArray
    patch_mean: FloatArray
    target: FloatArray

    @property
    def layout(self) -> SpatialLayout:
        return self.regression.layout

    @property
    def patch(self) -> tuple[int, ...]:
        """Sizes of the patch along each axis of the grid."""
        return self.regression.patch

    @classmethod
    def fit(
        cls,
        source: Any,
        *,
        patch: Any,
        padding: str = "circular",
        bias: str = "image",
        shape: tuple[int, ...] | None = None,
    ) -> PatchDenoiser:
        """From a Population or samples (N, *shape); SpectralStatistics do for circular padding.

        Parameters
        ----------
        patch : odd size of the patch, or one for each axis

        Raises
        ------
        ValueError
            Even sizes, a patch larger than the image, an unknown padding or bias.
        TypeError
            SpectralStatistics with zero padding, which needs to know where pixels are.
        """
        choice("padding", padding, PADDINGS)
        choice("bias", bias, BIASES)
        if padding == "circular":
            statistics = SpectralStatistics.of(source, shape=shape)
            layout, mean, centre = statistics.layout, statistics.mean, statistics.centre(bias)
            regression = circular_regression(statistics, patch_size(patch, layout), bias)
            patch_mean, target = np.zeros(len(regression.values)), np.zeros(layout.channels)
        else:
            layout, mean = _place(source, shape)
            regression, patch_mean, target = zero_regression(source, patch_size(patch, layout), bias, shape=shape)
            centre = mean if bias == "image" else np.zeros_like(mean)
        return cls(regression, padding, bias, mean, centre, patch_mean, target)

    def filter(self, sigma: float) -> FloatArray:
        """w, (*patch, C, C): offset, channel it comes from, channel it goes to."""
        return self.regression.filter(positive("sigma", sigma))

    def transfer(self, sigma: float) -> ComplexArray:
        """Wₘ of a circular layer, (*grid, C, C); real for one channel, not Hermitian for several. ValueError for zeros."""
        if self.padding != "circular":
            raise ValueError("padding must be 'circular' for a transfer function, got 'zero'")
        return self._transfer(self.filter(sigma))

    def matrix(self, sigma: float) -> FloatArray:
        """W, (d, d), of a zero-padded layer. ValueError for circular padding, and for d above ``ZERO_PADDING_LIMIT``."""
        if self.padding != "zero":
            raise ValueError("padding must be 'zero' for a matrix, got 'circular': see transfer")
        self._check_size()
        return self._scatter()(positive("sigma", sigma))

    def log_covariance(self, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> FloatArray:
        r"""The filter B, (*patch), whose transform is the logarithm of the generated spectrum; one channel, circular.

        B_δ = 2 ln σ₀ 1[δ = 0] + 2 Σⱼ V_{δj} V_{cj} J(ℓⱼ) with J of :func:`log_gain_integral`. Raises ValueError for others.
        """
        if self.padding != "circular" or self.layout.channels != 1:
            raise ValueError(
                "log_covariance needs circular padding and one channel (no others commute), "
                f"got padding {self.padding!r} and {self.layout.channels} channels"
            )
        high, low = positive("sigma_max", sigma_max), positive("sigma_min", sigma_min)
        kernel = 2 * self.regression.weights(log_gain_integral(self.regression.values, high, low))[..., 0, 0]
        kernel[tuple(size // 2 for size in self.patch)] += 2 * math.log(low)
        return kernel

    def _transfer(self, weights: FloatArray) -> ComplexArray:
        """Σ_δ w_δ e^{2πi m·δ/N} with rows as targets, (*grid, C, C)."""
        wide = np.zeros((*self.layout.grid, *weights.shape[-2:]))
        wide[tuple(slice(0, size) for size in self.patch)] = weights
        axes = tuple(range(len(self.patch)))
        rolled = np.roll(wide, [-(size // 2) for size in self.patch], axis=axes)
        return np.asarray(np.fft.ifftn(rolled, axes=axes, norm="forward").swapaxes(-1, -2))

    def _offset(self, weights: FloatArray) -> FloatArray:
        """What a layer with bias "scalar" and zeros adds to each channel, (C,)."""
        return np.asarray(self.target - self.patch_mean @ weights.reshape(len(self.patch_mean), -1))

    def _denoise(self, rows: FloatArray, sigma: float) -> FloatArray:
        weights, centred = self.filter(sigma), rows - self.centre
        if self.padding == "circular":
            return self.centre + self.layout.mix(self._transfer(weights), centred)
        added = self.layout.uniform(self._offset(weights))
        return self.centre + added + zero_convolution(self.layout, weights, centred)

    def _loss(self, sigma: FloatArray) -> FloatArray:
        return self.regression.loss(sigma)

    def _law(self, high: float, low: float) -> GeneratedLaw:
        if self.padding == "zero":
            return self._zero_law(high, low)
        if self.layout.channels == 1:
            values = self.regression.values
            exponent = self._transfer(self.regression.weights(log_gain_integral(values, high, low))).real
            moved = (low / high * np.exp(exponent)).astype(np.complex128)
        else:
            start = np.zeros((*self.layout.grid, *(self.layout.channels,) * 2), np.complex128)
            start += np.eye(self.layout.channels)
            moved = _propagated(start, lambda state, sigma: self.transfer(sigma) @ state, high, low)
        mean = self.centre - self.layout.mix(moved, self.centre[None])[0]
        return StationaryLaw(self.layout, mean, high * moved)

    def _zero_law(self, high: float, low: float) -> GeneratedLaw:
        self._check_size()
        matrix, size = self._scatter(), self.layout.dimension

        def growth(state: FloatArray, sigma: float) -> FloatArray:
            change = matrix(sigma) @ state
            if self.bias == "scalar":  # the last column follows the mean, in the units of the others
                change[:, -1] += high / sigma * self.layout.uniform(self._offset(self.filter(sigma)))
            return np.asarray(change)

        moved = _propagated(np.eye(size, size + 1), growth, high, low)
        mean = self.centre - moved[:, :-1] @ self.centre + moved[:, -1]
        return AffineLaw(self.layout, mean, high * moved[:, :-1])

    def _check_size(self) -> None:
        if self.layout.dimension > ZERO_PADDING_LIMIT:
            raise ValueError(
                f"padding 'zero' gives a law, and a matrix, for up to {ZERO_PADDING_LIMIT} pixel values (a d×d matrix of "
                f"differential equations), got {self.layout.dimension}; use padding='circular', or smaller images"
            )

    def _scatter(self) -> Callable[[float], FloatArray]:
        places, numbers = zero_entries(self.layout, self.patch)

        def matrix(sigma: float) -> FloatArray:
            flat = np.zeros(self.layout.dimension**2)
            flat[places] = self.filter(sigma).ravel()[numbers]
            return flat.reshape(self.layout.dimension, -1)

        return matrix


def log_gain_integral(values: Any, sigma_max: float, sigma_min: float) -> FloatArray:
    r"""J(ℓ) = ∫_{σ₀}^{σ_T} ℓ/(ℓ + s²) ds/s = ½ ln(1 + ℓ/σ₀²) − ½ ln(1 + ℓ/σ_T²): how much of ln(σ_T/σ₀) a mode is kept."""
    array = np.asarray(values, dtype=np.float64)
    return np.asarray(0.5 * (np.log1p(array / sigma_min**2) - np.log1p(array / sigma_max**2)))


def non_commutation(denoiser: ConvolutionDenoiser | PatchDenoiser, sigmas: tuple[float, float]) -> float:
    """‖W(σ₁)W(σ₂) − W(σ₂)W(σ₁)‖/‖W(σ₁)W(σ₂)‖, Frobenius norms over all frequencies or pixels; 0 where filters commute."""
    if isinstance(denoiser, PatchDenoiser) and denoiser.padding == "zero":
        first, second = (denoiser.matrix(sigma) + 0j for sigma in sigmas)
    else:
        first, second = (denoiser.transfer(sigma) for sigma in sigmas)
    product = first @ second
    return float(np.linalg.norm(product - second @ first) / np.linalg.norm(product))


def _place(source: Any, shape: tuple[int, ...] | None) -> tuple[SpatialLayout, FloatArray]:
    layout, mean, _ = centred_rows(source, shape=shape)
    return layout, mean


def _propagated(start: Any, growth: Callable[[Any, float], Any], high: float, low: float) -> Any:
    """The flow r′ = (1 − W) r in ln σ from σ_T to σ₀, applied to `start`, where `growth` is (q, σ) ↦ Wq.

    In q = r σ_T/σ, which never decays, it is dq/d ln(1/σ) = Wq: relative errors then stay relative to each mode.
    """
    span = math.log(high / low)

    def derivative(time: float, flat: Any) -> Any:
        return growth(flat.reshape(start.shape), high * math.exp(-time)).ravel()

    solution = solve_ivp(
        derivative, (0.0, span), start.ravel(), method="DOP853", t_eval=[span], rtol=TOLERANCE, atol=TOLERANCE
    )
    if not solution.success:
        raise RuntimeError(f"the probability flow could not be integrated: {solution.message}")
    return low / high * solution.y[:, -1].reshape(start.shape)
