"""Denoisers of rows: what every room of the lens takes and gives."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from .._checks import FloatArray

__all__ = ["RowDenoiser"]


@runtime_checkable
class RowDenoiser(Protocol):
    """Any callable that estimates clean samples from noised ones, x = x₀ + σz.

    ``x`` is (B, d) float64 rows in the scale and pixel order of the data, ``sigma`` one noise level above 0 for all of them or
    (B,) of them; the answer is (B, d). The score is (D(x; σ) − x)/σ².
    """

    def __call__(self, x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        """E[x₀ | x₀ + σz = x], or what the model takes it to be."""
