r"""How large a receptive field is, and how far the fields of different pixels are shifts of one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, real_array
from ...population import Population
from ..layout import IntArray, SpatialLayout
from ..noise_levels import noise_levels_from_zero
from .jacobian import denoiser_gains, jacobian_rows

__all__ = ["FieldSize", "default_radius", "equivariance_error", "field_size", "local_equivariance_error"]

_BLOCK = 256  # rows of the Jacobian at once


# ---------------------------------------------------------------- size
@dataclass(frozen=True)
class FieldSize:
    """Measures of |RF| in pixels, from the pixel it belongs to.

    Attributes
    ----------
    fwhm : twice the distance at which the mean of |RF| on a circle falls to half of its value at the pixel, linearly
        between distances; 1 for a single pixel, NaN where it never does
    r50, r90 : radius that holds half, and nine tenths, of Σ|RF|, linearly between distances; 0 where the pixel itself does
    participation : (Σ|RF|)²/ΣRF², the number of pixels that take part: a length in 1-D, an area in 2-D
    """

    fwhm: float
    r50: float
    r90: float
    participation: float


def field_size(field: Any, centre: int | Sequence[int], *, circular: bool = False) -> FieldSize:
    """Size of a receptive field (d,) or (H, W) about its pixel.

    Second moments are no measure: a constant and the negative tails far away dominate them.

    Parameters
    ----------
    field : (d,) or (H, W)
    centre : its pixel, where |RF| must not vanish
    circular : distances around the torus, instead of within the image
    """
    values = np.abs(real_array("field", field))
    if values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(f"field must have shape (d,) or (H, W) and not be empty, got {values.shape}")
    index = tuple(centre) if isinstance(centre, Sequence | np.ndarray) else (centre,)
    index = tuple(integer("centre", i, 0) for i in index)
    if len(index) != values.ndim or any(i >= n for i, n in zip(index, values.shape, strict=True)):
        raise ValueError(f"centre must lie within {values.shape}, got {index}")
    if values[index] == 0:
        raise ValueError(f"field must not vanish at its centre {index}")
    distance, inverse, count = _shells(values.shape, index, circular)
    mass = np.bincount(inverse.ravel(), weights=values.ravel())
    held = np.cumsum(mass) / mass.sum()
    r50, r90 = (float(np.interp(share, held, distance)) for share in (0.5, 0.9))
    participation = float(values.sum() ** 2 / np.sum(values**2))
    return FieldSize(_width(distance, mass / count), r50, r90, participation)


def _shells(shape: tuple[int, ...], centre: tuple[int, ...], circular: bool) -> tuple[FloatArray, Any, Any]:
    """Distances (R,) that occur, which of them each pixel has, and how many pixels have it."""
    squared = np.zeros(shape, dtype=np.int64)  # whole numbers: equal distances are equal
    for axis, (length, place) in enumerate(zip(shape, centre, strict=True)):
        away = np.abs(np.arange(length) - place)
        if circular:
            away = np.minimum(away, length - away)
        squared = squared + (away**2).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    unique, inverse, count = np.unique(squared, return_inverse=True, return_counts=True)
    return np.sqrt(unique.astype(np.float64)), inverse, count


def _width(distance: FloatArray, profile: FloatArray) -> float:
    """Twice the first distance at which the profile is half of its first value."""
    half = profile[0] / 2
    below = np.flatnonzero(profile < half)
    if below.size == 0:
        return float("nan")
    outer = int(below[0])
    high, low = profile[outer - 1], profile[outer]
    return float(2 * (distance[outer - 1] + (high - half) / (high - low) * (distance[outer] - distance[outer - 1])))


# ---------------------------------------------------------------- equivariance
def default_radius(shape: Sequence[int]) -> int:
    """A quarter of the shorter side: window and interior then have about half of each side."""
    return max(1, min(SpatialLayout.of_any(shape).grid) // 4)


def _interior(layout: SpatialLayout, radius: int, circular: bool, stride: int) -> list[IntArray]:
    """Coordinates of the pixels whose window lies inside, one array for each direction."""
    if not circular and min(layout.grid) < 2 * radius + 2:
        raise ValueError(
            f"radius must leave at least 2 interior pixels in {layout.grid}, got {radius}: a window of {2 * radius + 1}"
        )
    if circular and min(layout.grid) < 2 * radius + 1:
        raise ValueError(f"radius must fit around {layout.grid}, got {radius}: a window of {2 * radius + 1}")
    edge = 0 if circular else radius
    ranges = [np.arange(edge, length - edge, stride, dtype=np.intp) for length in layout.grid]
    return [axis.ravel() for axis in np.meshgrid(*ranges, indexing="ij")]


def _window_columns(layout: SpatialLayout, places: list[IntArray], radius: int) -> IntArray:
    """(P, window pixels, C) places in a flattened sample of the window around each pixel, around the torus."""
    offsets = np.meshgrid(*[np.arange(-radius, radius + 1)] * len(layout.grid), indexing="ij")
    index = tuple(
        (place[:, None] + offset.ravel()[None, :]) % length
        for place, offset, length in zip(places, offsets, layout.grid, strict=True)
    )
    columns: IntArray = layout.numbers[index]
    return columns


def _relative_spread(windows: FloatArray) -> float:
    """Σᵢ‖wᵢ − w̄‖²/Σᵢ‖wᵢ‖² of (P, ...), 0 where all vanish."""
    whole = float(np.sum(windows**2))
    return float(np.sum((windows - windows.mean(axis=0)) ** 2)) / whole if whole > 0 else 0.0


def equivariance_error(
    jacobian: Any, shape: Sequence[int], *, radius: int | None = None, circular: bool = False
) -> float:
    """As :func:`local_equivariance_error`, of a given Jacobian (d, d), for instance that of a network."""
    layout = SpatialLayout.of_any(shape)
    matrix = real_array("jacobian", jacobian)
    dimension = layout.dimension
    if matrix.shape != (dimension, dimension):
        raise ValueError(f"jacobian must have shape ({dimension}, {dimension}), got {matrix.shape}")
    window = default_radius(shape) if radius is None else integer("radius", radius, 0)
    places = _interior(layout, window, circular, 1)
    columns = _window_columns(layout, places, window)
    rows = layout.numbers[tuple(places)]  # (P, C)
    return _relative_spread(matrix[rows[:, :, None, None], columns[:, None, :, :]])


def local_equivariance_error(
    population: Population, sigma: Any, *, radius: int | None = None, circular: bool = False, stride: int = 1
) -> FloatArray:
    r"""How far receptive fields of different pixels are shifts of one field, () or (S,): 0 shifts, 1 nothing in common.

    E(σ) = Σᵢ‖T₋ᵢRFᵢ − RF̄‖²/Σᵢ‖RFᵢ‖², over interior pixels i, those whose window of `radius` lies inside of the image; fields
    are taken in that window, and RF̄ is their mean, the projection of J on Toeplitz matrices. Channels are told apart.

    Parameters
    ----------
    population : Population
    sigma : σ ≥ 0, or (S,) of them
    radius : R of the window of (2R+1)² pixels, or 2R+1 of a signal; by default :func:`default_radius`
    circular : all pixels, windows around the torus: RF̄ is then the projection on circulant matrices
    stride : take every so manieth interior pixel in each direction

    Notes
    -----
    It is not monotone in σ. Where Σ has full rank it vanishes as σ → 0, where it has not it goes to that of the projector.
    """
    levels = noise_levels_from_zero(sigma)
    layout = SpatialLayout.of_any(population.shape)
    window = default_radius(population.shape) if radius is None else integer("radius", radius, 0)
    places = _interior(layout, window, circular, integer("stride", stride, 1))
    columns = _window_columns(layout, places, window)
    entries = layout.numbers[tuple(places)]  # (P, C)
    flat = entries.ravel()
    errors = []
    for gains in np.atleast_2d(denoiser_gains(population, levels)):
        windows = np.empty((*entries.shape, *columns.shape[1:]))
        parts = windows.reshape(len(flat), *columns.shape[1:])
        for start in range(0, len(flat), _BLOCK):
            stop = min(start + _BLOCK, len(flat))
            rows = jacobian_rows(population, gains, flat[start:stop])
            chosen = columns[np.arange(start, stop) // layout.channels]
            parts[start:stop] = rows[np.arange(stop - start)[:, None, None], chosen]
        errors.append(_relative_spread(windows))
    return np.asarray(errors).reshape(levels.shape)
