r"""The best denoiser of a layer whose input is a patch around each pixel, and the law that it generates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from ..._checks import FloatArray, choice, positive
from ..._repr import ShortRepr
from ...sampling import SIGMA_MAX, SIGMA_MIN
from ..layout import ComplexArray, SpatialLayout
from ..stationary import BIASES, SpectralStatistics, centred_rows
from .denoisers import Architecture, ConvolutionDenoiser
from .generated_laws import AffineLaw, GeneratedLaw, StationaryLaw
from .patch_regression import (
    PADDINGS,
    PatchRegression,
    circular_regression,
    patch_size,
    zero_convolution,
    zero_entries,
    zero_regression,
)

__all__ = ["ZERO_PADDING_LIMIT", "PatchDenoiser", "log_gain_integral", "non_commutation"]

#: Relative tolerance of the solutions of differential equations.
_TOLERANCE = 1e-11
#: Largest d for which the law of a zero-padded layer is integrated: it is a d×d matrix of differential equations.
ZERO_PADDING_LIMIT = 1024


@dataclass(frozen=True, repr=False)
class PatchDenoiser(ShortRepr, Architecture):
    r"""A convolution of a patch, D(x)_i = b + Σ_δ w_δ x_{i+δ}, circular or with zeros beyond the edges (as in networks).

    One eigendecomposition gives the weights at all σ, see :class:`~.patch_regression.PatchRegression`. The law is

    * for circular padding and one channel, a stationary Gaussian process whose *log*-spectrum is the transform of a filter as
      small as the patch (:meth:`log_covariance`); neither its covariance nor its precision is local;
    * for circular padding and several channels, the solution of a C×C differential equation at each frequency, because filters
      of different σ do not commute;
    * for zero padding, the solution of a d×d differential equation, for d up to ``ZERO_PADDING_LIMIT``, because the law is not
      stationary near the edges and filters do not commute either.

    Attributes
    ----------
    regression : solution of the normal equations
    padding : "circular" or "zero"
    bias : "image", "scalar" (one number for each channel) or "none"
    mean : (d,) of the data
    centre : (d,) the image around which a circular layer is linear
    patch_mean, target : (F,) mean patch and (C,) mean of the pixels for the bias "scalar" with zeros beyond the edges; 0 otherwise
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
        """Grid and channels of the data."""
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
        """From a Population or samples (N, *shape); for circular padding also from SpectralStatistics.

        Parameters
        ----------
        source : the data
        patch : odd size of the patch, or one for each axis
        padding : "circular" or "zero"
        bias : "image", "scalar" or "none"
        shape : of a sample, given if samples are flat

        Raises
        ------
        ValueError
            A size is even, the patch is larger than the image, or the padding or the bias is unknown.
        TypeError
            `source` is SpectralStatistics and the padding is zero, which needs the positions of pixels.
        """
        choice("padding", padding, PADDINGS)
        choice("bias", bias, BIASES)
        if padding == "circular":
            statistics = SpectralStatistics.of(source, shape=shape)
            layout, mean, centre = statistics.layout, statistics.mean, statistics.centre(bias)
            regression = circular_regression(statistics, patch_size(patch, layout), bias)
            patch_mean, target = np.zeros(len(regression.values)), np.zeros(layout.channels)
        else:
            layout, mean, _ = centred_rows(source, shape=shape)
            regression, patch_mean, target = zero_regression(source, patch_size(patch, layout), bias, shape=shape)
            centre = mean if bias == "image" else np.zeros_like(mean)
        return cls(
            regression=regression,
            padding=padding,
            bias=bias,
            mean=mean,
            centre=centre,
            patch_mean=patch_mean,
            target=target,
        )

    def filter(self, sigma: float) -> FloatArray:
        """Weights w at one σ > 0, (*patch, C, C): offset, input channel, output channel.

        Raises
        ------
        TypeError, ValueError
            `sigma` is not a finite number above 0.
        """
        return self.regression.filter(positive("sigma", sigma))

    def transfer(self, sigma: float) -> ComplexArray:
        """Wₘ of a circular layer at one σ > 0, (*grid, C, C): real for one channel, not Hermitian for several.

        Raises
        ------
        ValueError
            The padding is zero; then there is no transfer function.
        """
        if self.padding != "circular":
            raise ValueError("padding must be 'circular' for a transfer function, got 'zero'")
        return self._transfer(self.filter(sigma))

    def matrix(self, sigma: float) -> FloatArray:
        """W of a zero-padded layer at one σ > 0, (d, d).

        Raises
        ------
        ValueError
            The padding is circular, or d is above ``ZERO_PADDING_LIMIT``.
        """
        if self.padding != "zero":
            raise ValueError("padding must be 'zero' for a matrix, got 'circular': see transfer")
        self._check_size()
        return self._scatter()(positive("sigma", sigma))

    def log_covariance(self, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> FloatArray:
        r"""The filter B, (*patch), whose transform is the logarithm of the generated spectrum.

        B_δ = 2 ln σ₀ 1[δ = 0] + 2 Σⱼ V_{δj} V_{cj} J(ℓⱼ) with J of :func:`log_gain_integral`.

        Raises
        ------
        ValueError
            The padding is zero or there are several channels, so that filters do not commute.
        """
        if self.padding != "circular" or self.layout.channels != 1:
            raise ValueError(
                "log_covariance needs circular padding and one channel (other filters do not commute), "
                f"got padding {self.padding!r} and {self.layout.channels} channels"
            )
        high, low = positive("sigma_max", sigma_max), positive("sigma_min", sigma_min)
        kernel = 2 * self.regression.weights(log_gain_integral(self.regression.values, high, low))[..., 0, 0]
        kernel[tuple(size // 2 for size in self.patch)] += 2 * math.log(low)
        return kernel

    def _transfer(self, weights: FloatArray) -> ComplexArray:
        """Σ_δ w_δ e^{2πi m·δ/N}, (*grid, C, C), rows are output channels."""
        wide = np.zeros((*self.layout.grid, *weights.shape[-2:]))
        wide[tuple(slice(0, size) for size in self.patch)] = weights
        axes = tuple(range(len(self.patch)))
        rolled = np.roll(wide, [-(size // 2) for size in self.patch], axis=axes)
        return np.asarray(np.fft.ifftn(rolled, axes=axes, norm="forward").swapaxes(-1, -2))

    def _offset(self, weights: FloatArray) -> FloatArray:
        """(C,) the numbers that a layer with bias "scalar" and zero padding adds to the channels."""
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
            if self.bias == "scalar":  # the last column follows the mean, in units of the other columns
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
    r"""J(ℓ) = ∫_{σ₀}^{σ_T} ℓ/(ℓ + s²) ds/s = ½ ln(1 + ℓ/σ₀²) − ½ ln(1 + ℓ/σ_T²), of the shape of ℓ.

    It is the part of ln(σ_T/σ₀) over which a mode of eigenvalue ℓ is kept.

    Parameters
    ----------
    values : ℓ ≥ 0, any shape
    sigma_max, sigma_min : σ_T and σ₀
    """
    array = np.asarray(values, dtype=np.float64)
    return np.asarray(0.5 * (np.log1p(array / sigma_min**2) - np.log1p(array / sigma_max**2)))


def non_commutation(denoiser: ConvolutionDenoiser | PatchDenoiser, sigmas: tuple[float, float]) -> float:
    """‖W(σ₁)W(σ₂) − W(σ₂)W(σ₁)‖/‖W(σ₁)W(σ₂)‖, with Frobenius norms over all frequencies or pixels; 0 if the filters commute.

    Parameters
    ----------
    denoiser : a circular layer, or a zero-padded one of up to ``ZERO_PADDING_LIMIT`` values
    sigmas : σ₁ and σ₂, above 0

    Raises
    ------
    ValueError
        A noise level is not above 0, or the layer is zero-padded and too large.
    """
    if isinstance(denoiser, PatchDenoiser) and denoiser.padding == "zero":
        first, second = (denoiser.matrix(sigma) + 0j for sigma in sigmas)
    else:
        first, second = (denoiser.transfer(sigma) for sigma in sigmas)
    product = first @ second
    return float(np.linalg.norm(product - second @ first) / np.linalg.norm(product))


def _propagated(start: Any, growth: Callable[[Any, float], Any], high: float, low: float) -> Any:
    """The flow r′ = (1 − W) r in ln σ from σ_T to σ₀, applied to `start`, where `growth` is (q, σ) ↦ Wq.

    In q = r σ_T/σ, which never decays, it is dq/d ln(1/σ) = Wq: relative errors then stay relative to each mode.
    """
    span = math.log(high / low)

    def derivative(time: float, flat: Any) -> Any:
        return growth(flat.reshape(start.shape), high * math.exp(-time)).ravel()

    solution = solve_ivp(
        derivative, (0.0, span), start.ravel(), method="DOP853", t_eval=[span], rtol=_TOLERANCE, atol=_TOLERANCE
    )
    if not solution.success:
        raise RuntimeError(f"the probability flow could not be integrated: {solution.message}")
    return low / high * solution.y[:, -1].reshape(start.shape)
