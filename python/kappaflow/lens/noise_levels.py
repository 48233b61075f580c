"""Checks of noise levels for all rooms. Each accepts certain levels, and its error names the argument."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._checks import FloatArray, real_array

__all__ = ["ascending_noise_levels", "noise_levels_above_zero", "noise_levels_from_zero"]


def noise_levels_from_zero(sigma: Any) -> FloatArray:
    """One noise level σ ≥ 0 or several: () or (S,).

    Raises
    ------
    ValueError
        `sigma` has more than one axis or no entry, or a level is negative, NaN or infinite.
    """
    levels = real_array("sigma", sigma)
    if levels.ndim > 1 or levels.size == 0:
        raise ValueError(f"sigma must be a number or one-dimensional and not empty, got shape {levels.shape}")
    if levels.min() < 0:
        raise ValueError(f"sigma must not be negative, got {levels.min()}")
    return levels


def noise_levels_above_zero(name: str, sigma: Any) -> FloatArray:
    """Noise levels σ > 0 of any shape, at least one.

    Raises
    ------
    ValueError
        There is no level, or a level is not above 0, NaN or infinite.
    """
    levels = real_array(name, sigma)
    if levels.size == 0 or levels.min() <= 0:
        raise ValueError(f"{name} must hold noise levels above 0, got {levels.min() if levels.size else 'none'}")
    return levels


def ascending_noise_levels(name: str, sigma: Any, *, sigma_max: float | None = None) -> FloatArray:
    """Noise levels σ > 0, (S,), sorted; a level that is given twice occurs twice.

    Parameters
    ----------
    name : of the argument, for the error
    sigma : (S,) in any order, S ≥ 1
    sigma_max : the largest allowed level; no limit by default

    Raises
    ------
    ValueError
        `sigma` is not one-dimensional or has no entry, or a level is not above 0, is above `sigma_max`, NaN or infinite.
    """
    levels = real_array(name, sigma)
    beyond = sigma_max is not None and levels.size > 0 and levels.max() > sigma_max
    if levels.ndim != 1 or levels.size == 0 or levels.min() <= 0 or beyond:
        allowed = "above 0" if sigma_max is None else f"above 0 and at most sigma_max = {sigma_max}"
        raise ValueError(f"{name} must be one or more noise levels {allowed}, got {levels}")
    return np.sort(levels)
