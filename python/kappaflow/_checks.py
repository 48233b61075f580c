"""Argument checks shared by the public functions: one place that turns bad input into a clear message."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def real_array(name: str, value: Any) -> FloatArray:
    """`value` as a float64 array; a torch tensor is taken through ``__array__``, off its device first.

    Raises TypeError for anything that is not real numbers, ValueError for NaN or infinity.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(np.atleast_1d(array)))[0]
        raise ValueError(
            f"{name} must be finite, got {np.atleast_1d(array)[tuple(bad)]} at index {tuple(int(i) for i in bad)}"
        )
    return array


def spectrum_arrays(eigenvalues: Any, multiplicity: Any) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues (k,) >= 0 and their multiplicities (k,) > 0, checked."""
    values = real_array("eigenvalues", eigenvalues)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"eigenvalues must be one-dimensional and not empty, got shape {values.shape}")
    if values.min() < 0:
        raise ValueError(f"eigenvalues must not be negative, got {values.min()} at index {int(values.argmin())}")
    if multiplicity is None:
        return values, np.ones_like(values)
    counts = real_array("multiplicity", multiplicity)
    if counts.shape != values.shape:
        raise ValueError(f"multiplicity must have the shape of eigenvalues {values.shape}, got {counts.shape}")
    if counts.min() <= 0:
        raise ValueError(f"multiplicity must be positive, got {counts.min()} at index {int(counts.argmin())}")
    return values, counts


def integer(name: str, value: Any, minimum: int) -> int:
    """An integer of at least `minimum`; a float is refused even where it is whole, as 1e3 for 1000 is accepted only by CLIs."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer of at least {minimum}, got {value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {number}")
    return number


def positive(name: str, value: Any) -> float:
    """A finite number above zero."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number above 0, got {value!r}") from None
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be finite and above 0, got {number}")
    return number


def not_negative(name: str, value: Any) -> float:
    """A finite number of at least zero."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number of at least 0, got {value!r}") from None
    if not (np.isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be finite and not negative, got {number}")
    return number


def variance_of(
    sigma: Any, variance: Any, *, names: tuple[str, str] = ("sigma", "noise_variance"), above_zero: bool = False
) -> FloatArray:
    """σ² of any shape, from σ or from σ²: exactly one of the two must be given, so that they cannot be mixed up.

    Parameters
    ----------
    sigma, variance : standard deviation and variance as the user gave them, None for the one that was left out
    names : the two keywords, for the messages
    above_zero : whether 0 is refused too

    Raises
    ------
    TypeError
        Both or neither are given, or the values are not real numbers.
    ValueError
        A value is negative, NaN or infinite, or 0 where that is refused.
    """
    if (sigma is None) == (variance is None):
        given = "neither" if sigma is None else "both"
        raise TypeError(f"give exactly one of {names[0]} (σ) and {names[1]} (σ²) by keyword, got {given}")
    name, value = (names[1], variance) if sigma is None else (names[0], sigma)
    level = real_array(name, value)
    if level.size and above_zero and level.min() <= 0:
        raise ValueError(f"{name} must be positive, got {level.min()}")
    if level.size and level.min() < 0:
        raise ValueError(f"{name} must not be negative, got {level.min()}")
    return level if sigma is None else np.asarray(level * level)


def choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """One of a few words."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return str(value)
