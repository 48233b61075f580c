"""A dataset in memory, as rows; a random subset of it where not all of it fits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CollectedRows", "collect_rows"]

FloatArray = npt.NDArray[np.float64]


class CollectedRows(NamedTuple):
    """What was read: `rows` (n, d) in the order of the dataset, and the `total` number of samples that there were."""

    rows: FloatArray
    total: int


def collect_rows(
    batches: Iterable[FloatArray], *, dimension: int, count: int | None, most_bytes: int, seed: int = 0
) -> CollectedRows:
    """Read the rows of a dataset in their order; where not all fit, keep a random subset.

    Parameters
    ----------
    batches : (B, d) arrays
    dimension : d
    count : number of rows in all where it is known. Without it all rows are read, and it is an error if they do not fit
    most_bytes : size of the float64 rows that are kept
    seed : of the subset

    Raises
    ------
    MemoryError
        `most_bytes` holds fewer than two rows, or fewer rows than there are and there is no `count` to draw a subset by.
    ValueError
        More rows than `count`.
    """
    most_rows = most_bytes // (8 * dimension)
    if most_rows < 2:
        raise MemoryError(f"most_bytes must hold at least two samples of {dimension} values, got {most_bytes} bytes")
    if count is None:
        return _read_whole(batches, dimension, most_rows)
    return _read_subset(batches, dimension, count, min(count, most_rows), seed)


def _read_whole(batches: Iterable[FloatArray], dimension: int, most_rows: int) -> CollectedRows:
    """All rows of a source that does not know how many it has."""
    held: list[FloatArray] = [np.empty((0, dimension))]
    rows = 0
    for batch in batches:
        rows += len(batch)
        if rows > most_rows:
            raise MemoryError(
                f"the images are more than the {most_rows} that memory holds, and their number is not known beforehand: "
                "give a limit on the images or more memory"
            )
        held.append(batch)
    return CollectedRows(np.concatenate(held), rows)


def _read_subset(batches: Iterable[FloatArray], dimension: int, count: int, kept: int, seed: int) -> CollectedRows:
    """A random subset of `kept` of the `count` rows, in their order."""
    chosen = np.zeros(count, dtype=np.bool_)
    chosen[np.random.default_rng(seed).choice(count, kept, replace=False)] = True
    samples = np.empty((kept, dimension))
    seen = filled = 0
    for batch in batches:
        if seen + len(batch) > count:
            raise ValueError(f"count must be the number of images, got {count} and at least {seen + len(batch)} images")
        rows = batch[chosen[seen : seen + len(batch)]]
        samples[filled : filled + len(rows)] = rows
        seen, filled = seen + len(batch), filled + len(rows)
    return CollectedRows(samples[:filled], seen)
