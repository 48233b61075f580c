"""One-pass mean and covariance, and eigendecompositions through SciPy's LAPACK."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from . import _core
from ._checks import FloatArray, integer, real_array

__all__ = ["Moments", "gram_eigensystem", "require_memory", "symmetric_eigensystem"]


@functools.cache
def linear_algebra() -> _core.LinearAlgebra:
    """SciPy's dsyevd, dsyrk and dgemm for the core: one BLAS in the process, none linked."""
    from scipy.linalg import cython_blas, cython_lapack

    return _core.LinearAlgebra(
        cython_lapack.__pyx_capi__["dsyevd"], cython_blas.__pyx_capi__["dsyrk"], cython_blas.__pyx_capi__["dgemm"]
    )


def available_memory() -> int | None:
    """Bytes of memory that are free for use, None where the system does not say."""
    try:  # Linux: what can be had without swapping, page cache included
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def require_memory(dimension: int, matrices: int = 3) -> None:
    """Raise MemoryError, with the need and the ways out, if `matrices` d×d float64 matrices do not fit."""
    need, free = 8 * matrices * dimension**2, available_memory()
    if free is not None and need > free:
        raise MemoryError(
            f"a dimension of {dimension} needs {need / 2**30:.1f} GiB for {matrices} covariance-sized matrices, "
            f"{free / 2**30:.1f} GiB are free: use smaller images or patches, fewer samples than dimensions "
            "(then the Gram matrix is used), or Population.from_spectrum"
        )


class Moments:
    """Mean and covariance of a stream of batches in one pass; two of them can be merged.

    >>> m = Moments(2)
    >>> m.add([[0.0, 1.0], [2.0, 1.0]])
    >>> m.count, m.mean.tolist(), m.covariance().tolist()
    (2, [1.0, 1.0], [[1.0, 0.0], [0.0, 0.0]])
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = integer("dimension", dimension, 1)
        require_memory(self._dimension)
        self._core = _core.Moments(self._dimension)

    def add(self, batch: Any) -> None:
        """Add the rows of a batch (B, d). A batch that is refused leaves everything as it was."""
        rows = real_array("batch", batch)
        if rows.ndim != 2 or rows.shape[1] != self._dimension:
            raise ValueError(f"batch must have shape (B, {self._dimension}), got {rows.shape}")
        self._core.add(np.ascontiguousarray(rows), linear_algebra())

    def merge(self, other: Moments) -> None:
        """Add everything that `other` has seen."""
        if other._dimension != self._dimension:
            raise ValueError(f"other must have dimension {self._dimension}, got {other._dimension}")
        self._core.merge(other._core)

    @property
    def count(self) -> int:
        """Samples seen."""
        return self._core.count

    @property
    def dimension(self) -> int:
        """Length d of a sample."""
        return self._dimension

    @property
    def mean(self) -> FloatArray:
        """(d,) mean."""
        return self._core.mean

    def covariance(self) -> FloatArray:
        """(d, d) covariance with divisor `count`."""
        if self.count == 0:
            raise ValueError("covariance needs at least one sample, got none")
        return self._core.covariance()


def symmetric_eigensystem(matrix: FloatArray, *, vectors: bool = True) -> tuple[FloatArray, FloatArray | None]:
    """Eigenvalues (d,), descending, and eigenvectors (d, d), columns, of a symmetric matrix (lower triangle read)."""
    values, columns = _core.symmetric_eigensystem(matrix, vectors, linear_algebra())
    return values, columns if vectors else None


def gram_eigensystem(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Non-zero eigenvalues (r,) and eigenvectors (d, r) of XᵀX/N of N < d centred samples X (N, d)."""
    values, columns = _core.gram_eigensystem(centred, float(len(centred)), True, linear_algebra())
    return values, columns
