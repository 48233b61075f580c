r"""How a convolution with a local patch learns stationary data: like one layer along the modes of its patch.

The weights w, one for each offset δ, see only Σ_p: the covariance of a patch averaged over all positions, with eigenvalues ℓ and
eigenvectors V. N pixels share them. With the centre c of the patch,

    w(τ) = w* + e^{−2ηN(Σ_p + σ²)τ}(w(0) − w*),   w* = (Σ_p + σ²)⁻¹ Σ_p e_c.

From w(0) = q e_c, the gain of the Fourier mode m is Σⱼ Q_mj ψ(ℓⱼ; σ, τ), with the gain ψ of :class:`~.gains.OneLayer` and
Q_mj = Σ_δ e^{−2πi m·δ} V_δj V_cj. Because ln λ̃ is linear in the gain, it is the same sum of closed forms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, positive, real_array
from ..._repr import ShortRepr
from ...population import Population
from ..layout import SpatialLayout
from .gains import OneLayer
from .noise_range import ALL_LEVELS, NoiseRange

__all__ = ["PatchConvolution", "fourier_spectrum", "patch_convolution"]


@dataclass(frozen=True, repr=False)
class PatchConvolution(ShortRepr):
    """A circular convolution with a local patch during training; built by :func:`patch_convolution`.

    Its modes are the M Fourier modes of the grid, flattened from the order of ``numpy.fft.fftn``, or those that :meth:`at` chose.

    Attributes
    ----------
    spectrum : (M,) power λ̃_m of the data
    grid : lengths of the grid
    patch : odd lengths of the patch
    patch_eigenvalues : (P,) eigenvalues ℓ of Σ_p, descending
    responses : (M, P) Q
    layer : the layer that gives the gain of every patch mode, with the rate ηN
    """

    spectrum: FloatArray
    grid: tuple[int, ...]
    patch: tuple[int, ...]
    patch_eigenvalues: FloatArray
    responses: FloatArray
    layer: OneLayer

    def gain(self, sigma: Any, time: Any) -> FloatArray:
        """Gain of each Fourier mode, (..., M), at noise levels σ > 0 and times τ ≥ 0, (..., M) or (..., 1), that broadcast.

        Raises
        ------
        TypeError, ValueError
            A noise level not above 0, a time below 0, or values that are not finite real numbers.
        """
        level, times = np.broadcast_arrays(real_array("sigma", sigma), np.atleast_1d(real_array("time", time)))
        return self._sum(self.layer.gain(self.patch_eigenvalues, level[..., None], times[..., None]))

    def log_variance(self, time: Any, noise: NoiseRange = ALL_LEVELS) -> FloatArray:
        """ln λ̃ of each Fourier mode, (..., M), at training times τ ≥ 0, (..., M) or (..., 1).

        Raises
        ------
        TypeError, ValueError
            A time below 0, or values that are not finite real numbers.
        """
        floor = 2 * np.log(noise.sigma_min)
        times = np.atleast_1d(real_array("time", time))
        alone = self.layer.log_variance(self.patch_eigenvalues, times[..., None], noise)
        return np.asarray(floor + self._sum(alone - floor))

    def converged_log_variance(self, noise: NoiseRange = ALL_LEVELS) -> FloatArray:
        """ln λ̃ of each Fourier mode, (M,), in the limit of infinite training time."""
        low, high = noise.sigma_min**2, noise.sigma_max**2
        values = self.patch_eigenvalues
        ratio = np.log(high / low) - np.log((high + values) / (low + values))
        return np.asarray(np.log(low) + self.responses @ ratio)

    def at(self, modes: Any) -> PatchConvolution:
        """The same convolution with some of its Fourier modes alone: flat indices (m,)."""
        chosen = np.asarray(modes, dtype=np.intp)
        return replace(self, spectrum=self.spectrum[chosen], responses=np.ascontiguousarray(self.responses[chosen]))

    def _sum(self, patch_modes: FloatArray) -> FloatArray:
        if patch_modes.shape[-2] == 1:
            return np.asarray(patch_modes[..., 0, :] @ self.responses.T)
        return np.asarray(np.einsum("...mp,mp->...m", patch_modes, self.responses))


def patch_convolution(
    spectrum: Any, patch: int | tuple[int, ...], *, initial: float = 0.0, rate: float = 1.0
) -> PatchConvolution:
    """A local circular convolution that learns data with a given power spectrum.

    Parameters
    ----------
    spectrum : (N,), (H, W) or any grid: λ̃_m = E|x̂_m − μ̂_m|² ≥ 0 (unitary DFT), with λ̃_m = λ̃_{−m} as real data have it
    patch : odd length of the patch along every axis, or one length for each axis; at most the length of the grid
    initial : q; the weights start at q e_c, that is W = qI
    rate : ηN, η times the number of pixels that share each weight

    Raises
    ------
    TypeError
        A patch length that is not an integer.
    ValueError
        A spectrum that is empty, negative or not the same at m and −m; a patch with an even length, one longer than the grid, or
        another number of lengths than the spectrum has axes; a rate that is not above 0.
    """
    power = real_array("spectrum", spectrum)
    if power.ndim == 0 or power.size == 0:
        raise ValueError(f"spectrum must be an array of at least one axis and not empty, got shape {power.shape}")
    if power.min() < 0:
        raise ValueError(f"spectrum must not be negative, got {power.min()}")
    mirrored = power
    for axis in range(power.ndim):
        mirrored = np.roll(np.flip(mirrored, axis), 1, axis)
    if np.abs(mirrored - power).max() > 1e-9 * power.max():
        raise ValueError("spectrum must have the same value at m and −m, as that of real data, got an asymmetric one")
    lengths = (patch,) * power.ndim if isinstance(patch, (int, np.integer)) else tuple(patch)
    if len(lengths) != power.ndim:
        raise ValueError(f"patch must have {power.ndim} lengths, one for each axis of the spectrum, got {patch}")
    for length, size in zip(lengths, power.shape, strict=True):
        if integer("patch", length, 1) % 2 == 0 or length > size:
            raise ValueError(f"patch must be odd and at most {size}, the length of the grid, got {length}")
    positive("rate", rate)
    axes = [np.arange(length) - length // 2 for length in lengths]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, power.ndim)
    lags = np.fft.ifftn(power).real
    differences = (offsets[:, None] - offsets[None]) % np.array(power.shape)
    values, vectors = np.linalg.eigh(lags[tuple(np.moveaxis(differences, -1, 0))])
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    filters = np.zeros((len(values), *power.shape))
    filters[(slice(None), *(offsets % np.array(power.shape)).T)] = (vectors * vectors[len(offsets) // 2]).T
    responses = np.fft.fftn(filters, axes=tuple(range(1, power.ndim + 1))).real.reshape(len(values), -1).T
    return PatchConvolution(
        spectrum=power.ravel(),
        grid=power.shape,
        patch=tuple(int(n) for n in lengths),
        patch_eigenvalues=values,
        responses=np.ascontiguousarray(responses),
        layer=OneLayer(initial, rate),
    )


def fourier_spectrum(population: Population) -> FloatArray:
    """Power λ̃_m = f_m†Σf_m, (H, W), of a population of images (H, W) or (H, W, C), averaged over channels.

    It is computed from the eigenvectors, without a d × d matrix.

    Raises
    ------
    ValueError
        A population of another shape, or without eigenvectors.
    """
    shape = population.shape
    if len(shape) not in (2, 3):
        raise ValueError(f"population must hold images (H, W) or (H, W, C), got shape {shape}")
    if population.eigenvectors is None:
        raise ValueError("population must have eigenvectors, got only a spectrum")
    layout = SpatialLayout.of(shape)
    total = np.zeros(layout.grid)
    for first in range(0, len(population.eigenvalues), 256):
        chosen = slice(first, first + 256)
        modes = layout.images(population.eigenvectors[:, chosen].T)
        power = np.abs(np.fft.fft2(modes, axes=(1, 2), norm="ortho")) ** 2
        total += np.einsum("k,khwc->hw", population.eigenvalues[chosen], power) / layout.channels
    return total
