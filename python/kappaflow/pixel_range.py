"""How stored values become pixel values in [-1, 1]: one decision for every reader of files, arrays and batches.

A reader looks at the values with a :class:`ValueSurvey`, and :func:`choose_scaling` decides. It never guesses where two readings
are plausible: it raises an error that states both readings, and how to choose one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray
from .provenance import PixelRange

__all__ = ["AS_THEY_ARE", "PixelScaling", "ValueSurvey", "checked_range", "choose_scaling"]

#: The range of pixels that are already in [-1, 1].
AS_THEY_ARE = PixelRange(-1.0, 1.0)
#: Values may exceed a range by this share of its length: resizing and float32 do that.
TOLERANCE = 1e-3
#: Images use at least this share of the range of their format, unless the format is another one.
LEAST_SHARE = 1 / 8
#: Plausible standard deviations of pixel values that are scaled to [-1, 1].
LEAST_SPREAD, MOST_SPREAD = 0.05, 3.0
#: Up to so many distinct values are remembered; up to FEW values may be the numbers of classes.
MOST_DISTINCT, FEW = 64, 32
#: Fewer values than this say nothing about how many distinct values there are.
ENOUGH = 1024
#: So large a share of the values at each end may be hot and dead pixels.
TAIL = 2e-3
_SAMPLE, _PARTS = 65_536, 64


@dataclass(frozen=True)
class PixelScaling:
    """How stored values become pixel values: `low` becomes −1 and `high` becomes 1, linearly; nothing is clipped.

    Attributes
    ----------
    low, high : the stored values that become −1 and 1; −1 and 1 leave values as they are
    text : the scaling in words
    warnings : doubts about it, one sentence each
    limits : the decision holds for values within these limits; None if it holds for all values
    """

    low: float
    high: float
    text: str
    warnings: tuple[str, ...] = ()
    limits: PixelRange | None = None

    @property
    def ends(self) -> PixelRange:
        """The stored values that become −1 and 1."""
        return PixelRange(self.low, self.high)

    def apply(self, values: npt.NDArray[Any]) -> FloatArray:
        """Pixel values as a new C-contiguous float64 array of the same shape."""
        pixels = np.array(values, dtype=np.float64, order="C")
        if self.ends == AS_THEY_ARE:
            return pixels
        if self.low != 0:
            pixels -= self.low
        pixels /= (self.high - self.low) / 2
        pixels -= 1.0
        return pixels

    def check(self, values: npt.NDArray[Any], name: str, *, error: type[ValueError] = ValueError) -> None:
        """Check values that were not looked at when the scaling was decided.

        Raises
        ------
        ValueError, or `error`
            They lie outside `limits`.
        """
        if self.limits is None or not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if low < self.limits.low or high > self.limits.high:
            raise error(
                f"{name}: holds values from {low:.6g} to {high:.6g}, but the first values were read as {self.text}: "
                f"type --range LOW,HIGH with the values of black and white (in Python: open_images(data, range=(low, high))); "
                "--range -1,1 uses values as they are"
            )


class ValueSurvey:
    """The facts about stored values on which their scaling depends; values are added in pieces.

    Attributes
    ----------
    count : number of values
    low, high : the smallest and the largest
    whole : whether all are whole numbers
    distinct : sorted distinct values, None if there are more than :data:`MOST_DISTINCT`
    """

    def __init__(self) -> None:
        self.count, self.low, self.high, self.whole = 0, math.inf, -math.inf, True
        self.distinct: npt.NDArray[Any] | None = np.empty(0)
        self._origin: float | None = None
        self._sampled, self._mean, self._root = (
            0,
            0.0,
            0.0,
        )  # of half the distance to the origin: mean m and √Σ(value − m)²
        self._parts: list[npt.NDArray[Any]] = []

    def add(self, values: npt.NDArray[Any]) -> None:
        """Look at some more values, which must be finite."""
        if not values.size:
            return
        flat = np.asarray(values).ravel()
        sample = flat[:: (flat.size // _SAMPLE) | 1].astype(np.float64)
        self.count += flat.size
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        self.whole = self.whole and (flat.dtype.kind in "biu" or (_whole(sample) and _whole(flat)))
        self._add_to_spread(sample)
        if len(self._parts) < _PARTS:
            part = sample[:: (sample.size // (_SAMPLE // 4)) | 1]
            self._parts.append(part.astype(np.float32 if _fits_float32(part) else np.float64))
        if self.distinct is not None:
            self.distinct = _few(self.distinct, sample)
        if self.distinct is not None:
            of_bytes = flat.dtype.kind == "u" and flat.dtype.itemsize == 1
            self.distinct = _few(self.distinct, np.flatnonzero(np.bincount(flat)) if of_bytes else flat)

    @property
    def spread(self) -> float:
        """Standard deviation of the values, from a part of them if there are many."""
        return 2 * self._root / math.sqrt(max(self._sampled, 1))

    def _add_to_spread(self, sample: npt.NDArray[np.float64]) -> None:
        """Merge mean and spread. Distances are squared in units of the largest: their squares lose no digits and never overflow."""
        self._origin = float(sample[0]) if self._origin is None else self._origin
        distance = sample / 2 - self._origin / 2
        unit = float(np.abs(distance).max()) or 1.0
        scaled = distance / unit
        mean, before, after = unit * float(scaled.mean()), self._sampled, self._sampled + sample.size
        root, step = unit * float(np.linalg.norm(scaled - scaled.mean())), mean / after - self._mean / after
        self._root = math.hypot(self._root, root, step * math.sqrt(after) * math.sqrt(before * sample.size))
        self._mean += step * sample.size
        self._sampled = after

    def concentrated(self, length: float) -> bool:
        """Whether all but a few values lie close together, compared with a range of this length."""
        low, high = self.central
        return 2 * self.spread < LEAST_SPREAD * length or high - low < LEAST_SHARE * length

    @property
    def central(self) -> PixelRange:
        """The range without the share :data:`TAIL` of the values at each end, from a part of them if there are many."""
        return PixelRange(*map(float, np.quantile(np.concatenate(self._parts), (TAIL, 1 - TAIL))))

    @property
    def constant(self) -> bool:
        """Whether all values are equal."""
        return self.low == self.high


def _fits_float32(values: npt.NDArray[np.float64]) -> bool:
    largest = float(np.abs(values).max())
    return largest == 0 or 1e-30 < largest < 1e38


def _whole(values: npt.NDArray[Any]) -> bool:
    return bool(np.array_equal(np.rint(values), values))


def _few(known: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    every = np.union1d(known, values)
    return every if every.size <= MOST_DISTINCT else None


def checked_range(value: Any, *, error: type[ValueError] = ValueError) -> PixelRange | None:
    """The option ``range``: two numbers (low, high), or None for ``"auto"``.

    Raises
    ------
    TypeError
        Neither two numbers nor ``"auto"``.
    ValueError, or `error`
        Ends that are not finite, or not in ascending order.
    """
    if value is None or (isinstance(value, str) and value == "auto"):
        return None
    expected = "range must be two numbers such as (0, 4095), the stored values of black and white, or 'auto'"
    numbers = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not numbers or len(value) != 2 or not all(isinstance(end, int | float | np.number) for end in value):
        raise TypeError(f"{expected}; got {value!r}")
    low, high = float(value[0]), float(value[1])
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise error(f"{expected}, the smaller first; got {value!r}")
    return PixelRange(low, high)


# --- the decision -----------------------------------------------------------------------------------------------------


class Reading(NamedTuple):
    """One way to read the values: the stored values of black and white, and what they are in words."""

    ends: PixelRange
    meaning: str


def _reading(low: float, high: float, meaning: str) -> Reading:
    return Reading(PixelRange(low, high), meaning)


_USED_AS_THEY_ARE = Reading(AS_THEY_ARE, "as they are")


def choose_scaling(
    survey: ValueSurvey,
    dtype: np.dtype[Any],
    *,
    name: str,
    asked: PixelRange | None = None,
    error: type[ValueError] = ValueError,
) -> PixelScaling:
    """The scaling of values that the user asked for, or the only plausible one.

    Whole numbers from 0 to 255 are 8-bit pixels, whatever their type, uint16 values that reach beyond 14 bits are 16-bit pixels,
    and floats in [0, 1] or [-1, 1] are pixels in these ranges, with a tolerance of 1e-3 of the range. Floats on both sides of zero
    and beyond are used as they are.

    Parameters
    ----------
    survey : the values of the whole file; or of a part of it, then the reader checks the rest by :meth:`PixelScaling.check`
    dtype : type of the stored values
    name : name of the data in messages
    asked : the range that the user gave, None to decide by the values
    error : exception to raise

    Raises
    ------
    ValueError, or `error`
        Two readings are plausible: the message states both, and the option that chooses one.
    """
    if asked is not None:
        return _as_asked(survey, dtype, asked)
    if dtype.kind == "b":
        return PixelScaling(0.0, 1.0, "bool False and True mapped to -1 and 1")
    within_one = survey.low >= -1 and survey.high <= 1
    of_integers = dtype.kind in "iu" or (survey.whole and survey.low >= 0 and not within_one)
    return (_of_integers if of_integers else _of_floats)(survey, dtype, name, error)


def _as_asked(survey: ValueSurvey, dtype: np.dtype[Any], asked: PixelRange) -> PixelScaling:
    if asked == AS_THEY_ARE:
        span = f" ({_span(survey)})" if survey.count else ""
        return PixelScaling(*asked, f"{dtype.name} values used as they are{span}, as the range -1,1 says")
    slack = TOLERANCE * (asked.high - asked.low)
    warnings: tuple[str, ...] = ()
    if survey.low < asked.low - slack or survey.high > asked.high + slack:
        warnings = (
            f"the stored values ({_span(survey)}) exceed the range {asked.low:g}…{asked.high:g} that was given, so that pixels "
            "exceed [-1, 1]",
        )
    return PixelScaling(
        *asked, f"{dtype.name} {asked.low:g}…{asked.high:g} mapped to [-1, 1], as given", warnings=warnings
    )


def _span(survey: ValueSurvey) -> str:
    return f"range {survey.low:.6g}…{survey.high:.6g}"


def _of_integers(survey: ValueSurvey, dtype: np.dtype[Any], name: str, error: type[ValueError]) -> PixelScaling:
    low, high = survey.low, survey.high
    if low < 0:
        if low >= -1 and high <= 1:
            return PixelScaling(
                *AS_THEY_ARE, f"{dtype.name} values used as they are ({_span(survey)})", limits=AS_THEY_ARE
            )
        signed = low >= -128 and high <= 127
        first = _reading(-128, 127, "signed 8-bit pixels") if signed else _reading(low, high, "these ends")
        raise error(_question(name, survey, dtype, "whole numbers, some of them negative", [first, _USED_AS_THEY_ARE]))
    if high <= 255:
        return _of_bytes(survey, dtype, name, error)
    full = dtype.kind == "u" and dtype.itemsize == 2
    bits = next((bits for bits in (10, 12, 14, 16) if high < 2**bits), math.ceil(math.log2(high + 1)))
    reaches = bits == 16 and (full or high > (1 - LEAST_SHARE) * 65_535)
    if (reaches and not survey.concentrated(65_535)) or (full and survey.constant):
        limits = None if full else PixelRange(0.0, 65_535.0)
        return PixelScaling(0.0, 65_535.0, f"{dtype.name} 0…65535 mapped to [-1, 1]", limits=limits)
    readings = [_reading(0, 2.0**bits - 1, f"{bits}-bit pixels" if bits <= 32 else "up to a power of two")]
    if bits < 16:
        readings.append(_reading(0, 65_535, "16-bit pixels, which leaves them dark"))
    if not full:
        readings.append(_USED_AS_THEY_ARE)
    if len(readings) == 1:
        readings.append(Reading(survey.central, "where nearly all values lie"))
    raise error(_question(name, survey, dtype, "whole numbers above 255", readings))


def _of_bytes(survey: ValueSurvey, dtype: np.dtype[Any], name: str, error: type[ValueError]) -> PixelScaling:
    """Whole numbers from 0 to 255."""
    eight_bit = _reading(0, 255, "8-bit pixels")
    own = _reading(survey.low if survey.low > 255 * LEAST_SHARE else 0, survey.high, "the values that occur")
    if not survey.constant:
        if survey.high - survey.low < 255 * LEAST_SHARE:
            raise error(_question(name, survey, dtype, "less than an eighth of 0…255", [eight_bit, own]))
        if _is_class_map(survey):
            count = 0 if survey.distinct is None else survey.distinct.size
            what = f"only {count} different values, as in a mask or a map of classes"
            other = _reading(0, survey.high, "a mask") if survey.high < 255 else _USED_AS_THEY_ARE
            raise error(_question(name, survey, dtype, what, [eight_bit, other]))
        if survey.concentrated(255):
            what = f"a few of them far from the rest (standard deviation {survey.spread:.3g})"
            raise error(
                _question(
                    name, survey, dtype, what, [eight_bit, Reading(survey.central, "where nearly all values lie")]
                )
            )
    limits = None if dtype == np.uint8 else PixelRange(0.0, 255.0)
    whole = "" if dtype == np.uint8 else " whole numbers"
    return PixelScaling(0.0, 255.0, f"{dtype.name}{whole} 0…255 mapped to [-1, 1]", limits=limits)


def _is_class_map(survey: ValueSurvey) -> bool:
    """Whether few values occur that are not evenly spread over 0…255, as those of an image of few grey levels are."""
    values = survey.distinct
    if values is None or values.size > FEW or survey.count < ENOUGH:
        return False
    even = 255 / (values.size - 1)
    return bool(survey.low > even or survey.high < 255 - even / 2 or np.diff(values).max() > 2.5 * even)


def _of_floats(survey: ValueSurvey, dtype: np.dtype[Any], name: str, error: type[ValueError]) -> PixelScaling:
    low, high, slack = survey.low, survey.high, TOLERANCE
    own = _reading(low, high, "these ends")
    if low >= -slack and high <= 1 + slack:
        if not survey.constant:
            _require_spread(
                survey, dtype, name, error, [_reading(0, 1, "pixels in [0, 1]"), _USED_AS_THEY_ARE, own], 1.0
            )
        text = f"{dtype.name} values ({_span(survey)}) mapped from [0, 1] to [-1, 1]"
        return PixelScaling(0.0, 1.0, text, limits=PixelRange(-slack, 1 + slack))
    used = f"{dtype.name} values used as they are ({_span(survey)})"
    if low >= -1 / 4 and low < 0 and 3 / 4 < high <= 5 / 4:
        what = "close to [0, 1], with values beyond its ends"
        zero_to_one = _reading(0, 1, "pixels in [0, 1] that resizing took beyond")
        raise error(_question(name, survey, dtype, what, [zero_to_one, _USED_AS_THEY_ARE]))
    if low >= -1 - 2 * slack and high <= 1 + 2 * slack:
        if not survey.constant:
            _require_spread(survey, dtype, name, error, [_USED_AS_THEY_ARE, own], 2.0)
        return PixelScaling(*AS_THEY_ARE, used, limits=PixelRange(-1 - 2 * slack, 1 + 2 * slack))
    return _beyond_one(survey, dtype, name, error, used)


def _require_spread(
    survey: ValueSurvey,
    dtype: np.dtype[Any],
    name: str,
    error: type[ValueError],
    readings: list[Reading],
    length: float,
) -> None:
    """Ask if the values use a small part of a range of this length."""
    if survey.high - survey.low < LEAST_SHARE * length:
        raise error(_question(name, survey, dtype, "less than an eighth of the range that they seem to have", readings))
    if survey.concentrated(length):
        what = f"a few of them far from the rest (standard deviation {survey.spread:.3g})"
        raise error(_question(name, survey, dtype, what, readings))


def _beyond_one(
    survey: ValueSurvey, dtype: np.dtype[Any], name: str, error: type[ValueError], used: str
) -> PixelScaling:
    """Floats that lie neither in [0, 1] nor in [-1, 1]."""
    low, high, spread = survey.low, survey.high, survey.spread
    one_sided = low > -high / 4
    if one_sided and spread > MOST_SPREAD:
        first = _reading(low, high, "these ends")
        if 255 * LEAST_SHARE < high <= 1.1 * 255:
            first = _reading(0, 255, "8-bit pixels")
        raise error(_question(name, survey, dtype, "far beyond [-1, 1]", [first, _USED_AS_THEY_ARE]))
    warnings: tuple[str, ...] = ()
    if low >= 0:
        warnings = (
            f"the stored values ({_span(survey)}) lie neither in [0, 1] nor in [-1, 1]; they are used as they are: type "
            "--range 0,1 if 0 is black and 1 is white, or the range that they have",
        )
    elif not LEAST_SPREAD <= spread <= MOST_SPREAD:
        warnings = (
            f"the stored values ({_span(survey)}) have the standard deviation {spread:.3g}, unusual for pixels in [-1, 1]; "
            "they are used as they are: type --range LOW,HIGH with the values of black and white if they have another range",
        )
    return PixelScaling(*AS_THEY_ARE, used, warnings=warnings)


def _question(name: str, survey: ValueSurvey, dtype: np.dtype[Any], what: str, readings: Sequence[Reading]) -> str:
    """The message that states what the values are, each reading whose ends differ, and how to choose it."""
    readings = [one for one in readings if one.ends.low < one.ends.high]
    choices = " or ".join(
        f"--range {_number(one.ends.low)},{_number(one.ends.high)} ({one.meaning})" for one in readings
    )
    first = readings[0].ends
    doubt = "can be read in more than one way" if len(readings) > 1 else "nearly all of them are equal"
    return (
        f"{name}: the {dtype.name} values are {_number(survey.low)}…{_number(survey.high)}, {what}, and {doubt}: type {choices}; "
        f"in Python: open_images(data, range=({_number(first.low)}, {_number(first.high)}))"
    )


def _number(value: float) -> str:
    return f"{value:.6g}" if abs(value) < 1e5 else f"{value:.10g}"
