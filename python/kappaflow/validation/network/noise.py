"""Manipulated initial noise: some modes are suppressed or amplified, to show which part of a seed determines the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..._checks import FloatArray
from ..._repr import ShortRepr
from ...population import Population

__all__ = ["ManipulatedNoise", "NoiseChange", "amplified", "manipulated_noise", "parts"]


class NoiseChange(NamedTuple):
    """How a noise was changed: the coordinates of modes start ≤ k < stop, called `part`, were multiplied by `factor`."""

    part: str
    modes: tuple[int, int]
    factor: float


@dataclass(frozen=True, repr=False)
class ManipulatedNoise(ShortRepr):
    """Noises and how they were changed.

    Attributes
    ----------
    noise : name → (Z, d) initial noise
    changes : name → how the noise was changed
    """

    noise: Mapping[str, FloatArray]
    changes: Mapping[str, NoiseChange]


def parts(population: Population) -> dict[str, tuple[int, int]]:
    """Modes that are manipulated, as (start, stop): "top", which hold half of the variance, and "bottom", the last half of all
    modes.

    There is no "bottom" if the top modes are all modes.
    """
    s = population.eigenvalues
    top = int(np.searchsorted(np.cumsum(s), 0.5 * s.sum())) + 1
    bottom = max(s.size // 2, top)
    ranges = {"top": (0, top)}
    if bottom < s.size:
        ranges["bottom"] = (bottom, s.size)
    return ranges


def amplified(noise: FloatArray, population: Population, modes: tuple[int, int], factor: float) -> FloatArray:
    """(Z, d) noise whose coordinates along modes start ≤ k < stop are multiplied by a factor."""
    vectors = population.eigenvectors
    assert vectors is not None  # a population from images has eigenvectors
    chosen = vectors[:, modes[0] : modes[1]]
    return np.asarray(noise + (factor - 1) * (noise @ chosen) @ chosen.T)


def manipulated_noise(
    noise: FloatArray,
    population: Population,
    chosen: Mapping[str, tuple[int, int]],
    factors: Sequence[float] = (0.0, 2.0),
) -> ManipulatedNoise:
    """Noise (Z, d) with some modes suppressed or amplified, and the unchanged noise under the factor 1.

    Parameters
    ----------
    chosen : name of a part → modes (start, stop), see :func:`parts`
    factors : by which coordinates are multiplied
    """
    made: dict[str, FloatArray] = {}
    changes: dict[str, NoiseChange] = {}
    for part, modes in chosen.items():
        for factor in (*factors, 1.0):
            name = f"{part} x {factor:g}"
            made[name] = amplified(noise, population, modes, factor)
            changes[name] = NoiseChange(part, modes, factor)
    return ManipulatedNoise(made, changes)
