r"""Second-order statistics of signals and images that a convolution can use: one spectrum, the same at every position.

A circular convolution depends only on the average of the covariance Σ over all shifts. That average is diagonal in the
frequencies m, up to channels: S̃ₘ = E (x̂ₘ − μ̂ₘ)(x̂ₘ − μ̂ₘ)†, C×C, with the unitary transform x̂ of :mod:`.layout`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._checks import FloatArray, choice, real_array
from .._repr import ShortRepr, short_repr
from ..population import Population
from .layout import ComplexArray, SpatialLayout

__all__ = ["BIASES", "CentredRows", "SpectralStatistics", "centred_rows", "mode_rows"]

#: What a layer may add: an image of its own (which centres the data), a number for each channel, nothing.
BIASES = ("image", "scalar", "none")
#: Numbers in one block of rows, 16 MB.
_BLOCK = 2**21


@dataclass(frozen=True, repr=False)
class SpectralStatistics(ShortRepr):
    """Mean image and spectral matrices of data: everything on which a denoiser of circular convolutions depends.

    Attributes
    ----------
    layout : grid and channels
    mean : (d,) mean image
    spectra : (*grid, C, C) complex Hermitian S̃ₘ = E (x̂ₘ − μ̂ₘ)(x̂ₘ − μ̂ₘ)†; the traces sum to tr Σ
    """

    layout: SpatialLayout
    mean: FloatArray
    spectra: ComplexArray

    @classmethod
    def from_samples(cls, samples: Any, *, shape: tuple[int, ...] | None = None) -> SpectralStatistics:
        """From samples (N, *shape), or (N, d) with `shape`; covariances have divisor N.

        Raises
        ------
        ValueError
            There are fewer than 2 samples, an entry is NaN, or the shape has more than three axes.
        """
        layout, mean, blocks = centred_rows(samples, shape=shape)
        return cls(layout, mean, layout.spectra(blocks))

    @classmethod
    def from_population(cls, population: Population) -> SpectralStatistics:
        """From mean, eigenvalues and eigenvectors, Σₖ λₖ ûₖ(m) ûₖ(m)†, without a d×d matrix; without eigenvectors, modes are
        pixels.

        Raises
        ------
        ValueError
            Multiplicities are above 1, or the shape has more than three axes.
        """
        layout, mean, blocks = centred_rows(population)
        return cls(layout, mean, layout.spectra(blocks))

    @classmethod
    def of(cls, source: Any, *, shape: tuple[int, ...] | None = None) -> SpectralStatistics:
        """Of a Population or of samples; `source` itself if it is SpectralStatistics.

        Raises
        ------
        ValueError
            See :meth:`from_population` and :meth:`from_samples`.
        """
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
        """The image (d,) around which a layer with this bias is linear: μ for "image", the mean of each channel, or 0.

        Raises
        ------
        ValueError
            The bias is unknown.
        """
        choice("bias", bias, BIASES)
        if bias == "image":
            return self.mean
        if bias == "none":
            return np.zeros_like(self.mean)
        return self.layout.uniform(self.layout.images(self.mean[None]).reshape(-1, self.layout.channels).mean(axis=0))

    def seen(self, bias: str) -> ComplexArray:
        r"""Spectra that a layer with this bias is fitted to, (*grid, C, C): second moments around :meth:`centre`.

        For "image", they are S̃ₘ. For "none", they are S̃ₘ + μ̂ₘμ̂ₘ† at all m; for "scalar", the same at all m except 0,
        because one number per channel changes only m = 0.
        """
        offset = self.layout.transform((self.mean - self.centre(bias))[None])[0]
        return np.asarray(self.spectra + offset[..., :, None] * offset[..., None, :].conj())


class CentredRows(NamedTuple):
    """Data minus their mean, block by block.

    Attributes
    ----------
    layout : grid and channels
    mean : (d,)
    blocks : pairs of rows vₖ (B, d) and weights aₖ (B,) with Σ = Σₖ aₖ vₖvₖᵀ
    """

    layout: SpatialLayout
    mean: FloatArray
    blocks: Iterator[tuple[FloatArray, FloatArray]]

    def __repr__(self) -> str:
        return short_repr(self)


def centred_rows(source: Any, *, shape: tuple[int, ...] | None = None) -> CentredRows:
    """Layout, mean, and rows minus the mean, of a Population or of samples.

    Parameters
    ----------
    source : a Population, or samples (N, *shape), N ≥ 2
    shape : of a sample, given if samples are flat

    Raises
    ------
    ValueError
        Multiplicities are above 1, a shape is given for a population or does not fit a sample, there are fewer than 2 samples,
        the shape has more than three axes, or an entry is NaN or infinite.
    TypeError
        `source` is SpectralStatistics, which hold no positions of pixels.
    """
    if isinstance(source, Population):
        if shape is not None:
            raise ValueError(f"shape must be left out for a population, which has one, got {shape}")
        if np.any(source.multiplicity != 1):
            raise ValueError("population must have no multiplicities above 1: its modes cannot be distinguished")
        layout = SpatialLayout.of(source.shape)
        return CentredRows(layout, source.mean, mode_rows(source, source.eigenvalues))
    if isinstance(source, SpectralStatistics):
        raise TypeError("source must be a Population or samples, because spectra hold no positions")
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
    return CentredRows(layout, mean, blocks)


def mode_rows(population: Population, weights: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Pairs of rows (B, d) and weights (B,) of Σₖ aₖ uₖuₖᵀ, block by block; modes of weight 0 are left out."""
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
