"""The fields of a population, checked: those that the constructor takes, whether they come from a caller or from a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray, integer, plain_array, real_array, spectrum_arrays
from ._orthonormal import ORTHONORMALITY, orthonormality_error
from .groups import require_groups
from .provenance import Provenance

__all__ = ["LARGEST_MEAN", "checked_fields"]

#: Above this dimension the mean of a population that is known by its spectrum alone is not stored.
LARGEST_MEAN = 10**8
#: Relative error of the mean square of profiles in a mode, and its absolute error relative to the largest eigenvalue.
_PROFILE_ERROR, _PROFILE_NOISE = 1e-3, 1e-6


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a :class:`~kappaflow.population.Population` with their defaults, as it stores them.

    Raises
    ------
    TypeError
        Values of another type.
    ValueError
        Values that no population can have, such as eigenvalues that do not descend, or eigenvectors that are not orthonormal.
    """
    dimension = integer("dimension", fields["dimension"], 1)
    eigenvalues, multiplicity = _spectrum(fields["eigenvalues"], fields["multiplicity"], dimension)
    vectors = _eigenvectors(fields["eigenvectors"], dimension, multiplicity)
    profiles = _profiles(fields["profiles"], len(eigenvalues))
    groups, group_count = fields["groups"], fields["group_count"]
    if groups is not None:
        groups = require_groups(groups, 0 if profiles is None else len(profiles))
        group_count = int(groups[-1]) + 1 if group_count is None else group_count
    if profiles is not None:
        _require_scaled(profiles, eigenvalues)
    size, provenance = fields["sample_size"], fields["provenance"]
    if provenance is not None and not isinstance(provenance, Provenance):
        raise TypeError(f"provenance must be a Provenance, got {type(provenance).__name__}")
    return {
        "eigenvalues": eigenvalues,
        "multiplicity": multiplicity,
        "dimension": dimension,
        "mean": _mean(fields["mean"], dimension),
        "eigenvectors": vectors,
        "shape": _shape(fields["shape"], dimension),
        "sample_size": None if size is None else integer("sample_size", size, 1),
        "profiles": profiles,
        "groups": groups,
        "group_count": None if group_count is None else integer("group_count", group_count, 1),
        "versions": integer("versions", fields["versions"], 1, 2),
        "provenance": Provenance() if provenance is None else provenance,
    }


def _spectrum(eigenvalues: Any, multiplicity: Any, dimension: int) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues (k,), descending, and multiplicities (k,), which may be one number for all."""
    if np.ndim(multiplicity) == 0 and multiplicity is not None:
        multiplicity = np.full(np.shape(eigenvalues), plain_array("multiplicity", multiplicity))
    values, counts = spectrum_arrays(eigenvalues, multiplicity)
    rises = np.diff(values) > 0
    if rises.any():
        place = int(rises.argmax())
        raise ValueError(
            f"eigenvalues must descend, got {values[place]} before {values[place + 1]} at index {place + 1}"
        )
    total = float(counts.sum())
    if total > dimension * (1 + 1e-9):
        raise ValueError(f"multiplicity must sum to at most the dimension {dimension}, got {total:g}")
    return values, counts


def _mean(mean: Any, dimension: int) -> FloatArray:
    """(d,), zeros by default; empty in dimensions that are too large to store it."""
    stored = dimension if dimension <= LARGEST_MEAN else 0
    if mean is None:
        return np.zeros(stored)
    array = real_array("mean", mean)
    if array.shape not in ((dimension,), (stored,)):
        raise ValueError(f"mean must have shape ({dimension},), one number for each dimension, got {array.shape}")
    return array


def _shape(shape: Any, dimension: int) -> tuple[int, ...]:
    """The shape of a sample, (d,) by default."""
    if shape is None:
        return (dimension,)
    sides = tuple(integer("shape", side, 1) for side in shape)
    if math.prod(sides) != dimension:
        raise ValueError(f"shape must have {dimension} entries in total, the dimension, got {sides}")
    return sides


def _eigenvectors(vectors: Any, dimension: int, multiplicity: FloatArray) -> FloatArray | None:
    """(d, k) orthonormal columns of float64 or float32, or None."""
    if vectors is None:
        return None
    array = plain_array("eigenvectors", vectors)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.shape != (dimension, len(multiplicity)):
        raise ValueError(
            f"eigenvectors must have shape ({dimension}, {len(multiplicity)}), a column for each eigenvalue, got {array.shape}"
        )
    if np.any(multiplicity != 1):
        raise ValueError(
            f"multiplicity must be 1 for modes with eigenvectors, got {multiplicity[multiplicity != 1][0]:g}"
        )
    error = orthonormality_error(array)
    if not error <= ORTHONORMALITY:
        real_array("eigenvectors", array)  # NaN and infinity have a message of their own
        raise ValueError(f"eigenvectors must be orthonormal to {ORTHONORMALITY:g}, got an error of {error:.3g}")
    return array


def _profiles(profiles: Any, modes: int) -> npt.NDArray[np.float32] | None:
    """(M, k) float32 of k modes, or None."""
    if profiles is None:
        return None
    array = plain_array("profiles", profiles).astype(np.float32, copy=False)
    if array.ndim != 2 or len(array) == 0 or array.shape[1] != modes:
        raise ValueError(f"profiles must have shape (M, {modes}), a column for each eigenvalue, got {array.shape}")
    return array


def _require_scaled(array: npt.NDArray[np.float32], eigenvalues: FloatArray) -> None:
    """Raise ValueError for profiles (M, k) that are not finite, or whose mean square in a mode is not its eigenvalue (k,)."""
    square = np.einsum("ij,ij->j", array, array, dtype=np.float64) / len(array)
    if not np.isfinite(square).all():
        real_array("profiles", array)
    allowed = _PROFILE_ERROR * eigenvalues + _PROFILE_NOISE * float(eigenvalues[0])
    wrong = (np.abs(square - eigenvalues) > allowed) & (square != 0)
    if wrong.any():
        mode = int(wrong.argmax())
        raise ValueError(
            f"profiles must have the eigenvalue of each mode as their mean square, got {square[mode]:.6g} for the eigenvalue "
            f"{eigenvalues[mode]:.6g} at index {mode}; kappaflow.profiles.scaled_profiles scales them"
        )
