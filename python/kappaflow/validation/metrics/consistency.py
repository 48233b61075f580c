"""Distance between two generative models, seed by seed, and the share of a model's output that a prediction explains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._checks import FloatArray, real_array
from ...bands import band_sums, resolve_bands
from ...disagreement import Disagreement
from ...population import Population

__all__ = ["cross_split", "explained", "generated_variance", "pixel_disagreement"]

#: A range below this share of the largest magnitude is rounding.
ROUNDING = 1e-13


def cross_split(a: Any, b: Any, population: Population, bands: Any = None) -> Disagreement:
    r"""Disagreement of two models on the same seeds and on unrelated seeds.

    Let aᵢ, bᵢ be the outputs minus their own means over the Z seeds, and δ the difference of the means. The mean over pairs of
    different seeds is then::

        1/(Z(Z − 1)) Σ_{i≠j} ‖aᵢ + δ − bⱼ‖² = ((Z − 2) Σᵢ (‖aᵢ‖² + ‖bᵢ‖²) + Σᵢ ‖aᵢ + bᵢ‖²)/(Z(Z − 1)) + ‖δ‖²

    No term is negative, so there is no cancellation. The same formula holds for each mode.

    Parameters
    ----------
    a, b : (Z, d) or (Z, *shape) outputs; row i of both comes from seed i; Z ≥ 2
    population : provides the modes and the shape
    bands : as :func:`~kappaflow.bands.resolve_bands` takes them: bands, (start, stop) pairs, a number, or None for the default

    Raises
    ------
    ValueError, TypeError
        Shapes differ from each other or from the population's, there are fewer than 2 seeds, entries are not finite real
        numbers, or bands are not valid.
    """
    first, second = _same_seeds(a, b, population)
    if len(first) < 2:
        raise ValueError(f"a and b must hold at least 2 seeds, got {len(first)}")
    chosen = resolve_bands(bands, len(population.eigenvalues))
    dimension = population.dimension
    difference = first - second
    squares = difference**2
    modes = (_rotated(difference, population) ** 2).mean(axis=0) / dimension
    shift = difference.mean(axis=0)
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    unrelated = _unrelated(first, second, shift).sum() / dimension
    unrelated_modes = (
        _unrelated(
            _rotated(first, population), _rotated(second, population), _rotated(shift[np.newaxis], population)[0]
        )
        / dimension
    )

    return Disagreement(
        seeds=squares.mean(axis=1),
        modes=modes,
        bands=band_sums(modes, chosen),
        unrelated=float(unrelated),
        unrelated_modes=unrelated_modes,
        unrelated_bands=band_sums(unrelated_modes, chosen),
    )


def pixel_disagreement(a: Any, b: Any, population: Population) -> FloatArray:
    """Mean over seeds of the squared difference of each pixel, (*shape); its mean over pixels is the mean disagreement.

    Parameters
    ----------
    a, b : (Z, d) or (Z, *shape) outputs; row i of both comes from seed i
    population : provides the shape

    Raises
    ------
    ValueError, TypeError
        Shapes that differ from each other or from the population's, entries that are not finite real numbers.
    """
    first, second = _same_seeds(a, b, population)
    return np.asarray(((first - second) ** 2).mean(axis=0).reshape(population.shape))


def _same_seeds(a: Any, b: Any, population: Population) -> tuple[FloatArray, FloatArray]:
    first, second = population.flatten(a, "a"), population.flatten(b, "b")
    if first.shape != second.shape:
        raise ValueError(f"a and b must hold the same seeds, got {len(first)} and {len(second)}")
    return first, second


def _rotated(rows: FloatArray, population: Population) -> FloatArray:
    """uₖᵀx of rows that have no mean to subtract: differences, or outputs less their own mean."""
    return rows if population.eigenvectors is None else rows @ population.eigenvectors


def _unrelated(a: FloatArray, b: FloatArray, shift: FloatArray) -> FloatArray:
    """The formula of :func:`cross_split`, column by column."""
    count = len(a)
    own = (count - 2) * ((a**2).sum(axis=0) + (b**2).sum(axis=0)) + ((a + b) ** 2).sum(axis=0)
    return np.asarray(own / (count * (count - 1)) + shift**2)


def explained(x: Any, prediction: Any) -> float:
    """R² = 1 − Σ‖x − p‖²/Σ‖x − x̄‖², with the mean x̄ over seeds: 1 if p is x, 0 if p is no better than x̄, negative if it is worse.

    NaN if x does not vary from seed to seed: its range in every pixel is below 1e-13 of its largest magnitude.

    Parameters
    ----------
    x, prediction : (Z, d) outputs, and their prediction

    Raises
    ------
    ValueError, TypeError
        Shapes differ or are not (Z, d), or entries are not finite real numbers.
    """
    outputs, expected = real_array("x", x), real_array("prediction", prediction)
    if outputs.ndim != 2 or outputs.size == 0 or expected.shape != outputs.shape:
        raise ValueError(f"x and prediction must have the same shape (Z, d), got {outputs.shape} and {expected.shape}")
    if np.ptp(outputs, axis=0).max() <= ROUNDING * np.abs(outputs).max():
        return math.nan
    return 1 - float(((outputs - expected) ** 2).sum() / ((outputs - outputs.mean(axis=0)) ** 2).sum())


def generated_variance(x: Any, population: Population) -> FloatArray:
    """(k,) variance over seeds, divisor Z − 1, of the mode coordinates uₖᵀx of outputs x (Z, d) or (Z, *shape).

    Raises
    ------
    ValueError
        The shape is not one of these, there are fewer than 2 seeds, or an entry is NaN or infinite.
    """
    rows = population.flatten(x, "x")
    if len(rows) < 2:
        raise ValueError(f"x must hold at least 2 seeds, got {len(rows)}")
    centred = _rotated(rows - rows.mean(axis=0), population)
    return np.asarray((centred**2).sum(axis=0) / (len(rows) - 1))
