r"""Second-order statistics of signals and images as a convolution sees them: one spectrum, whatever the position.

The unitary DFT over space is x̂ₘ = N^{−½} Σᵢ xᵢ e^{−2πi m·i/N}, for each channel. A circular convolution knows of the
covariance Σ only its average over all shifts, which is diagonal in m up to channels: S̃ₘ = E (x̂ₘ − μ̂ₘ)(x̂ₘ − μ̂ₘ)†, C×C.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, choice, real_array
from ..population import Population

__all__ = ["BIASES", "ComplexArray", "SpatialLayout", "SpectralStatistics"]

ComplexArray: TypeAlias = npt.NDArray[np.complex128]

#: What a layer may add: an image of its own (which centres the data), a number for each channel, nothing.
BIASES = ("image", "scalar", "none")
_BLOCK = 2**21  # numbers in one block of rows: 16 MB


#: Lengths of an axis of colours; in front of two longer axes it is one of channels first.
_COLOURS = (3, 4)


@dataclass(frozen=True)
class SpatialLayout:
    """How a row of d numbers is a signal or an image: (N,), (H, W), or (H, W, C) with channels last.

    A signal of several channels is an image of height 1, (1, N, C).

    Attributes
    ----------
    shape : shape of one sample
    grid : its spatial sizes, (N,) or (H, W)
    channels : C, 1 where there is no axis of channels
    """

    shape: tuple[int, ...]
    grid: tuple[int, ...]
    channels: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> SpatialLayout:
        """The layout of a sample shape. Raises ValueError unless it has 1 to 3 axes, none of them empty, channels last."""
        if not 1 <= len(shape) <= 3 or min(shape) < 1:
            raise ValueError(f"shape must be (N,), (H, W) or (H, W, C) without empty axes, got {shape}")
        if len(shape) == 3 and shape[0] in _COLOURS and shape[2] > max(_COLOURS):
            raise ValueError(
                f"shape must have channels last, (H, W, C), got {shape}: move the first axis of the images to the end"
            )
        return cls(tuple(shape), tuple(shape[:2]), shape[2] if len(shape) == 3 else 1)

    @property
    def dimension(self) -> int:
        """d = positions × channels."""
        return math.prod(self.shape)

    @property
    def positions(self) -> int:
        """Number of places of the grid."""
        return math.prod(self.grid)

    @property
    def axes(self) -> tuple[int, ...]:
        """Spatial axes of (B, *grid, C)."""
        return tuple(range(1, 1 + len(self.grid)))

    def rows(self, x: Any, name: str = "x") -> FloatArray:
        """`x`, (B, d), (B, *shape) or one of them, as (B, d); ValueError for any other shape."""
        array = real_array(name, x)
        if array.shape in (self.shape, (self.dimension,)):
            return array.reshape(1, self.dimension)
        if array.ndim > 1 and array.shape[1:] in (self.shape, (self.dimension,)):
            return array.reshape(len(array), self.dimension)
        raise ValueError(f"{name} must have shape (B, {self.dimension}) or (B, *{self.shape}), got {array.shape}")

    def images(self, rows: FloatArray) -> FloatArray:
        """Rows (B, d) as (B, *grid, C)."""
        return rows.reshape(len(rows), *self.grid, self.channels)

    def transform(self, rows: FloatArray) -> ComplexArray:
        """Unitary DFT x̂ₘ of rows (B, d), (B, *grid, C)."""
        return np.asarray(np.fft.fftn(self.images(rows), axes=self.axes, norm="ortho"))

    def inverse(self, transforms: ComplexArray) -> FloatArray:
        """Rows (B, d) of transforms (B, *grid, C) that belong to real images."""
        images = np.fft.ifftn(transforms, axes=self.axes, norm="ortho").real
        return np.ascontiguousarray(images).reshape(len(transforms), self.dimension)

    def mix(self, matrices: ComplexArray, rows: FloatArray) -> FloatArray:
        """Rows (B, d) with one C×C matrix, (*grid, C, C), applied at each frequency."""
        return self.inverse(np.einsum("...ab,n...b->n...a", matrices, self.transform(rows), optimize=True))

    def spectra(self, blocks: Iterator[tuple[FloatArray, FloatArray]]) -> ComplexArray:
        """Σₖ aₖ v̂ₖ(m) v̂ₖ(m)†, (*grid, C, C), of blocks of (rows vₖ, weights aₖ)."""
        total = np.zeros((*self.grid, self.channels, self.channels), np.complex128)
        for rows, weights in blocks:
            transforms = self.transform(rows)
            total += np.einsum("k...a,k...b->...ab", transforms * _columns(weights, transforms), transforms.conj())
        return total

    def autocovariance(self, spectra: ComplexArray) -> FloatArray:
        """c[δ] = N⁻¹ Σᵢ Cov(x_{i+δ}, xᵢ), (*grid, C, C), from spectra; lags are cyclic."""
        return np.asarray(np.fft.ifftn(spectra, axes=tuple(range(len(self.grid)))).real)


def _columns(weights: FloatArray, like: ComplexArray) -> FloatArray:
    return weights.reshape(-1, *(1,) * (like.ndim - 1))


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

        Raises ValueError for fewer than 2 samples, NaN, or a shape other than (N,), (H, W) or (H, W, C).
        """
        layout, mean, blocks = centred_rows(samples, shape=shape)
        return cls(layout, mean, layout.spectra(blocks))

    @classmethod
    def from_population(cls, population: Population) -> SpectralStatistics:
        """From mean, eigenvalues and eigenvectors, Σₖ λₖ ûₖ(m) ûₖ(m)†; no d×d matrix. Without eigenvectors modes are pixels.

        Raises ValueError for multiplicities above 1 and for shapes other than (N,), (H, W) or (H, W, C).
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
        images = self.mean.reshape(-1, self.layout.channels)
        return np.tile(images.mean(axis=0), len(images))

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
