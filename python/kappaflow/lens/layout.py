r"""Layout of a signal or an image in a row of numbers: the position and channel of each entry, and the Fourier transform.

The unitary discrete Fourier transform over space is x̂ₘ = N^{−½} Σᵢ xᵢ e^{−2πi m·i/N}, for each channel and N positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, integer, real_array
from .._layout import channel_axis

__all__ = ["ComplexArray", "IntArray", "SpatialLayout"]

ComplexArray: TypeAlias = npt.NDArray[np.complex128]
IntArray: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True)
class SpatialLayout:
    """Positions and channels of one sample: a signal (N,), an image (H, W), (H, W, C) or (C, H, W).

    Build one with :meth:`of`, or with :meth:`of_any` if data that are not images should be signals of their entries.

    Attributes
    ----------
    shape : shape of one sample
    grid : its spatial sizes, (N,) or (H, W)
    channels : C, 1 if there is no axis of channels
    channel_axis : axis of `shape`, None if there is none
    """

    shape: tuple[int, ...]
    grid: tuple[int, ...]
    channels: int
    channel_axis: int | None

    @classmethod
    def of(cls, shape: Sequence[int]) -> SpatialLayout:
        """The layout of a sample shape (N,), (H, W), (H, W, C) or (C, H, W).

        Channels come first if only the first axis has a length of 1, 3 or 4 (:func:`kappaflow._layout.channel_axis`, the rule
        of the whole library), otherwise last. A signal of several channels is an image of width 1, (N, 1, C).

        Raises
        ------
        ValueError
            The shape has more than three axes or none, or an empty axis.

        >>> SpatialLayout.of((3, 8, 6)).grid, SpatialLayout.of((8, 6, 2)).channels
        ((8, 6), 2)
        """
        if not 1 <= len(shape) <= 3 or min(shape) < 1:
            raise ValueError(
                f"shape must be (N,), (H, W), (H, W, C) or (C, H, W) without empty axes, got {tuple(shape)}"
            )
        lengths = tuple(int(length) for length in shape)
        if len(lengths) < 3:
            return cls(shape=lengths, grid=lengths, channels=1, channel_axis=None)
        axis = 0 if channel_axis(lengths) == 0 else 2
        return cls._with_channels(lengths, axis)

    @classmethod
    def of_any(cls, shape: Sequence[int]) -> SpatialLayout:
        """The layout of an image with 1, 3 or 4 channels, or without channels; any other shape is a signal of its entries in
        order.

        Raises
        ------
        ValueError
            An empty axis.

        >>> SpatialLayout.of_any((8, 8, 3)).grid, SpatialLayout.of_any((8, 8, 3)).channels, SpatialLayout.of_any((2, 5, 7)).grid
        ((8, 8), 3, (70,))
        """
        lengths = tuple(integer("shape", length, 1) for length in shape)
        if len(lengths) == 2:
            return cls(shape=lengths, grid=lengths, channels=1, channel_axis=None)
        axis = channel_axis(lengths)
        if axis is not None:
            return cls._with_channels(lengths, axis)
        return cls(shape=lengths, grid=(math.prod(lengths),), channels=1, channel_axis=None)

    @classmethod
    def _with_channels(cls, lengths: tuple[int, ...], axis: int) -> SpatialLayout:
        grid = lengths[:axis] + lengths[axis + 1 :]
        return cls(shape=lengths, grid=grid, channels=lengths[axis], channel_axis=axis)

    # ------------------------------------------------------------ sizes and places
    @property
    def dimension(self) -> int:
        """d = positions × channels."""
        return math.prod(self.shape)

    @property
    def positions(self) -> int:
        """Number of positions of the grid."""
        return math.prod(self.grid)

    @property
    def is_image(self) -> bool:
        """Whether there are two spatial axes."""
        return len(self.grid) == 2

    @property
    def axes(self) -> tuple[int, ...]:
        """Spatial axes of (B, *grid, C)."""
        return tuple(range(1, 1 + len(self.grid)))

    @property
    def centre(self) -> tuple[int, ...]:
        """The pixel at (H//2, W//2), or (N//2,)."""
        return tuple(length // 2 for length in self.grid)

    @property
    def corner(self) -> tuple[int, ...]:
        """The first pixel."""
        return (0,) * len(self.grid)

    @property
    def numbers(self) -> IntArray:
        """(*grid, C) indices of the entries in a flattened sample."""
        flat = np.arange(self.dimension, dtype=np.intp)
        if self.channel_axis is None:
            return flat.reshape(*self.grid, 1)
        return np.moveaxis(flat.reshape(self.shape), self.channel_axis, -1)

    def entries(self, pixel: int | Sequence[int]) -> IntArray:
        """Indices of a pixel in a flattened sample: one for an index into `shape`, (C,) for a position without a channel.

        Raises
        ------
        TypeError
            The index does not consist of integers.
        ValueError
            The index has another length, or lies outside of the sample.
        """
        index = tuple(pixel) if isinstance(pixel, Sequence | np.ndarray) else (pixel,)
        index = tuple(integer("pixel", i, 0) for i in index)
        shape: tuple[int, ...]
        if len(index) == len(self.grid):
            table, shape = self.numbers, self.grid
        elif len(index) == len(self.shape):
            table, shape = np.arange(self.dimension, dtype=np.intp).reshape(self.shape), self.shape
        else:
            raise ValueError(f"pixel must index positions {self.grid} or samples {self.shape}, got {index}")
        if any(i >= length for i, length in zip(index, shape, strict=True)):
            raise ValueError(f"pixel must lie within {shape}, got {index}")
        return np.atleast_1d(table[index])

    # ------------------------------------------------------------ rows and images
    def rows(self, x: Any, name: str = "x") -> FloatArray:
        """`x`, of shape (B, d) or (B, *shape), or one sample, as (B, d).

        Raises
        ------
        ValueError
            `x` has another shape, or holds NaN or infinity.
        """
        array = real_array(name, x)
        if array.shape in (self.shape, (self.dimension,)):
            return array.reshape(1, self.dimension)
        if array.ndim > 1 and array.shape[1:] in (self.shape, (self.dimension,)):
            return array.reshape(len(array), self.dimension)
        raise ValueError(f"{name} must have shape (B, {self.dimension}) or (B, *{self.shape}), got {array.shape}")

    def images(self, rows: FloatArray) -> FloatArray:
        """Rows (B, d) as (B, *grid, C), channels last whatever the shape of a sample."""
        if self.channel_axis == 0:
            return np.moveaxis(rows.reshape(len(rows), *self.shape), 1, -1)
        return rows.reshape(len(rows), *self.grid, self.channels)

    def flattened(self, images: FloatArray) -> FloatArray:
        """The inverse of :meth:`images`: rows (B, d) of images (B, *grid, C)."""
        ordered = np.moveaxis(images, -1, 1) if self.channel_axis == 0 else images
        return np.ascontiguousarray(ordered).reshape(len(images), self.dimension)

    def planes(self, rows: FloatArray) -> FloatArray:
        """Rows (..., d) as (..., C, *grid), channels first."""
        order = np.moveaxis(self.numbers, -1, 0).reshape(-1)
        return rows[..., order].reshape(*rows.shape[:-1], self.channels, *self.grid)

    def uniform(self, values: FloatArray) -> FloatArray:
        """(d,) the image that holds the same values (C,), one for each channel, at every position."""
        return np.asarray(self.flattened(np.broadcast_to(values, (1, *self.grid, self.channels)))[0])

    # ------------------------------------------------------------ Fourier transforms
    def transform(self, rows: FloatArray) -> ComplexArray:
        """Unitary transform x̂ₘ of rows (B, d), (B, *grid, C)."""
        return np.asarray(np.fft.fftn(self.images(rows), axes=self.axes, norm="ortho"))

    def inverse(self, transforms: ComplexArray) -> FloatArray:
        """Rows (B, d) of transforms (B, *grid, C) that belong to real images."""
        return self.flattened(np.fft.ifftn(transforms, axes=self.axes, norm="ortho").real)

    def mix(self, matrices: ComplexArray, rows: FloatArray) -> FloatArray:
        """Rows (B, d) with one C×C matrix, (*grid, C, C), applied at each frequency."""
        return self.inverse(np.einsum("...ab,n...b->n...a", matrices, self.transform(rows), optimize=True))

    def spectra(self, blocks: Iterator[tuple[FloatArray, FloatArray]]) -> ComplexArray:
        """Σₖ aₖ v̂ₖ(m) v̂ₖ(m)†, (*grid, C, C), of blocks of (rows vₖ, weights aₖ)."""
        total = np.zeros((*self.grid, self.channels, self.channels), np.complex128)
        for rows, weights in blocks:
            transforms = self.transform(rows)
            columns = weights.reshape(-1, *(1,) * (transforms.ndim - 1))
            total += np.einsum("k...a,k...b->...ab", transforms * columns, transforms.conj())
        return total

    def autocovariance(self, spectra: ComplexArray) -> FloatArray:
        """c[δ] = N⁻¹ Σᵢ Cov(x_{i+δ}, xᵢ), (*grid, C, C), from spectra; lags are cyclic."""
        return np.asarray(np.fft.ifftn(spectra, axes=tuple(range(len(self.grid)))).real)
