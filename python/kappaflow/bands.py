"""Eigenbands: contiguous groups of modes."""

from __future__ import annotations

from collections.abc import Sequence
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
        return f"mode {self.start + 1}" if self.stop - self.start == 1 else f"modes {self.start + 1}-{self.stop}"


def default_bands(modes: int, count: int = 6) -> tuple[Band, ...]:
    """`count` eigenbands whose edges grow geometrically with the mode number (fewer where there are too few modes)."""
    wanted = min(integer("bands", count, 1), modes)
    edges = [0]
    for i in range(1, wanted + 1):
        edge = round(modes ** (i / wanted))
        edges.append(max(min(edge, modes), edges[-1] + 1))
    edges[-1] = modes
    return tuple(Band(a, b) for a, b in pairwise(edges) if b > a)


def resolve_bands(bands: Any, modes: int) -> tuple[Band, ...]:
    """Bands from what users give: None (the default), their number, or (start, stop) pairs; ValueError for any other."""
    if bands is None:
        return default_bands(modes)
    if isinstance(bands, int):
        return default_bands(modes, bands)
    result = []
    for band in bands:
        start, stop = (band.start, band.stop) if isinstance(band, Band) else band
        if not 0 <= start < stop <= modes:
            raise ValueError(f"bands must be (start, stop) with 0 <= start < stop <= {modes}, got ({start}, {stop})")
        result.append(Band(int(start), int(stop)))
    if not result:
        raise ValueError("bands must hold at least one band, got none")
    return tuple(result)


def band_sums(values: FloatArray, bands: Sequence[Band]) -> FloatArray:
    """(K,) sums over each band of values (k,) of the modes."""
    return np.array([values[band.start : band.stop].sum() for band in bands])
