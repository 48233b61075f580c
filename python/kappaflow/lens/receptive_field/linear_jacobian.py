r"""The Jacobian of the best linear denoiser, row by row: the receptive field of a pixel.

J = Σ(Σ + σ²)⁻¹ = U diag(λ/(λ + σ²)) Uᵀ. Row i says how much each input pixel changes output pixel i. A row costs O(dk), and J
is never formed. J is symmetric, so rows and columns agree; those of a network, or of a convolution on several channels, need
not agree. The Jacobian of any exact posterior mean at x is Cov[x₀ | x]/σ², which equals J if the data are Gaussian.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._checks import FloatArray, choice, real_array
from ...moments import has_variance
from ...population import Population
from ..layout import SpatialLayout
from ..linear import wiener_gain
from ..noise_levels import noise_levels_from_zero

__all__ = [
    "CHANNELS",
    "collapse_channels",
    "degrees_of_freedom",
    "denoiser_gains",
    "field_of_gains",
    "jacobian_rows",
    "receptive_field",
]

#: What is shown of the channels of a pixel; see :func:`collapse_channels`.
CHANNELS = ("row", "grey", "energy")


# ---------------------------------------------------------------- channels
def collapse_channels(rows: Any, shape: Sequence[int], channels: str) -> FloatArray:
    r"""One number for each position, from the rows of all channels of one pixel.

    Parameters
    ----------
    rows : (..., C, d) rows J[(i, c), ·] of the output channels c of one position i, columns in the order of a flattened sample
    shape : of a sample
    channels : "grey": (1/C) Σ_c Σ_c' J[(i, c), (j, c')], the change of the mean of the channels when all of them change alike;
        "energy": (Σ_c Σ_c' J[(i, c), (j, c')]²/C)^½, without sign. For J = 1, both are 1 at i.

    Returns
    -------
    (..., *grid)

    Raises
    ------
    ValueError
        `channels` has another value, rows have another shape, or an entry is NaN or infinite.
    """
    choice("channels", channels, CHANNELS[1:])
    values, layout = real_array("rows", rows), SpatialLayout.of_any(shape)
    dimension = layout.dimension
    if values.ndim < 2 or values.shape[-2:] != (layout.channels, dimension):
        raise ValueError(f"rows must have shape (..., {layout.channels}, {dimension}), got {values.shape}")
    planes = layout.planes(values)  # (..., C out, C in, *grid)
    axes = (values.ndim - 2, values.ndim - 1)
    if channels == "grey":
        return np.asarray(planes.sum(axis=axes) / layout.channels)
    return np.asarray(np.sqrt(np.sum(planes**2, axis=axes) / layout.channels))


# ---------------------------------------------------------------- rows of f(Σ)
def denoiser_gains(population: Population, sigma: Any) -> FloatArray:
    """Gains λ/(λ + σ²) of the modes, (k,) for one σ ≥ 0, (S, k) for several; at σ = 0, 1 for modes with variance and 0 for others.

    Raises
    ------
    ValueError
        A noise level is negative, there is no level, or levels have more than one axis.
    """
    levels = noise_levels_from_zero(sigma)
    values = population.eigenvalues
    noise = levels[..., None] ** 2
    limit = np.where(has_variance(values), 1.0, 0.0)
    return np.where(noise > 0, wiener_gain(values, noise_variance=np.where(noise > 0, noise, 1.0)), limit)


def jacobian_rows(population: Population, gains: Any, entries: Any, *, null_gain: float = 0.0) -> FloatArray:
    """Rows f(Σ)[i, ·], (P, d), in O(dk) each.

    Parameters
    ----------
    population : with multiplicities of 1
    gains : (k,) f(λₖ)
    entries : (P,) indices i in a flattened sample
    null_gain : f(0), for directions outside of the modes

    Raises
    ------
    ValueError
        Multiplicities are above 1, gains have another shape, or entries lie outside of the sample.
    TypeError
        Entries are not integers.
    """
    if np.any(population.multiplicity != 1):
        raise ValueError("population must have no multiplicities above 1: pixels cannot be distinguished")
    factors = real_array("gains", gains)
    if factors.shape != population.eigenvalues.shape:
        raise ValueError(
            f"gains must have shape {population.eigenvalues.shape}, one for each mode, got {factors.shape}"
        )
    places = np.atleast_1d(np.asarray(entries))
    if places.dtype.kind not in "iu" or places.ndim != 1:
        raise TypeError(f"entries must be integers (P,), got dtype {places.dtype} and shape {places.shape}")
    if places.size and not 0 <= places.min() <= places.max() < population.dimension:
        raise ValueError(
            f"entries must lie between 0 and {population.dimension - 1}, got {places.min()} to {places.max()}"
        )
    rows = np.zeros((len(places), population.dimension))
    here = (np.arange(len(places)), places)
    if population.eigenvectors is None:
        rows[here] = factors[places]
        return rows
    rows[:] = (population.eigenvectors[places] * (factors - null_gain)) @ population.eigenvectors.T
    rows[here] += null_gain
    return rows


def field_of_gains(population: Population, gains: FloatArray, pixel: int | Sequence[int], channels: str) -> FloatArray:
    """The field of a pixel for gains (k,) or (S, k) of the modes.

    Pixel, channels and result as for :func:`receptive_field`.

    Raises
    ------
    ValueError
        The pixel does not fit the sample or the value of `channels`.
    """
    choice("channels", channels, CHANNELS)
    layout = SpatialLayout.of_any(population.shape)
    places = layout.entries(pixel)
    if channels == "row" and len(places) != 1:
        raise ValueError(f"pixel must name a channel with channels='row', got {pixel!r} for samples {population.shape}")
    if channels != "row" and len(places) != layout.channels:
        raise ValueError(f"pixel must name a position in {layout.grid} with channels={channels!r}, got {pixel!r}")
    rows = np.stack([jacobian_rows(population, g, places) for g in np.atleast_2d(gains)])
    if channels != "row":
        rows = collapse_channels(rows, population.shape, channels)
    fields = rows.reshape(len(rows), *(population.shape if channels == "row" else layout.grid))
    return np.asarray(fields[0] if gains.ndim == 1 else fields)


def receptive_field(
    population: Population, sigma: Any, pixel: int | Sequence[int], *, channels: str = "row"
) -> FloatArray:
    r"""Receptive field of a pixel: row i of J = Σ(Σ + σ²)⁻¹, in O(dk).

    For σ² far below the least eigenvalue above 0 it is row i of the projector on the modes with variance, which is eᵢ only if Σ
    has full rank. For σ² ≫ λ₁ it is Σ[i, ·]/σ².

    Parameters
    ----------
    population : mean and covariance of the data
    sigma : σ ≥ 0, or (S,) of them
    pixel : index into the sample's shape, such as (y, x) or (y, x, c), or a number for a signal
    channels : "row", the row of one entry, with its sign, in the shape of a sample (for a colour image the pixel must name the
        channel); "grey" or "energy", all channels of a position (y, x), see :func:`collapse_channels`

    Returns
    -------
    array of the sample's shape with "row", otherwise (H, W) or (d,); with a leading axis S for several σ

    Raises
    ------
    ValueError
        The pixel lies outside of the sample, or it names a channel although `channels` is not "row" or does not name one
        although it is; a noise level is negative; or multiplicities are above 1.
    """
    return field_of_gains(population, denoiser_gains(population, sigma), pixel, channels)


def degrees_of_freedom(population: Population, sigma: Any) -> FloatArray:
    """Effective degrees of freedom tr J = Σₖ λₖ/(λₖ + σ²), () or (S,): the number of directions that the denoiser keeps instead
    of averaging them out.

    Parameters
    ----------
    population : mean and covariance of the data
    sigma : σ ≥ 0, or (S,) of them
    """
    return np.asarray(denoiser_gains(population, sigma) @ population.multiplicity)
