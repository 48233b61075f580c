"""Argument checks shared by the public functions, with clear messages for bad input."""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import numpy.typing as npt

#: Integers are kept as 64-bit numbers.
_LARGEST_INTEGER = 2**63 - 1
FloatArray = npt.NDArray[np.float64]
#: Levels whose squares are the least and the largest normal numbers.
_LEAST_LEVEL, _LARGEST_LEVEL = 2.0**-511, 1.3407807929942596e154


def refuse_masked(name: str, value: Any) -> None:
    """Check that an array is not a masked one with masked values: NumPy would use the numbers under the mask.

    Raises
    ------
    ValueError
        Some values are masked.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"{name} must be an array without masked values, got {int(np.ma.getmaskarray(value).sum()):,} masked values"
        )


def plain_array(name: str, value: Any) -> npt.NDArray[Any]:
    """`value` as a NumPy array of real numbers of its own type; a torch tensor is moved to the CPU first.

    Raises
    ------
    TypeError
        Anything but real numbers.
    ValueError
        A masked array with masked values, whose numbers mean nothing.
    """
    refuse_masked(name, value)
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # NumPy has no such type
            value = value.float()
    try:
        array = np.asarray(value)
    except ValueError:
        raise TypeError(f"{name} must be an array of real numbers, got rows of different lengths") from None
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


def lengths_of(shape: Any) -> tuple[int, ...]:
    """The lengths of one sample, each an integer of at least 1.

    Raises
    ------
    TypeError
        Not a sequence of integers.
    ValueError
        A length below 1, or none at all.
    """
    if isinstance(shape, str | bytes | Mapping | Set) or not isinstance(shape, Iterable):
        raise TypeError(f"shape must be the lengths of one sample such as (28, 28), got {_shown(shape)}")
    lengths = tuple(integer("shape", length, 1) for length in shape)
    if not lengths:
        raise ValueError("shape must be the lengths of one sample such as (28, 28), got none")
    return lengths


def sample_shape(shape: tuple[int, ...] | None, data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sample whose data have `data_shape`: `shape` if it is given.

    Raises
    ------
    TypeError
        `shape` is not a sequence of integers.
    ValueError
        A length below 1, or the two have different numbers of entries.
    """
    if shape is None:
        return data_shape if data_shape else (1,)
    lengths = lengths_of(shape)
    if math.prod(lengths) != math.prod(data_shape):
        raise ValueError(f"shape must have {math.prod(data_shape)} entries in total, like the samples, got {lengths}")
    return lengths


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
        if isinstance(value, bool | np.bool_) or np.ma.is_masked(value):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {allowed}, got {_shown(value)}") from None
    if not minimum <= number <= (_LARGEST_INTEGER if maximum is None else maximum):
        bound = f" and at most {_LARGEST_INTEGER}" if maximum is None and number > minimum else ""
        raise error(f"{name} must be {allowed}{bound}, got {_shown(number)}")
    return number


def integers(name: str, values: Any, minimum: int, *, what: str = "integer") -> list[int]:
    """Integers of at least `minimum`, in the order given, and at least one of them; `what` is what they are in messages.

    Raises
    ------
    TypeError
        Not a sequence of integers.
    ValueError
        One is out of range, or there are none.
    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a sequence of integers, got {_shown(values)}")
    result = [integer(name, value, minimum) for value in values]
    if not result:
        raise ValueError(f"{name} must hold at least one {what}, got none")
    return result


def any_number(name: str, value: Any, allowed: str) -> float:
    """A number as a float, NaN and infinity too. Texts, bools and arrays are mistakes, although some could be converted.

    Raises
    ------
    TypeError
        `value` is not a number; `allowed` says what is.
    """
    try:
        if isinstance(value, str | bytes | bytearray | bool | np.bool_) or np.ma.is_masked(value) or np.ndim(value) > 0:
            raise TypeError
        return float(value)
    except OverflowError:  # a whole number beyond 1.8e308
        return math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {allowed}, got {_shown(value)}") from None


def _shown(value: Any) -> str:
    """A value in a message, cut if it is long."""
    return reprlib.repr(value)


def positive(name: str, value: Any) -> float:
    """A finite number above zero.

    Raises
    ------
    TypeError
        `value` is not a number.
    ValueError
        It is not finite and above zero.
    """
    number = any_number(name, value, "a number above 0")
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
    number = any_number(name, value, "a number of at least 0")
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
    level = noise_levels(name, value)
    if level.size and above_zero and level.min() <= 0:
        raise ValueError(f"{name} must be positive, got {level.min()}")
    if sigma is None:
        return level
    outside = (level > _LARGEST_LEVEL) | ((level > 0) & (level < _LEAST_LEVEL))
    if outside.any():
        raise ValueError(
            f"{name} must be 0 or between 1.5e-154 and 1.3e154, where its square is a normal number, got {level[outside][0]}"
        )
    return np.asarray(level * level)


def noise_levels(name: str, value: Any) -> FloatArray:
    """Noise levels of any shape, finite and ≥ 0.

    Raises
    ------
    TypeError
        Values that are not real numbers.
    ValueError
        A value is negative, NaN or infinite.
    """
    if plain_array(name, value).dtype.kind == "b":
        raise TypeError(f"{name} must be noise levels, got {_shown(value)}")
    level = real_array(name, value)
    if level.size and level.min() < 0:
        raise ValueError(f"{name} must not be negative, got {level.min()}")
    return level


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


def number(name: str, value: Any) -> float:
    """A finite number.

    Raises
    ------
    TypeError
        `value` is not a number.
    ValueError
        It is not finite.
    """
    result = any_number(name, value, "a number")
    if not np.isfinite(result):
        raise ValueError(f"{name} must be finite, got {result}")
    return result


def rule_tolerance(value: Any) -> float:
    """The tolerance of a quadrature rule as a number; the core checks its range.

    Raises
    ------
    TypeError
        `value` is not a number.
    """
    return any_number("tolerance", value, "a number from 1e-15 to 0.1")


def choice(name: str, value: Any, allowed: tuple[str, ...], *, error: type[ValueError] = ValueError) -> str:
    """One of a few words.

    Raises
    ------
    ValueError, or `error`
        Any other value; the message lists what is allowed.
    """
    if not isinstance(value, str) or value not in allowed:
        raise error(f"{name} must be one of {', '.join(map(repr, allowed))}, got {_shown(value)}")
    return str(value)
