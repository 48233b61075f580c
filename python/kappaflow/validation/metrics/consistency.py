"""How alike the outputs of two models are that start from the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, real_array
from ...bands import Band
from ...population import Population

__all__ = ["Consistency", "cross_split", "explained", "generated_variance"]


@dataclass(frozen=True)
class Consistency:
    """Squared distances of two models' outputs per dimension, ‖a − b‖²/d.

    Attributes
    ----------
    seeds : (Z,) of each seed
    modes, bands : (k,), (K,) parts along the modes of the population and in its eigenbands, mean over seeds; they add up to the
        whole where the population has d modes
    pixels : (d,) mean squared difference of each pixel
    unrelated : mean of ‖a_i − b_j‖²/d over all ordered pairs of seeds i ≠ j: the ceiling
    unrelated_modes, unrelated_bands : parts of it
    """

    seeds: FloatArray
    modes: FloatArray
    bands: FloatArray
    pixels: FloatArray
    unrelated: float
    unrelated_modes: FloatArray
    unrelated_bands: FloatArray


def cross_split(a: Any, b: Any, population: Population, bands: Sequence[Band]) -> Consistency:
    """Compare outputs a, b (Z, d) of two models, row by row from the same seed.

    Raises ValueError for shapes that differ or fewer than two seeds.
    """
    first, second = _outputs("a", a), _outputs("b", b)
    if first.shape != second.shape or len(first) < 2:
        raise ValueError(f"a and b must be (Z, d) alike with at least two seeds, got {first.shape} and {second.shape}")
    dimension = first.shape[1]
    apart = first - second
    x, y = (population.coordinates(outputs) for outputs in (first, second))
    modes = np.mean((x - y) ** 2, axis=0) / dimension
    unrelated_modes = _unrelated(x, y) / dimension
    return Consistency(
        seeds=np.mean(apart**2, axis=1),
        modes=modes,
        bands=_by_band(modes, bands),
        pixels=np.mean(apart**2, axis=0),
        unrelated=float(_unrelated(first, second).mean()),
        unrelated_modes=unrelated_modes,
        unrelated_bands=_by_band(unrelated_modes, bands),
    )


def _unrelated(x: FloatArray, y: FloatArray) -> FloatArray:
    """(k,) mean of (x_i − y_j)² over ordered pairs i ≠ j.

    Over all pairs it is mean x² − 2 mean x mean y + mean y², from which the Z equal pairs are taken out; both sides are centred on
    their common mean first, so that nothing cancels.
    """
    count = len(x)
    middle = 0.5 * (x.mean(axis=0) + y.mean(axis=0))
    u, v = x - middle, y - middle
    everything = np.mean(u**2, axis=0) + np.mean(v**2, axis=0) - 2 * u.mean(axis=0) * v.mean(axis=0)
    equal = np.mean((x - y) ** 2, axis=0)
    return np.asarray(np.maximum(count * everything - equal, 0.0) / (count - 1))


def explained(outputs: Any, prediction: Any) -> float:
    """R² = 1 − Σ‖x − p‖²/Σ‖x − mean x‖² over seeds; NaN where the outputs do not vary."""
    x, p = _outputs("outputs", outputs), _outputs("prediction", prediction)
    if x.shape != p.shape:
        raise ValueError(f"prediction must have the shape of outputs, {x.shape}, got {p.shape}")
    spread = float(np.sum((x - x.mean(axis=0)) ** 2))
    if spread <= 1e-28 * float(np.sum(x**2)):  # rounding of the mean of equal rows
        return float("nan")
    return float(1 - np.sum((x - p) ** 2) / spread)


def generated_variance(outputs: Any, population: Population) -> FloatArray:
    """(k,) variance over seeds, with divisor Z − 1, of the outputs (Z, d) along each mode of the population."""
    x = _outputs("outputs", outputs)
    if len(x) < 2:
        raise ValueError(f"outputs must be of at least two seeds, got {len(x)}")
    return np.asarray(np.var(population.coordinates(x), axis=0, ddof=1))


def _outputs(name: str, value: Any) -> FloatArray:
    array = real_array(name, value)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must be (Z, d) and not empty, got shape {array.shape}")
    return array


def _by_band(values: FloatArray, bands: Sequence[Band]) -> FloatArray:
    return np.array([values[band.start : band.stop].sum() for band in bands])
