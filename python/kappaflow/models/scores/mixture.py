"""Score of a mixture of Gaussians, and its fit to samples by clusters."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import logsumexp

from ..._checks import FloatArray, integer, positive, real_array
from ...population import Population
from .base import Score, row_noise_levels
from .gaussian import GaussianScore
from .softmax import WeightedMean

__all__ = ["MixtureScore"]

#: Samples that are read and passed to k-means at once.
_BLOCK = 4096


class MixtureScore(Score):
    r"""Denoiser of a mixture of Gaussians, D = Σᵢ wᵢ(x) Dᵢ(x), with the posterior weights

        wᵢ ∝ πᵢ det(Σᵢ + σ²)^(−1/2) exp(−½ (x − μᵢ)ᵀ(Σᵢ + σ²)⁻¹(x − μᵢ))

    Priors and determinants both count: where components overlap, weights from distances alone do not belong to any density.
    Components are evaluated one by one with two matrix products each, so the memory is that of a few arrays like x.

    Parameters
    ----------
    components : the Gaussians
    weights : (K,) priors πᵢ > 0, which are divided by their sum; equal by default

    Raises
    ------
    ValueError
        No component, components of different dimensions, weights of the wrong shape or not above 0.
    """

    def __init__(self, components: Sequence[GaussianScore], weights: Any = None) -> None:
        if not components:
            raise ValueError("components must hold at least one Gaussian, got none")
        if len({part.dimension for part in components}) != 1:
            raise ValueError(f"components must share one dimension, got {sorted({p.dimension for p in components})}")
        priors = np.ones(len(components)) if weights is None else real_array("weights", weights)
        if priors.shape != (len(components),) or priors.min() <= 0:
            raise ValueError(f"weights must be ({len(components)},) numbers above 0, got {priors}")
        self.components = tuple(components)
        self.weights = priors / priors.sum()
        self.dimension = components[0].dimension

    @classmethod
    def fit(
        cls, samples: Any, components: int, *, rank: int | None = None, residual: str = "none", seed: int = 0
    ) -> MixtureScore:
        """Clusters by mini-batch k-means (scikit-learn), and the principal components of each.

        Parameters
        ----------
        samples : (N, ...) array or memory map; one cluster at a time is converted to float64
        components : number of clusters, at most N
        rank : principal components of each cluster, all by default; a cluster that has fewer keeps all of its own
        residual : see :class:`GaussianScore`
        seed : of k-means

        Raises
        ------
        ValueError
            More components than samples; a cluster that stays empty, as happens with many equal samples; NaN or infinity.
        ImportError
            scikit-learn is missing.
        """
        rows = samples if hasattr(samples, "shape") else np.asarray(samples)
        if len(rows.shape) < 2 or len(rows) == 0:
            raise ValueError(f"samples must be (N, ...) with at least one sample, got shape {tuple(rows.shape)}")
        rows = rows.reshape(len(rows), -1)
        count = integer("components", components, 1)
        if count > len(rows):
            raise ValueError(f"components must be at most the number of samples, {len(rows)}, got {count}")
        for start in range(0, len(rows), _BLOCK):
            real_array(f"samples[{start}:]", rows[start : start + _BLOCK])
        labels = _clusters(rows, count, seed)
        sizes = np.bincount(labels, minlength=count)
        if sizes.min() == 0:
            raise ValueError(
                f"components: {int((sizes == 0).sum())} of {count} clusters are empty after k-means; use fewer, or another seed"
            )
        parts = []
        for label in range(count):
            population = _population_of(real_array("samples", rows[labels == label]))
            kept = None if rank is None else min(integer("rank", rank, 1), population.eigenvalues.size)
            parts.append(GaussianScore(population, rank=kept, residual=residual))
        return cls(parts, sizes)

    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """D(x; σ), (B, d); see the class."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        running = WeightedMean(len(rows), self.dimension)
        for log_weight, answer in self._parts(rows, level):
            running.add(log_weight[:, None], lambda weights, answer=answer: weights * answer)  # type: ignore[misc]
        return running.mean()

    def log_density(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """(B,) log p(x; σ) of the noised mixture; arguments as for :meth:`__call__`."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        logs = np.stack([self._log_weight(i, rows, level)[0] for i in range(len(self.components))])
        return np.asarray(logsumexp(logs, axis=0) - 0.5 * self.dimension * np.log(2 * np.pi))

    def posterior(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """(B, K) posterior weights of the components; arguments as for :meth:`__call__`."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        logs = np.stack([self._log_weight(i, rows, level)[0] for i in range(len(self.components))], axis=1)
        return np.asarray(np.exp(logs - logsumexp(logs, axis=1, keepdims=True)))

    def _log_weight(self, i: int, rows: FloatArray, level: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Unnormalised log weight (B,) of component i, and coordinates (B, k) of the rows in its modes."""
        part = self.components[i]
        inside, outside = part.coordinates(rows, level)
        return np.log(self.weights[i]) + part.log_density(inside, outside, level), inside

    def _parts(self, rows: FloatArray, level: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Unnormalised log weight (B,) and output (B, d) of each component."""
        for i, part in enumerate(self.components):
            log_weight, inside = self._log_weight(i, rows, level)
            yield log_weight, part.shrunk(rows, inside, level)

    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """(P, d): Σᵢ wᵢ Jᵢ + Σᵢ wᵢ (Dᵢ − D)(Dᵢ − D)ᵀ/σ², a part within the components and a part between them.

        Raises
        ------
        TypeError, ValueError
            `x` has another shape, a pixel does not exist, or `sigma` is not a finite number above 0.
        """
        row, chosen, level = self._row(x)[None], self._pixels(pixels), positive("sigma", sigma)
        weights = self.posterior(row, level)[0]
        answers = np.concatenate([part(row, level) for part in self.components])
        apart = answers - weights @ answers
        between = (weights[:, None] * apart[:, chosen]).T @ apart / level**2
        within = sum(
            weight * part.jacobian_rows(row[0], level, chosen)
            for weight, part in zip(weights, self.components, strict=True)
        )
        return np.asarray(between + within)


def _clusters(rows: Any, count: int, seed: int) -> Any:
    """(N,) cluster of each row, by mini-batch k-means."""
    try:
        from sklearn.cluster import MiniBatchKMeans
    except ImportError as error:
        raise ImportError('fitting a mixture needs scikit-learn: pip install "kappaflow[datasets]"') from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty clusters, which are an error of ours
        return MiniBatchKMeans(
            count, random_state=seed, n_init=3, batch_size=_BLOCK, reassignment_ratio=0.0
        ).fit_predict(rows)


def _population_of(rows: FloatArray) -> Population:
    """Mean and covariance (divisor n) of a cluster; of equal samples, a point."""
    if np.any(rows != rows[0]):
        return Population.from_samples(rows)
    axis = np.zeros((rows.shape[1], 1))
    axis[0] = 1.0
    return Population(
        np.zeros(1), np.ones(1), dimension=rows.shape[1], mean=rows[0].copy(), eigenvectors=axis, sample_size=len(rows)
    )
