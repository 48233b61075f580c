r"""The regression that gives the weights of a layer whose input is a patch: geometry of patches, moments, and solution at every
σ.

A layer with offsets 𝒦 estimates pixel i from its noised patch (x_{i+δ})_{δ∈𝒦}, with the same weights w everywhere. They solve
(A + σ²B) w = A e_c. A is the second moment of clean patches, pooled over positions; B is diagonal and holds the fraction of
positions at which each pixel of the patch is inside of the image (1 for circular padding); c is the centre, where B = 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, choice, integer
from ..._repr import ShortRepr, short_repr
from ..layout import SpatialLayout
from ..linear import wiener_gain
from ..stationary import BIASES, SpectralStatistics, centred_rows

__all__ = [
    "PADDINGS",
    "PatchRegression",
    "WeightPlaces",
    "ZeroRegression",
    "circular_regression",
    "patch_size",
    "zero_convolution",
    "zero_entries",
    "zero_regression",
]

#: What a layer sees beyond the edges: the other side of the image, or zeros.
PADDINGS = ("circular", "zero")
#: Numbers in one block of patches, 32 MB.
_BLOCK = 2**22


def patch_size(patch: Any, layout: SpatialLayout) -> tuple[int, ...]:
    """Sizes of a patch along each axis of the grid.

    Parameters
    ----------
    patch : one odd size for all axes, or one for each axis
    layout : of the images

    Raises
    ------
    TypeError
        The sizes are not integers.
    ValueError
        A size is even, so that there is no centre, or larger than the image, or there are more or fewer sizes than axes.
    """
    given = patch if isinstance(patch, (tuple, list)) else (patch,) * len(layout.grid)
    if len(given) != len(layout.grid):
        raise ValueError(f"patch must be one integer or {len(layout.grid)} of them, got {patch!r}")
    sizes = tuple(integer("patch", size, 1) for size in given)
    if any(size % 2 == 0 for size in sizes):
        raise ValueError(f"patch must have odd sizes, so that it has a centre, got {patch!r}")
    if any(size > full for size, full in zip(sizes, layout.grid, strict=True)):
        raise ValueError(f"patch must not be larger than the image {layout.grid}, got {patch!r}")
    return sizes


def offsets(patch: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Offsets δ from the centre, (|𝒦|, axes), in the order of a flattened patch."""
    return np.array(list(itertools.product(*(range(-(size // 2), size // 2 + 1) for size in patch))))


@dataclass(frozen=True, repr=False)
class PatchRegression(ShortRepr):
    r"""Solution of (A + σ²B) w = A e_c for all σ by one eigendecomposition, B^{−½}AB^{−½} = V diag(ℓ) Vᵀ.

    Because B_cc = 1, w = B^{−½} V diag(ℓ/(ℓ+σ²)) (row c of V)ᵀ, and the loss over all pixels is N Σⱼ V²_{cj} ℓⱼσ²/(ℓⱼ+σ²).

    Attributes
    ----------
    layout : grid and channels
    patch : sizes of the patch along each axis of the grid
    values : (F,) ℓ, F = |𝒦|·C
    modes : (F, F) V, rows in the order (offset, channel)
    share : (F,) diagonal of B
    """

    layout: SpatialLayout
    patch: tuple[int, ...]
    values: FloatArray
    modes: FloatArray
    share: FloatArray

    @property
    def centre(self) -> FloatArray:
        """Rows of V that belong to the pixel itself, (C, F)."""
        middle = math.prod(self.patch) // 2 * self.layout.channels
        return self.modes[middle : middle + self.layout.channels]

    def weights(self, gains: FloatArray) -> FloatArray:
        """B^{−½} V diag(gains) V_cᵀ for gains (F,), as (*patch, C, C): offset, input channel, output channel."""
        flat = (self.modes * gains) @ self.centre.T / np.sqrt(self.share)[:, None]
        return flat.reshape(*self.patch, self.layout.channels, self.layout.channels)

    def filter(self, sigma: float) -> FloatArray:
        """Weights w at one noise level σ > 0, (*patch, C, C): offset, input channel, output channel."""
        return self.weights(wiener_gain(self.values, noise_variance=sigma**2))

    def loss(self, sigma: FloatArray) -> FloatArray:
        """E‖D(x₀ + σz) − x₀‖², summed over pixels, of the shape of `sigma`."""
        power = np.einsum("cf,cf->f", self.centre, self.centre)
        noise = sigma[..., None] ** 2
        return np.asarray(self.layout.positions * (self.values * noise / (self.values + noise)) @ power)


def circular_regression(statistics: SpectralStatistics, patch: tuple[int, ...], bias: str) -> PatchRegression:
    """Regression of patches that continue around the edges: A is a section of the average covariance, A[(δ,a),(δ′,b)] = c[δ −
    δ′]_{ab}.

    Parameters
    ----------
    statistics : of the data
    patch : sizes along each axis
    bias : "image", "scalar" or "none"
    """
    layout = statistics.layout
    lags = layout.autocovariance(statistics.seen(bias))
    places = offsets(patch)
    gaps = places[:, None] - places[None]
    blocks = lags[
        tuple(np.moveaxis(gaps, -1, 0))
    ]  # (|𝒦|, |𝒦|, C, C); lags are cyclic, so negative ones may count from the end
    moment = blocks.swapaxes(1, 2).reshape(len(places) * layout.channels, -1)
    return _solved(layout, patch, moment, np.ones(len(moment)))


class ZeroRegression(NamedTuple):
    """Regression of zero-padded patches, and the means around which it is centred.

    Attributes
    ----------
    regression : the solution
    patch_mean : (F,) mean patch, which is subtracted from the input; 0 unless the bias is "scalar"
    target : (C,) mean of the pixels, which is added to the output; 0 unless the bias is "scalar"
    """

    regression: PatchRegression
    patch_mean: FloatArray
    target: FloatArray

    def __repr__(self) -> str:
        return short_repr(self)


def zero_regression(
    source: Any, patch: tuple[int, ...], bias: str, *, shape: tuple[int, ...] | None = None
) -> ZeroRegression:
    """Regression of patches with zeros beyond the edges, without a d×d matrix.

    Parameters
    ----------
    source : a Population, or samples (N, *shape)
    patch : sizes along each axis
    bias : "image", "scalar" or "none"
    shape : of a sample, given if samples are flat

    Raises
    ------
    ValueError
        The bias is unknown, or :func:`~kappaflow.lens.stationary.centred_rows` does not accept the data.
    TypeError
        `source` is SpectralStatistics, which hold no positions of pixels.
    """
    choice("bias", bias, BIASES)
    layout, mean, blocks = centred_rows(source, shape=shape)
    moment = _pooled(layout, patch, blocks)
    patch_mean, target = np.zeros(len(moment)), np.zeros(layout.channels)
    if bias != "image":
        moment += _pooled(layout, patch, iter([(mean[None], np.ones(1))]))
    if bias == "scalar":
        patch_mean = _patches(layout, patch, mean[None]).mean(axis=0)
        target = layout.images(mean[None]).reshape(-1, layout.channels).mean(axis=0)
        moment -= np.outer(patch_mean, patch_mean)
    inside = _patches(SpatialLayout.of(layout.grid), patch, np.ones((1, layout.positions))).mean(axis=0)
    return ZeroRegression(_solved(layout, patch, moment, np.repeat(inside, layout.channels)), patch_mean, target)


class WeightPlaces(NamedTuple):
    """Positions of the weights of a filter in the flattened (d, d) matrix of a layer.

    Attributes
    ----------
    places : (E,) entries of the flattened matrix
    numbers : (E,) entries of the flattened filter at these places
    """

    places: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return short_repr(self)


def zero_entries(layout: SpatialLayout, patch: tuple[int, ...]) -> WeightPlaces:
    """Positions of the weights of a filter (*patch, C, C) in the (d, d) matrix of a zero-padded layer."""
    channels, grid = layout.channels, np.array(layout.grid)
    numbers_of = layout.numbers.reshape(layout.positions, channels)
    here = np.moveaxis(np.indices(layout.grid), 0, -1).reshape(-1, len(grid))
    strides = np.array([math.prod(layout.grid[a + 1 :]) for a in range(len(grid))])
    into, out = np.indices((channels, channels))
    places, numbers = [], []
    for k, offset in enumerate(offsets(patch)):
        there = here + offset
        valid = np.all((there >= 0) & (there < grid), axis=1)
        rows, columns = numbers_of[here[valid] @ strides], numbers_of[there[valid] @ strides]
        places.append(rows[:, out] * layout.dimension + columns[:, into])
        numbers.append(np.broadcast_to((k * channels + into) * channels + out, places[-1].shape))
    return WeightPlaces(np.concatenate([p.ravel() for p in places]), np.concatenate([n.ravel() for n in numbers]))


def zero_convolution(layout: SpatialLayout, weights: FloatArray, rows: FloatArray) -> FloatArray:
    """Rows (B, d) filtered by weights (*patch, C, C) with zeros beyond the edges."""
    patch = weights.shape[:-2]
    padded = _padded(layout, patch, rows)
    result = np.zeros((len(rows), *layout.grid, layout.channels))
    for offset in offsets(patch):
        start = [int(o) + size // 2 for o, size in zip(offset, patch, strict=True)]
        window = tuple(slice(s, s + n) for s, n in zip(start, layout.grid, strict=True))
        result += padded[(slice(None), *window)] @ weights[tuple(start)]
    return layout.flattened(result)


def _padded(layout: SpatialLayout, patch: tuple[int, ...], rows: FloatArray) -> FloatArray:
    return np.pad(layout.images(rows), [(0, 0), *((size // 2, size // 2) for size in patch), (0, 0)])


def _patches(layout: SpatialLayout, patch: tuple[int, ...], rows: FloatArray) -> FloatArray:
    """Every zero-padded patch of every row, (B·N, F), features in the order (offset, channel)."""
    views = np.lib.stride_tricks.sliding_window_view(_padded(layout, patch, rows), patch, axis=layout.axes)
    return np.moveaxis(views, 1 + len(patch), -1).reshape(len(rows) * layout.positions, -1)


def _pooled(
    layout: SpatialLayout, patch: tuple[int, ...], blocks: Iterator[tuple[FloatArray, FloatArray]]
) -> FloatArray:
    """N⁻¹ Σᵢ Pᵢ (Σₖ aₖ vₖvₖᵀ) Pᵢᵀ, (F, F), where Pᵢ extracts the patch around i."""
    features = math.prod(patch) * layout.channels
    total = np.zeros((features, features))
    step = max(1, _BLOCK // (features * layout.positions))
    for rows, weights in blocks:
        scaled = rows * np.sqrt(weights)[:, None]
        for i in range(0, len(rows), step):
            patches = _patches(layout, patch, scaled[i : i + step])
            total += patches.T @ patches
    return total / layout.positions


def _solved(layout: SpatialLayout, patch: tuple[int, ...], moment: FloatArray, share: FloatArray) -> PatchRegression:
    root = np.sqrt(share)
    scaled = moment / np.outer(root, root)
    values, modes = np.linalg.eigh(0.5 * (scaled + scaled.T))
    return PatchRegression(layout=layout, patch=patch, values=np.maximum(values, 0.0), modes=modes, share=share)
