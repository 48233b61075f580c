r"""How close the receptive fields of different pixels are to shifts of one another, like those of a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, real_array
from ...population import Population
from ..layout import IntArray, SpatialLayout
from ..noise_levels import noise_levels_from_zero
from .linear_jacobian import denoiser_gains, jacobian_rows

__all__ = ["default_radius", "equivariance_error", "local_equivariance_error"]

#: Rows of the Jacobian that are formed at once.
_BLOCK = 256


def default_radius(shape: Sequence[int]) -> int:
    """A quarter of the shorter side, at least 1. The window and the interior then cover about half of each side."""
    return max(1, min(SpatialLayout.of_any(shape).grid) // 4)


def _interior(layout: SpatialLayout, radius: int, circular: bool, stride: int) -> list[IntArray]:
    """Coordinates (P,) of the pixels whose window lies inside, one array for each direction."""
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
    """(P, window pixels, C) places in a flattened sample of the windows around the pixels; windows go around the torus."""
    offsets = np.meshgrid(*[np.arange(-radius, radius + 1)] * len(layout.grid), indexing="ij")
    index = tuple(
        (position[:, None] + offset.ravel()[None, :]) % length
        for position, offset, length in zip(places, offsets, layout.grid, strict=True)
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
    """The error of :func:`local_equivariance_error` for a given Jacobian, for instance that of a network.

    Parameters
    ----------
    jacobian : (d, d)
    shape : of a sample
    radius, circular : as for :func:`local_equivariance_error`

    Raises
    ------
    ValueError
        The Jacobian has another shape, or the radius leaves fewer than two interior pixels or does not fit around the torus.
    """
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
    r"""Distance of the receptive fields of different pixels from shifts of one field, () or (S,).

    E(σ) = Σᵢ‖T₋ᵢRFᵢ − RF̄‖²/Σᵢ‖RFᵢ‖² over the interior pixels i, whose window of `radius` lies inside of the image. Fields are
    cut to that window, and RF̄ is their mean, which is the projection of J on Toeplitz matrices. The error is 0 if all fields
    are shifts of one field, and 1 if they have nothing in common. Different channels are different fields.

    Parameters
    ----------
    population : mean and covariance of the data
    sigma : σ ≥ 0, or (S,) of them
    radius : R of the window of (2R+1)² pixels, or 2R+1 of a signal; by default :func:`default_radius`
    circular : whether to use all pixels, with windows around the torus; RF̄ is then the projection on circulant matrices
    stride : step between interior pixels in each direction, 1 for all of them

    Raises
    ------
    ValueError
        The radius leaves fewer than two interior pixels or does not fit around the torus, or a noise level is negative.

    Notes
    -----
    The error is not monotone in σ. As σ → 0 it vanishes if Σ has full rank; otherwise it tends to the error of the projector on
    the modes.
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
