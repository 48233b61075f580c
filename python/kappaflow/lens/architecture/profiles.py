"""Profiles of stationary statistics: power by radial frequency, and covariance by lag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ..layout import SpatialLayout

__all__ = ["LagProfile", "RadialProfile", "lag_profile", "radial_profile"]


@dataclass(frozen=True, repr=False)
class RadialProfile(Tabular, ShortRepr):
    """Power by radial frequency.

    Attributes
    ----------
    frequencies : (R,) cycles per pixel
    power : (R,) mean power of a channel there
    """

    frequencies: FloatArray
    power: FloatArray

    def _columns(self) -> Columns:
        return {"frequency": self.frequencies, "power": self.power}


@dataclass(frozen=True, repr=False)
class LagProfile(Tabular, ShortRepr):
    """Covariance by lag.

    Attributes
    ----------
    lags : (L,) pixels
    covariance : (L,) at each lag, averaged over axes and channels
    """

    lags: FloatArray
    covariance: FloatArray

    def _columns(self) -> Columns:
        return {"lag": self.lags, "covariance": self.covariance}


def radial_profile(layout: SpatialLayout, spectra: Any) -> RadialProfile:
    """Mean over channels and directions of spectra (*grid, C, C), by radial frequency."""
    power = np.einsum("...aa->...", spectra).real / layout.channels
    axes = [np.minimum(np.arange(n), n - np.arange(n)) / n for n in layout.grid]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))).ravel()
    ring = np.rint(radius * max(layout.grid)).astype(int)
    used, ring_of = np.unique(ring, return_inverse=True)
    count = np.bincount(ring_of)
    power_of_rings = np.bincount(ring_of, weights=power.ravel()) / count
    return RadialProfile(np.bincount(ring_of, weights=radius) / count, power_of_rings[: len(used)])


def lag_profile(layout: SpatialLayout, autocovariance: FloatArray) -> LagProfile:
    """Mean over axes and channels of an autocovariance (*grid, C, C), up to half of the shortest axis that is longer than 1."""
    long = [axis for axis, n in enumerate(layout.grid) if n > 1]
    reach = min((layout.grid[axis] for axis in long), default=1) // 2
    own = np.einsum("...aa->...", autocovariance) / layout.channels
    lines = []
    for axis in long or [0]:
        index: list[Any] = [0] * len(layout.grid)
        index[axis] = slice(0, reach + 1)
        lines.append(own[tuple(index)])
    return LagProfile(np.arange(reach + 1.0), np.mean(lines, axis=0))
