"""Numbers made ready to be drawn: what an axis can show, ratios without a division by zero, limits of axes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .._checks import FloatArray

__all__ = ["Range", "finite_or_none", "finite_range", "log_limits", "positive", "ratio", "spread"]


class Range(NamedTuple):
    """The two ends of an axis or of some values."""

    low: float
    high: float


def positive(values: FloatArray) -> FloatArray:
    """The values, with NaN in place of everything that a logarithmic axis cannot show."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Elementwise quotient, NaN where the denominator is not positive or anything is not finite."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    good = np.isfinite(numerator) & np.isfinite(denominator) & (denominator > 0)
    out = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=out, where=good)
    return out


def finite_range(*arrays: FloatArray) -> Range | None:
    """Smallest and largest positive finite value of some arrays; None if there is none."""
    flat = np.concatenate([positive(a).ravel() for a in arrays]) if arrays else np.empty(0)
    flat = flat[np.isfinite(flat)]
    return Range(float(flat.min()), float(flat.max())) if flat.size else None


def finite_or_none(values: FloatArray) -> list[float | None]:
    """Numbers as a column of a table holds them: None, which the page shows as a dash, in place of NaN and infinity."""
    return [float(value) if math.isfinite(value) else None for value in values]


def log_limits(low: float, high: float, pad: float = 0.06) -> Range:
    """Limits of a logarithmic axis with a margin, a decade wide at the least."""
    span = math.log10(high / low)
    margin = max(pad * span, (1.0 - span) / 2)
    return Range(low * 10**-margin, high * 10**margin)


def spread(size: int, count: int) -> list[int]:
    """At most `count` indices below `size`, spread evenly from the first to the last."""
    return sorted({round(x) for x in np.linspace(0, size - 1, min(count, size))}) if size else []
