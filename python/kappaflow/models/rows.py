"""Denoisers of rows of pixels, which need no torch, and how they are evaluated."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from .._checks import FloatArray

__all__ = ["KnownLevels", "RowDenoiser", "evaluate_rows", "known_levels"]

#: Rows that a denoiser sees at once.
_BATCH = 1024


@runtime_checkable
class RowDenoiser(Protocol):
    """Any callable that estimates clean samples from noised ones, x = x₀ + σz.

    ``x`` is (B, d) float64 rows in the scale and pixel order of the data, and ``sigma`` is one noise level above 0 for all of them,
    or (B,) of them. The output is (B, d). The score is (D(x; σ) − x)/σ².

    :func:`~.layout.rows_denoiser` makes one from a network; :mod:`.scores` holds those known in closed form.
    """

    def __call__(self, x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        """E[x₀ | x₀ + σz = x], or the model's estimate of it."""


class KnownLevels(NamedTuple):
    """Ends of the noise levels that a denoiser was made for.

    Attributes
    ----------
    low, high : 0 and infinity if it does not say
    """

    low: float
    high: float


def known_levels(denoiser: object) -> KnownLevels:
    """The noise levels that a denoiser knows, from its attributes `sigma_min` and `sigma_max`."""
    low, high = (getattr(denoiser, name, None) for name in ("sigma_min", "sigma_max"))
    return KnownLevels(low=float(low or 0.0), high=float(high or np.inf))


def evaluate_rows(denoiser: RowDenoiser, x: FloatArray, sigma: float, *, batch: int = _BATCH) -> FloatArray:
    """D(x; σ) of all rows, (B, d) float64, computed in batches and checked.

    Parameters
    ----------
    denoiser : D(x, σ) of rows
    x : (B, d), B ≥ 1
    sigma : σ > 0, one noise level for all rows
    batch : number of rows passed to the denoiser at once

    Raises
    ------
    ValueError
        No rows, an output of another shape than `x`, NaN or infinity in an output.
    TypeError
        An output that is not real numbers.
    """
    if len(x) == 0:
        raise ValueError(f"x must hold at least one row, got shape {x.shape}")
    parts = [np.asarray(denoiser(x[start : start + batch], sigma)) for start in range(0, len(x), batch)]
    answer = np.concatenate(parts)
    if answer.shape != x.shape:
        raise ValueError(f"denoiser must return the shape of its input {x.shape}, got {answer.shape}")
    if answer.dtype.kind not in "fiub":
        raise TypeError(f"denoiser must return real numbers, got dtype {answer.dtype}")
    if not np.isfinite(answer).all():
        raise ValueError(f"denoiser must be finite, got NaN or infinity at noise level {sigma:.4g}")
    return answer.astype(np.float64, copy=False)
