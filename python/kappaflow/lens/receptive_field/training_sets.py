"""Mean and spread of the receptive fields of the best linear denoiser over training sets of n samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._checks import FloatArray
from ...population import Population
from ...splits import Splits
from ..layout import SpatialLayout
from ..noise_levels import noise_levels_from_zero
from .linear_jacobian import field_of_gains

__all__ = [
    "expected_degrees_of_freedom",
    "expected_receptive_field",
    "receptive_field_spread",
    "receptive_field_variance",
]

#: Size of the probe of a matrix's variance: so large that the variance of the mean is below what rounding shows.
_SCALE = 1e4


def _expected_gains(splits: Splits, sigma: float, next_order: bool) -> FloatArray:
    f = splits.denoiser(sigma)
    gains = splits.expectation(f)
    return gains + splits.expectation_correction(f) if next_order else gains


def expected_receptive_field(
    splits: Splits, sigma: float, pixel: int | Sequence[int], *, channels: str = "grey", next_order: bool = False
) -> FloatArray:
    r"""Receptive field averaged over training sets of n samples: row i of U diag(λ/(λ + κ(σ²))) Uᵀ.

    The shape is that of :func:`~.linear_jacobian.receptive_field`.

    A finite training set has the same effect as more noise, κ > σ² (arXiv 2602.02908).

    Parameters
    ----------
    splits : the ensemble of training sets
    sigma : σ ≥ 0
    pixel, channels : as for :func:`~.linear_jacobian.receptive_field`, but the default is "grey"; "energy" is the energy of the
        mean Jacobian, not the mean energy
    next_order : whether to add the term of relative size 1/n (Gaussian law only)

    Raises
    ------
    ValueError
        See :func:`~.linear_jacobian.receptive_field`; or `next_order` is given with another law than the Gaussian one.
    """
    return field_of_gains(splits.population, _expected_gains(splits, sigma, next_order), pixel, channels)


def expected_degrees_of_freedom(splits: Splits, sigma: Any, *, next_order: bool = False) -> FloatArray:
    """tr Σ̂(Σ̂ + σ²)⁻¹ averaged over training sets, () or (S,): Σₖ λₖ/(λₖ + κ(σ²)), which is below n in any dimension.

    Parameters
    ----------
    splits : the ensemble of training sets
    sigma : σ ≥ 0, or (S,) of them
    next_order : add the term of relative size 1/n (Gaussian law only)
    """
    levels = noise_levels_from_zero(sigma)
    traces = [
        _expected_gains(splits, float(s), next_order) @ splits.population.multiplicity for s in np.atleast_1d(levels)
    ]
    return np.asarray(traces).reshape(levels.shape)


def _probes(population: Population, pixel: int | Sequence[int]) -> FloatArray:
    """(3, d) inputs μ + c eᵢ, μ − c eᵢ and μ of one entry i.

    The variance of the output is a quadratic form of the centred input, plus a linear form where the data are skewed and mean and
    covariance are therefore correlated, plus what the estimated mean adds. The second difference leaves the variance of the
    matrix alone, for every law.
    """
    places = SpatialLayout.of_any(population.shape).entries(pixel)
    if len(places) != 1:
        raise ValueError(f"pixel must name a channel, got {pixel!r} for samples {population.shape}")
    inputs = np.tile(population.mean, (3, 1))
    inputs[0, places] += _SCALE
    inputs[1, places] -= _SCALE
    return inputs


def _second_difference(values: FloatArray) -> FloatArray:
    """Second difference of values (3, ...) at the probes, over c²."""
    up, down, centre = values
    return np.asarray(np.maximum((up + down - 2 * centre) / (2 * _SCALE**2), 0.0))


def receptive_field_variance(splits: Splits, sigma: float, pixel: int | Sequence[int]) -> FloatArray:
    r"""Variance over training sets of each entry of a receptive field, Var[eᵢᵀ f(Σ̂) eⱼ], in the shape of a sample; O(d²k).

    Parameters
    ----------
    splits : the ensemble of training sets
    sigma : σ ≥ 0
    pixel : index of one entry; for a colour image it must name the channel

    Raises
    ------
    ValueError
        The pixel lies outside of the sample or does not name a channel, or the noise level is negative.
    """
    population = splits.population
    variance = splits.variance(splits.denoiser(sigma), _probes(population, pixel), np.eye(population.dimension))
    return _second_difference(variance).reshape(population.shape)


def receptive_field_spread(splits: Splits, sigma: float, pixel: int | Sequence[int]) -> float:
    """(Σⱼ Var[eᵢᵀ f(Σ̂) eⱼ])^½ / ‖E f(Σ̂) eᵢ‖: the relative spread of a pixel's field between training sets; O(k²).

    It is 0 if all training sets agree, and of order 1 or above if the field depends more on the training set than on the data.
    Parameters as for :func:`receptive_field_variance`.

    Raises
    ------
    TypeError, ValueError
        See :func:`receptive_field_variance`.
    """
    population = splits.population
    disagreement = splits.disagreement(splits.denoiser(sigma), _probes(population, pixel))
    total = float(_second_difference(disagreement * population.dimension / 2))
    mean = float(np.linalg.norm(expected_receptive_field(splits, sigma, pixel, channels="row")))
    return float(np.sqrt(total)) / mean if mean > 0 else float("nan")
