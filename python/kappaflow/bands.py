"""Eigenbands: contiguous groups of modes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ._checks import FloatArray, integer

__all__ = ["Band", "band_sums", "default_bands", "resolve_bands"]


@dataclass(frozen=True)
class Band:
    """An eigenband: the contiguous modes ``start <= k < stop`` (0-based, descending eigenvalue)."""

    start: int
    stop: int

    @property
    def label(self) -> str:
        """Human label with 1-based mode numbers, as ``"modes 1-4"``."""
        return f"{'mode' if self.stop - self.start == 1 else 'modes'} {self.numbers}"

    @property
    def numbers(self) -> str:
        """The 1-based mode numbers alone, as ``"1-4"``, or ``"5"`` for one mode."""
        return f"{self.start + 1}" if self.stop - self.start == 1 else f"{self.start + 1}-{self.stop}"


def default_bands(modes: int, count: int = 6) -> tuple[Band, ...]:
    """`count` eigenbands whose edges grow geometrically with the mode number; fewer if there are too few modes.

    Parameters
    ----------
    modes : number of modes, k
    count : number of bands, at least 1

    Raises
    ------
    TypeError, ValueError
        `count` is not an integer of at least 1.

    Examples
    --------
    >>> [band.label for band in default_bands(64, 3)]
    ['modes 1-4', 'modes 5-16', 'modes 17-64']
    """
    wanted = min(integer("bands", count, 1), modes)
    edges = [0]
    for i in range(1, wanted + 1):
        edge = round(modes ** (i / wanted))
        edges.append(max(min(edge, modes), edges[-1] + 1))
    edges[-1] = modes
    return tuple(Band(a, b) for a, b in pairwise(edges) if b > a)


def resolve_bands(bands: Any, modes: int, *, name: str = "bands") -> tuple[Band, ...]:
    """Eigenbands from the forms in which users give them.

    Parameters
    ----------
    bands : None for :func:`default_bands`, a number of bands, or a sequence of bands
        A band is a :class:`Band`, a (start, stop) pair, or an object with ``start`` and ``stop``, such as a range of step 1.
        Bands may overlap, and need not cover all modes: each number is about one band alone.
    modes : number of modes, k
    name : name of the argument in messages

    Raises
    ------
    TypeError
        None of these.
    ValueError
        No bands, bands without modes, or modes that do not exist.
    """
    if bands is None:
        return default_bands(modes)
    if isinstance(bands, int | np.integer):
        return default_bands(modes, integer(name, bands, 1))
    if isinstance(bands, (str, bytes)) or not isinstance(bands, Iterable):
        raise TypeError(f"{name} must be a number of bands or a sequence of (start, stop), got {bands!r}")
    result = tuple(_checked_band(band, modes, name) for band in bands)
    if not result:
        raise ValueError(f"{name} must hold at least one band, got none")
    return result


def _checked_band(band: Any, modes: int, name: str) -> Band:
    try:
        start, stop = (band.start, band.stop) if hasattr(band, "start") else band
        if isinstance(start, bool) or isinstance(stop, bool) or getattr(band, "step", None) not in (None, 1):
            raise TypeError
        edges = Band(operator.index(start), operator.index(stop))
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be (start, stop) with two integers each, got {band!r}") from None
    if not 0 <= edges.start < edges.stop:
        raise ValueError(
            f"{name} must be (start, stop) with 0 <= start < stop <= {modes}, got ({edges.start}, {edges.stop})"
        )
    if edges.stop > modes:
        given = "" if isinstance(band, Band) else f", (start, stop) = ({edges.start}, {edges.stop})"
        raise ValueError(f"{name} must lie within the {modes} modes of these data; got {edges.label}{given}")
    return edges


def band_sums(values: FloatArray, bands: Sequence[Band]) -> FloatArray:
    """(K,) sums over each band of values (k,) of the modes."""
    return np.array([values[band.start : band.stop].sum() for band in bands])
