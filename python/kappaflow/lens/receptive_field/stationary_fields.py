r"""Receptive fields of stationary data, by one Fourier transform.

On a ring or torus of N pixels a side, Σ is circulant with eigenvalues λ_m at the frequencies m, and

    RF[k] = (1/N) Σ_m λ_m/(λ_m + σ²) exp(2πimk/N)

(N² and vectors k, m in two dimensions). Frequencies are counted in periods over N pixels, m = −N/2 … N/2. Closed forms for power
laws are in :mod:`.power_laws`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, positive, real_array
from ...population import Population
from ..layout import SpatialLayout
from ..linear import wiener_gain

__all__ = ["frequencies", "stationary_field", "stationary_spectrum"]


def _sides(size: Any) -> tuple[int, ...]:
    """(N,) or (H, W) of a number or a shape."""
    lengths = tuple(size) if isinstance(size, tuple | list) else (size,)
    if len(lengths) not in (1, 2):
        raise ValueError(f"size must be a number of pixels or (H, W), got {size!r}")
    return tuple(integer("size", length, 1) for length in lengths)


def frequencies(size: int | tuple[int, ...]) -> FloatArray:
    """|m| of each entry of a discrete Fourier transform, (N,) or (H, W).

    If H ≠ W, frequencies are in periods over √(HW) pixels.

    Parameters
    ----------
    size : N or (H, W)

    Raises
    ------
    ValueError
        The size has more than two axes or an empty one.
    TypeError
        The size does not consist of integers.
    """
    sides = _sides(size)
    scale = math.prod(sides) ** (1 / len(sides))
    axes = [np.fft.fftfreq(length) for length in sides]
    squared = np.zeros(sides)
    for axis in np.meshgrid(*axes, indexing="ij"):
        squared = squared + axis**2
    return np.asarray(scale * np.sqrt(squared))


def stationary_field(spectrum: Any, sigma: float) -> FloatArray:
    """Exact receptive field of the pixel 0, of the shape of the spectrum, by one inverse FFT.

    Parameters
    ----------
    spectrum : (N,) for a ring or (H, W) for a torus, eigenvalues λ_m ≥ 0 in FFT order
    sigma : σ > 0

    Raises
    ------
    ValueError
        The spectrum has another shape or a negative entry, λ_{−m} differs from λ_m by more than 1e-10 of the largest eigenvalue
        (which is impossible for a covariance), or σ is not above 0.
    """
    values = real_array("spectrum", spectrum)
    noise = positive("sigma", sigma) ** 2
    if values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(f"spectrum must have shape (N,) or (H, W) and not be empty, got {values.shape}")
    if values.min() < 0:
        raise ValueError(f"spectrum must not be negative, got {values.min()}")
    axes = tuple(range(values.ndim))
    mirrored = np.roll(np.flip(values, axes), 1, axes)
    if np.abs(values - mirrored).max() > 1e-10 * values.max():
        raise ValueError("spectrum must be the same at m and -m, got one that is not")
    return np.asarray(np.fft.ifftn(wiener_gain(values, noise_variance=noise)).real)


def stationary_spectrum(population: Population) -> FloatArray:
    """λ̃_m = E|x̂_m − μ̂_m|² (unitary Fourier transform), (H, W) or (d,): the spectrum of the circulant projection of Σ, O(d k log d).

    For a colour image it is the spectrum of √C times the mean of the channels, the coordinate along the unit vector of grey.

    Raises
    ------
    ValueError
        Multiplicities are above 1.
    """
    if np.any(population.multiplicity != 1):
        raise ValueError("population must have no multiplicities above 1: pixels cannot be distinguished")
    layout = SpatialLayout.of_any(population.shape)
    if population.eigenvectors is None:  # uncorrelated pixels: white
        return np.full(layout.grid, population.total_variance / population.dimension)
    modes = layout.planes(population.eigenvectors.T).sum(axis=1) / math.sqrt(layout.channels)
    axes = tuple(range(1, modes.ndim))
    total = np.zeros(layout.grid)
    for start in range(0, len(modes), 256):
        hat = np.fft.fftn(modes[start : start + 256], axes=axes, norm="ortho")
        weights = population.eigenvalues[start : start + 256]
        total += np.tensordot(weights, hat.real**2 + hat.imag**2, axes=1)
    return total
