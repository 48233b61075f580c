"""One-pass mean and covariance, and eigendecompositions through SciPy's LAPACK."""

from __future__ import annotations

import copy
import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _core
from ._checks import FloatArray, integer, real_array
from ._orthonormal import make_orthonormal
from ._repr import short_repr
from .memory import require_memory

__all__ = [
    "Eigensystem",
    "Moments",
    "gram_eigensystem",
    "has_variance",
    "linear_algebra",
    "require_matrices",
    "symmetric_eigensystem",
]

_EPSILON = float(np.finfo(np.float64).eps)


@functools.cache
def linear_algebra() -> _core.LinearAlgebra:
    """SciPy's dsyevd, dsyrk and dgemm for the core: one BLAS in the process, none linked."""
    from scipy.linalg import cython_blas, cython_lapack

    return _core.LinearAlgebra(
        cython_lapack.__pyx_capi__["dsyevd"], cython_blas.__pyx_capi__["dsyrk"], cython_blas.__pyx_capi__["dgemm"]
    )


#: Matrices d×d at the peak of a covariance and its eigenvectors: two copies of it, and two for LAPACK to work in.
_MATRICES = 4


def require_matrices(dimension: int, matrices: int = _MATRICES) -> None:
    """Check that `matrices` d×d float64 matrices fit in the free memory.

    Raises
    ------
    NotEnoughMemoryError
        They do not fit; the message states how much they need and what to do.
    """
    require_memory(
        8 * matrices * dimension**2,
        f"a dimension of {dimension} with {matrices} covariance-sized matrices",
        "use smaller images with --size (in Python size=) or patches, or fewer images than dimensions with --limit (in Python "
        "limit=; then the Gram matrix is used; or Population.from_spectrum)",
    )


class Moments:
    """Mean and covariance of a stream of batches in one pass; two of them can be merged. Safe to use from several threads.

    Parameters
    ----------
    dimension : length d of a sample

    Raises
    ------
    TypeError, ValueError
        `dimension` is not an integer of at least 1.
    MemoryError
        The covariance and the memory for its eigenvectors do not fit.

    Examples
    --------
    >>> m = Moments(2)
    >>> m.add([[0.0, 1.0], [2.0, 1.0]])
    >>> m.count, m.mean.tolist(), m.covariance().tolist()
    (2, [1.0, 1.0], [[1.0, 0.0], [0.0, 0.0]])
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = integer("dimension", dimension, 1)
        require_matrices(self._dimension)
        self._core = _core.Moments(self._dimension)

    def __repr__(self) -> str:
        return f"Moments(dimension={self.dimension}, count={self.count})"

    def __copy__(self) -> Moments:
        other = Moments.__new__(Moments)
        other._dimension, other._core = self._dimension, copy.copy(self._core)
        return other

    def add(self, batch: Any) -> None:
        """Add the rows of a batch (B, d). A batch that raises an error changes nothing.

        Raises
        ------
        TypeError
            Values that are not real numbers.
        ValueError
            NaN or infinite values, or another shape.
        """
        rows = real_array("batch", batch)
        if rows.ndim != 2 or rows.shape[1] != self._dimension:
            raise ValueError(f"batch must have shape (B, {self._dimension}), got {rows.shape}")
        self._core.add(np.ascontiguousarray(rows), linear_algebra())

    def merge(self, other: Moments) -> None:
        """Add everything that `other` has seen.

        Raises
        ------
        ValueError
            `other` has another dimension.
        """
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
        """(d, d) covariance with divisor `count`.

        Raises
        ------
        ValueError
            No sample was added.
        """
        if self.count == 0:
            raise ValueError("covariance needs at least one sample, got none")
        return self._core.covariance()


class Eigensystem(NamedTuple):
    """Eigenvalues (r,), descending, and eigenvectors (d, r), as columns."""

    values: FloatArray
    vectors: FloatArray

    def __repr__(self) -> str:
        return short_repr(self)


def symmetric_eigensystem(matrix: FloatArray) -> Eigensystem:
    """All d eigenvalues and eigenvectors of a symmetric matrix (d, d); only its lower triangle is read.

    Raises
    ------
    ConvergenceError
        LAPACK does not converge.
    """
    return Eigensystem(*_core.symmetric_eigensystem(matrix, True, linear_algebra()))


def gram_eigensystem(centred: FloatArray) -> Eigensystem:
    """Non-zero eigenvalues and their eigenvectors of XᵀX/N for N < d centred samples X (N, d).

    Raises
    ------
    ConvergenceError
        LAPACK does not converge.
    """
    values, vectors = _core.gram_eigensystem(centred, float(len(centred)), True, linear_algebra())
    make_orthonormal(vectors)
    return Eigensystem(values, vectors)


def has_variance(eigenvalues: FloatArray) -> npt.NDArray[np.bool_]:
    """(k,) which modes have variance: eigenvalues (k,) above the rounding errors of an eigensolver, k ε times the largest.

    This is the only rule for "has variance" in the package; ε = 2.2e-16. Below this bound, an eigensolver returns noise of
    either sign instead of 0.
    """
    values = np.asarray(eigenvalues, dtype=np.float64)
    return np.asarray(values > values.size * _EPSILON * float(np.max(values, initial=0.0)))
