"""Populations of the tests of receptive fields, with dense matrices to compare with."""

from __future__ import annotations

import math

import mpmath
import numpy as np

import kappaflow as kf

SIGMAS = (1e-3, 0.1, 1.0, 30.0)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def full_rank(shape: tuple[int, ...] = (4, 3), seed: int = 0, low: float = 1e-3, high: float = 27.0) -> kf.Population:
    """Not stationary, eigenvalues from `low` to `high`, a mean."""
    d = math.prod(shape)
    basis = np.linalg.qr(rng(seed).standard_normal((d, d)))[0]
    return kf.Population.from_covariance(
        (basis * np.geomspace(high, low, d)) @ basis.T, rng(seed + 1).standard_normal(d), shape=shape
    )


def low_rank(shape: tuple[int, ...] = (4, 3), count: int = 6, seed: int = 2) -> kf.Population:
    """Of fewer samples than dimensions: rank count − 1, eigenvectors (d, rank)."""
    return kf.Population.from_samples(rng(seed).standard_normal((count, *shape)))


def covariance(population: kf.Population) -> np.ndarray:
    u = population.eigenvectors
    return (u * population.eigenvalues) @ u.T


def dense(population: kf.Population, sigma: float) -> np.ndarray:
    s = covariance(population)
    return np.linalg.solve(s + sigma**2 * np.eye(len(s)), s)


def dense_exactly(population: kf.Population, sigma: float) -> np.ndarray:
    """Σ(Σ+σ²)⁻¹ in 50 digits: in double precision, rounding errors of a Σ without full rank are divided by σ²."""
    with mpmath.workdps(50):
        u = mpmath.matrix(population.eigenvectors.tolist())
        s = u * mpmath.diag(population.eigenvalues.tolist()) * u.T
        inverse = (s + mpmath.mpf(sigma) ** 2 * mpmath.eye(s.rows)) ** -1
        return np.array((s * inverse).tolist(), dtype=np.float64)


def circulant(spectrum: np.ndarray) -> np.ndarray:
    """Σ of a ring or torus by its autocovariance, entry by entry."""
    autocovariance = np.fft.ifftn(spectrum).real
    places = list(np.ndindex(*spectrum.shape))
    return np.array([[autocovariance[tuple((np.array(i) - j) % spectrum.shape)] for j in places] for i in places])


POPULATIONS = [full_rank, low_rank]
