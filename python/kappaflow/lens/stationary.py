r"""Second-order statistics of signals and images as a convolution sees them: one spectrum, whatever the position.

The unitary DFT over space is x̂ₘ = N^{−½} Σᵢ xᵢ e^{−2πi m·i/N}, for each channel. A circular convolution knows of the
covariance Σ only its average over all shifts, which is diagonal in m up to channels: S̃ₘ = E (x̂ₘ − μ̂ₘ)(x̂ₘ − μ̂ₘ)†, C×C.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import FloatArray, choice, real_array
from ..population import Population
from .layout import ComplexArray, SpatialLayout

__all__ = ["BIASES", "SpectralStatistics"]

#: What a layer may add: an image of its own (which centres the data), a number for each channel, nothing.
BIASES = ("image", "scalar", "none")
_BLOCK = 2**21  # numbers in one block of rows: 16 MB


@dataclass(frozen=True)
class SpectralStatistics:
    """Mean image and spectral matrices of data: all that a denoiser of circular convolutions can use.

    Attributes
    ----------
    layout : grid and channels
    mean : (d,) mean image
    spectra : (*grid, C, C) complex Hermitian S̃ₘ = E (x̂ₘ − μ̂ₘ)(x̂ₘ − μ̂ₘ)†, unitary DFT; its traces sum to tr Σ
    """

    layout: SpatialLayout
    mean: FloatArray
    spectra: ComplexArray

    @classmethod
    def from_samples(cls, samples: Any, *, shape: tuple[int, ...] | None = None) -> SpectralStatistics:
        """From samples (N, *shape), or (N, d) with `shape`; covariances have divisor N.

        Raises ValueError for fewer than 2 samples, NaN, or a shape with more than three axes.
        """
        layout, mean, blocks = centred_rows(samples, shape=shape)
        return cls(layout, mean, layout.spectra(blocks))

    @classmethod
    def from_population(cls, population: Population) -> SpectralStatistics:
        """From mean, eigenvalues and eigenvectors, Σₖ λₖ ûₖ(m) ûₖ(m)†; no d×d matrix. Without eigenvectors modes are pixels.

        Raises ValueError for multiplicities above 1 and for shapes with more than three axes.
        """
        layout, mean, blocks = centred_rows(population)
        return cls(layout, mean, layout.spectra(blocks))

    @classmethod
    def of(cls, source: Any, *, shape: tuple[int, ...] | None = None) -> SpectralStatistics:
        """Of a Population, of samples, or `source` itself where it has them already."""
        if isinstance(source, cls):
            return source
        return cls.from_population(source) if isinstance(source, Population) else cls.from_samples(source, shape=shape)

    @property
    def mean_transform(self) -> ComplexArray:
        """μ̂ₘ, (*grid, C)."""
        return np.asarray(self.layout.transform(self.mean[None])[0])

    @property
    def autocovariance(self) -> FloatArray:
        """c[δ] = N⁻¹ Σᵢ Cov(x_{i+δ}, xᵢ), (*grid, C, C), cyclic lags."""
        return self.layout.autocovariance(self.spectra)

    @property
    def total_variance(self) -> float:
        """tr Σ."""
        return float(np.einsum("...aa->...", self.spectra).real.sum())

    def centre(self, bias: str) -> FloatArray:
        """The image (d,) around which a layer with this bias is linear: μ, the mean of each channel, or 0."""
        choice("bias", bias, BIASES)
        if bias == "image":
            return self.mean
        if bias == "none":
            return np.zeros_like(self.mean)
        return self.layout.uniform(self.layout.images(self.mean[None]).reshape(-1, self.layout.channels).mean(axis=0))

    def seen(self, bias: str) -> ComplexArray:
        r"""Spectra that a layer with this bias is fitted to, (*grid, C, C): the second moments around :meth:`centre`.

        S̃ₘ for "image"; S̃ₘ + μ̂ₘμ̂ₘ† for all m but 0 for "scalar", which has nothing to say about other frequencies, and
        for all m for "none".
        """
        offset = self.layout.transform((self.mean - self.centre(bias))[None])[0]
        return np.asarray(self.spectra + offset[..., :, None] * offset[..., None, :].conj())


def centred_rows(
    source: Any, *, shape: tuple[int, ...] | None = None
) -> tuple[SpatialLayout, FloatArray, Iterator[tuple[FloatArray, FloatArray]]]:
    """SpatialLayout, mean (d,), and blocks of (rows vₖ, weights aₖ) with Σ = Σₖ aₖ vₖvₖᵀ, of a Population or of samples."""
    if isinstance(source, Population):
        if shape is not None:
            raise ValueError(f"shape must be left out for a population, which has one, got {shape}")
        if np.any(source.multiplicity != 1):
            raise ValueError("population must have no multiplicities above 1 (its modes are not told apart)")
        layout = SpatialLayout.of(source.shape)
        return layout, source.mean, mode_rows(source, source.eigenvalues)
    if isinstance(source, SpectralStatistics):
        raise TypeError("source must be a Population or samples here: spectra know nothing of positions")
    samples = real_array("samples", source)
    if samples.ndim < 2 or len(samples) < 2:
        raise ValueError(f"samples must have shape (N, *shape) with N of at least 2, got {samples.shape}")
    layout = SpatialLayout.of(samples.shape[1:] if shape is None else tuple(shape))
    if layout.dimension * len(samples) != samples.size:
        raise ValueError(f"shape must hold the {samples[0].size} values of a sample, got {shape}")
    rows = samples.reshape(len(samples), -1)
    mean = rows.mean(axis=0)
    step = max(1, _BLOCK // layout.dimension)
    blocks = (
        (rows[i : i + step] - mean, np.full(len(rows[i : i + step]), 1 / len(rows))) for i in range(0, len(rows), step)
    )
    return layout, mean, blocks


def mode_rows(population: Population, weights: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Blocks of (rows, weights) of Σₖ aₖ uₖuₖᵀ; modes of weight 0 are left out."""
    used = np.flatnonzero(weights)
    step = max(1, _BLOCK // population.dimension)
    for i in range(0, len(used), step):
        part = used[i : i + step]
        if population.eigenvectors is None:
            rows = np.zeros((len(part), population.dimension))
            rows[np.arange(len(part)), part] = 1
        else:
            rows = np.ascontiguousarray(population.eigenvectors[:, part].T)
        yield rows, weights[part]
