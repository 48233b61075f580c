"""What all closed-form scores share: their interface, and the checks of their arguments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, real_array

__all__ = ["LOGIT_ERROR", "Score", "row_noise_levels"]

#: Logarithms of densities are computed in a second, more accurate way if rounding could move them by more than this.
LOGIT_ERROR = 1e-11


def row_noise_levels(sigma: Any, count: int) -> FloatArray:
    """Noise levels of `count` rows as a column: (B, 1), or (1, 1) if all rows have the same level.

    Parameters
    ----------
    sigma : one noise level σ > 0, or (B,) of them
    count : B, number of rows

    Raises
    ------
    ValueError
        Another shape, a level that is not above 0, NaN or infinity.
    """
    levels = real_array("sigma", sigma)
    if levels.shape not in ((), (count,)):
        raise ValueError(f"sigma must be one noise level or ({count},) of them, got shape {levels.shape}")
    if levels.size and levels.min() <= 0:
        raise ValueError(f"sigma must be above 0, where score and posterior exist, got {levels.min()}")
    return levels.reshape(-1, 1)


class Score(ABC):
    """A denoiser D(x; σ) that is an exact posterior mean."""

    dimension: int

    @abstractmethod
    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """D(x; σ), (B, d).

        Parameters
        ----------
        x : (B, d) rows
        sigma : one noise level σ > 0 for all rows, or (B,) of them

        Raises
        ------
        ValueError
            Rows of another length, a noise level that is not above 0, NaN or infinity.
        """

    @abstractmethod
    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """(P, d) rows ∂Dᵢ/∂x of the Jacobian Cov[x₀ | x]/σ² at one x: the receptive fields of some pixels.

        Parameters
        ----------
        x : (d,) one row
        sigma : σ > 0
        pixels : (P,) positions i in a row

        Raises
        ------
        ValueError
            Another shape of `x`, a pixel that does not exist, a noise level that is not above 0.
        """

    def score(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """∇ log p(x; σ) = (D − x)/σ², (B, d); arguments as for :meth:`__call__`."""
        rows = self._rows(x)
        return np.asarray((self(rows, sigma) - rows) / row_noise_levels(sigma, len(rows)) ** 2)

    def _rows(self, x: Any) -> FloatArray:
        rows = real_array("x", x)
        if rows.ndim != 2 or rows.shape[1] != self.dimension:
            raise ValueError(f"x must have shape (B, {self.dimension}), got {rows.shape}")
        return rows

    def _row(self, x: Any) -> FloatArray:
        row = real_array("x", x)
        if row.shape != (self.dimension,):
            raise ValueError(f"x must be one row of {self.dimension} pixels for a Jacobian, got shape {row.shape}")
        return row

    def _pixels(self, pixels: Sequence[int]) -> list[int]:
        chosen = [integer("pixels", pixel, 0) for pixel in pixels]
        if chosen and max(chosen) >= self.dimension:
            raise ValueError(f"pixels must be below {self.dimension}, got {max(chosen)}")
        return chosen
