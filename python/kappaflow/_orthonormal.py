"""Whether columns are orthonormal, and columns made so again where rounding errors have spoiled them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray

__all__ = ["ORTHONORMALITY", "make_orthonormal", "orthonormality_error"]

#: Largest allowed error of :func:`orthonormality_error`. Eigensolvers of float32 reach 1e-6, those of float64 1e-14.
ORTHONORMALITY = 1e-5
#: Above this error, columns are made orthonormal again; the second is for float32.
_SPOILED = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-6}
#: Products up to which UᵀU is formed, and number of vectors z beyond.
_PRODUCTS, _SIGNS = 2e7, 3
#: Bytes of a block of rows in float64.
_BLOCK_BYTES = 4 * 2**20


def orthonormality_error(vectors: npt.NDArray[Any]) -> float:
    """Largest entry of UᵀU − 1 for columns U (d, k), or of (UᵀU − 1)z for three z of random signs where UᵀU takes long.

    All sums are in float64, and U is read once. NaN if a value is not finite.
    """
    dimension, count = vectors.shape
    few = dimension * count**2 <= _PRODUCTS
    probes = np.eye(count) if few else np.random.default_rng(0).choice([-1.0, 1.0], (count, _SIGNS))
    with np.errstate(over="ignore", invalid="ignore"):
        worst = float(np.max(np.abs(_products(vectors, probes) - probes), initial=0.0))
    return worst if np.isfinite(worst) else np.nan


def make_orthonormal(vectors: npt.NDArray[Any]) -> None:
    """Make columns (d, k) orthonormal in place if they are not; each is changed as little as those before it allow.

    Eigenvectors that come from the Gram matrix of samples lose their orthogonality where the variance is near the rounding errors
    of the largest: an error of 1e-2 was seen at 1e-14 of the largest eigenvalue. With UᵀU = LLᵀ (Cholesky), U becomes UL⁻ᵀ. It
    takes one matrix (k, k) beyond the columns.

    Raises
    ------
    LinAlgError
        The columns are linearly dependent.
    """
    from scipy.linalg import LinAlgError, cholesky
    from scipy.linalg.lapack import dtrtri

    for _ in range(2):  # the second time where the first left an error
        if not orthonormality_error(vectors) > _SPOILED[vectors.dtype]:
            return
        factor = cholesky(_products(vectors, None), lower=True, overwrite_a=True, check_finite=False)
        inverse, failed = dtrtri(factor, lower=1, overwrite_c=1)
        if failed:
            raise LinAlgError(f"vectors must be linearly independent, got {len(inverse)} that are not")
        for rows in _blocks(vectors):
            vectors[rows] = vectors[rows].astype(np.float64) @ inverse.T


def _products(vectors: npt.NDArray[Any], probes: FloatArray | None) -> FloatArray:
    """UᵀUz (k, m) of columns U (d, k) and probes z (k, m); UᵀU (k, k) without."""
    count = vectors.shape[1]
    total = np.zeros((count, count if probes is None else probes.shape[1]))
    for rows in _blocks(vectors):
        block = vectors[rows].astype(np.float64, copy=False)
        total += block.T @ (block if probes is None else block @ probes)
    return total


def _blocks(vectors: npt.NDArray[Any]) -> Iterator[slice]:
    """Blocks of rows."""
    dimension, count = vectors.shape
    height = max(1, _BLOCK_BYTES // (8 * max(1, count)))
    return (slice(first, first + height) for first in range(0, dimension, height))
