"""Populations, gradient flows and training times that the tests of the learning room share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import kappaflow as kf
from kappaflow.lens.learning import NoiseRange

POWER_LAW = 170 * np.arange(1, 13.0) ** -2
DEFICIENT = np.array([10.0, 1.0, 0.1, 0.01, 1e-3, 0.0, 0.0])
SPECTRA = pytest.mark.parametrize("values", [POWER_LAW, DEFICIENT], ids=["power law", "rank-deficient"])
NOISE = NoiseRange()
TIMES = np.array([0.0, 1e-4, 0.01, 0.3, 2.0, 40.0, 1e4])


def rotation(size: int, seed: int = 5) -> np.ndarray:
    """A random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def population(values: np.ndarray, mean: Any = None, seed: int = 5) -> kf.Population:
    """An exact population with these eigenvalues; modes without variance are left out."""
    vectors = rotation(len(values), seed)
    full = kf.Population.from_covariance((vectors * values) @ vectors.T, mean)
    kept = full.eigenvalues > 1e-9
    return kf.Population(
        full.eigenvalues[kept],
        np.ones(kept.sum()),
        dimension=len(values),
        mean=full.mean.copy(),
        eigenvectors=full.eigenvectors[:, kept],
    )


def loss_gradient(weights: np.ndarray, covariance: np.ndarray, sigma: float) -> np.ndarray:
    """∂/∂W of Tr[(W − I)Σ(W − I)ᵀ] + σ² Tr WWᵀ."""
    return 2 * (weights @ (covariance + sigma**2 * np.eye(len(covariance))) - covariance)


def flow(derivative: Any, start: np.ndarray, time: float) -> np.ndarray:
    """The solution of an ODE of matrices at `time`, from `start`."""
    solved = solve_ivp(
        lambda _, y: derivative(y.reshape(start.shape)).ravel(),
        (0, time),
        start.ravel(),
        method="DOP853",
        rtol=3e-14,
        atol=1e-15,
    )
    return solved.y[:, -1].reshape(start.shape)
