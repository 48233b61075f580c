r"""The Jacobian of the best linear denoiser, row by row: the receptive field of a pixel.

J = Σ(Σ + σ²)⁻¹ = U diag(λ/(λ + σ²)) Uᵀ. Row i says how much each input pixel moves output pixel i; it costs O(dk), and J is
never formed. J is symmetric, so that row and column agree; of a network or of a convolution on several channels they need not.
For any exact posterior mean the Jacobian at x is Cov[x₀ | x]/σ², which J is where the data are Gaussian.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._checks import FloatArray, choice, real_array
from ...moments import has_variance
from ...population import Population
from ...splits import Splits
from ..layout import SpatialLayout
from ..linear import wiener_gain
from ..noise_levels import noise_levels_from_zero

__all__ = [
    "CHANNELS",
    "collapse_channels",
    "degrees_of_freedom",
    "denoiser_gains",
    "expected_degrees_of_freedom",
    "expected_receptive_field",
    "jacobian_rows",
    "receptive_field",
    "receptive_field_spread",
    "receptive_field_variance",
]

#: What is shown of the channels of a pixel; see :func:`collapse_channels`.
CHANNELS = ("row", "grey", "energy")
_SCALE = 1e4  # of the probe of a matrix's variance, so that the mean's own is below what rounding shows


# ---------------------------------------------------------------- channels
def collapse_channels(rows: Any, shape: Sequence[int], channels: str) -> FloatArray:
    r"""What the rows of all channels of one pixel say of positions.

    Parameters
    ----------
    rows : (..., C, d) rows J[(i, c), ·] of the output channels c of one position i, columns in the order of a flattened sample
    shape : of a sample
    channels : "grey": (1/C) Σ_c Σ_c' J[(i, c), (j, c')], how the mean of the channels answers to a change of all of them alike;
        "energy": (Σ_c Σ_c' J[(i, c), (j, c')]²/C)^½, without sign. Both are 1 at i where J = 1.

    Returns
    -------
    (..., *size)
    """
    choice("channels", channels, CHANNELS[1:])
    values, layout = real_array("rows", rows), SpatialLayout.of_any(shape)
    dimension = layout.dimension
    if values.ndim < 2 or values.shape[-2:] != (layout.channels, dimension):
        raise ValueError(f"rows must have shape (..., {layout.channels}, {dimension}), got {values.shape}")
    planes = layout.planes(values)  # (..., C out, C in, *size)
    axes = (values.ndim - 2, values.ndim - 1)
    if channels == "grey":
        return np.asarray(planes.sum(axis=axes) / layout.channels)
    return np.asarray(np.sqrt(np.sum(planes**2, axis=axes) / layout.channels))


# ---------------------------------------------------------------- rows of f(Σ)
def denoiser_gains(population: Population, sigma: Any) -> FloatArray:
    """(k,) gains λ/(λ + σ²) of the modes, (S, k) for several σ ≥ 0; at σ = 0 one where there is variance, zero elsewhere."""
    levels = noise_levels_from_zero(sigma)
    values = population.eigenvalues
    noise = levels[..., None] ** 2
    limit = np.where(has_variance(values), 1.0, 0.0)
    return np.where(noise > 0, wiener_gain(values, np.where(noise > 0, noise, 1.0)), limit)


def jacobian_rows(population: Population, gains: Any, entries: Any, *, null_gain: float = 0.0) -> FloatArray:
    """Rows f(Σ)[i, ·], (P, d), for gains f(λₖ), (k,), and places i, (P,), in a flattened sample.

    What is outside of the modes has f(0) = `null_gain`. O(dk) a row.
    """
    if np.any(population.multiplicity != 1):
        raise ValueError("population must have no multiplicities above 1: pixels are not told apart")
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


def _field(population: Population, gains: FloatArray, pixel: int | Sequence[int], channels: str) -> FloatArray:
    """The field of gains (k,) or (S, k) at a pixel, as :func:`receptive_field` returns it."""
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
    r"""Receptive field of a pixel: row i of J = Σ(Σ + σ²)⁻¹, O(dk).

    At σ² below the least eigenvalue above 0 it goes to row i of the projector on the modes with variance, which is eᵢ only where Σ
    has full rank; at σ² ≫ λ₁ to Σ[i, ·]/σ².

    Parameters
    ----------
    population : Population
    sigma : σ ≥ 0, or (S,) of them
    pixel : index into the sample's shape, such as (y, x) or (y, x, c), or a number for a signal
    channels : "row", the row of one entry, in the shape of a sample (signed; of a colour image name the channel);
        "grey" or "energy", all channels of a position (y, x), see :func:`collapse_channels`

    Returns
    -------
    the sample's shape with "row", else (H, W) or (d,); with a leading axis S for several σ
    """
    return _field(population, denoiser_gains(population, sigma), pixel, channels)


def degrees_of_freedom(population: Population, sigma: Any) -> FloatArray:
    """Effective degrees of freedom tr J = Σₖ λₖ/(λₖ + σ²), () or (S,): how many directions are kept rather than averaged out."""
    return np.asarray(denoiser_gains(population, sigma) @ population.multiplicity)


# ---------------------------------------------------------------- finite training sets
def _expected_gains(splits: Splits, sigma: float, next_order: bool) -> FloatArray:
    f = splits.denoiser(sigma)
    gains = splits.expectation(f)
    return gains + splits.expectation_correction(f) if next_order else gains


def expected_receptive_field(
    splits: Splits, sigma: float, pixel: int | Sequence[int], *, channels: str = "grey", next_order: bool = False
) -> FloatArray:
    r"""Mean over training sets of n samples of the receptive field: row i of U diag(λ/(λ + κ(σ²))) Uᵀ.

    A finite training set acts as more noise, κ > σ² (arXiv 2602.02908).

    Parameters
    ----------
    splits : the ensemble of training sets
    sigma : σ ≥ 0
    pixel, channels : as for :func:`receptive_field`, whose default is "row", of an entry with its channel; "energy" is the energy
        of the mean Jacobian, not the mean energy
    next_order : add the term of relative size 1/n (Gaussian law alone)
    """
    return _field(splits.population, _expected_gains(splits, sigma, next_order), pixel, channels)


def expected_degrees_of_freedom(splits: Splits, sigma: Any, *, next_order: bool = False) -> FloatArray:
    """Mean over training sets of tr Σ̂(Σ̂ + σ²)⁻¹, () or (S,): Σₖ λₖ/(λₖ + κ(σ²)); below n, whatever the dimension."""
    levels = noise_levels_from_zero(sigma)
    traces = [
        _expected_gains(splits, float(s), next_order) @ splits.population.multiplicity for s in np.atleast_1d(levels)
    ]
    return np.asarray(traces).reshape(levels.shape)


def _probes(population: Population, pixel: int | Sequence[int]) -> FloatArray:
    """(3, d) inputs μ + c eᵢ, μ − c eᵢ and μ of one entry i.

    The output's variance is a quadratic form of the centred input, and a linear one where skewed data tie mean and covariance,
    plus what the estimated mean adds: the second difference leaves that of the matrix alone, for every law.
    """
    places = SpatialLayout.of_any(population.shape).entries(pixel)
    if len(places) != 1:
        raise ValueError(f"pixel must name a channel, got {pixel!r} for samples {population.shape}")
    inputs = np.tile(population.mean, (3, 1))
    inputs[0, places] += _SCALE
    inputs[1, places] -= _SCALE
    return inputs


def _second_difference(values: FloatArray) -> FloatArray:
    """Of values (3, ...) at the probes, over c²."""
    up, down, centre = values
    return np.asarray(np.maximum((up + down - 2 * centre) / (2 * _SCALE**2), 0.0))


def receptive_field_variance(splits: Splits, sigma: float, pixel: int | Sequence[int]) -> FloatArray:
    r"""Variance over training sets of each entry of a receptive field, Var[eᵢᵀ f(Σ̂) eⱼ], in the shape of a sample; O(d²k).

    Parameters
    ----------
    splits : the ensemble of training sets
    sigma : σ ≥ 0
    pixel : index of one entry; of a colour image name the channel
    """
    population = splits.population
    variance = splits.variance(splits.denoiser(sigma), _probes(population, pixel), np.eye(population.dimension))
    return _second_difference(variance).reshape(population.shape)


def receptive_field_spread(splits: Splits, sigma: float, pixel: int | Sequence[int]) -> float:
    """(Σⱼ Var[eᵢᵀ f(Σ̂) eⱼ])^½ / ‖E f(Σ̂) eᵢ‖: how much the field of a pixel differs from training set to training set; O(k²).

    0 where all agree, of order 1 and above where the field says more of the training set than of the data.
    """
    population = splits.population
    disagreement = splits.disagreement(splits.denoiser(sigma), _probes(population, pixel))
    total = float(_second_difference(disagreement * population.dimension / 2))
    mean = float(np.linalg.norm(expected_receptive_field(splits, sigma, pixel, channels="row")))
    return float(np.sqrt(total)) / mean if mean > 0 else float("nan")
