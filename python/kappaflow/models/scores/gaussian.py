"""Scores of the mean alone, and of a Gaussian with the mean and covariance of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..._checks import FloatArray, integer, positive
from ..._repr import short_repr
from ...moments import has_variance
from ...population import Population
from .base import LOGIT_ERROR, Score, row_noise_levels

__all__ = ["GaussianScore", "MeanScore", "ModeCoordinates"]


class MeanScore(Score):
    """D = μ, whatever x is: the denoiser of data without variance, with the score (μ − x)/σ². A baseline for others."""

    def __init__(self, population: Population) -> None:
        self.mean, self.dimension = population.mean, population.dimension

    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """μ for every row, (B, d)."""
        rows = self._rows(x)
        row_noise_levels(sigma, len(rows))
        return np.broadcast_to(self.mean, rows.shape).copy()

    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """(P, d) zeros."""
        self._row(x)
        return np.zeros((len(self._pixels(pixels)), self.dimension))


class ModeCoordinates(NamedTuple):
    """Rows in the coordinates of the modes.

    Attributes
    ----------
    inside : (B, k) coordinates of x − μ
    outside : (B,) squared length of the part of x − μ that lies outside of the modes
    """

    inside: FloatArray
    outside: FloatArray

    def __repr__(self) -> str:
        return short_repr(self)


class GaussianScore(Score):
    r"""D(x; σ) = μ + U diag(λ/(λ + σ²)) Uᵀ(x − μ): two matrix products of 2Bdr multiplications each, at any σ.

    Parameters
    ----------
    population : mean, eigenvalues and eigenmodes
    rank : number of modes to keep, all by default. Dropping modes changes little if σ² is far above their variance. At low
        noise the dropped modes dominate the score.
    residual : "none": directions outside of the kept modes have no variance; "isotropic": every direction there has the mean of
        the dropped eigenvalues as its variance (probabilistic principal components)

    Raises
    ------
    ValueError
        A rank that is not between 1 and the number of modes; another residual; a population with multiplicities above 1.
    """

    def __init__(self, population: Population, *, rank: int | None = None, residual: str = "none") -> None:
        modes = population.eigenvalues.size
        if np.any(population.multiplicity != 1):
            raise ValueError("population must have no multiplicities above 1: its modes cannot be distinguished")
        if rank is not None and integer("rank", rank, 1) > modes:
            raise ValueError(f"rank must be at most the number of modes, {modes}, got {rank}")
        if residual not in ("none", "isotropic"):
            raise ValueError(f"residual must be 'none' or 'isotropic', got {residual!r}")
        kept = modes if rank is None else rank
        self.dimension = population.dimension
        self.mean = population.mean
        self.eigenvalues = population.eigenvalues[:kept]
        vectors = population.eigenvectors
        if vectors is None and kept < modes:
            vectors = np.eye(modes)
        if vectors is not None and kept < modes:
            vectors = vectors[:, :kept].copy()  # a view would keep all modes in memory
        self.eigenvectors = vectors
        outside = self.dimension - kept
        dropped = float(population.eigenvalues[kept:].sum())
        #: Variance of each direction outside of the kept modes.
        self.residual_variance = dropped / outside if outside and residual == "isotropic" else 0.0

    def coordinates(self, x: FloatArray, level: FloatArray | None = None) -> ModeCoordinates:
        """Coordinates of rows in the modes, and the squared length of the rest.

        The squared length is a difference of squares. If the noise is so low that the rounding of this difference would move
        the logarithm of a density, it is computed from the rest itself.

        Parameters
        ----------
        x : (B, d)
        level : (B, 1) or (1, 1) noise variances σ² at which densities will be computed; None if no density is needed
        """
        centred = x - self.mean
        if self.eigenvectors is None:
            return ModeCoordinates(centred, np.zeros(len(x)))
        inside = centred @ self.eigenvectors
        if inside.shape[1] == self.dimension:
            return ModeCoordinates(inside, np.zeros(len(x)))
        whole = (centred**2).sum(axis=1)
        rounding = 4 * np.finfo(np.float64).eps * float(whole.max(initial=0.0))
        if level is not None and rounding > 2 * LOGIT_ERROR * float(level.min(initial=np.inf) + self.residual_variance):
            return ModeCoordinates(inside, ((centred - inside @ self.eigenvectors.T) ** 2).sum(axis=1))
        return ModeCoordinates(inside, np.maximum(whole - (inside**2).sum(axis=1), 0.0))

    def shrunk(self, x: FloatArray, coordinates: FloatArray, level: FloatArray) -> FloatArray:
        """D of rows whose coordinates are known, (B, d).

        Parameters
        ----------
        x : (B, d)
        coordinates : (B, k) of x − μ in the modes
        level : (B, 1) or (1, 1) noise variances σ²
        """
        gain = self.eigenvalues / (self.eigenvalues + level)
        if self.eigenvectors is None:
            return np.asarray(self.mean + coordinates * gain)
        if self.residual_variance == 0:
            return np.asarray(self.mean + (coordinates * gain) @ self.eigenvectors.T)
        rest = self.residual_variance / (self.residual_variance + level)
        return np.asarray(self.mean + rest * (x - self.mean) + (coordinates * (gain - rest)) @ self.eigenvectors.T)

    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """μ + Σ(Σ + σ²)⁻¹(x − μ), (B, d), for σ > 0; its limit σ → 0 is :meth:`projection`."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        centred = rows - self.mean
        return self.shrunk(rows, centred if self.eigenvectors is None else centred @ self.eigenvectors, level)

    def score(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """−(Σ + σ²)⁻¹(x − μ), (B, d), without the cancellation that (D − x)/σ² has at low noise."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        centred = rows - self.mean
        if self.eigenvectors is None:
            return np.asarray(-centred / (self.eigenvalues + level))
        inside = centred @ self.eigenvectors
        answer = (inside / (self.eigenvalues + level)) @ self.eigenvectors.T
        if inside.shape[1] < self.dimension:
            answer = answer + (centred - inside @ self.eigenvectors.T) / (self.residual_variance + level)
        return np.asarray(-answer)

    def projection(self, x: Any) -> FloatArray:
        """The limit σ → 0 of the denoiser, (B, d): the nearest point that the Gaussian reaches. The score has no limit there."""
        rows = self._rows(x)
        alive = has_variance(self.eigenvalues).astype(np.float64)
        if self.residual_variance > 0:
            return rows.copy()
        centred = rows - self.mean
        if self.eigenvectors is None:
            return np.asarray(self.mean + centred * alive)
        return np.asarray(self.mean + ((centred @ self.eigenvectors) * alive) @ self.eigenvectors.T)

    def log_density(self, coordinates: FloatArray, outside: FloatArray, level: FloatArray) -> FloatArray:
        """(B,) log N(x; μ, Σ + σ²) without the constant −d/2 log 2π, which all Gaussians share.

        Parameters
        ----------
        coordinates, outside : (B, k) and (B,) of :meth:`coordinates`
        level : (B, 1) or (1, 1) noise variances σ²
        """
        total = self.eigenvalues + level
        squares = (coordinates**2 / total).sum(axis=1)
        logs = np.log(total).sum(axis=1)
        left = self.dimension - self.eigenvalues.size
        if left:
            rest = (self.residual_variance + level)[:, 0]
            squares, logs = squares + outside / rest, logs + left * np.log(rest)
        return np.asarray(-0.5 * (squares + logs))

    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """(P, d) rows of Σ(Σ + σ²)⁻¹, which do not depend on x.

        Raises
        ------
        TypeError, ValueError
            `x` has another shape, a pixel does not exist, or `sigma` is not a finite number above 0.
        """
        self._row(x)
        chosen = self._pixels(pixels)
        unit = np.zeros((len(chosen), self.dimension))
        unit[np.arange(len(chosen)), chosen] = 1.0
        return np.asarray(self(unit + self.mean, positive("sigma", sigma)) - self.mean)
