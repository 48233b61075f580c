"""Argument checks shared by the public functions, with clear messages for bad input."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_LEAST_LEVEL, _LARGEST_LEVEL = (
    2.0**-511,
    1.3407807929942596e154,
)  # their squares are the least and largest normal numbers


def plain_array(name: str, value: Any) -> npt.NDArray[Any]:
    """`value` as a NumPy array of real numbers of its own type; a torch tensor is moved to the CPU first.

    Raises
    ------
    TypeError
        Anything but real numbers.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # NumPy has no such type
            value = value.float()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    return array


def real_array(name: str, value: Any) -> FloatArray:
    """`value` as a float64 array of its shape; a torch tensor is moved to the CPU first.

    Raises
    ------
    TypeError
        Anything but real numbers.
    ValueError
        NaN or infinity; the message gives the index.
    """
    array = plain_array(name, value).astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(np.atleast_1d(array)))[0]
        raise ValueError(
            f"{name} must be finite, got {np.atleast_1d(array)[tuple(bad)]} at index {tuple(int(i) for i in bad)}"
        )
    return array


def sample_shape(shape: tuple[int, ...] | None, data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sample whose data have `data_shape`: `shape` if it is given.

    Raises
    ------
    ValueError
        The two have different numbers of entries.
    """
    if shape is None:
        return data_shape if data_shape else (1,)
    if int(np.prod(shape)) != int(np.prod(data_shape)):
        raise ValueError(f"shape must have {int(np.prod(data_shape))} entries in total, like the samples, got {shape}")
    return tuple(int(length) for length in shape)


def spectrum_arrays(eigenvalues: Any, multiplicity: Any) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues (k,) ≥ 0 and their multiplicities (k,) > 0, 1 by default.

    Raises
    ------
    TypeError
        Anything but real numbers.
    ValueError
        Negative, NaN or infinite values; shapes that do not fit.
    """
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


def integer(
    name: str, value: Any, minimum: int, maximum: int | None = None, *, error: type[ValueError] = ValueError
) -> int:
    """An integer of at least `minimum` and at most `maximum`.

    Floats are not allowed even if they are whole, and neither are bools: ``True`` in place of a number is a mistake.

    Parameters
    ----------
    name : name of the argument in messages
    value : value that the user gave
    minimum, maximum : smallest and largest allowed value; no upper bound if None
    error : exception to raise for an integer out of range

    Raises
    ------
    TypeError
        `value` is not an integer.
    ValueError, or `error`
        It is out of range.
    """
    allowed = f"an integer of at least {minimum}" if maximum is None else f"an integer from {minimum} to {maximum}"
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {allowed}, got {value!r}") from None
    if number < minimum or (maximum is not None and number > maximum):
        raise error(f"{name} must be {allowed}, got {number}")
    return number


def positive(name: str, value: Any) -> float:
    """A finite number above zero.

    Raises
    ------
    TypeError
        `value` is not a number.
    ValueError
        It is not finite and above zero.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number above 0, got {value!r}") from None
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be finite and above 0, got {number}")
    return number


def not_negative(name: str, value: Any) -> float:
    """A finite number of at least zero.

    Raises
    ------
    TypeError
        `value` is not a number.
    ValueError
        It is negative or not finite.
    """
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
    """σ² of any shape, from σ or from σ². Exactly one of the two must be given, so they cannot be mixed up.

    Parameters
    ----------
    sigma, variance : standard deviation and variance as the user gave them, None for the one not given
    names : the two keywords, for the messages
    above_zero : whether 0 is an error too

    Raises
    ------
    TypeError
        Both or neither are given, or the values are not real numbers.
    ValueError
        A value is negative, NaN or infinite, or 0 if `above_zero`; σ > 0 whose square is not a normal number.
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
    if sigma is None:
        return level
    outside = (level > _LARGEST_LEVEL) | ((level > 0) & (level < _LEAST_LEVEL))
    if outside.any():
        raise ValueError(
            f"{name} must be 0 or between 1.5e-154 and 1.3e154, where its square is a normal number, got {level[outside][0]}"
        )
    return np.asarray(level * level)


def map_levels(sigma: Any, sigma_max: Any) -> tuple[float, float]:
    """Noise levels at which a sampling map ends and starts, 0 ≤ σ < σ_max.

    Raises
    ------
    TypeError
        Not numbers.
    ValueError
        Out of range, or `sigma` is not below `sigma_max`.
    """
    low, top = not_negative("sigma", sigma), positive("sigma_max", sigma_max)
    if low >= top:
        raise ValueError(f"sigma must be below sigma_max = {top}, got {low}")
    return low, top


def choice(name: str, value: Any, allowed: tuple[str, ...], *, error: type[ValueError] = ValueError) -> str:
    """One of a few words.

    Raises
    ------
    ValueError, or `error`
        Any other value; the message lists what is allowed.
    """
    if value not in allowed:
        raise error(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return str(value)
