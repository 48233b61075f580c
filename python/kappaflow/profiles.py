"""Profiles: samples in mode coordinates that a population keeps for the laws that need more than the covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray
from ._row_modes import along, rows_at_once

if TYPE_CHECKING:
    from .population import Population

__all__ = ["ProfileArray", "fewer_profiles", "profiles_of", "require_sample_size", "scaled_profiles"]

ProfileArray = npt.NDArray[np.float32]


def scaled_profiles(coordinates: FloatArray | ProfileArray, eigenvalues: FloatArray) -> ProfileArray:
    """Mode coordinates (M, k) as profiles: float32, scaled so that the mean square of each mode is its eigenvalue (k,)."""
    coordinates = np.asarray(coordinates, dtype=np.float64)
    square = np.mean(coordinates**2, axis=0)
    scale = np.sqrt(np.divide(eigenvalues, square, out=np.zeros_like(square), where=square > 0))
    return np.asarray(coordinates * scale, dtype=np.float32)


def profiles_of(
    samples: ProfileArray, mean: FloatArray, eigenvectors: npt.NDArray[Any], eigenvalues: FloatArray
) -> ProfileArray:
    """Samples (M, d) of this mean (d,) as :func:`scaled_profiles` along eigenvectors (d, k), for a block of samples at a time."""
    rows = rows_at_once(max(eigenvectors.shape), len(samples))
    if rows >= len(samples):
        return scaled_profiles(along(samples - mean, eigenvectors), eigenvalues)
    kept = np.empty((len(samples), eigenvectors.shape[1]), dtype=np.float32)
    square = np.zeros(eigenvectors.shape[1])
    for first in range(0, len(samples), rows):
        coordinates = along(samples[first : first + rows] - mean, eigenvectors)
        square += np.einsum("mk,mk->k", coordinates, coordinates)
        kept[first : first + rows] = coordinates
    square /= len(samples)
    kept *= np.sqrt(np.divide(eigenvalues, square, out=np.zeros_like(square), where=square > 0)).astype(np.float32)
    return kept


def fewer_profiles(population: Population, step: int, first: int = 0) -> Population:
    """The population with every `step`-th profile only, or all profiles of every `step`-th group, from number `first` on.

    Raises
    ------
    ValueError
        The population holds no profiles.
    """
    if population.profiles is None:
        raise ValueError("population must hold profiles to keep fewer of them, got none")
    if population.groups is None:
        return population.replace(profiles=scaled_profiles(population.profiles[first::step], population.eigenvalues))
    kept = population.groups % step == first
    _, numbers = np.unique(population.groups[kept], return_inverse=True)
    return population.replace(
        profiles=scaled_profiles(population.profiles[kept], population.eigenvalues), groups=numbers.ravel()
    )


def require_sample_size(population: Population) -> None:
    """Check that a population was estimated from no fewer samples than it holds distinct profiles.

    Raises
    ------
    ValueError
        There are more distinct profiles.
    """
    if population.sample_size is None or population.profiles is None:
        return
    most = population.sample_size * population.versions
    if len(population.profiles) <= most:
        return
    distinct = population.distinct_profiles  # copies of a sample count once in its size
    if distinct is not None and len(distinct) > most:
        raise ValueError(
            f"population must have a sample_size of at least its {len(distinct)} distinct profiles, got "
            f"{population.sample_size}"
        )
