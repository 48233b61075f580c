"""Samples that the user's command writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._checks import FloatArray
from .._npy_files import read_npy

__all__ = ["read_samples"]


def read_samples(path: Path, shape: tuple[int, ...]) -> FloatArray:
    """(Z, d) rows of a .npy file of samples of this `shape`, (Z, height, width) or any other.

    Raises
    ------
    ValueError
        Another kind of file, another shape, or values that are not finite.
    """
    array = read_npy(path, "samples", kinds="fiu")
    if array.shape != shape:
        raise ValueError(f"samples must have the shape of the noise, {shape}, got {array.shape}")
    rows = array.reshape(len(array), -1).astype(np.float64)
    if not np.isfinite(rows).all():
        count = int((~np.isfinite(rows).all(axis=1)).sum())
        raise ValueError(f"samples must be finite, got {count:,} of {len(rows):,} images with NaN or infinity")
    return rows
