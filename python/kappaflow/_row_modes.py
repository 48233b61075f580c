"""Fewer samples than dimensions: the samples as rows of one array, and their eigenvectors, which take its place."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray
from ._core import ConvergenceError
from ._orthonormal import make_orthonormal
from ._repr import short_repr
from .memory import FEWER_OR_SMALLER, require_memory

__all__ = ["HeldRows", "RowModes", "along", "modes_of_rows", "rows_at_once"]

#: Bytes of a block of columns in float64, of which a few are held at once.
_BLOCK_BYTES = 4 * 2**20
#: Matrices N×N at the peak: the Gram matrix and its eigenvectors.
_MATRICES = 2
#: Up to this number of samples, LAPACK's divide and conquer, which takes two further matrices, is as good.
_FEW = 500
_EPSILON = float(np.finfo(np.float64).eps)


class HeldRows:
    """Samples (N, d) that come in batches. If their number is known, they are put into one array, which holds them once.

    They are held in the type in which they came, float32 or float64, which is exact.
    """

    def __init__(self, count: int | None) -> None:
        """Hold `count` samples, or as many as come if that is None."""
        self._count, self.rows = count, 0
        self._whole: npt.NDArray[Any] | None = None
        self._pieces: list[npt.NDArray[Any]] = []

    def add(self, rows: npt.NDArray[Any], dtype: npt.DTypeLike) -> None:
        """Add samples (B, d), whose values numbers of the type `dtype` hold.

        Raises
        ------
        NotEnoughMemoryError
            All samples and their eigenvectors do not fit in memory.
        """
        kind, size = np.dtype(dtype), rows.shape[1]
        if self._count is not None and self.rows == 0 and len(rows):
            self._require(self._count, size, kind)
            self._whole = np.empty((self._count, size), kind)
        fits = self._whole is not None and self._whole.dtype == kind and self.rows + len(rows) <= len(self._whole)
        if self._whole is not None and not fits:  # more samples than were announced, or of another type
            self._pieces, self._whole = [self._whole[: self.rows]], None
        if self._whole is not None:
            self._whole[self.rows : self.rows + len(rows)] = rows
        else:
            self._require(len(rows), size, kind)
            self._pieces.append(rows.astype(kind))
        self.rows += len(rows)

    @staticmethod
    def _require(count: int, size: int, kind: np.dtype[Any]) -> None:
        need = kind.itemsize * count * size
        if count < size:  # else the covariance is computed, which asks for its own memory
            need += 8 * _MATRICES * count**2 + 3 * min(_BLOCK_BYTES, 8 * count * size)
        require_memory(need, f"holding {count:,} images of {size:,} values", FEWER_OR_SMALLER)

    def parts(self) -> list[npt.NDArray[Any]]:
        """The samples in pieces, in their order."""
        return self._pieces if self._whole is None else [self._whole[: self.rows]]

    def take(self) -> npt.NDArray[Any]:
        """All samples as one array, which the caller owns; none are held any more.

        Raises
        ------
        NotEnoughMemoryError
            The matrices of their eigenvectors do not fit in memory.
        """
        pieces, self._pieces, self._whole = self.parts(), [], None
        if len(pieces) == 1:
            return pieces[0]
        kind = np.result_type(*pieces)
        self._require(self.rows, pieces[0].shape[1], kind)
        whole, start = np.empty((self.rows, pieces[0].shape[1]), kind), 0
        pieces.reverse()
        while pieces:  # each piece is dropped once it is copied
            piece = pieces.pop()
            whole[start : start + len(piece)] = piece
            start += len(piece)
        return whole


class RowModes(NamedTuple):
    """Mean (d,), non-zero eigenvalues (r,), descending, eigenvectors (d, r) of samples, and how many of the d values vary."""

    mean: FloatArray
    values: FloatArray
    vectors: FloatArray
    varying: int

    def __repr__(self) -> str:
        return short_repr(self)


def modes_of_rows(rows: npt.NDArray[Any]) -> RowModes:
    """Mean and eigenmodes of XᵀX/N for N < d samples (N, d), X the centred samples, through the Gram matrix XXᵀ/N.

    The eigenvectors Xᵀw, where w are those of the Gram matrix, are computed for a block of dimensions at a time and written
    over the samples, so that the memory beyond the samples is that of two matrices N×N and a few blocks. They have the type of
    the samples: float64, or float32 for float32 samples. All sums are in float64.

    Parameters
    ----------
    rows : (N, d) float32 or float64, which are overwritten

    Raises
    ------
    ConvergenceError
        LAPACK does not converge.
    """
    count, dimension = rows.shape
    blocks = _column_blocks(count, dimension)
    scale = max(float(rows.max()), -float(rows.min()))
    scale = 2.0 ** np.frexp(scale)[1] if 0 < scale < np.inf else 1.0
    mean, varying = np.empty(dimension), 0
    gram = np.zeros((count, count), order="F")
    for block in blocks:
        values = rows[:, block].astype(np.float64)
        varying += int(np.count_nonzero(np.ptp(values, axis=0)))
        values /= scale
        mean[block] = values.mean(axis=0)
        values -= mean[block]
        gram = _add_products(gram, values)
    squares, weights = _ascending(gram)
    rank = int(np.count_nonzero(squares > count * _EPSILON * squares[-1])) if squares[-1] > 0 else 0
    squares, weights = squares[count - rank :], weights[:, count - rank :]
    weights /= np.sqrt(count * squares)
    lengths = np.zeros(rank)
    for block in blocks:
        values = rows[:, block].astype(np.float64)
        values /= scale
        values -= mean[block]
        part = (weights.T @ values)[::-1]
        lengths += np.einsum("kb,kb->k", part, part)
        rows[:rank, block] = part
    for row, length in zip(rows[:rank], np.sqrt(lengths), strict=True):
        row /= length
    del weights  # the products of the vectors may need its memory
    make_orthonormal(rows[:rank].T)
    return RowModes(
        mean=mean * scale, values=squares[::-1] * scale**2, vectors=cast(FloatArray, rows[:rank].T), varying=varying
    )


def _column_blocks(count: int, dimension: int) -> list[slice]:
    width = max(1, _BLOCK_BYTES // (8 * count))
    return [slice(first, first + width) for first in range(0, dimension, width)]


def _add_products(gram: FloatArray, values: FloatArray) -> FloatArray:
    """The lower triangle of G + ZZᵀ/N, of Z (N, b)."""
    from scipy.linalg.blas import dsyrk

    total: FloatArray = dsyrk(1 / len(values), values.T, beta=1.0, c=gram, trans=1, lower=1, overwrite_c=1)
    return total


def _ascending(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ascending eigenvalues (N,) and eigenvectors (N, N) of a symmetric matrix, which is overwritten.

    Raises
    ------
    ConvergenceError
        LAPACK does not converge.
    """
    from scipy.linalg import LinAlgError, eigh

    try:
        values, vectors = eigh(
            gram, lower=True, overwrite_a=True, check_finite=False, driver="evd" if len(gram) <= _FEW else "evr"
        )
    except LinAlgError as error:
        raise ConvergenceError(f"the eigenvectors of {len(gram):,} samples: {error}") from error
    return values, vectors


def along(centred: npt.NDArray[Any], vectors: npt.NDArray[Any]) -> FloatArray:
    """Coordinates (B, k) of centred samples (B, d) along eigenvectors (d, k), summed in float64.

    Eigenvectors of float32 become float64 for a block of dimensions at a time.
    """
    if vectors.dtype == np.float64:
        return np.asarray(centred @ vectors)
    total = np.zeros((len(centred), vectors.shape[1]))
    for block in _column_blocks(max(vectors.shape[1], len(centred)), len(vectors)):
        total += centred[:, block].astype(np.float64) @ vectors[block].astype(np.float64)
    return total


def rows_at_once(dimension: int, most: int) -> int:
    """Samples of so many values that are read at once: `most`, or fewer if they would take more than 8 MiB as float64."""
    return max(1, min(most, 2 * _BLOCK_BYTES // (8 * dimension)))
