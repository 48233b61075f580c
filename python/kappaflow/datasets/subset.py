"""The images that ``limit`` keeps: a seeded random subset, of every kind of data.

The first images would not represent all of them: folders and arrays are often sorted by class, frames are in the order of time,
and neighbouring patches overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SUBSET_SEED", "describe_subset", "read_chosen", "subset"]

#: Seed of the subset that ``limit`` draws; it is written in the description.
SUBSET_SEED = 0

Numbers = npt.NDArray[np.int64]


def subset(total: int, limit: int | None, seed: int = SUBSET_SEED) -> Numbers | None:
    """Sorted numbers (limit,) of `limit` of `total` images, drawn with `seed`; None if all are kept."""
    if limit is None or limit >= total:
        return None
    return np.sort(np.random.default_rng(seed).choice(total, size=limit, replace=False, shuffle=False))


def describe_subset(total: int, chosen: int, seed: int = SUBSET_SEED) -> str:
    """``"100 of 1,797 images, a random subset (seed 0)"``, or nothing if all are kept."""
    return "" if chosen >= total else f"{chosen:,} of {total:,} images, a random subset (seed {seed})"


def read_chosen(array: Any, chosen: Numbers) -> npt.NDArray[Any]:
    """Some images (B, ...) of an array or of an open file, by their ascending numbers (B,).

    Images of files that lie close together are read at once, as a file is read faster in one piece.
    """
    if isinstance(array, np.ndarray):
        return array[chosen]
    first, last = int(chosen[0]), int(chosen[-1]) + 1
    if last - first <= 2 * len(chosen):
        return np.asarray(np.asarray(array[first:last])[chosen - first])
    return np.concatenate([np.asarray(array[number : number + 1]) for number in chosen.tolist()])
