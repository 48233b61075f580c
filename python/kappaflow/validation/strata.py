"""Strata are parts of a dataset along one principal component. They give training sets that differ on purpose.

Sets from the top and the bottom third differ in their mean. Sets from the middle third and from the two outer sixths have
nearly the same mean and differ in their covariance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray

__all__ = ["LEAST_POOL", "PROFILES", "STRATA", "strata"]

#: Profiles of each stratum, for the laws that need them.
PROFILES = 2048
#: Names of the strata, in the order of :func:`strata`.
STRATA = ("i.i.d.", "top", "bottom", "middle", "top + bottom")
#: Fewest samples that are cut into strata of a third each.
LEAST_POOL = 36


def strata(coordinate: FloatArray) -> dict[str, npt.NDArray[np.int64]]:
    """Indices of the samples of each stratum along a coordinate (N,).

    The stratum "i.i.d." holds all N samples; every other stratum holds about N/3.

    Raises
    ------
    ValueError
        There are fewer than 36 samples.
    """
    count = len(coordinate)
    if count < LEAST_POOL:
        raise ValueError(f"coordinate must hold at least {LEAST_POOL} samples for strata, got {count}")
    third = 2 * (count // 6)
    order = np.argsort(coordinate, kind="stable")
    first = (count - third) // 2
    parts = (
        np.arange(count),
        order[-third:],
        order[:third],
        order[first : first + third],
        np.concatenate([order[: third // 2], order[-third // 2 :]]),
    )
    return dict(zip(STRATA, parts, strict=True))
