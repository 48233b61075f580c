"""A dataset in memory as rows, or a random subset of it if not all of it fits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .._checks import FloatArray
from .._repr import short_repr
from ..memory import require_memory

__all__ = ["CollectedRows", "collect_rows", "require_whole_groups"]


class CollectedRows(NamedTuple):
    """The rows read: `rows`, (n, d), in the order of the dataset, and `total`, the number of samples in the dataset."""

    rows: FloatArray
    total: int

    def __repr__(self) -> str:
        return short_repr(self)


def collect_rows(
    batches: Iterable[FloatArray], *, dimension: int, count: int | None, most_bytes: int, seed: int = 0
) -> CollectedRows:
    """Read the rows of a dataset in their order. If not all of them fit, keep a random subset.

    Parameters
    ----------
    batches : (B, d) arrays
    dimension : d
    count : total number of rows, or None if it is unknown. Then all rows are read, and it is an error if they do not fit
    most_bytes : largest size in bytes of the float64 rows to keep
    seed : seed of the random subset

    Raises
    ------
    MemoryError
        The rows do not fit in the memory that is free;
        `most_bytes` holds fewer than two rows, or the rows do not fit and `count`, which a subset needs, is unknown.
    ValueError
        More rows than `count`.
    """
    most_rows = most_bytes // (8 * dimension)
    if most_rows < 2:
        raise MemoryError(f"most_bytes must hold at least two samples of {dimension} values, got {most_bytes} bytes")
    if count is not None:
        kept = min(count, most_rows)
        require_memory(8 * dimension * kept, f"holding {kept:,} images of {dimension:,} values")
    if count is None:
        return _read_whole(batches, dimension, most_rows)
    return _read_subset(batches, dimension, count, min(count, most_rows), seed)


def require_whole_groups(collected: CollectedRows) -> None:
    """Check that all rows of images in groups fit into memory: a random subset of the rows would break groups apart.

    Raises
    ------
    MemoryError
        Only a subset fits.
    """
    if len(collected.rows) < collected.total:
        raise MemoryError(
            f"memory holds {len(collected.rows):,} of {collected.total:,} images, which breaks groups apart: allow more memory, or "
            "give limit, which keeps whole groups"
        )


def _read_whole(batches: Iterable[FloatArray], dimension: int, most_rows: int) -> CollectedRows:
    """All rows of a source whose number of rows is unknown."""
    held: list[FloatArray] = [np.empty((0, dimension))]
    rows = 0
    for batch in batches:
        rows += len(batch)
        if rows > most_rows:
            raise MemoryError(
                f"there are more images than the {most_rows} that fit in memory, and their number is not known before they are "
                "read: limit the number of images or allow more memory"
            )
        require_memory(
            16 * batch.size + 8 * dimension * rows, f"holding {rows:,} images of {dimension:,} values or more"
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
