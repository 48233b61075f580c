"""How large a receptive field is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, real_array

__all__ = ["FieldSize", "field_size"]


@dataclass(frozen=True)
class FieldSize:
    """Sizes of |RF|, in pixels, measured from the pixel of the field.

    Attributes
    ----------
    fwhm : full width at half maximum: twice the distance at which the mean of |RF| on a circle falls to half of its value at the
        pixel, interpolated linearly; 1 for a single pixel, NaN if it never falls so far
    r50, r90 : radius that holds half, and nine tenths, of Σ|RF|, interpolated linearly; 0 if the pixel alone holds that much
    participation : (Σ|RF|)²/ΣRF², the number of pixels that contribute: a length in 1-D, an area in 2-D
    """

    fwhm: float
    r50: float
    r90: float
    participation: float


def field_size(field: Any, centre: int | Sequence[int], *, circular: bool = False) -> FieldSize:
    """Size of a receptive field about its pixel.

    Second moments are not used, because a constant and negative tails far away dominate them.

    Parameters
    ----------
    field : (d,) or (H, W)
    centre : pixel of the field, at which |RF| must not vanish
    circular : whether distances go around the torus, instead of staying within the image

    Raises
    ------
    ValueError
        The field has another shape, is empty or not finite, or the centre lies outside of it or at a zero of it.
    TypeError
        The centre does not consist of integers.
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
    distance, shell, count = _shells(values.shape, index, circular)
    mass = np.bincount(shell.ravel(), weights=values.ravel())
    held = np.cumsum(mass) / mass.sum()
    r50, r90 = (float(np.interp(share, held, distance)) for share in (0.5, 0.9))
    return FieldSize(
        fwhm=_width(distance, mass / count),
        r50=r50,
        r90=r90,
        participation=float(values.sum() ** 2 / np.sum(values**2)),
    )


def _shells(shape: tuple[int, ...], centre: tuple[int, ...], circular: bool) -> tuple[FloatArray, Any, Any]:
    """Distances (R,) that occur, the index of each pixel's distance among them, and the number of pixels at each."""
    squared = np.zeros(shape, dtype=np.int64)  # whole numbers: equal distances are equal
    for axis, (length, position) in enumerate(zip(shape, centre, strict=True)):
        away = np.abs(np.arange(length) - position)
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
